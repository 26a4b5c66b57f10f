"""The bare products are the ones that the work needs, no more and no less: counted in multiplications."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from kernelproof.reports.speed import products
from kernelproof.reports.speed.workloads import WORKLOADS, Workload, inputs_of

N, D, HEADS, TOKENS, H = 1300, 8, 3, 700, 20
TILES = [(512, 512), (512, 1024), (276, 1300)]  # rows, keys up to the last of them
SCORES, BELOW = N * N, sum(rows * keys for rows, keys in TILES)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The multiplications of every product that is made."""
    counts: list[int] = []
    lock, real = threading.Lock(), np.matmul

    def matmul(a: Any, b: Any, out: Any) -> Any:
        with lock:
            counts.append(a.shape[0] * a.shape[1] * b.shape[1])
        return real(a, b, out=out)

    monkeypatch.setattr(products.np, "matmul", matmul)
    return counts


ATTENTION = {"heads": HEADS, "n": N, "d": D}
FEED = {"tokens": TOKENS, "d": D, "h": H}
CASES = [
    (Workload("attention", ATTENTION), 2 * HEADS * SCORES * D),
    (Workload("attention", ATTENTION, options={"causal": True}), 2 * HEADS * BELOW * D),
    (Workload("attention", ATTENTION, vjp=True), 5 * HEADS * SCORES * D),
    (Workload("attention", ATTENTION, vjp=True, options={"causal": True}), 5 * HEADS * BELOW * D),
    (Workload("feed_forward", FEED), 2 * TOKENS * D * H),
    (Workload("feed_forward", FEED, vjp=True), 5 * TOKENS * D * H),
]


@pytest.mark.parametrize(("workload", "multiplications"), CASES, ids=lambda value: getattr(value, "name", ""))
def test_multiplications(workload: Workload, multiplications: int, counted: list[int]) -> None:
    rival = products.BUILDERS[workload.kind](workload, inputs_of(workload))
    assert counted == [] and rival.result is None
    rival.call()
    assert sum(counted) == multiplications


@pytest.mark.parametrize("kind", sorted(products.PASSES))
def test_a_pass_reads_and_writes_every_element_once(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    row = next(row for row in WORKLOADS if row.kind == kind)
    workload = Workload(row.phase, {name: min(size, 600) for name, size in row.sizes.items()}, row.vjp, row.variant)
    rival = products.BUILDERS[kind](workload, inputs_of(workload))
    written: list[int] = []
    real = np.multiply
    monkeypatch.setattr(products.np, "multiply", lambda a, b, out: written.append(real(a, b, out=out).size))
    rival.call()
    sizes = workload.sizes
    length = next(sizes[name] for name in ("tokens", "rows", "n") if name in sizes)
    assert sum(written) == sizes.get("heads", 1) * length * sizes["d"]


def test_the_buffers_of_two_threads_are_two() -> None:
    get = products._buffers(lambda: (np.empty(3),))
    found: list[Any] = [get()[0]]
    thread = threading.Thread(target=lambda: found.append(get()[0]))
    thread.start()
    thread.join()
    assert found[0] is get()[0] and found[0] is not found[1]
