"""Attention's gradient in tiles under its variants, and inside larger phases: within the bound, the same bits, with little memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
from numeric_cases import name_of

from kernelproof.numeric import kernel as kernels
from kernelproof.numeric.gradient_forms import gradient_program
from kernelproof.numeric.gradient_recipe import recipe
from kernelproof.numeric.kernel import Kernel
from kernelproof.numeric.program import Program, Ref
from kernelproof.numeric.schedules.attention_gradient_pattern import gradient_in

made = cache(kernels.generate)
RNG = np.random.default_rng(11)
BLOCKS = ("HEAD_BLOCK", "QUERY_BLOCK", "KEY_BLOCK", "KEPT_TILES")
BLOCK_SIZES = ((0, 0, 0, 0), (2, 3, 2, 2), (1, 2, 3, 99))
SINKS: dict[str, object] = {"sinks": True}
CAPPED: dict[str, object] = {"softcap": 90.0}
MEAN: dict[str, object] = {"fully_masked": "mean"}
TURNED: dict[str, object] = {"rotary": "interleaved", "grouped_query": True}
ALL_AT_ONCE: dict[str, object] = {"alibi": True, "sinks": True, "softcap": 5.0}
VARIANTS = (
    SINKS, CAPPED, MEAN, TURNED, ALL_AT_ONCE, {"fully_masked": "nan"},
    {"grouped_query": True, "sinks": True, "window": 3, "causal_alignment": "bottom_right"},
)
INSIDE: tuple[tuple[str, dict[str, object]], ...] = (("multi_head_attention", {}), ("encoder_block", {"norm": "pre", "activation": "relu"}))


def generate(phase: str = "attention", variant: Mapping[str, object] | None = None) -> Kernel:
    """A kernel with a module of its own, so that its constants can be set."""
    return replace(made(phase, vjp=True, **(variant or {})))  # type: ignore[arg-type]


def set_blocks(kernel: Kernel, *sizes: int) -> None:
    kernel.function.__globals__.update(zip(BLOCKS, sizes, strict=True))


def array(*shape: int) -> Any:
    return RNG.standard_normal(shape).astype("float32")


def given(variant: Mapping[str, object], n: int, m: int, heads: int = 2, d: int = 4, e: int = 3) -> list[Any]:
    """Arguments of a gradient kernel of attention."""
    queries = heads * 3 if variant.get("grouped_query") else heads
    sinks = [array(queries)] if variant.get("sinks") else []
    return [array(2, queries, n, d), array(heads, m, d), array(2, heads, m, e), *sinks, array(2, queries, n, e)]


def inside(phase: str, n: int, d: int, *lead: int) -> tuple[Any, ...]:
    """Arguments of a gradient kernel with attention inside."""
    weights = [array(d, d) / np.sqrt(d).astype("float32") for _ in range(4)]
    if phase == "multi_head_attention":
        return (array(*lead, n, d), *weights, array(*lead, n, d))
    params = dict(zip(("w_q", "w_k", "w_v", "w_o"), weights, strict=True))
    params |= {"w1": array(d, 6), "b1": array(6), "w2": array(6, d), "b2": array(d)}
    params |= {name: array(d) for name in ("gain1", "bias1", "gain2", "bias2")}
    return array(*lead, n, d), params, array(*lead, n, d)


def parts(kernel: Kernel, result: Any) -> list[Any]:
    """The gradients in the order of the inputs, those of a mapping by their names."""
    first, *rest = result
    names = gradient_program(kernel.phase, kernel.variant).inputs[1:]
    return [first, *(rest[0][name] for name in names)] if isinstance(rest[0], dict) else [*result]


def within(kernel: Kernel, *arguments: Any, **options: Any) -> None:
    """Each gradient is within the bound, where there is one: there is none where the result is NaN by convention."""
    found, expected, bounds = (parts(kernel, part) for part in (kernel(*arguments, **options), *kernel.error_bound(*arguments, **options)))
    for one, wanted, bound in zip(found, expected, bounds, strict=True):
        some = np.isfinite(bound)
        assert one.shape == wanted.shape and (some.all() or kernel.variant.get("fully_masked") == "nan")
        assert (np.abs(one.astype(wanted.dtype) - wanted) <= bound)[some].all()


@pytest.mark.parametrize("variant", VARIANTS, ids=name_of)
def test_a_variant_in_tiles_stays_within_the_bound(variant: dict[str, object]) -> None:
    kernel = generate("attention", variant)
    assert "_attend_vjp(" in kernel.source
    for sizes, (n, m) in zip(BLOCK_SIZES, ((7, 5), (4, 9), (6, 6)), strict=True):
        set_blocks(kernel, *sizes)
        arguments = given(variant, n, m)
        seen = RNG.random((n, m)) < 0.5
        seen[1] = False
        within(kernel, *arguments)
        within(kernel, *arguments, causal=True, mask=seen)
        within(kernel, *arguments, causal=True, mask=array(n, m), scale=0.7)
    assert all(not part.any() for part in kernel(*given(variant, 0, 4))[1:3])  # no query: nothing moves


@pytest.mark.parametrize(("phase", "variant"), INSIDE, ids=name_of)
def test_attention_inside_stays_within_the_bound(phase: str, variant: dict[str, object]) -> None:
    kernel = generate(phase, variant)
    assert "_attend(" in kernel.source and "_attend_vjp(" in kernel.source and "np.max(np.where" not in kernel.source
    for sizes, lead in zip(BLOCK_SIZES, ((), (2,), (1, 2)), strict=True):
        set_blocks(kernel, *sizes)
        arguments, seen = inside(phase, 5, 4, *lead), RNG.random((5, 5)) < 0.5
        seen[2] = False
        within(kernel, *arguments, n_heads=2)
        within(kernel, *arguments, n_heads=2, causal=True, mask=seen)
        within(kernel, *arguments, n_heads=1, mask=array(*lead, 5, 5))


@pytest.mark.parametrize("size", [-300.0, -30.0, 30.0, 300.0])
def test_sinks_of_any_size(size: float) -> None:
    """Beyond some size the sums are no numbers with shift 0; the sink is then the largest score of its row, or nothing."""
    kernel = generate("attention", SINKS)
    q, k, v, sinks, grad = given(SINKS, 6, 5)
    within(kernel, q, k, v, np.full_like(sinks, size), grad, causal=True)
    within(kernel, 40 * q, k, v, np.full_like(sinks, size), grad)


def test_a_large_cap_lets_exponentials_overflow_and_is_shifted_then() -> None:
    kernel = generate("attention", CAPPED)
    q, *rest = given({}, 6, 5)
    within(kernel, 200 * q, *rest)
    assert all(np.isfinite(part).all() for part in kernel(200 * q, *rest))


def test_rows_that_give_the_mean_move_every_value_alike() -> None:
    kernel = generate("attention", MEAN)
    q, k, v, grad = given({}, 5, 7)
    set_blocks(kernel, 1, 2, 2, 2)
    d_q, d_k, d_v = kernel(q, k, v, grad, mask=np.zeros((5, 7), dtype=bool))
    assert not d_q.any() and not d_k.any()
    np.testing.assert_allclose(d_v, np.broadcast_to(grad.sum(axis=-2, keepdims=True) / 7, d_v.shape), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("variant", [SINKS, CAPPED, TURNED, ALL_AT_ONCE], ids=name_of)
def test_the_bits_of_a_variant_do_not_depend_on_threads_nor_on_what_is_kept(variant: dict[str, object]) -> None:
    kernel, arguments, found = generate("attention", variant), given(variant, 40, 37), []
    for threads, kept in product((1, 2, 3), (1, 99)):
        set_blocks(kernel, 1, 8, 8, kept)
        kernel.function.__globals__["THREADS"] = threads
        found.append([part.tobytes() for part in kernel(*arguments, causal=True)])
    assert all(other == found[0] for other in found)


def peak(kernel: Kernel, small: tuple[Any, ...], arguments: tuple[Any, ...], **options: Any) -> int:
    """The most memory that a call takes, in bytes; one thread, in small blocks."""
    set_blocks(kernel, 0, 64, 64, 1)
    kernel.function.__globals__["THREADS"] = 1
    kernel(*small, **options)
    tracemalloc.start()
    try:
        kernel(*arguments, **options)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("variant", [SINKS, CAPPED, MEAN, TURNED, ALL_AT_ONCE], ids=name_of)
def test_no_variant_makes_an_array_of_queries_times_keys(variant: dict[str, object]) -> None:
    small, large = (tuple(part[:1] if part.ndim == 4 else part for part in given(variant, size, size, heads=1)) for size in (9, 2500))
    assert peak(generate("attention", variant), small, large, causal=True) < 2500 * 2500 * 4 / 10


@pytest.mark.parametrize(("phase", "variant"), INSIDE, ids=name_of)
def test_nor_does_attention_inside(phase: str, variant: dict[str, object]) -> None:
    small, large = inside(phase, 9, 4), inside(phase, 2500, 4)
    assert peak(generate(phase, variant), small, large, n_heads=1, causal=True) < 2500 * 2500 * 4 / 10


# -- the pattern ------------------------------------------------------------------------------------------------------------------


def program() -> Program:
    return recipe(gradient_program("multi_head_attention", {})).program


def test_the_gradient_is_recognised_where_it_is_for_certain() -> None:
    found = gradient_in(program())
    assert found is not None and len({*found.results}) == 3 and not {*found.results} & {found.forward.number}


def test_a_program_that_differs_is_not_taken_for_it() -> None:
    """Any other operand of what would be inside, other axes of one in the gradient, and any other reader."""
    plain, found = program(), gradient_in(program())
    assert found is not None
    for number in sorted(found.inside):
        operation = plain.operations[number]
        for place, ref in enumerate(operation.operands):
            others = {value for value in range(number) if len(plain.operations[value].axes) == len(ref.axes)} - {ref.value}
            refs = [replace(ref, value=value) for value in others]
            if number not in found.forward.inside and len(ref.axes) > 1:
                first, second, *more = ref.axes
                refs += [replace(ref, axes=(second, first, *more)), replace(ref, axes=(first, *more, second))][: len(ref.axes) - 1]
            for other in refs:
                operands = (*operation.operands[:place], other, *operation.operands[place + 1 :])
                operations = [*plain.operations[:number], replace(operation, operands=operands), *plain.operations[number + 1 :]]
                assert gradient_in(Program(operations, plain.outputs, plain.frames)) is None, (number, place, other)
    for number in sorted(found.inside - {found.forward.number, *found.results}):
        ref = Ref(number, plain.operations[number].names)
        assert gradient_in(Program(plain.operations, [*plain.outputs, ref], [*plain.frames, ref.axes])) is None
