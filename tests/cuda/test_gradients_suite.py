"""Gradients of CuPy under the property suite that every gradient kernel meets, executed on the CPU; and that the checks can fail.

A nightly run searches as long as ``KERNELPROOF_CUDA_PROFILE`` says.
"""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any

import pytest

from kernelproof.numeric.cupy_gradient_file import cupy_gradient_source
from kernelproof.numeric.precision import assuming
from kernelproof.properties.registry import properties_of
from kernelproof.properties.targets import memory_target
from kernelproof.properties.verify import checked_variant, verdict_on
from kernelproof.symbolic.registry import gradient, has_gradient, phases

pytestmark = pytest.mark.cuda
#: at night the others that do more to scores than masks do
NIGHTLY: tuple[dict[str, object], ...] = (
    {"sinks": True, "softcap": 2.0, "rotary": "interleaved"}, {"fully_masked": "mean", "softcap": 2.0},
    {"rotary": "halves", "grouped_query": True},
)
TRIED: list[tuple[str, dict[str, object]]] = [(phase, {}) for phase in phases() if has_gradient(phase)]
if os.environ.get("KERNELPROOF_CUDA_PROFILE"):
    TRIED += [("attention", variant) for variant in NIGHTLY]


def named(part: object) -> str:
    """The part of a test's id for a phase or a variant; shapes have none."""
    return ("-".join(part) or "default") if isinstance(part, dict) else part if isinstance(part, str) else ""


def judged(source: str, profile: str, phase: str, variant: dict[str, object], neighbour: Any, emulation: ModuleType, compiler: Any) -> Any:
    """The verdict on a gradient file of a phase."""
    cases, given = neighbour("cases"), neighbour("gradient_cases")
    name = f"{phase}.vjp"
    kernel = emulation.namespace_of(source, emulation.stand_in(compiler, 2))[f"{phase}_vjp"]
    call = next(call for call in given.calls(phase, variant, "float32") if all(part.size for part in call.seen().values()))
    kernel(*given.arguments(phase, call, "float32"), **call.options)  # compiles
    assert properties_of(name, variant)
    target = memory_target(kernel, phase=name, variant=checked_variant(name, variant))
    with assuming(cases.FLUSHED):
        return verdict_on(target, profile=profile, dtype="float32", seed=0)


@pytest.mark.tier("T2", vjp=True)
@pytest.mark.parametrize(("phase", "variant"), TRIED, ids=named)
def test_the_property_suite_holds(
    phase: str, variant: dict[str, object], profile: str, neighbour: Any, emulation: ModuleType, compiler: Any
) -> None:
    verdict = judged(cupy_gradient_source(gradient(phase, **variant), "float32"), profile, phase, variant, neighbour, emulation, compiler)
    assert verdict, str(verdict)


def test_the_property_suite_sees_a_fault(profile: str, neighbour: Any, emulation: ModuleType, compiler: Any) -> None:
    """The last token of each row is left out."""
    source = cupy_gradient_source(gradient("embedding"), "float32").replace("at < end; ++at", "at + 1 < end; ++at")
    verdict = judged(source, profile, "embedding", {}, neighbour, emulation, compiler)
    assert verdict.verdict == "fail", str(verdict)
