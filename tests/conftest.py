"""Nothing from the user's folders, and Hypothesis profiles: ``ci`` repeats the same examples every time, ``nightly`` looks far wider.

HYPOTHESIS_PROFILE chooses. A run of CUDA tests ends with a table: how many tests of each tier each kernel passed.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from tabulate import tabulate

# no test reads kernels or block sizes that were left on this machine; those that are about them name a folder of their own
os.environ["KERNELPROOF_CACHE"] = "off"
os.environ["KERNELPROOF_TUNING"] = str(Path(__file__).parent / "no_block_sizes.json")

settings.register_profile("ci", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("nightly", max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

#: as the marker ``tier`` names them; ``tests/cuda/conftest.py`` knows no others
TIERS = {"T0": "T0 text", "T1": "T1 compile", "T2": "T2 execute", "T3a": "T3 address", "T3t": "T3 thread"}


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The table of tiers, of what this run did."""
    counts: dict[str, Counter[tuple[str, str]]] = {}
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, value in report.user_properties if isinstance(report, pytest.TestReport) else ():
                if name == "tier" and (report.when == "call" or outcome != "passed"):
                    tier, _, kernel = value.partition(" ")
                    counts.setdefault(kernel, Counter())[tier, "passed" if outcome == "passed" else "failed"] += 1
    if not counts:
        return

    def cell(kernel: str, tier: str) -> str:
        passed, failed = (counts[kernel][tier, outcome] for outcome in ("passed", "failed"))
        return f"{failed} of {passed + failed} FAILED" if failed else str(passed or "")

    terminalreporter.section("CUDA kernels by tier: tests passed; nothing here ran on hardware")
    rows = [(kernel, *(cell(kernel, tier) for tier in TIERS)) for kernel in sorted(counts)]
    terminalreporter.write_line(tabulate(rows, headers=["kernel", *TIERS.values()], disable_numparse=True))
    terminalreporter.write_line("T1: compiled now, or byte for byte a text that tests/cuda/compiled.json has as compiled")
