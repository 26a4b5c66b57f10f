"""Generated CuPy files, executed on the CPU: the text that the device gets, within the derived bound, under several schedules.

The elementary functions here are those of the host; the device's own are covered by the table of assumed units in the last place.
"""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from kernelproof.numeric.cuda.grouped import is_grouped
from kernelproof.numeric.cuda.tiled import ALONE
from kernelproof.numeric.cupy_file import cupy_source
from kernelproof.numeric.kernel_file import kernel_source
from kernelproof.symbolic.registry import derive, phases

pytestmark = pytest.mark.cuda
SCHEDULES = (0, 1, 7)


def variants(phase: str) -> list[dict[str, object]]:
    options = phases()[phase].variants
    return [dict(zip(options, values, strict=True)) for values in itertools.product(*(option.choices for option in options.values()))]


TARGETS = [
    (phase, variant, dtype)
    for dtype in ("float32", "float64", "float16", "bfloat16")
    for phase in phases()
    for variant in variants(phase)[: None if dtype == "float32" or phase != "encoder_block" else 1]
]
TARGETS += [
    (name, dict(variant), "float32")
    for name, phase in phases().items()
    for variant in phase.samples
    if is_grouped(variant) or not ALONE & set(variant)
]


def name(part: object) -> str:
    """The part of a test's id for a phase, a variant or a dtype."""
    return ("-".join(map(str, part.values())) or "default") if isinstance(part, dict) else str(part)


def numpy_kernel(phase: str, variant: dict[str, object], dtype: str) -> Callable[..., Any] | None:
    """The generated NumPy kernel; none for bfloat16, which needs ml_dtypes."""
    if dtype == "bfloat16":
        return None
    space: dict[str, Any] = {}
    exec(compile(kernel_source(derive(phase, **variant), dtype), "generated", "exec"), space)
    return space[phase]  # type: ignore[no-any-return]


@pytest.mark.tier("T2")
@pytest.mark.parametrize(("phase", "variant", "dtype"), TARGETS, ids=name)
def test_every_kernel_keeps_its_bound(
    phase: str, variant: dict[str, object], dtype: str, emulated: Callable[..., Any], cases: ModuleType
) -> None:
    derivation = derive(phase, **variant)
    source = cupy_source(derivation, dtype)
    # an old device, so that attention goes through the printer's kernels; those in tiles are in test_tiled. Inside a phase are no others
    kernels = [emulated(source, phase, schedule, "50" if phase == "attention" else "90") for schedule in SCHEDULES]
    other, bounds = numpy_kernel(phase, variant, dtype), cases.Bounds(derivation, dtype)
    for call in cases.calls(phase, variant, dtype):
        with np.errstate(all="ignore"):
            results = [kernel(*cases.arguments(phase, call, dtype), **call.options) for kernel in kernels]
            compared = None if other is None else other(*cases.arguments(phase, call, dtype), **call.options)
        for result in results[1:]:
            assert result.tobytes() == results[0].tobytes(), "the result depends on the order in which threads run"
        bounds.check(call, results[0], compared)
    assert bounds.total.compared > 0
    assert bounds.total.inconclusive <= 0.2 * (bounds.total.compared + bounds.total.inconclusive)


@pytest.mark.parametrize(("function", "dtype"), [("half", "float16"), ("bfloat16", "bfloat16")])
def test_the_emulator_rounds_16_bit_formats_as_numpy_does(function: str, dtype: str, compiler: Any, cases: ModuleType) -> None:
    bits = np.arange(1 << 16, dtype=np.uint16)
    exact = bits.view(np.float16).astype(np.float32) if dtype == "float16" else (bits.astype(np.uint32) << 16).view(np.float32)
    exact = exact[~np.isnan(exact)]
    with np.errstate(all="ignore"):
        near = [np.nextafter(exact, np.float32(towards)) for towards in (0, np.inf)]
        between = np.concatenate([exact, (exact[:-1] + exact[1:]) / 2, *near])
        between = between[~np.isnan(between)].astype(np.float32)
        expected = cases.stored(between, dtype).view(np.uint16)
    found, back = np.empty(between.size, np.uint16), np.empty(between.size, np.float32)
    library = compiler.library("", ())
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (between, found, back)]
    getattr(library, f"emulator_{function}")(*pointers, ctypes.c_longlong(between.size))
    assert (found == expected).all()
    again = found.view(np.float16).astype(np.float32) if dtype == "float16" else (found.astype(np.uint32) << 16).view(np.float32)
    assert (back == again).all()


def test_the_emulator_reports_lanes_that_part(compiler: Any, emulation_error: type[Exception]) -> None:
    text = """
extern "C" __global__ void parts(float* out)
{
    if (threadIdx.x % 32 < 7) return;
    out[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1.0f, 1);
}
"""
    library = compiler.library(text, ("parts",))
    library.emulator_error.restype = ctypes.c_char_p
    out = np.zeros(32, dtype=np.float32)
    pointer = ctypes.c_void_p(out.ctypes.data)
    parameters = (ctypes.c_void_p * 1)(ctypes.addressof(pointer))
    assert library.launch_parts(1, 32, 0, 0, parameters) == 1
    assert b"returned" in library.emulator_error()


def test_a_wider_format_is_refused(emulated: Callable[..., Any]) -> None:
    softmax = emulated(cupy_source(derive("softmax"), "float32"), "softmax")
    with pytest.raises(TypeError, match="x of dtype float64; expected floating point of at most float32"):
        softmax(np.zeros(3))
    assert softmax(np.zeros(2, dtype=np.float16)).dtype == np.float16
    with pytest.raises(TypeError, match="int32; expected floating point"):
        softmax(np.zeros(3, dtype=np.int32))
    with pytest.raises(TypeError, match="expected float16"):
        emulated(cupy_source(derive("softmax"), "float16"), "softmax")(np.zeros(3, dtype=np.float32))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_is_read_as_zero_is_within_what_is_assumed_of_cupy(dtype: str, emulated: Any, cases: ModuleType) -> None:
    """An activation that hands subnormal numbers on: on CuPy they are lost, which the bound for other libraries does not allow."""
    derivation = derive("activation", activation="relu")
    call = cases.Call({"x": np.array([1e-40, -1e-40, 3e-39, 2.0**-126, 1.0, -2.0])})
    result = emulated(cupy_source(derivation, dtype), "activation")(*cases.arguments("activation", call, dtype))
    cases.Bounds(derivation, dtype).check(call, result, None)
    with pytest.raises(AssertionError, match="off by"):
        cases.Bounds(derivation, dtype, "subnormals=kept").check(call, result, None)
