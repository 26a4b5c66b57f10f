"""Every generated CUDA text, forward and gradient, in every variant and format, for four architectures: within its launch contract.

A text that stands in the record ``compiled.json`` was compiled as it is, byte for byte, in another process; a push compiles plain phases in
:data:`AGAIN` again and holds the record to it, and with ``KERNELPROOF_CUDA_PROFILE`` everything is. Spilled registers are errors; so
is local memory, but for the 40 bytes of CUDA's own argument reduction of sin and cos in double, which the contract of such a kernel states.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from kernelproof.symbolic.registry import has_gradient, phases

pytestmark = pytest.mark.cuda
DTYPES = ("float32", "float64", "float16", "bfloat16")
AGAIN = ("float32",)
FILES = [(phase, vjp, dtype) for phase in phases() for vjp in (False, True) if has_gradient(phase) or not vjp for dtype in DTYPES]
#: texts that this process has compiled: the same stands inside several phases
COMPILED: set[str] = set()


@pytest.fixture(scope="module")
def compiled(neighbour: Any) -> ModuleType:
    return neighbour("compiled")  # type: ignore[no-any-return]


@pytest.mark.tier("T0", "T1")
@pytest.mark.parametrize(("phase", "vjp", "dtype"), FILES)
def test_every_text_compiles_within_its_contract(phase: str, vjp: bool, dtype: str, compiled: ModuleType) -> None:
    known, update = compiled.recorded(), "run python tests/cuda/compiled.py --update, and commit what it writes"
    digests = set()
    for variant in compiled.variants(phase):
        found = list(compiled.texts(phase, vjp, dtype, variant))
        assert found, f"{phase} launches no kernel of its own"
        for text in found:
            digests.add(text.digest)
            again = os.environ.get("KERNELPROOF_CUDA_PROFILE") or (not variant and dtype in AGAIN)
            if (again or text.digest not in known) and text.digest not in COMPILED:
                COMPILED.add(text.digest)
                registers = text.compiled()
                assert known.get(text.digest, (None, registers))[1] == registers, f"{text.name}: the record is of other registers"
            assert text.digest in known, f"{text.name} is not in compiled.json: {update}"
            for kernel, counts in known[text.digest][1].items():
                there = [architecture for architecture, count in zip(compiled.ARCHITECTURES, counts, strict=True) if count]
                assert tuple(there) == text.architectures
                assert max(filter(None, counts)) <= text.contract[kernel]["registers"]
    own = {digest for digest, (name, _) in known.items() if name.startswith(compiled.named(phase, vjp, dtype))}
    assert own <= digests, f"compiled.json has texts that are no more: {update}"


def test_the_record_is_of_these_files(compiled: ModuleType) -> None:
    heads = tuple(compiled.named(*file) for file in FILES)
    assert compiled.files() == FILES
    assert all(name.startswith(heads) for name, _ in compiled.recorded().values())
    assert json.loads(compiled.RECORD.read_text(encoding="utf-8"))["nvrtc"] == compiled.nvrtc_version()


KERNEL = 'extern "C" __global__ void made(float* x)\n{\n    BODY\n}\n'


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("x[0] = 1.5f * x[1];", ""), ("x[0] = 0.1 * x[1];", "double arithmetic"), ("atomicAdd(x, x[1]);", "an atomic operation"),
        ("x[0] = (float)*(const double*)(x + 2);", ""),
    ],
)
def test_what_must_not_be_in_a_text_is_seen(body: str, message: str, compiled: ModuleType, neighbour: Any) -> None:
    contract = {"made": {"registers": 32, "local": 0}}
    text = compiled.Text("one", KERNEL.replace("BODY", body), contract, ("sm_90",), 0, double=False)
    if not message:
        assert [count is None for count in text.compiled()["made"]] == [True, False, True, True]
        return
    with pytest.raises(neighbour("nvrtc").CompileError, match=message):
        text.compiled()


def test_a_digest_is_of_everything_that_a_verdict_depends_on(compiled: ModuleType) -> None:
    text = next(compiled.texts("softmax", False, "float32", {}))
    name, contract = next(iter(text.contract.items()))
    others = (
        replace(text, text=text.text + " "), replace(text, contract={name: {**contract, "registers": contract["registers"] + 1}}),
        replace(text, architectures=("sm_90",)), replace(text, double=True), replace(text, most_shared=0),
    )
    assert len({text.digest, *(other.digest for other in others)}) == 6
    assert replace(text, name="another").digest == text.digest
