"""Different positions have different encodings: the theorem of the reals, tried on the table of floats.

What it does: asks for a table and compares the bits of its rows. The theorem (AX: period of sine and cosine, π irrational) says
that rows of real numbers differ for all integer positions. Floats alias where two rows are closer together than rounding can tell: then
nothing is concluded. A collision of rows that are further apart convicts.
Cannot see: positions beyond those drawn (up to some ten thousands; ``separation`` takes all of a million); width 1 has no cosine, the
theorem needs a pair.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from kernelproof.numeric.separation import entries_at
from kernelproof.properties.call import Call
from kernelproof.properties.collisions import digests, plain, repeats, told_apart
from kernelproof.properties.model import Case, Finding, Property, Setting, build
from kernelproof.properties.strategies import draw_case
from kernelproof.symbolic.phase import Derivation
from kernelproof.symbolic.printing.render import text

#: numbers of positions by the name of a profile; an unknown one is quick
COUNTS = {"standard": (2, 16, 512, 4096, 16384), "thorough": (2, 16, 512, 4096, 16384, 65536)}
QUICK = (2, 16, 512, 4096)


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
    count = draw(st.sampled_from(COUNTS.get(setting.profile.name, QUICK)))
    return replace(case, sizes=tuple((name, count if name == "n" else value) for name, value in case.sizes))


def _check(call: Call, case: Case, setting: Setting) -> Finding:
    inputs = build(case)
    table = call(inputs.tensors, inputs.options)
    if table.ndim != 2 or table.shape != (case.size("n"), case.size("d")):
        return Finding(ok=True, vacuous=True, message="the result has another shape than the contract's")
    rows = plain(table)
    found = repeats(digests(rows))
    same = np.array([rows[p].tobytes() == rows[q].tobytes() for p, q in zip(found.earlier, found.later, strict=True)], dtype=bool)
    earlier, later = found.earlier[same], found.later[same]
    if not len(later):
        return Finding(ok=True, ratio=0.0, inputs=inputs)
    left, right = (entries_at(dict(case.variant), case.size("d"), 10000.0, at, setting.dtype) for at in (earlier, later))
    wrong = np.flatnonzero(told_apart(left, right))
    if not len(wrong):
        return Finding(ok=True, vacuous=True, message="positions closer together than the rounding of this format have the same encoding")
    p, q = int(earlier[wrong[0]]), int(later[wrong[0]])
    return Finding(
        ok=False,
        ratio=math.inf,
        observed=table[[p, q]],
        expected="different rows",
        inputs=inputs,
        message=f"positions {p} and {q} have the same encoding, though they are further apart than rounding can hide",
        assertion=f"(observed[{p}] + 0).tobytes() != (observed[{q}] + 0).tobytes()",
    )
