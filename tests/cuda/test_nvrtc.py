"""Every generated CUDA text compiles with NVRTC for two architectures, without a GPU, within its launch contract.

Spilled registers are errors; so is local memory, but for the 40 bytes of CUDA's own argument reduction of sin and cos in double,
which the launch contract of such a kernel states. Float kernels hold no double arithmetic, seen in their PTX.
"""

from __future__ import annotations

import ast
import itertools
import re
from typing import Any

import pytest

from kernelproof.numeric.cupy_file import cupy_source
from kernelproof.symbolic.registry import derive, phases

pytestmark = pytest.mark.cuda
ARCHITECTURES = ("sm_80", "sm_90")
STRICT = ("--ptxas-options=--warn-on-spills", "--ptxas-options=--warning-as-error")
USED = re.compile(r"Compiling entry function '(\w+)'.*?(\d+) bytes stack frame, (\d+) bytes spill stores.*?Used (\d+) registers", re.DOTALL)


class CompileError(AssertionError):
    """A text that does not compile, or not within its contract."""


def includes() -> tuple[str, ...]:
    import cuda.pathfinder

    return tuple("-I" + str(cuda.pathfinder.find_nvidia_header_directory(name)) for name in ("cudart", "cccl"))


def compiled(text: str, contract: dict[str, dict[str, int]], architecture: str) -> str:
    """The PTX of a text; CompileError where something does not hold."""
    from cupy.cuda import nvrtc

    program = nvrtc.createProgram(text, "generated.cu", (), ())
    local = any(kernel["local"] for kernel in contract.values())
    options = [*includes(), "-std=c++17", f"-arch={architecture}", "--ptxas-options=-v", *STRICT]
    if not local:
        options.append("--ptxas-options=--warn-on-local-memory-usage")
    try:
        nvrtc.compileProgram(program, tuple(options))
    except nvrtc.NVRTCError as error:
        raise CompileError(f"{error}: {nvrtc.getProgramLog(program)}") from None
    found = {name: tuple(map(int, numbers)) for name, *numbers in USED.findall(nvrtc.getProgramLog(program))}
    if set(found) != set(contract):
        raise CompileError(f"kernels {sorted(found)}; the contract names {sorted(contract)}")
    for name, (stack, spilled, registers) in found.items():
        limits = contract[name]
        if spilled or stack > limits["local"] or registers > limits["registers"]:
            used = f"{registers} registers, {stack} bytes of local memory, {spilled} spilled"
            raise CompileError(f"{name}: {used}; the contract is {limits}")
    return str(nvrtc.getPTX(program).decode())


def constants(source: str) -> dict[str, Any]:
    """CUDA and LAUNCH of a file, without running it; empty where it launches nothing of its own."""
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in ("CUDA", "LAUNCH"):
            found[node.targets[0].id] = ast.literal_eval(node.value)
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("phase", list(phases()))
def test_every_text_compiles_within_its_contract(phase: str, dtype: str) -> None:
    options = phases()[phase].variants
    texts: dict[str, dict[str, dict[str, int]]] = {}
    for values in itertools.product(*(option.choices for option in options.values())):
        found = constants(cupy_source(derive(phase, **dict(zip(options, values, strict=True))), dtype))
        assert found, f"{phase} launches no kernel of its own"
        texts[found["CUDA"]] = found["LAUNCH"]
    for (text, contract), architecture in itertools.product(texts.items(), ARCHITECTURES):
        ptx = compiled(text, contract, architecture)
        if dtype != "float64" and phase not in ("positional", "rotary"):
            assert not re.search(r"\.f64\b", ptx), "double arithmetic in a float kernel"


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
def test_the_check_can_fail(text: str, contract: dict[str, dict[str, int]], message: str) -> None:
    with pytest.raises(CompileError, match=message):
        compiled(text, contract, "sm_90")


def test_the_check_passes_what_is_well() -> None:
    ptx = compiled(KERNEL.replace("BODY", "x[0] = 0.1 * x[1];"), CONTRACT, "sm_90")
    assert re.search(r"\.f64\b", ptx), "a double constant is seen"
