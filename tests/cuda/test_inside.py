"""Attention inside larger phases on CuPy, executed on the CPU: the kernels in tiles between the projections, forward and gradient.

What is tested here is what stands between: heads, strides, masks, leading axes, memory. The kernels are those of ``test_tiled`` and
``test_gradients``, and every call of ``cases`` goes through them in ``test_emulated`` and ``test_gradients``. That these calls see what is
wrong between is tried by the faults of ``inside_faults``.
"""

from __future__ import annotations

import itertools
import os
import tracemalloc
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from kernelproof.numeric.cuda import plan
from kernelproof.numeric.cuda.inside import PHASES, attention_inside, gradient_inside, is_plain
from kernelproof.numeric.cupy_file import cupy_source
from kernelproof.numeric.cupy_gradient_file import cupy_gradient_licences, cupy_gradient_source
from kernelproof.numeric.forms import program_of
from kernelproof.numeric.gradient_forms import gradient_program
from kernelproof.numeric.gradient_recipe import recipe
from kernelproof.numeric.gradient_signature import gradient_signature
from kernelproof.numeric.kernel_file import licences_of
from kernelproof.numeric.program import Program
from kernelproof.numeric.schedules.attention_pattern import attention_in
from kernelproof.symbolic.registry import derive, gradient
from kernelproof.symbolic.terms import Var

pytestmark = pytest.mark.cuda
NIGHT = bool(os.environ.get("KERNELPROOF_CUDA_PROFILE"))
TARGETS = [
    ("multi_head_attention", False, "float32"), ("multi_head_attention", True, "float32"), ("multi_head_attention", False, "bfloat16"),
    ("encoder_block", True, "float16"),
]
if NIGHT:
    every = [(phase, vjp, dtype) for phase in PHASES for vjp in (False, True) for dtype in ("float32", "float64", "float16", "bfloat16")]
    TARGETS += [target for target in every if target not in TARGETS]


@pytest.fixture(scope="module")
def inside_cases(neighbour: Callable[[str], ModuleType]) -> ModuleType:
    neighbour("cases")
    return neighbour("inside_cases")


@pytest.fixture(scope="module")
def gradient_cases(neighbour: Callable[[str], ModuleType]) -> ModuleType:
    neighbour("cases")
    return neighbour("gradient_cases")


def source_of(phase: str, vjp: bool, dtype: str = "float32") -> str:
    return cupy_gradient_source(gradient(phase), dtype) if vjp else cupy_source(derive(phase), dtype)


class Runs:
    """Runs a file on the calls, each result within its bound."""

    def __init__(
        self, emulation: ModuleType, compiler: Any, cases: ModuleType, inside_cases: ModuleType, gradient_cases: ModuleType
    ) -> None:
        self.emulation, self.compiler, self.cases = emulation, compiler, cases
        self.inside_cases, self.gradient_cases = inside_cases, gradient_cases

    def __call__(self, source: str, phase: str, vjp: bool, dtype: str = "float32", sanitizer: str = "") -> None:
        module = self.emulation.stand_in(self.compiler, 2, sanitizer)
        kernel = self.emulation.namespace_of(source, module)[f"{phase}_vjp" if vjp else phase]
        given = self.gradient_cases if vjp else self.cases
        bounds = given.Bounds(gradient(phase) if vjp else derive(phase), dtype)
        calls = self.inside_cases.calls(self.cases, phase, dtype, vjp)
        for call in itertools.islice(calls, 3 if sanitizer else None):  # a process for each launch takes its time
            with np.errstate(all="ignore"):
                result = kernel(*given.arguments(phase, call, dtype), **call.options)
            bounds.check(call, given.flat(result)) if vjp else bounds.check(call, result, None)
        assert bounds.total.compared > 0
        assert bounds.total.inconclusive <= 0.2 * (bounds.total.compared + bounds.total.inconclusive)


@pytest.fixture(scope="module")
def runs(emulation: ModuleType, compiler: Any, cases: ModuleType, inside_cases: ModuleType, gradient_cases: ModuleType) -> Runs:
    return Runs(emulation, compiler, cases, inside_cases, gradient_cases)


