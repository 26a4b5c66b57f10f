"""Why a result is too far off: which term of the bound was exceeded, and which coarser arithmetic would explain the error.

What it does: for a failure of ``PHASE.matches_definition`` it splits the bound at the worst entry into the terms of its stages (of a
phase, not of a gradient), and then asks of every coarser precision (scores kept in bfloat16, TF32 products, an exponential of so many
units, …) whether the error would be within *its* bound. The cheapest ones, by the bound they give at that entry, are put to the same
examples again: an explanation is one under which every example passes.

Guarantees: an explanation is a precision under which the failing example and as many others as were tried are within the derived bound;
one that allows more than :data:`MOST_ROOM` times what was seen is not told, since it would allow much else. Advice only, no verdict.
Cannot see: whether the kernel really rounds there: a small fault of another kind may lie within what a coarse format allows.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kernelproof.numeric.gradient_reference import gradient_reference
from kernelproof.numeric.precision import KEPT, KEPT_FORMATS, Precision, assumed_precision, assuming
from kernelproof.numeric.reference import reference
from kernelproof.numeric.terms import terms
from kernelproof.numeric.ulps import ANY
from kernelproof.properties.call import Call
from kernelproof.properties.model import Case, Finding, Inputs, Property, Setting
from kernelproof.properties.shapes import forward_of, is_vjp
from kernelproof.properties.values import Array

if TYPE_CHECKING:
    from kernelproof.properties.verdict import PropertyVerdict

#: a function this many times worse than assumed, and no worse: about two digits are left
_MOST_UNITS = 2.0**14
MOST_ROOM = 8.0
#: so many explanations are put to the examples, at least to so many of them, and so many are told
_TRIED, _LEAST, _TOLD = 6, 10, 2


@dataclass(frozen=True)
class Explanation:
    """A precision under which the error would be within its bound: its changes, the worst error over that bound, the number of examples."""

    changes: str
    worst: float
    examples: int

    def __str__(self) -> str:
        return f"--precision {self.changes} ({in_words(self.changes)}): {self.examples} examples pass, worst error/bound {self.worst:.2g}"


@dataclass(frozen=True)
class Forensics:
    """What is known of one failure: the worst entry, its error, the bound and the bound's terms there, and explanations; of a gradient the
    input that it belongs to, and no terms.
    """

    property_id: str
    place: tuple[int, ...]
    error: float
    bound: float
    terms: dict[str, float]
    explanations: tuple[Explanation, ...]
    input: str = ""

    def __str__(self) -> str:
        told = ", ".join(f"{stage} {term:.2g}" for stage, term in sorted(self.terms.items(), key=lambda item: -item[1]) if term > 0)
        where = f"{self.property_id}{f', the gradient of {self.input},' if self.input else ''} at {list(self.place)}"
        allows = f", which allows for {told}" if told else ""
        lines = [f"{where}: the error {self.error:.3g} exceeds the bound {self.bound:.3g}{allows}"]
        if self.explanations:
            lines.append("a coarser arithmetic would allow it; if yours is meant to be so, say it:")
            lines += [f"  {found}" for found in self.explanations]
        else:
            lines.append("no coarser arithmetic that was tried would allow it: the kernel computes something else")
        return "\n".join(lines)


def in_words(changes: str) -> str:
    """What changes of precision mean, as a reader would say it."""
    return ", ".join(_in_words(*change.split("=", 1)) for change in changes.split(","))


def _in_words(name: str, value: str) -> str:
    words = {
        "accumulate": f"sums accumulated in {value}",
        "products": f"factors of products rounded to {value}",
        "score": f"scores kept in {value}",
        "probability": f"weights kept in {value}",
        "intermediate": f"values between products kept in {value}",
        "compute": f"all computed in {value}",
        "subnormals": "subnormal inputs read as zero",
        "ulps": f"elementary functions as of {value}",
    }
    return words.get(name, f"{name} accurate to {value} ulp only")


def forensics(subject: Property, call: Call, case: Case, finding: Finding, setting: Setting, seed: int, seconds: float) -> Forensics | None:
    """What can be said of a failure of the definition; None where its error has no finite bound."""
    # late: the search knows nothing of what is done with its failures
    from kernelproof.properties.runner import run_property

    if finding.inputs is None or not isinstance(finding.bound, np.ndarray) or finding.ratio is None:
        return None
    ends, precision, dtype = time.perf_counter() + seconds, assumed_precision(setting.dtype), setting.dtype
    observed, expected, bound = (np.asarray(part) for part in (finding.observed, finding.expected, finding.bound))
    error = np.abs(observed.astype(expected.dtype) - expected)
    with np.errstate(all="ignore"):
        ratio = np.where(np.isfinite(bound) & (error > 0), error / bound, 0)
        place = tuple(int(at) for at in np.unravel_index(int(np.argmax(ratio)), bound.shape))
    if not math.isfinite(error[place]):
        return None
    given = _Given(case.phase, dict(case.variant), finding.inputs, dtype, expected)
    possible = []
    for changed in candidates(precision):
        allowed = given.bound(changed)
        if allowed[place] > bound[place] and (error <= allowed).all() and np.isfinite(allowed[place]):
            possible.append((float(allowed[place]), changed.changes()))
    possible += [found for name in ANY if (found := _units(name, given, precision, error, bound, place))]
    told: list[Explanation] = []
    for _, changes in sorted(possible)[:_TRIED]:
        left = ends - time.perf_counter()
        if len(told) == _TOLD or left <= 0:
            break
        with assuming(changes):
            again, _ = run_property(subject, call, setting, seed=seed, seconds=min(left, seconds / 3), reproduce=lambda *_: "")
        if again.verdict == "pass" and again.worst is not None and again.worst >= 1 / MOST_ROOM and again.examples >= _LEAST:
            told.append(Explanation(changes, again.worst, again.examples))
    split = {stage: float(term[place]) for stage, term in given.terms(precision).items()}
    return Forensics(subject.id, place, float(error[place]), float(bound[place]), split, tuple(told), given.input)


def explained(
    properties: Sequence[Property], verdicts: Sequence[PropertyVerdict], call: Call, setting: Setting, seed: int, seconds: float
) -> Forensics | None:
    """:func:`forensics` of the first property that compares with a definition and failed; None where there is none."""
    for subject, found in zip(properties, verdicts, strict=True):
        if found.id.endswith(".matches_definition") and found.counterexample is not None:
            return forensics(subject, call, found.counterexample.case, found.counterexample.finding, setting, seed, seconds)
    return None


class _Given:
    """The inputs of a failure, and what a precision allows there: of the result, or of the gradient that ``expected`` is."""

    def __init__(self, phase: str, variant: dict[str, object], inputs: Inputs, dtype: str, expected: Array) -> None:
        self._call = (forward_of(phase), variant, inputs.tensors, inputs.options, dtype)
        self.input = ""
        if is_vjp(phase):
            found = gradient_reference(*self._call)
            same = [name for name, one in found.items() if one.value.shape == expected.shape and (one.value == expected).all()]
            self.input = same[0] if same else next(iter(found))

    def bound(self, precision: Precision) -> Array:
        """The bound of a kernel of this precision."""
        if self.input:
            return gradient_reference(*self._call, precision=precision)[self.input].error
        return reference(*self._call, precision=precision).error

    def terms(self, precision: Precision) -> dict[str, Array]:
        """The terms of the bound by stage; none of a gradient's."""
        return {} if self.input else terms(*self._call, precision)


