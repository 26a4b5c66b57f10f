"""Workloads that are small enough for references, and a table that was not measured."""

from __future__ import annotations

from typing import Any

from kernelproof.reports.speed.model import MEASURED, Aim, Comparison, Row, Table
from kernelproof.reports.speed.workloads import Workload

SIZES = {"heads": 2, "n": 9, "d": 8, "h": 12, "tokens": 7, "rows": 5, "vocab": 4}
NAMES = {
    "attention": "heads n d", "multi_head_attention": "n d", "feed_forward": "tokens d h", "encoder_block": "n d h", "layer_norm": "rows d",
    "rms_norm": "rows d", "softmax": "rows d", "activation": "rows d", "rotary": "heads n d", "positional": "n d",
    "embedding": "tokens vocab d",
}


def small(kind: str, **more: Any) -> Workload:
    """A workload of that kind, small enough for a reference."""
    phase, _, vjp = kind.partition(".")
    return Workload(phase, {name: SIZES[name] for name in NAMES[phase].split()}, vjp=bool(vjp), **more)


def machine(**changes: Any) -> dict[str, Any]:
    """What a measurement was made on."""
    return {
        "date": "2026-01-02", "processor": "A processor", "cores": 2, "caches": {"L2": "2048K"}, "system": "Linux x86_64",
        "versions": {"kernelproof": "0.1.0", "numpy": "2.0.0"}, "not installed": ["torch"], "blas": ["openblas 0.3 (X, 2 threads)"],
        "torch threads": None, **changes,
    }


def row(name: str, *comparisons: Comparison, **more: Any) -> Row:
    """A measured row."""
    made: dict[str, Any] = {
        "phase": "attention", "vjp": False, "variant": {}, "sizes": {"n": 4}, "options": {}, "status": MEASURED, "kernel": "0123456789ab",
        "check": "within", "checked": "rows 0, 1", "worst_error_over_bound": 0.25, "seconds": 0.5, **more,
    }
    return Row(name, **made, comparisons=comparisons)


def comparison(rival: str, ratio: float, target: float | None = None, **more: Any) -> Comparison:
    """A measured comparison."""
    return Comparison(rival, MEASURED, f"what {rival} does", ratio, ratio - 0.125, ratio + 0.125, 5, ratio, 1.0, target, **more)


TABLE = Table(
    machine(),
    (
        row(
            "first",
            comparison("numpy", 0.5, 0.6), comparison("torch", 1.5, 1.0, floor=1.25, cause="the cause of it"), comparison("products", 1.2),
        ),
        row("second", comparison("numpy", 0.25), Comparison("torch", "not there", "not installed: torch", target=2.0)),
        Row("third", "softmax", True, {}, {}, {}, "not built", error="generating softmax: not built yet"),
        row("fourth", aims=(Aim("largest error", 2.0, 1.0, "textbook: 3"), Aim("peak", 1.0, 1.0))),
    ),
)
