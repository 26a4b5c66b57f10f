"""The calls that a sanitizer of the device is given: every kernel is among them, and each runs, emulated, at night."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from kernelproof.symbolic.registry import phases

pytestmark = pytest.mark.cuda
EVERY = bool(os.environ.get("KERNELPROOF_CUDA_PROFILE"))


def test_every_kernel_is_called(neighbour: Callable[[str], ModuleType], emulation: ModuleType, compiler: Any) -> None:
    module, names = emulation.stand_in(compiler), []
    with emulation.installed(module):
        for name, call in neighbour("short_calls").calls(neighbour, module, 90):
            if EVERY:
                call()
            names.append(name)
    untried = [name.endswith("warpgroups True") for name in names]
    assert untried == sorted(untried), "the kernel that no device has run yet comes last"
    tensor = {
        f"attention {dtype} width {width} warpgroups {switched}"
        for dtype in ("float16", "bfloat16") for width in (64, 128) for switched in (False, True)
    }
    gradients = {f"attention gradient {dtype} width {width}" for dtype in ("float16", "bfloat16") for width in (64, 128)}
    assert set(names) >= tensor | gradients | {f"{phase} float32" for phase in phases()}
    assert {"embedding gradient float32 {}", "layer_norm gradient float32 {}", "attention gradient float32 {'sinks': True}"} <= set(names)
