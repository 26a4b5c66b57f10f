"""Different positions have different encodings: the theorem of the reals, tried on the table of floats.

What it does: asks for a table and compares the bits of its rows. The theorem (AX: period of sine and cosine, π irrational) says
that rows of real numbers differ for all integer positions. Floats alias where two rows are closer together than rounding can tell: then
nothing is concluded. A collision of rows that are further apart convicts.
Cannot see: positions beyond those drawn (up to some thousands); width 1 has no cosine, the theorem needs a pair.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from kernelproof.properties.call import Call
from kernelproof.properties.model import Case, Finding, Property, Setting, build
from kernelproof.properties.strategies import draw_case
from kernelproof.properties.tolerance import expected_of
from kernelproof.symbolic.phase import Derivation
from kernelproof.symbolic.printing.render import text


def uniqueness_property(derivation: Derivation) -> Property:
    """The property ``positional.uniqueness``."""
    statement = derivation.statement("positional.uniqueness")
    assumed = "; ".join(text(formula) for formula in statement.theorem.hypotheses)
    return Property(
        id=statement.id,
        title=statement.title,
        theorem=f"{assumed} ⊢ {text(statement.theorem.conclusion)}",
        phase="positional",
        draw=_draw,
        check=_check,
    )


def _draw(draw: DrawFn, setting: Setting) -> Case:
    case = draw_case(draw, setting, minimum={"d": 2, "h": 1}, without=("base", "start"))
    count = draw(st.sampled_from((2, 16, 512, 4096)))
    return replace(case, sizes=tuple((name, count if name == "n" else value) for name, value in case.sizes))


def _check(call: Call, case: Case, setting: Setting) -> Finding:
    inputs = build(case)
    table = call(inputs.tensors, inputs.options)
    if table.ndim != 2 or len(table) != case.size("n"):
        return Finding(ok=True, vacuous=True, message="the result has another shape than the contract's")
    rows = np.ascontiguousarray(table).view(np.dtype((np.void, table.dtype.itemsize * table.shape[1]))).reshape(-1)
    _, first, counts = np.unique(rows, return_index=True, return_counts=True)
    if counts.max(initial=1) == 1:
        return Finding(ok=True, ratio=0.0, inputs=inputs)
    found = expected_of(case.phase, dict(case.variant), inputs, setting.dtype)
    for same in np.flatnonzero(counts > 1):
        p, q = (int(at) for at in np.flatnonzero(rows == rows[first[same]])[:2])
        apart = np.abs(found.value[p] - found.value[q])
        if (apart > found.error[p] + found.error[q]).any():
            return Finding(
                ok=False,
                ratio=math.inf,
                observed=table[[p, q]],
                expected="different rows",
                inputs=inputs,
                message=f"positions {p} and {q} have the same encoding, though they are further apart than rounding can hide",
                assertion=f"observed[{p}].tobytes() != observed[{q}].tobytes()",
            )
    return Finding(ok=True, vacuous=True, message="positions closer together than the rounding of this format have the same encoding")
