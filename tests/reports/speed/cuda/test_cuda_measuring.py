"""What a row of a GPU says in every case. Kernels, checks and rivals are real ones of the CPU; the seconds are made up."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cuda_cases import OnCpu, numpy_kernel, small

from kernelproof.numeric.kernel import generate
from kernelproof.numeric.precision import assumed_precision
from kernelproof.reports.speed.checking import BEYOND, WITHIN, Check, check
from kernelproof.reports.speed.cuda.measuring import CudaBench, switched
from kernelproof.reports.speed.cuda.workloads import CudaWorkload
from kernelproof.reports.speed.model import FAILED, MEASURED, MET, MISSED, NOT_BUILT, NOT_THERE, WRONG
from kernelproof.reports.speed.paired import Effort
from kernelproof.reports.speed.rivals import NotThere, Rival
from kernelproof.reports.speed.workloads import Inputs, Workload
from kernelproof.symbolic.errors import InputError

EFFORT = Effort(seconds=0, least=1, most=1)


def bench(rivals: tuple[str, ...] = (), device: OnCpu | None = None, **changes: Any) -> CudaBench:
    """A bench of NumPy kernels, for which every call takes a second."""
    made: dict[str, Any] = {"generate": numpy_kernel, "build": lambda *_: Rival("the same", lambda: None), "effort": EFFORT, **changes}
    return CudaBench(rivals, device or OnCpu(), **made)


@pytest.mark.parametrize("kind", ["attention", "attention.vjp", "layer_norm", "positional"])
def test_a_kernel_is_held_to_its_bound_on_the_work(kind: str) -> None:
    dtype = "float16" if kind == "attention.vjp" else "float32"
    found = bench().row(small(kind, dtype))
    assert (found.status, found.check, found.error) == (MEASURED, WITHIN, "")
    assert found.worst_error_over_bound is not None and 0 < found.worst_error_over_bound < 1
    assert found.checked.startswith("in the last head, ") == kind.startswith("attention")
    assert (found.dtype, found.kernel) == (dtype, hashlib.sha256(generated(kind, dtype).source.encode()).hexdigest()[:12])


def generated(kind: str, dtype: str) -> Any:
    phase, _, vjp = kind.partition(".")
    return generate(phase, "numpy", dtype, bool(vjp))


class Off:
    """A kernel that is wrong in one entry of the last head."""

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kernel, name)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        found = self._kernel(*arguments, **options)
        first = found[0] if isinstance(found, tuple) else found
        first[..., -1, 0] += first.dtype.type(1.5)
        return found


@pytest.mark.parametrize("kind", ["attention", "attention.vjp", "layer_norm", "positional"])
def test_a_wrong_kernel_is_not_timed(kind: str) -> None:
    dtype = "float16" if kind == "attention.vjp" else "float32"
    device = OnCpu()
    found = bench(("gemm",), device, generate=lambda *a, **k: Off(numpy_kernel(*a, **k))).row(small(kind, dtype))
    assert (found.status, found.check, found.comparisons, device.hosts) == (WRONG, BEYOND, (), [])
    assert "times its bound" in found.error and found.error.endswith("not timed")


def test_the_check_assumes_the_arithmetic_of_cupy() -> None:
    seen = []

    def looked(workload: Workload, kernel: Any, inputs: Inputs, result: Any) -> Check:
        seen.append(assumed_precision("float32").subnormals)
        return check(workload, kernel, inputs, result)

    bench(check=looked).row(small("attention"))
    assert seen == ["flushed"] and assumed_precision("float32").subnormals == "kept"


def test_ratios_verdicts_floors_and_causes() -> None:
    device = OnCpu(times=[3.0, 4.0, 3.0, 1.5])
    row = small("attention", "float32", targets={"flash": 0.5}, without={})
    found = bench(("flash", "gemm"), device).row(row)
    flash, gemm = found.comparisons
    assert (flash.ratio, flash.verdict, flash.floor, gemm.ratio, gemm.floor) == (0.75, MISSED, 0.375, 2.0, None)
    assert flash.cause == "the kernel reaches 50% of the measured peak (matrix product), SDPA FLASH 38%"
    assert found.seconds == 3.0
    assert found.figures == {"operations": 4 * 3 * 16 * 16 * 8, "bytes": 4 * 4 * 3 * 16 * 8, "host_seconds": 0.001}
    alone = bench(("flash",), OnCpu(times=[3.0, 4.0])).row(row)
    assert alone.comparisons[0].cause == "no peak was measured in this run"


def test_a_rate_is_scaled_to_the_work() -> None:
    found = bench(("copy",), OnCpu(times=[3.0, 4.0]), build=lambda *_: Rival("a copy", lambda: None, scale=0.5)).row(small("layer_norm"))
    (copy,) = found.comparisons
    assert (copy.theirs_seconds, copy.ratio, copy.target, copy.verdict) == (2.0, 1.5, 1.25, MISSED)
    assert copy.cause == "the kernel reaches 67% of the measured peak (copy)"


def test_without_rivals_the_kernel_is_timed_alone() -> None:
    found = bench((), OnCpu(times=[0.25])).row(small("positional"))
    assert (found.seconds, found.aims, "operations" in found.figures) == (0.25, (), False)


@pytest.mark.parametrize(("taken", "verdict"), [(2 * 4 * 3 * 16 * 8, MET), (2 * 4 * 3 * 16 * 8 + 1, MISSED)])
def test_memory_is_weighed_in_sizes_of_the_result(taken: int, verdict: str) -> None:
    (aim,) = bench((), OnCpu(bytes=taken)).row(small("attention")).aims
    assert aim.value == taken / (4 * 3 * 16 * 8) and aim.target == 2 and aim.verdict == verdict


def test_constants_are_set_in_the_source_that_is_timed() -> None:
    kernel = generate("attention", "cupy", "float16")
    changed = switched(kernel, {"ON_WARPGROUPS": True})
    assert [pair for pair in zip(kernel.source.split("\n"), changed.source.split("\n"), strict=True) if len(set(pair)) == 2] == [
        ("ON_WARPGROUPS = False", "ON_WARPGROUPS = True")
    ]
    assert switched(kernel, {}) is kernel
    with pytest.raises(InputError, match="setting ON_WARPGROUPS of softmax in float32: its file has 0 such constants"):
        switched(generate("softmax", "cupy"), {"ON_WARPGROUPS": True})


def test_a_row_of_one_capability_is_not_run_on_another() -> None:
    row = small("attention", "float16", constants={"ON_WARPGROUPS": True})
    for capability in (80, 100):
        found = bench(device=OnCpu(capability=capability)).row(row)
        assert (found.status, found.error) == (NOT_THERE, "not run: its kernel is of compute capability 9.0 alone")


def test_a_kernel_that_is_not_built_is_listed_with_the_reason() -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise InputError("generating attention: not built yet")

    found = bench(generate=refused).row(small("attention"))
    assert (found.status, found.error, found.kernel) == (NOT_BUILT, "generating attention: not built yet", "")


class Broken(Off):
    def __call__(self, *arguments: Any, **options: Any) -> Any:
        raise RuntimeError("an illegal memory\naccess")


def test_a_kernel_that_fails_is_wrong_and_the_next_row_is_run() -> None:
    device = OnCpu()
    made = bench(device=device, generate=lambda *a, **k: Broken(numpy_kernel(*a, **k)))
    found = made.row(small("attention"))
    assert (found.status, found.error, device.freed) == (WRONG, "RuntimeError: an illegal memory access", 1)
    made.generate = numpy_kernel
    assert made.row(small("attention")).status == MEASURED


def test_after_a_device_that_stopped_computing_rows_say_so() -> None:
    made = bench(device=OnCpu(living=False), generate=lambda *a, **k: Broken(numpy_kernel(*a, **k)))
    first, second = made.row(small("attention")), made.row(small("layer_norm"))
    assert first.status == WRONG
    assert (second.status, second.error) == (NOT_THERE, f"not run: the device stopped computing in the row {first.name}")


def failing(error: Exception) -> Callable[[], Any]:
    def call() -> Any:
        raise error

    return call


def test_a_rival_that_fails_or_is_not_there_is_a_status_and_the_others_are_timed() -> None:
    def build(name: str, workload: Workload, inputs: Inputs) -> Rival:
        if name == "cudnn":
            raise NotThere("not installed: torch")
        return Rival(name, failing(RuntimeError("no kernel")) if name == "flash" else lambda: None)

    found = bench(("flash", "cudnn", "gemm"), build=build).row(small("attention"))
    assert [one.status for one in found.comparisons] == [FAILED, NOT_THERE, MEASURED]
    assert found.comparisons[0].what == "flash: RuntimeError: no kernel"


def test_a_rival_that_takes_the_device_with_it_ends_the_run_but_not_the_row() -> None:
    class Falls(OnCpu):
        def alive(self) -> bool:
            return False

    made = bench(("flash", "gemm"), Falls(), build=lambda *_: Rival("it", failing(RuntimeError("no context"))))
    found = made.row(small("attention"))
    assert found.status == MEASURED and [one.status for one in found.comparisons] == [FAILED, NOT_THERE]
    assert "against flash" in made.row(small("positional")).error


@pytest.mark.parametrize(("apart", "status"), [(2.0**-6, MEASURED), (0.1, WRONG), (float("nan"), WRONG)])
def test_a_kernel_that_is_right_in_the_last_head_alone_is_wrong(apart: float, status: str) -> None:
    """The rival agrees in the last head; what it says of all of them decides."""
    row = replace(small("attention"), without={})
    seen = []

    def build(name: str, workload: CudaWorkload, inputs: Inputs) -> Rival:
        def call() -> Any:
            return numpy_kernel("attention", "cupy", "float32")(*inputs.arguments)

        def said(ours: Any, theirs: Any) -> float:
            seen.append(ours.shape == theirs.shape == (3, 16, 8))
            return apart

        return Rival("the same", call, lambda found: found[-1:], apart=said)

    device = OnCpu()
    found = bench(("flash", "gemm"), device, build=build).row(row)
    assert found.status == status and all(seen) and len(seen) == (2 if status == MEASURED else 1)
    assert bool(device.hosts) == (status == MEASURED), "what is wrong is not timed"
    if status == WRONG:
        assert [one.status for one in found.comparisons] == ["differs elsewhere"]
        assert "agrees with flash, elsewhere it does not" in found.error


def test_the_result_of_a_rival_is_compared_before_it_is_timed() -> None:
    row: CudaWorkload = replace(small("attention"), without={})
    found = bench(("cupy",), build=lambda *_: Rival("zeros", lambda: np.zeros((1, 16, 8)), lambda found: found)).row(row)
    assert found.comparisons[0].status == "differs"
