"""What NVRTC makes of attention on tensor cores, and that the check of a launch contract can fail; ``test_compiled`` compiles all texts."""

from __future__ import annotations

import re
from typing import Any

import pytest

from kernelproof.numeric.cupy_file import cupy_source
from kernelproof.symbolic.registry import derive

pytestmark = pytest.mark.cuda


@pytest.fixture(scope="module")
def nvrtc(neighbour: Any) -> Any:
    return neighbour("nvrtc")


@pytest.mark.tier("T1", kernel="attention on tensor cores")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_attention_on_tensor_cores_has_the_wanted_instructions(dtype: str, nvrtc: Any) -> None:
    """In the PTX, as often as the tiles say; nothing of double, no local memory."""
    found = nvrtc.constants(cupy_source(derive("attention"), dtype), "TENSOR_CUDA", "TENSOR_LAUNCH")
    contract = found["TENSOR_LAUNCH"]
    ptx = nvrtc.compiled(found["TENSOR_CUDA"], contract, "sm_90")
    assert not re.search(r"\.f64\b|\.local\b", ptx)
    for name, kernel in contract.items():
        # a multiprocessor of the smallest of these has 65536 registers and 164 KiB of shared memory, 1 KiB of it for each block
        blocks = kernel["blocks"]
        assert blocks * kernel["block"] * kernel["registers"] <= 65536 and blocks * (kernel["shared"] + 1024) <= 164 * 1024
        width = int(name.removeprefix("attention_tensor"))
        own = ptx.partition(f".entry {name}(")[2].partition(".entry ")[0]
        assert own.count("mma.sync.aligned.m16n8k16") == 2 * (width // 16) * 8
        assert own.count("ldmatrix.sync.aligned.m8n8.x4.trans") == width // 16 * 4
        assert own.count("ldmatrix.sync.aligned.m8n8.x4.shared") == width // 16 * (1 + 4)


KERNEL = 'extern "C" __global__ void bad(float* x)\n{\n    BODY\n}\n'
CONTRACT = {"bad": {"registers": 32, "local": 0}}
WIDE = (
    "float v[96]; for (int i = 0; i < 96; ++i) v[i] = x[i * 7]; __syncthreads(); "
    "for (int i = 0; i < 96; ++i) x[i * 3] = v[i] * v[95 - i];"
)
INDEXED = "float v[64]; for (int i = 0; i < 64; ++i) v[i] = x[i]; v[(int)x[1]] = 0; x[0] = v[(int)x[2]];"


@pytest.mark.parametrize(
    ("text", "contract", "message"),
    [
        (KERNEL.replace("BODY", "x[0] = ;"), CONTRACT, "expected an expression"),
        (KERNEL.replace("void bad", "void __launch_bounds__(1024, 2) bad").replace("BODY", WIDE), CONTRACT, "spill"),
        (KERNEL.replace("BODY", INDEXED), CONTRACT, "ocal mem"),
        (KERNEL.replace("BODY", WIDE), CONTRACT, "registers"),
        (KERNEL.replace("BODY", "x[0] = 1.0f;"), {"good": CONTRACT["bad"]}, "the contract names"),
    ],
    ids=["syntax", "spills", "local memory", "registers", "another kernel"],
)
def test_the_check_can_fail(text: str, contract: dict[str, dict[str, int]], message: str, nvrtc: Any) -> None:
    with pytest.raises(nvrtc.CompileError, match=message):
        nvrtc.compiled(text, contract, "sm_90")


def test_the_check_passes_what_is_well(nvrtc: Any) -> None:
    ptx = nvrtc.compiled(KERNEL.replace("BODY", "x[0] = 0.1 * x[1];"), CONTRACT, "sm_90")
    assert re.search(r"\.f64\b", ptx), "a double constant is seen"
