"""Compiles a CUDA text with NVRTC, without a GPU, and holds it to its launch contract.

What it does: takes the options that CuPy adds (-ftz=true); spilled registers are errors; so is local memory beyond the contract's, more
registers or another set of kernels than the contract names, and asynchronous products that the compiler makes wait or orders itself.
Cannot see: dynamic shared memory, which the compiler does not know; the emulator allocates what the contract says.
"""

from __future__ import annotations

import re
from typing import Any

#: what CuPy adds, and what makes spills errors
OPTIONS = ("-std=c++17", "-ftz=true", "--ptxas-options=-v", "--ptxas-options=--warn-on-spills", "--ptxas-options=--warning-as-error")
USED = re.compile(r"Compiling entry function '(\w+)'.*?(\d+) bytes stack frame, (\d+) bytes spill stores.*?Used (\d+) registers", re.DOTALL)
#: what ptxas says of products of warpgroups that it does not take as they stand, and of counts of registers that it ignores
CHANGED = re.compile(r"[^\n]*(?:\(C75\d\d\)|serialized|setmaxnreg)[^\n]*")
#: bytes of shared memory that a block may ask for: on every architecture, and of compute capability 9.0
MOST_SHARED, MOST_SHARED_90 = 99 * 1024, 227 * 1024


class CompileError(AssertionError):
    """A text that does not compile, or not within its contract."""


def includes() -> tuple[str, ...]:
    import cuda.pathfinder

    return tuple("-I" + str(cuda.pathfinder.find_nvidia_header_directory(name)) for name in ("cudart", "cccl"))


def compiled(text: str, contract: dict[str, dict[str, int]], architecture: str, most_shared: int = MOST_SHARED) -> str:
    """The PTX of a text; CompileError where something does not hold."""
    return measured(text, contract, architecture, most_shared)[0]


def measured(
    text: str, contract: dict[str, dict[str, int]], architecture: str, most_shared: int = MOST_SHARED
) -> tuple[str, dict[str, int]]:
    """The PTX of a text, and the registers of a thread by kernel; CompileError where something does not hold."""
    from cupy.cuda import nvrtc

    program = nvrtc.createProgram(text, "generated.cu", (), ())
    local = any(kernel["local"] for kernel in contract.values())
    options = [*includes(), *OPTIONS, f"-arch={architecture}"]
    if not local:
        options.append("--ptxas-options=--warn-on-local-memory-usage")
    try:
        nvrtc.compileProgram(program, tuple(options))
    except nvrtc.NVRTCError as error:
        raise CompileError(f"{error}: {nvrtc.getProgramLog(program)}") from None
    log = nvrtc.getProgramLog(program)
    if changed := CHANGED.search(log):
        raise CompileError(changed.group().strip())
    found = {name: tuple(map(int, numbers)) for name, *numbers in USED.findall(log)}
    if set(found) != set(contract):
        raise CompileError(f"kernels {sorted(found)}; the contract names {sorted(contract)}")
    for name, (stack, spilled, registers) in found.items():
        limits = contract[name]
        if spilled or stack > limits["local"] or registers > limits["registers"] or limits.get("shared", 0) > most_shared:
            used = f"{registers} registers, {stack} bytes of local memory, {spilled} spilled"
            raise CompileError(f"{name}: {used}; the contract is {limits}")
    return str(nvrtc.getPTX(program).decode()), {name: registers for name, (_, _, registers) in found.items()}


def constants(source: str, *names: str) -> dict[str, Any]:
    """Constants of a file by name, without running it; those that are there."""
    import ast

    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in names:
            found[node.targets[0].id] = ast.literal_eval(node.value)
    return found
