"""The text of erf in float32, for kernel files: from one tanh, since SciPy's erf goes entry by entry in double precision.

What it does: ``_erf(x, out)`` is tanh(x + x·P(x²)) with a polynomial P of degree 8 that was fitted to artanh(erf x)/x − 1 on [0, 4];
other types go to SciPy. Guarantees: in float32 the relative error is below 3.2·2⁻²⁴ with NumPy 2.4 on x86 (measured on every number from
10⁻³⁷ to 4.5; beyond, it is 1 to one rounding), where the bounds assume 4·2⁻²⁴ (erf within 2 ulp). The formula is an approximation, no
theorem: the translation validation takes the name for erf where the text is this one to the letter, and its accuracy is tested by
itself. Cannot see: a tanh of another library that is worse.
"""

from __future__ import annotations

IMPORT = "from scipy.special import erf"
HELPER = '''
def _erf(x, out=None):
    """erf; in float32 as tanh(x + x·P(x²)), relative error below 4·2⁻²⁴ (measured), part by part, for it has many passes."""
    if x.dtype != np.float32:
        return erf(x, out=out)
    out = np.empty(x.shape, dtype=x.dtype) if out is None else out
    step = max(1, 131072 * len(x) // max(x.size, 1))
    squares, sums = (np.empty(x[:step].shape, dtype=x.dtype) for _ in range(2))
    for first in range(0, len(x), step):
        part = x[first : first + step]
        square, total = squares[: len(part)], sums[: len(part)]
        np.multiply(part, part, out=square)
        np.minimum(square, 16.0, out=square)
        np.multiply(square, -1.64072885e-09, out=total)
        for coefficient in (
            5.3916025e-08, -5.15093491e-07, -1.86103441e-06, 7.64893828e-05, -0.00060368043, -0.000202152478, 0.102771315
        ):
            np.add(total, coefficient, out=total)
            np.multiply(total, square, out=total)
        np.add(total, 0.128379202, out=total)
        np.multiply(total, part, out=total)
        np.add(total, part, out=total)
        np.tanh(total, out=out[first : first + step])
    return out
'''