@pytest.mark.tier("T2")
@pytest.mark.parametrize(("phase", "vjp", "dtype"), TARGETS)
def test_every_call_keeps_its_bound(phase: str, vjp: bool, dtype: str, runs: Runs) -> None:
    runs(source_of(phase, vjp, dtype), phase, vjp, dtype)


# -- memory -----------------------------------------------------------------------------------------------------------------------------


def square(program: Program) -> list[int]:
    """The values that have two axes of positions, masks of the caller left out."""
    live = [(number, program.operations[number]) for number in program.live()]
    tokens = Var("n", "size")
    return [number for number, operation in live if operation.kind != "input" and sum(axis.size is tokens for axis in operation.axes) > 1]


@pytest.mark.parametrize("phase", PHASES)
def test_no_value_of_the_program_has_two_axes_of_positions(phase: str) -> None:
    derivation, found = derive(phase), gradient(phase)
    made = attention_inside(derivation, "float32")
    assert made is not None and made.program is not None and square(program_of(derivation.definition.name)) and not square(made.program)
    whole = recipe(gradient_program(phase, found.variant)).program
    inside = gradient_inside(found, whole, gradient_signature(phase, found.variant), "float32")
    assert inside is not None and square(whole) and not square(inside.program)
    # masks keep their own shape: causality is no mask, and nothing is broadcast
    for signature in (made.signature, inside.signature):
        assert signature is not None
        assert not any("tri(" in text or "broadcast_to" in text for text in (*signature.helpers, *signature.before))


def peak(kernel: Callable[..., Any], given: tuple[Any, ...], vjp: bool) -> int:
    """The most bytes of arrays at once during a call, inputs and results included."""
    kernel(*(part[:3] if part is given[0] or (vjp and part is given[-1]) else part for part in given), n_heads=2, causal=True)  # compiles
    tracemalloc.start()
    try:
        kernel(*given, n_heads=2, causal=True)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("vjp", [False, True])
def test_memory_does_not_grow_with_the_square(vjp: bool, emulation: ModuleType, compiler: Any, cases: ModuleType, monkeypatch: Any) -> None:
    """Of the emulated run, the emulator's copies included: not even one byte for each score, where the earlier form has all of them."""
    n, d, draw, phase = 384, 4, cases.Draw("float32", 2), "multi_head_attention"
    tensors = [draw(n, d), *(draw(d, d) for _ in range(4)), *([draw(n, d)] if vjp else [])]
    given, function = tuple(part.astype(np.float32) for part in tensors), f"{phase}_vjp" if vjp else phase
    used = []
    for earlier in (False, True):
        if earlier:
            monkeypatch.setattr(plan, "SCHEDULES", plan.SCHEDULES[:2])
            monkeypatch.setattr("kernelproof.numeric.cupy_gradient_file.gradient_inside", lambda *_: None)
        used.append(peak(emulation.namespace_of(source_of(phase, vjp), emulation.stand_in(compiler))[function], given, vjp))
    assert used[0] < 2 * n * n < 16 * n * n < used[1], f"{used} bytes, {2 * n * n} scores"


@pytest.mark.parametrize("vjp", [False, True])
def test_a_mask_is_not_copied(vjp: bool, emulation: ModuleType, compiler: Any, cases: ModuleType) -> None:
    space = emulation.namespace_of(source_of("multi_head_attention", vjp), emulation.stand_in(compiler))
    handed, tiles, launch = [], space["_tiles"], space.get("_launch")

    def launched(name: str, *given: Any) -> Any:
        if name.startswith("attention_vjp"):
            handed.append(given[3][4][0])
        return launch(name, *given)

    space["_tiles"], space["_launch"] = (lambda *given: handed.append(given[3][3]) or tiles(*given)), launched
    draw = cases.Draw("float32", 4)
    x, *weights = (part.astype(np.float32) for part in (draw(2, 3, 5, 4), *(draw(4, 4) for _ in range(4))))
    mask = draw.choice(3, 5, 5)
    if vjp:
        space["multi_head_attention_vjp"](x, *weights, x, n_heads=2, mask=mask)
    else:
        space["multi_head_attention"](x, *weights, n_heads=2, mask=mask)
    assert len(handed) == (3 if vjp else 1) and all(np.shares_memory(part, mask) for part in handed)


