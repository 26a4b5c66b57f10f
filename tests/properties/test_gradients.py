"""Right gradient kernels are acquitted, whatever their style; a wrong one is convicted with the name of the input whose gradient is off."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parent))

from right_gradients import RIGHT_GRADIENTS

import kernelproof
from kernelproof.properties.call import Call
from kernelproof.properties.capabilities import everything
from kernelproof.properties.model import Case, Recipe, Setting, build
from kernelproof.properties.mutants.gradient_block_parts import encoder_block_vjp, right_gradient
from kernelproof.properties.mutants.gradient_parts import activation_vjp, attention_vjp, softmax_vjp
from kernelproof.properties.mutants.parts import Kernel, Right
from kernelproof.properties.profiles import PROFILES, Profile
from kernelproof.properties.registry import properties_of
from kernelproof.properties.runner import run_property
from kernelproof.properties.shapes import forward_of, phase_shape
from kernelproof.properties.verdict import PropertyVerdict
from kernelproof.symbolic.errors import InputError
from kernelproof.symbolic.registry import check_variant, gradient, has_gradient, phases

#: in which a style shows
OF_STYLE = ("matches_definition", "finite")
#: phases cheap enough for all of their properties
CHEAP = ("softmax", "attention", "layer_norm", "embedding", "rotary", "activation")
#: the longer search is marked slow
BRIEF = replace(PROFILES["quick"], examples=8)


@pytest.fixture(autouse=True)
def toy_tolerance() -> Iterator[None]:
    """The derived bounds instead of the toy ones of this folder; one thread, as the products are tiny."""
    with threadpool_limits(1):
        yield


def verdicts(
    function: Kernel, phase: str, variant: dict[str, object], names: Sequence[str] = (), dtype: str = "float32",
    profile: Profile = PROFILES["quick"],
) -> list[PropertyVerdict]:
    chosen = check_variant(forward_of(phase), variant)
    shape = phase_shape(phase, chosen)
    setting = Setting(phase, chosen, dtype, everything(shape), replace(profile, shrink_seconds=0.0))
    return [
        run_property(subject, Call(function, shape), setting, seed=0, seconds=60.0, reproduce=lambda *_: "")[0]
        for subject in properties_of(phase, chosen)
        if not names or subject.id.removeprefix(f"{phase}.") in names
    ]


def unhappy(found: list[PropertyVerdict]) -> list[tuple[str, str, str]]:
    return [(verdict.id, verdict.verdict, verdict.message) for verdict in found if verdict.verdict != "pass"]


def _id(kernel: Right) -> str:
    return "-".join([kernel.phase, *map(str, kernel.variant.values()), kernel.style])


@pytest.mark.parametrize("kernel", RIGHT_GRADIENTS, ids=_id)
def test_a_right_gradient_kernel_is_acquitted(kernel: Right) -> None:
    wholly = kernel.wholly and forward_of(kernel.phase) in CHEAP and kernel.variant.get("activation", "relu") == "relu"
    assert unhappy(verdicts(kernel.function, kernel.phase, kernel.variant, () if wholly else OF_STYLE, profile=BRIEF)) == []


@pytest.mark.nightly
@pytest.mark.parametrize("kernel", RIGHT_GRADIENTS, ids=_id)
def test_a_right_gradient_kernel_is_acquitted_by_the_longer_search(kernel: Right) -> None:
    assert unhappy(verdicts(kernel.function, kernel.phase, kernel.variant, profile=PROFILES["standard"])) == []


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_dtypes(dtype: str) -> None:
    for phase in ("softmax", "attention", "layer_norm"):
        assert unhappy(verdicts(right_gradient(phase, {}), f"{phase}.vjp", {}, OF_STYLE, dtype, BRIEF)) == []


def test_every_phase_but_positional_has_gradient_properties() -> None:
    for phase in phases():
        if has_gradient(phase):
            names = [found.id for found in properties_of(phase, {}, vjp=True)]
            assert names[0] == f"{phase}.vjp.matches_definition" and len(names) >= 7
            assert names == [found.id for found in properties_of(f"{phase}.vjp")]
            assert len(set(names)) == len(names)
    with pytest.raises(InputError, match="positional: it has no differentiable input"):
        properties_of("positional", {}, vjp=True)


def test_theorems_about_gradients_are_properties() -> None:
    names = {found.id for found in properties_of("attention", {}, vjp=True)}
    assert {f"attention.vjp.{name}" for name in ("keys_sum", "queries_and_keys", "values_and_output", "values_sum")} <= names
    # Δ and dS are not shown by a kernel
    assert "attention.vjp.score_rows" not in names and "attention.score_rows" in {one.id for one in gradient("attention").statements}


def test_the_failure_names_the_input_whose_gradient_is_off() -> None:
    wrong = attention_vjp(to_keys=lambda ds, q, scale: np.swapaxes(ds, -1, -2) @ q * scale * 1.01)
    (found,) = verdicts(wrong, "attention.vjp", {}, ("matches_definition",))
    assert found.verdict == "fail" and "the gradient of k" in found.message
    assert found.counterexample is not None and "[1]" in str(found.counterexample.finding.script)


def test_a_gradient_inside_a_mapping_is_named_too() -> None:
    wrong = encoder_block_vjp(given=lambda dx, found: (dx, {**found, "w1": found["w1"] * np.float32(1.1)}))
    (found,) = verdicts(wrong, "encoder_block.vjp", {}, ("matches_definition",))
    assert found.verdict == "fail" and "the gradient of w1" in found.message
    assert found.counterexample is not None and "[1]['w1']" in str(found.counterexample.finding.script)


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (lambda dx: None, "expected a tuple of the gradients of x"),
        (lambda dx: (dx, dx), "returned 2 gradients, expected 1: of x"),
        (lambda dx: ("text",), "which is no array"),
        (lambda dx: (dx[..., :1],), "has shape"),
    ],
)
def test_what_is_no_tuple_of_gradients(result: Any, told: str) -> None:
    right = softmax_vjp()
    (found,) = verdicts(lambda x, grad_out: result(right(x, grad_out)[0]), "softmax.vjp", {}, ("matches_definition",))
    assert found.verdict == "fail" and told in found.message


def test_one_gradient_alone_need_not_stand_in_a_tuple() -> None:
    right = softmax_vjp()
    assert unhappy(verdicts(lambda x, grad_out: right(x, grad_out)[0], "softmax.vjp", {}, ("matches_definition",))) == []


def test_any_slope_of_relu_at_zero_is_right() -> None:
    for at_zero in (0.0, 0.5, 1.0):
        kernel = activation_vjp(lambda z, at_zero=at_zero: np.where(z > 0, 1, np.where(z == 0, at_zero, 0)).astype(z.dtype))
        assert unhappy(verdicts(kernel, "activation.vjp", {"activation": "relu"}, ("matches_definition", "slope_on_a_grid"))) == []


def test_a_gradient_that_is_too_large_for_the_format_is_no_fault() -> None:
    """Sums over a batch of 8192 of numbers near 14 exceed float16; one that does not is still a fault."""
    subject = next(found for found in properties_of("rms_norm.vjp", {}) if found.id == "rms_norm.vjp.finite")
    shape = phase_shape("rms_norm.vjp", {})
    large = Recipe("constant", 30.0)
    case = Case(
        "rms_norm.vjp", (("d", 2), ("n", 8192)), lead=("n",), dtype="float16",
        recipes=(("x", large), ("gain", large), ("grad_out", large)), options=(("eps", 1e-5),),
    )
    setting = Setting("rms_norm", {}, "float16", everything(shape), PROFILES["quick"])
    right = kernelproof.generate("rms_norm", dtype="float16", vjp=True)
    infinite = right(*(build(case).tensors[name] for name in ("x", "gain", "grad_out")))[1]
    assert np.isinf(infinite).all()
    assert subject.check(Call(right, shape), case, setting).ok

    def broken(x: Any, gain: Any, grad_out: Any, *, eps: float = 1e-5) -> Any:
        dx, dgain = right(x, gain, grad_out, eps=eps)
        dx[0, 0] = np.inf
        return dx, dgain

    found = subject.check(Call(broken, shape), case, setting)
    assert not found.ok and "1 of 16384 entries of the gradient of x are not finite" in found.message
