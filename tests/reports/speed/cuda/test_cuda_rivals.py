"""The rivals of a GPU, tried on the CPU: each computes what the theorems are about, and a rate is scaled to the work."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from cuda_cases import small

from kernelproof.numeric.gradient_reference import gradient_reference
from kernelproof.numeric.reference import reference
from kernelproof.reports.speed.cuda.arrays import Drawn, Given, stored, values_of
from kernelproof.reports.speed.cuda.with_cupy import apart, copied
from kernelproof.reports.speed.cuda.with_torch import CUDNN, FLASH, product
from kernelproof.reports.speed.cuda.workloads import CudaWorkload, last
from kernelproof.reports.speed.rivals import CPU, CUDA, RIVALS, NotThere, build, check_rivals
from kernelproof.reports.speed.workloads import Inputs

TORCH = "the rival is PyTorch's"


def within(row: CudaWorkload, given: Given, results: Any) -> None:
    """The last head of each result is within the derived bound."""
    options = dict(row.options)
    tensors = {name: last(value) for name, value in given.host.named.items()}
    if row.vjp:
        expected = list(gradient_reference(row.phase, row.variant, tensors, options, row.dtype).values())
    else:
        expected, results = [reference(row.phase, row.variant, tensors, options, row.dtype)], (results,)
    assert len(results) == len(expected)
    for result, one in zip(results, expected, strict=True):
        assert result.dtype == np.float32 and result.shape == one.value.shape
        assert np.isfinite(one.error).all() and (np.abs(result - one.value) <= one.error).all()


@pytest.mark.parametrize("options", [{}, {"causal": True}], ids=str)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("kind", ["attention", "attention.vjp"])
def test_flash_computes_attention_and_its_gradient(kind: str, dtype: str, options: dict[str, object]) -> None:
    pytest.importorskip("torch", reason=TORCH)
    row = small(kind, dtype, options=options)
    given = Drawn(np.array).inputs(row)
    rival = FLASH[kind](row, given.device)
    assert rival.result is not None and rival.scale == 1 and "FLASH_ATTENTION" in rival.what
    assert ("the backward alone" in rival.what) == row.vjp
    within(row, given, rival.result(rival.call()))
    within(row, given, rival.result(rival.call()))  # the forward that is kept serves again


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_backward_that_is_timed_is_that_of_attention_alone(dtype: str) -> None:
    """Taking one of a batch of one by its number would have PyTorch fill an array with zeros and copy, in our favour."""
    torch = pytest.importorskip("torch", reason=TORCH)
    row = small("attention.vjp", dtype)
    rival = FLASH["attention.vjp"](row, Drawn(np.array).inputs(row).device)
    with torch.profiler.profile() as profiled:
        rival.call()
    names = {event.key for event in profiled.key_averages()}
    assert any("flash_attention" in name and "backward" in name for name in names)
    assert not [name for name in names if "select" in name.lower()]


@pytest.mark.parametrize(("dtype", "head"), list(itertools.product(("float16", "bfloat16"), (0, 1, 2))))
@pytest.mark.parametrize("kind", ["attention", "attention.vjp"])
def test_every_head_is_compared_with_pytorch_where_the_results_are(kind: str, dtype: str, head: int) -> None:
    pytest.importorskip("torch", reason=TORCH)
    row = small(kind, dtype)
    given = Drawn(np.array).inputs(row)
    rival = FLASH[kind](row, given.device)
    theirs = rival.call()
    assert rival.apart is not None
    every = theirs if isinstance(theirs, tuple) else (theirs,)
    ours = tuple(stored(one.detach().float().numpy(), dtype) for one in every)
    assert rival.apart(ours if row.vjp else ours[0], theirs) == 0
    wrong = values_of(ours[-1], dtype).copy()
    wrong[head, 3, 2] += 1
    largest = np.abs(wrong).max()
    ours = (*ours[:-1], stored(wrong, dtype))
    assert rival.apart(ours if row.vjp else ours[0], theirs) == pytest.approx(1 / largest, rel=0.02)
    wrong[head, 3, 2] = np.nan
    ours = (*ours[:-1], stored(wrong, dtype))
    assert np.isnan(rival.apart(ours if row.vjp else ours[0], theirs))
    assert rival.apart(tuple(one[:2] for one in ours) if row.vjp else ours[0][:2], theirs) == np.inf


def test_every_head_is_compared_with_the_textbook() -> None:
    ours = np.zeros((3, 4, 2), np.float32)
    ours[1, 2, 0] = 4
    theirs = ours.copy()
    assert apart(ours, theirs) == 0
    theirs[0, 3, 1] = -1
    assert apart(ours, theirs) == 0.25 and apart(ours, theirs[1:]) == np.inf
    theirs[0, 0, 0] = np.nan
    assert np.isnan(apart(ours, theirs))


def test_the_implementation_of_flash_is_named_where_pytorch_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason=TORCH)
    row = small("attention", "float16")
    given = Drawn(np.array).inputs(row).device
    monkeypatch.setattr(torch.nn.attention, "current_flash_attention_impl", lambda: "FA9", raising=False)
    assert "FLASH_ATTENTION (FA9)" in FLASH["attention"](row, given).what and "FA9" not in CUDNN["attention"](row, given).what
    monkeypatch.setattr(torch.nn.attention, "current_flash_attention_impl", lambda: None)
    assert FLASH["attention"](row, given).what.endswith("FLASH_ATTENTION")
    monkeypatch.delattr(torch.nn.attention, "current_flash_attention_impl")
    assert FLASH["attention"](row, given).what.endswith("FLASH_ATTENTION")


def test_a_backend_that_cannot_do_the_work_is_an_error_and_not_another_backend() -> None:
    pytest.importorskip("torch", reason=TORCH)
    row = small("attention", "float16")
    rival = CUDNN["attention"](row, Drawn(np.array).inputs(row).device)
    with pytest.raises(RuntimeError):  # the CPU has no CUDNN
        rival.call()


@pytest.mark.parametrize("options", [{}, {"causal": True}], ids=str)
def test_the_formula_that_is_compiled_is_right(options: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason=TORCH)
    monkeypatch.setattr(torch, "compile", lambda function, dynamic: function)  # compiling takes a C++ compiler and half a minute
    for row in (small("attention", options=options, without={}), small("layer_norm", without={})):
        given = Drawn(np.array).inputs(row)
        rival = build("compile", row, given.device)
        assert rival.result is not None and rival.what.startswith("torch.compile of ")
        within(row, given, rival.result(rival.call()))


@pytest.mark.parametrize("options", [{}, {"causal": True}], ids=str)
def test_the_textbook_is_right_in_another_library_of_arrays(options: dict[str, object]) -> None:
    from kernelproof.reports.speed.cuda.with_cupy import BUILDERS

    row = small("attention", "float32", options=options)
    given = Drawn(np.array).inputs(row)
    rival = BUILDERS["attention"](row, given.device)
    assert rival.result is not None
    within(row, given, rival.result(rival.call()))


def test_the_rate_of_a_product_is_scaled_to_the_operations_of_the_work() -> None:
    torch = pytest.importorskip("torch", reason=TORCH)
    row = small("attention", "bfloat16")
    rival = product(row, Drawn(np.array).inputs(row).device, size=32)
    assert rival.result is None and "32 × 32" in rival.what
    assert rival.scale == 4 * 3 * 16 * 16 * 8 / (2 * 32**3)
    found = rival.call()
    assert found.dtype == torch.bfloat16 and found.shape == (32, 32) and found.float().std() > 3, "a sum of 32 products of random numbers"


def test_the_rate_of_a_copy_is_scaled_to_the_bytes_of_the_work() -> None:
    row = small("layer_norm")
    copies: list[Any] = []

    class Recorded:
        def __getattr__(self, name: str) -> Any:
            return getattr(np, name)

        def copyto(self, target: Any, source: Any) -> None:
            np.copyto(target, source)
            copies.append(target)

    rival = copied(Recorded(), row, 4096)
    rival.call()
    assert rival.scale == 4 * (2 * 9 * 8 + 2 * 8) / (2 * 4096)
    assert copies[0].nbytes == 4096 and len(np.unique(copies[0])) == 1024, "every word another: not what a compressed memory likes"


def test_the_rivals_of_each_place_are_asked_for_by_name() -> None:
    assert check_rivals((), CUDA) == ["flash", "cudnn", "compile", "cupy", "gemm", "copy"]
    assert check_rivals(("numpy", "gemm"), CUDA) == ["gemm"] and check_rivals(("numpy", "gemm"), CPU) == ["numpy"]


@pytest.mark.parametrize("name", [name for name, row in RIVALS.items() if row.place == CUDA])
def test_a_rival_that_is_left_out_says_why(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernelproof.reports.speed.rivals.missing_packages", lambda _: [])
    row = small("attention", "float16", without={name: "the reason"})
    with pytest.raises(NotThere, match="left out: the reason"):
        build(name, row, Inputs({}, {}))
    monkeypatch.setattr("kernelproof.reports.speed.rivals.missing_packages", lambda _: ["a package"])
    with pytest.raises(NotThere, match="not installed: a package"):
        build(name, row, Inputs({}, {}))
