"""The checks of CUDA kernels can fail: seeded faults are each seen by the tier that the table names, where right kernels pass.

A push runs some faults of the printer's kernels, of those around attention inside multi-head attention, and of attention on tensor cores
and in tiles. Which of all tiers sees which fault is the work of ``tiers.py``, which takes long; its table is ``docs/cuda-tiers.md``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from kernelproof.numeric.cuda.wrappers import FACTORS, wrappers
from kernelproof.symbolic.registry import has_gradient, phases

pytestmark = pytest.mark.cuda
HERE = Path(__file__).parent


def _faults() -> Any:
    """The table, for the names of the tests; ``faults`` imports nothing of the project."""
    sys.path.insert(0, str(HERE))
    try:
        import faults
    finally:
        sys.path.remove(str(HERE))
    return faults


FAULTS = _faults().FAULTS
#: those in gradients are tried in ``test_gradients_faults``; a push tries a third of what is quick, in turn through the families
QUICK = [fault for fault in FAULTS if fault.push and not fault.kernel.startswith("gradient")]
PUSHED = QUICK if os.environ.get("KERNELPROOF_CUDA_PROFILE") else QUICK[::3]


@pytest.fixture(scope="module")
def tiers(neighbour: Any, compiler: Any) -> Any:
    found = neighbour("tiers").Tiers(compiler.folder)
    found.compiler = compiler
    return found


@pytest.mark.tier
@pytest.mark.parametrize("fault", PUSHED, ids=lambda fault: fault.name)
def test_a_seeded_fault_is_seen(fault: Any, tiers: Any, neighbour: Any) -> None:
    source = fault.applied(neighbour("tiers").source_of(fault.phase, fault.dtype, fault.kernel))
    said = tiers.see(fault.tier, source, fault.phase, fault.dtype, fault.kernel)
    assert said, f"{fault.tier} says nothing of it"
    assert "does not compile the text" not in said, "the fault is no C++"


@pytest.mark.tier(kernel="attention, the files that faults are put into")
@pytest.mark.parametrize(("dtype", "kernel"), [("float16", "tensor"), ("float32", "tiled")])
@pytest.mark.parametrize("tier", ["T0", "T1", "T2"])
def test_a_right_kernel_passes(tier: str, dtype: str, kernel: str, tiers: Any, neighbour: Any) -> None:
    """The very file that faults are put into; sanitizers pass over it in ``test_tensor_cores`` and ``test_tiled``."""
    source = neighbour("tiers").source_of("attention", dtype, kernel)
    assert tiers.see(tier, source, "attention", dtype, kernel) == ""


def test_every_fault_changes_its_text(neighbour: Any) -> None:
    texts = {}
    for fault in FAULTS:
        key = fault.phase, fault.dtype, fault.kernel
        texts.setdefault(key, neighbour("tiers").source_of(*key))
        fault.applied(texts[key])
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) > 300


def test_every_phase_and_gradient_stands_in_the_table_as_a_right_kernel(neighbour: Any) -> None:
    targets = neighbour("targets")
    right = {(phase, targets.TARGETS[kernel].gradient) for phase, _, kernel in targets.RIGHT}
    assert right == {(phase, vjp) for phase in phases() for vjp in (False, True) if not vjp or has_gradient(phase)}
    assert len(set(targets.RIGHT)) == len(targets.RIGHT)


def test_the_table_of_tiers_names_every_fault_as_seen() -> None:
    table = (HERE.parents[1] / "docs" / "cuda-tiers.md").read_text(encoding="utf-8")
    rows = {row.split(" | ")[1]: row for row in table.splitlines() if row.startswith("| ")}
    for fault in FAULTS:
        assert "✗" in rows[fault.name], f"no tier sees it: {fault.name}"
    assert not [row for row in table.splitlines() if "a right kernel" in row and "✗" in row]


@pytest.mark.tier("T0", kernel="attention on tensor cores")
@pytest.mark.parametrize("dtype", FACTORS)
def test_wrappers_are_the_golden_ones(dtype: str) -> None:
    """No tier but this one sees what a wrapper's instruction does: a change has to be meant, and looked up in the PTX manual."""
    golden = (HERE / f"wrappers_{dtype}.golden").read_text(encoding="utf-8").strip()
    assert wrappers(dtype) == golden
    bodies = golden.split("__forceinline__")[1:]
    assert len(bodies) == 8 and all(body.count("asm") == 1 for body in bodies), "a wrapper is one instruction"


def test_a_fault_that_matches_nothing_is_told(neighbour: ModuleType) -> None:
    fault = _faults().Fault("nothing", "softmax", "float32", "no such text", "")
    with pytest.raises(ValueError, match="the text has nothing like no such text"):
        fault.applied("text")
