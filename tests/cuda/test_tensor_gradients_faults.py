"""The checks of attention's gradient on tensor cores can fail: seeded faults are each seen by the tier that the table names.

A push tries some, with ``KERNELPROOF_CUDA_PROFILE`` all are tried.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from kernelproof.numeric.cupy_gradient_file import cupy_gradient_source
from kernelproof.symbolic.registry import gradient

pytestmark = pytest.mark.cuda
HERE = Path(__file__).parent
#: order of threads and sanitizer, by tier
RUNS = {"T2": ((0, ""), (2, ""), (7, "")), "T3a": ((2, "address"),), "T3t": ((2, "thread"),)}


def _table() -> Any:
    """The table and its module, for the names of the tests."""
    sys.path.insert(0, str(HERE))
    try:
        import faults
        import tensor_gradient_faults
    finally:
        sys.path.remove(str(HERE))
    return tensor_gradient_faults, tensor_gradient_faults.faults(faults.Fault)


TABLE, FAULTS = _table()
TRIED = [fault for fault in FAULTS if fault.push or os.environ.get("KERNELPROOF_CUDA_PROFILE")]


@pytest.fixture(scope="module")
def given(neighbour: Callable[[str], ModuleType]) -> Any:
    """The modules beside this file."""
    names = ("cases", "tensor_cases", "tensor_gradient_cases", "gradient_cases", "nvrtc")
    return SimpleNamespace(**{name: neighbour(name) for name in names})


def source() -> str:
    """The file that faults are put into."""
    return str(TABLE.of_width(cupy_gradient_source(gradient(TABLE.PHASE, **TABLE.VARIANT), TABLE.DTYPE), 64))


def see(tier: str, text: str, given: Any, emulation: ModuleType, compiler: Any) -> str:
    """What a tier says of a file: nothing of a right one."""
    try:
        if tier == "T1":
            found = given.nvrtc.constants(text, "TENSOR_CUDA", "TENSOR_LAUNCH")
            given.nvrtc.compiled(found["TENSOR_CUDA"], found["TENSOR_LAUNCH"], "sm_90")
        for schedule, sanitizer in RUNS.get(tier, ()):
            module = emulation.stand_in(compiler, schedule, sanitizer)
            kernel, own = emulation.namespace_of(text, module)["attention_vjp"], given.tensor_gradient_cases
            bounds = given.gradient_cases.Bounds(gradient(TABLE.PHASE, **TABLE.VARIANT), TABLE.DTYPE, own.precision(TABLE.DTYPE))
            for call in own.few(given.cases, TABLE.DTYPE, 64):
                with np.errstate(all="ignore"):
                    results = kernel(*given.gradient_cases.arguments(TABLE.PHASE, call, TABLE.DTYPE), **call.options)
                bounds.check(call, given.gradient_cases.flat(results))
            assert bounds.total.inconclusive == 0
            assert module.RawModule.counts[1] == 0, f"{module.RawModule.counts[1]} bank conflicts"
    except AssertionError as error:
        return " ".join(str(error).split()) or "failed"
    return ""


@pytest.mark.parametrize("fault", TRIED, ids=lambda fault: fault.name.partition(": ")[2])
def test_a_seeded_fault_is_seen(fault: Any, given: Any, emulation: ModuleType, compiler: Any) -> None:
    said = see(fault.tier, fault.applied(source()), given, emulation, compiler)
    assert said, f"{fault.tier} says nothing of it"
    assert "does not compile the text" not in said, "the fault is no C++"


@pytest.mark.parametrize("tier", ["T1", "T2"])
def test_a_right_kernel_passes(tier: str, given: Any, emulation: ModuleType, compiler: Any) -> None:
    """The very file that faults are put into; sanitizers pass over it in ``test_tensor_gradients``."""
    assert see(tier, source(), given, emulation, compiler) == ""


def test_every_fault_changes_its_text() -> None:
    text = source()
    assert text.count('extern "C"') < cupy_gradient_source(gradient("attention"), "float16").count('extern "C"')
    for fault in FAULTS:
        fault.applied(text)
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 40