# -- the file ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_nothing_between_projections_and_kernels_is_rounded(dtype: str, emulation: ModuleType, compiler: Any, cases: ModuleType) -> None:
    """The kernel in tiles reads and writes what is computed in."""
    draw, seen = cases.Draw(dtype, 5), []
    given = [cases.stored(part, dtype) for part in (draw(5, 4), *(draw(4, 4) for _ in range(4)), draw(5, 4))]
    for vjp in (False, True):
        space = emulation.namespace_of(source_of("multi_head_attention", vjp, dtype), emulation.stand_in(compiler))
        tiles = space["_in_tiles"]
        space["_in_tiles"] = lambda q, k, v, *rest, tiles=tiles: seen.append((q, k, v)) or tiles(q, k, v, *rest)
        result = space[f"multi_head_attention{'_vjp' if vjp else ''}"](*given[: 6 if vjp else 5], n_heads=2)
        assert (result[0] if vjp else result).dtype == given[0].dtype
    compute = np.float64 if dtype == "float64" else np.float32
    assert len(seen) == 2 and all(part.dtype == compute for parts in seen for part in parts)


@pytest.mark.parametrize("phase", PHASES)
def test_the_file_names_the_theorems_of_tiles(phase: str) -> None:
    wanted = {"attention.online_step", "attention.online_tiles_l", "attention.online_tiles_o", "attention.masked_weight"}
    proved = {statement.id for statement in (*derive("attention").statements, *gradient("attention").statements)}
    for licences, source in (
        (licences_of(derive(phase), "cupy", "float32"), source_of(phase, False)),
        (cupy_gradient_licences(gradient(phase), "float32"), source_of(phase, True)),
    ):
        own = {licence for licence in licences if licence.startswith("attention.")}
        assert wanted <= own <= proved and all(f"    {licence}" in source for licence in licences)
    assert "attention.recomputed_weights" in licences


def test_scores_with_more_than_masks_are_not_plain() -> None:
    for variant, plain in (({}, True), ({"softcap": 2.0}, False), ({"sinks": True}, False), ({"fully_masked": "mean"}, False)):
        program = program_of(derive("attention", **variant).definition.name)
        pattern = attention_in(program)
        assert pattern is not None and is_plain(program, pattern) is plain
    assert attention_inside(derive("attention"), "float32") is None and attention_inside(derive("softmax"), "float32") is None


def test_wrong_arguments_and_an_old_device_are_told(emulation: ModuleType, compiler: Any) -> None:
    x, w = np.ones((2, 3, 4), np.float32), np.ones((4, 4), np.float32)
    for vjp in (False, True):
        name, more = ("multi_head_attention_vjp", (x,)) if vjp else ("multi_head_attention", ())
        kernel, old = (
            emulation.namespace_of(source_of("multi_head_attention", vjp), emulation.stand_in(compiler, capability=capability))[name]
            for capability in ("90", "60")
        )
        with pytest.raises(ValueError, match=rf"{name}: q .* expected fewer than .* on a device of compute capability 7\.0 or more"):
            old(x, w, w, w, w, *more, n_heads=2)
        with pytest.raises(ValueError, match=rf"{name}: mask of shape \(2, 2, 3, 3\); expected one that broadcasts to .* \(2, 3, 3\)"):
            kernel(x, w, w, w, w, *more, n_heads=2, mask=np.ones((2, 2, 3, 3), bool))
        with pytest.raises(TypeError, match=rf"{name}: mask of dtype int64; expected bool"):
            kernel(x, w, w, w, w, *more, n_heads=2, mask=np.ones((3, 3), np.int64))
