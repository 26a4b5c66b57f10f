"""What stands around attention, in blocks of tokens: each token once, whatever the blocks and threads, and little memory."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from kernelproof.numeric.forms import program_of
from kernelproof.numeric.kernel import Kernel, generate
from kernelproof.numeric.program import Operation, Program, Ref
from kernelproof.numeric.schedules.attention_pattern import attention_in
from kernelproof.numeric.schedules.tokens import cut
from kernelproof.numeric.signature_variants import signature
from kernelproof.symbolic.registry import derive

CASES: list[tuple[str, dict[str, object]]] = [
    ("multi_head_attention", {}), ("encoder_block", {}), ("encoder_block", {"norm": "pre", "activation": "gelu"}),
    ("encoder_block", {"norm": "pre", "activation": "silu", "gated": True}),
]
SQUARE = ("w_q", "w_k", "w_v", "w_o")


def arguments(kernel: Kernel, *lead: int, d: int = 12, h: int = 9) -> tuple[Any, ...]:
    """Tokens of these leading axes, and weights."""
    rng = np.random.default_rng(lead[-1])

    def normal(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)

    x = rng.standard_normal((*lead, d)).astype(np.float32)
    squares = {name: normal(d, d) for name in SQUARE}
    if kernel.phase == "multi_head_attention":
        return (x, *squares.values())
    params = {**squares, "w1": normal(d, h), "b1": normal(h), "w2": normal(h, d), "b2": normal(d)}
    params |= {"w_gate": normal(d, h)} if kernel.variant.get("gated") else {}
    return x, params | {name: normal(d) for name in ("gain1", "bias1", "gain2", "bias2")}


def space(kernel: Kernel, **constants: int) -> Any:
    """The kernel's function in a module of its own, with these sizes."""
    names: dict[str, Any] = {"__name__": "tokens"}
    exec(kernel.source, names)
    assert set(constants) <= set(names)
    names |= constants
    return names[kernel.phase]


def copied(value: Any) -> Any:
    return {name: part.copy() for name, part in value.items()} if isinstance(value, dict) else value.copy()


def same(one: Any, other: Any) -> bool:
    return all(same(one[name], other[name]) for name in one) if isinstance(one, dict) else np.array_equal(one, other)


@pytest.mark.parametrize(("phase", "variant"), CASES, ids=str)
def test_blocks_and_threads_change_nothing_but_rounding(phase: str, variant: dict[str, object]) -> None:
    kernel = generate(phase, **variant)
    given = arguments(kernel, 2, 18)
    kept = [copied(part) for part in given]
    expected, bound = kernel.error_bound(*given, n_heads=3)
    for size in (1, 5, 18, 19, 36, 100):  # a block may hold tokens of two texts
        results = [space(kernel, ROW_BLOCK=size, THREADS=threads)(*given, n_heads=3) for threads in (1, 3)]
        assert np.array_equal(*results)  # bit for bit: a block does not know how many threads there are
        assert results[0].shape == given[0].shape and (np.abs(results[0].astype(np.float64) - expected) <= bound).all()
    assert all(same(part, before) for part, before in zip(given, kept, strict=True))


@pytest.mark.parametrize(("phase", "variant"), CASES[:3], ids=str)
def test_leading_axes_views_and_results_that_stay(phase: str, variant: dict[str, object]) -> None:
    kernel = generate(phase, **variant)
    call = space(kernel, ROW_BLOCK=4)
    x, *rest = arguments(kernel, 2, 3, 5)
    found = call(x, *rest, n_heads=2)
    first = found.copy()
    for place in np.ndindex(2, 3):
        assert np.allclose(call(x[place], *rest, n_heads=2), first[place], rtol=1e-5, atol=1e-5)
    turned = np.ascontiguousarray(x.T).T
    assert np.allclose(call(turned, *rest, n_heads=2), first, rtol=1e-5, atol=1e-5) and np.array_equal(turned, x)
    assert np.allclose(call(x[:, ::-2, ::-1], *rest, n_heads=2), first[:, ::-2, ::-1], rtol=1e-5, atol=1e-5)
    # the result lies where queries were; no later call writes there, and no argument does
    assert np.array_equal(found, first) and found.flags.c_contiguous and not np.shares_memory(found, x)
    for shape in ((0, 12), (2, 0, 12), (0, 3, 12)):
        assert call(np.zeros(shape, np.float32), *rest, n_heads=2).shape == shape


@pytest.mark.parametrize(("phase", "variant"), CASES, ids=str)
def test_memory_grows_by_four_rows_a_token_and_not_with_the_hidden_units(phase: str, variant: dict[str, object]) -> None:
    """Result (where queries were), keys, values and what attention gives; all else is of a block."""
    d, h, peaks = 16, 512, list[int]()
    call = space(generate(phase, **variant), ROW_BLOCK=64, HEAD_BLOCK=1, QUERY_BLOCK=128, KEY_BLOCK=128, THREADS=1)
    for n in (512, 1024):
        given = arguments(generate(phase, **variant), n, d=d, h=h)
        call(*given, n_heads=4)
        tracemalloc.start()
        call(*given, n_heads=4)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    row = d * np.dtype(np.float32).itemsize
    assert peaks[1] - peaks[0] < 512 * 5 * row < 512 * h
    assert peaks[1] < 1024 * 4 * row + 6 * 64 * h * 4


def test_what_is_not_of_each_token_alone_is_not_cut() -> None:
    derivation = derive("encoder_block")
    program, made = program_of(derivation.definition.name), signature("encoder_block", derivation.variant)
    pattern = attention_in(program)
    assert pattern is not None and cut(program, pattern, made) is not None
    (out,) = program.outputs
    tokens, channels = program.operations[out.value].axes
    row, channel = out.axes

    def ending(*more: Operation, last: tuple[str, ...]) -> Program:
        changed = Program(list(program.operations), [], [(row, channel)])
        for operation in more:
            ref = changed.add(operation)
        changed.outputs.append(changed.add(Operation("map", (tokens, channels), (out, Ref(ref.value, last)), ("add",))))
        return changed

    summed = Operation("fold", (channels,), (Ref(out.value, (row, channel)),), ("sum", (row,)))
    positions = Operation("input", (tokens, channels), (), ("b1", "real"))
    place = Operation("index", (tokens,))
    for changed in (
        ending(summed, last=(channel,)), ending(positions, last=(row, channel)), ending(place, last=(row,)),
    ):
        assert attention_in(changed) is not None and cut(changed, pattern, made) is None
    plain = Operation("input", (channels,), (), ("b2", "real"))
    assert cut(ending(plain, last=(channel,)), pattern, made) is not None


def test_the_blocks_of_feed_forward_are_licensed() -> None:
    for phase, variant in CASES:
        assert ("feed_forward.position_wise" in generate(phase, **variant).licences) == (phase == "encoder_block")
