"""The checks of CUDA gradients can fail: seeded faults are each seen by the tier that the table names, where right kernels pass.

A push runs some of the faults, with ``KERNELPROOF_CUDA_PROFILE`` all are tried. Which of all tiers sees which of all faults is the work of
``tiers.py``; its table is ``docs/cuda-tiers.md``.
"""

from __future__ import annotations

import os
import runpy
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.cuda
#: the faults in gradients, for the names of the tests; ``faults`` imports nothing of the project
FAULTS = [fault for fault in runpy.run_path(str(Path(__file__).with_name("faults.py")))["FAULTS"] if fault.kernel.startswith("gradient")]
TRIED = FAULTS if os.environ.get("KERNELPROOF_CUDA_PROFILE") else [fault for fault in FAULTS if fault.push][::3]
#: tiers that right kernels are run through on a push; ``test_gradients`` executes the others, ``tiers.py`` runs all tiers
RIGHT = (("T3a", "gradient"), ("T3t", "gradient"), ("T0", "gradient tensor"), ("T1", "gradient tensor"), ("T2", "gradient tensor"))


@pytest.fixture(scope="module")
def tiers(neighbour: Any, compiler: Any) -> Any:
    found = neighbour("tiers").Tiers(compiler.folder)
    found.compiler = compiler
    return found


@pytest.mark.tier
@pytest.mark.parametrize("fault", TRIED, ids=lambda fault: fault.name.replace(": ", "-"))
def test_a_seeded_fault_is_seen(fault: Any, tiers: Any, neighbour: Any) -> None:
    source = fault.applied(neighbour("tiers").source_of(fault.phase, fault.dtype, fault.kernel))
    said = tiers.see(fault.tier, source, fault.phase, fault.dtype, fault.kernel)
    assert said, f"{fault.tier} says nothing of it"
    assert "does not compile the text" not in said, "the fault is no C++"


@pytest.mark.tier(kernel="attention gradient, the files that faults are put into")
@pytest.mark.parametrize(("tier", "kernel"), RIGHT)
def test_a_right_kernel_passes(tier: str, kernel: str, tiers: Any, neighbour: Any) -> None:
    """The very file that faults are put into."""
    dtype = "float16" if kernel == "gradient tensor" else "float32"
    source = neighbour("tiers").source_of("attention", dtype, kernel)
    assert tiers.see(tier, source, "attention", dtype, kernel) == ""
