"""What only picks or cuts its inputs does so over the whole range of the format: ``PHASE.whole_range``.

What it does: the definitions of ``embedding`` and of the activation ``relu`` contain no arithmetic but a choice, so every number of the
format, the largest as well, comes through exactly; there is no intermediate that could overflow. Guarantees: inputs up to 0.99 of the
largest finite number. Cannot see: other phases, where the profile's intermediates bound the magnitudes.
"""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from kernelproof.properties.call import Call
from kernelproof.properties.model import Case, Finding, Property, Recipe, Setting, build
from kernelproof.properties.strategies import draw_case
from kernelproof.properties.tolerance import expected_of, within
from kernelproof.properties.two_calls import WRONG_SHAPE

#: phase -> the input that is copied
COPIED = {"embedding": "table", "activation": "x"}
LARGEST = {"float16": 65504.0, "bfloat16": 3.3e38, "float32": 3.4e38, "float64": 1.7e308}


def range_of_the_format(phase: str, variant: Mapping[str, object]) -> list[Property]:
    """The property of the two phases; none for others."""
    if phase not in COPIED or variant.get("activation", "relu") != "relu":
        return []
    return [
        Property(
            f"{phase}.whole_range",
            "A number of any size comes through, as nothing is computed",
            f"|{COPIED[phase]}| up to the largest finite number: the definition's result, exactly",
            phase,
            _draw,
            _check,
            kind="harness",
        )
    ]


def _draw(draw: DrawFn, setting: Setting) -> Case:
    recipe = Recipe("normal", draw(st.sampled_from((0.5, 0.25))) * LARGEST[setting.dtype])
    return draw_case(draw, setting, empty=False, recipes={COPIED[setting.phase]: recipe})


def _check(call: Call, case: Case, setting: Setting) -> Finding:
    inputs = build(case)
    expected = expected_of(case.phase, dict(case.variant), inputs, setting.dtype)
    observed = call(inputs.tensors, inputs.options)
    if observed.shape != expected.value.shape:
        return WRONG_SHAPE
    return within(observed, expected.value, expected.error, inputs)
