"""All ways of asking for the same give the same: ``PHASE.paths_agree``.

What it does: kernels choose another path for another combination of options, another rank, another batch. Each example is called as it is
and in every other way of ``path_rewrites`` that the target can take; the results agree within the bounds of both calls. Guarantees: no
values are compared but the target's own. Cannot see: a fault that all paths share.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from hypothesis.strategies import DrawFn

from kernelproof.properties.call import Call
from kernelproof.properties.model import Case, Finding, Inputs, Property, Setting, build
from kernelproof.properties.path_rewrites import Rewrite, rewrites
from kernelproof.properties.strategies import draw_case
from kernelproof.properties.telling import draw_telling
from kernelproof.properties.tolerance import expected_of, within
from kernelproof.properties.two_calls import WRONG_SHAPE, calls_differ
from kernelproof.properties.values import Array


def path_properties(phase: str, variant: Mapping[str, object]) -> list[Property]:
    """The property of a phase."""
    return [
        Property(
            f"{phase}.paths_agree",
            "All ways of asking for the same give the same",
            "options left out or at their defaults, masks in every form, a batch whole or in parts (tested, not proved here): one result",
            phase,
            _draw,
            _check,
            kind="harness",
        )
    ]


def _draw(draw: DrawFn, setting: Setting) -> Case:
    return draw_case(draw, setting, **{**draw_telling(draw, setting), "empty": False})


def _check(call: Call, case: Case, setting: Setting) -> Finding:
    inputs = build(case)
    whole = call(inputs.tensors, inputs.options)
    if whole.shape != case.lengths(case.shape.output):
        return WRONG_SHAPE
    known = expected_of(case.phase, dict(case.variant), inputs, setting.dtype)
    worst, vacuous = None, True
    for rewrite in rewrites(case, inputs, setting.capabilities):
        finding = _one(call, case, setting, inputs, whole.astype(known.value.dtype), known.error, rewrite)
        if not finding.ok:
            return finding
        vacuous = vacuous and finding.vacuous
        if finding.ratio is not None:
            worst = max(worst or 0.0, finding.ratio)
    return Finding(ok=True, ratio=worst, vacuous=vacuous, message="no other path, or no bound" if vacuous else "")


def _one(call: Call, case: Case, setting: Setting, inputs: Inputs, whole: Array, error: Array, rewrite: Rewrite) -> Finding:
    results = [call(part.tensors, part.options) for part in rewrite.calls]
    joined = rewrite.join(results)
    if joined.shape != whole.shape:
        shapes = f"the shape {list(joined.shape)}, expected {list(whole.shape)}"
        bound = np.zeros(())
        return calls_differ(
            Finding(ok=False, ratio=float("inf"), observed=list(joined.shape), expected=list(whole.shape), bound=bound),
            case.shape, inputs, "{0}", rewrite.calls, rewrite.text, f"{rewrite.name}: {shapes}",
        )
    if rewrite.same_numbers:
        theirs = error
    else:
        theirs = rewrite.join_errors([expected_of(case.phase, dict(case.variant), part, setting.dtype).error for part in rewrite.calls])
    finding = within(joined, whole, error + theirs, inputs)
    if finding.ok:
        return finding
    message = f"two ways of asking for the same, {rewrite.name}: {finding.message}"
    return calls_differ(finding, case.shape, inputs, "{0}", rewrite.calls, rewrite.text, message)
