"""The text of erf in float32, for kernel files: from one tanh, since SciPy's erf goes entry by entry in double precision.

What it does: ``_erf(x, out)`` is tanh(x + x·P(x²)) with P(z) = c₀ + c₁z + c₂z² + k/(z² + az + b), fitted to artanh(erf x)/x − 1 on [0, 4]:
its singularities nearest to 0 are at z ≈ −2 ± 5i, so one pole pair saves half of a polynomial's degrees, and 13 passes stand before the
tanh where a polynomial of degree 8 needs 20. Other types go to SciPy. Guarantees: in float32 the relative error is below 3.1·2⁻²⁴ with
NumPy 2.4 on x86 (measured on every number from 10⁻³⁷ to 4.5; beyond, it is 1 to one rounding), where the bounds assume 4·2⁻²⁴ (erf
within 2 ulp). The formula is an approximation, no theorem: the translation validation takes the name for erf where the text is this one
to the letter, and its accuracy is tested by itself. Cannot see: a tanh of another library that is worse.
"""

from __future__ import annotations

IMPORT = "from scipy.special import erf"
HELPER = '''
def _erf(x, out=None):
    """erf; in float32 as tanh(x + x·P(x²)), relative error below 4·2⁻²⁴ (measured), part by part, for it has many passes."""
    if x.dtype != np.float32:
        return erf(x, out=out)
    out = np.empty(x.shape, dtype=x.dtype) if out is None else out
    step = max(1, 65536 * len(x) // max(x.size, 1))
    room = [np.empty(x[:step].shape, dtype=x.dtype) for _ in range(3)]
    for first in range(0, len(x), step):
        part = x[first : first + step]
        square, poles, total = (array[: len(part)] for array in room)
        np.multiply(part, part, out=square)
        np.minimum(square, 16.0, out=square)
        np.add(square, 6.4538343, out=poles)
        np.multiply(poles, square, out=poles)
        np.add(poles, 49.471624, out=poles)
        np.divide(-9.5479817, poles, out=poles)
        np.multiply(square, -0.00082688393, out=total)
        np.add(total, 0.077595242, out=total)
        np.multiply(total, square, out=total)
        np.add(total, poles, out=total)
        np.add(total, 0.3213783, out=total)
        np.multiply(total, part, out=total)
        np.add(total, part, out=total)
        np.tanh(total, out=out[first : first + step])
    return out
'''