def candidates(precision: Precision) -> Iterator[Precision]:
    """Every precision with one field coarser, and with scores and weights both, as in a softmax of its own format."""
    if precision.with_changes("subnormals=flushed").flushes > precision.flushes:
        yield precision.with_changes("subnormals=flushed")
    for name in (*KEPT, "compute"):
        unit = precision.format(name).unit
        for kept in sorted(KEPT_FORMATS.values(), key=lambda found: found.unit):
            small = kept.name in ("float16", "bfloat16", "float32") or (kept.name == "tfloat32" and name == "products")
            if kept.unit > unit and (small or (kept.name == "float8_e4m3" and name == "probability")):
                yield precision.with_changes(f"{name}={kept.name}")
                if name == "score" and kept.unit > precision.format("probability").unit:
                    yield precision.with_changes(f"score={kept.name},probability={kept.name}")


def _units(
    name: str, given: _Given, precision: Precision, error: Array, bound: Array, place: tuple[int, ...]
) -> tuple[float, str] | None:
    """The least power of two of a function's units under which the error is allowed."""
    units = 2.0 ** math.ceil(math.log2(precision.functions[name]) + 1)
    while units <= _MOST_UNITS:
        changed = precision.with_changes(f"{name}={units:g}")
        allowed = given.bound(changed)
        if not allowed[place] > bound[place]:
            return None
        if (error <= allowed).all():
            return float(allowed[place]), changed.changes()
        units *= 2
    return None
