"""Tuning, with made-up times: which sizes are tried, which are kept, and that the kernel with them is checked."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from speed_cases import small

from kernelproof.numeric import tuning as files
from kernelproof.reports.speed.checking import BEYOND, WITHIN, Check
from kernelproof.reports.speed.paired import Effort, Pair
from kernelproof.reports.speed.tune import BLOCKS, CACHES, Tuning, tunable_workloads
from kernelproof.reports.speed.workloads import WORKLOADS
from kernelproof.symbolic.errors import InputError

SOURCE = "QUERY_BLOCK = 0\nKEY_BLOCK = 0\nCACHE_BYTES = 1 << 20\nTHREADS = 0\n_BLOCK = 3\n\n\ndef attention(q, k, v):\n    return sizes()\n"
SOURCE += "\n\ndef sizes():\n    return QUERY_BLOCK, KEY_BLOCK, CACHE_BYTES\n"
WORK = small("attention")


@dataclass(frozen=True)
class Toy:
    """A kernel whose result are its sizes."""

    source: str = SOURCE

    @cached_property
    def function(self) -> Callable[..., Any]:
        space: dict[str, Any] = {}
        exec(self.source, space)
        made: Callable[..., Any] = space["attention"]
        return made

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self.function(*arguments, **options)


def tuned(cost: Callable[..., float], **changes: Any) -> tuple[Tuning, list[tuple[int, int, int]]]:
    """A tuning after its search; ``cost`` gives the time of sizes."""
    tried: list[tuple[int, int, int]] = []

    def pairing(ours: Callable[[], Any], theirs: Callable[[], Any], effort: Effort) -> Pair:
        tried.append(ours())
        return Pair((cost(*ours()),), (cost(*theirs()),))

    made: dict[str, Any] = {"generate": lambda *_, **__: Toy(), "pairing": pairing, "check": lambda *_: Check(WITHIN, 0.0, "how")}
    found = Tuning(**{**made, **changes})
    found.tune("attention", [WORK])
    return found, tried


def test_it_finds_the_best_of_each_constant_and_tries_nothing_else() -> None:
    found, tried = tuned(lambda query, key, cache: (2.0 - (query == 512)) * (1.0 if key == 0 else 3.0) * (2.0 - (cache == 1 << 22)))
    assert found.found == {"attention": {"QUERY_BLOCK": 512, "CACHE_BYTES": 1 << 22}}
    (outcome,) = found.outcomes
    assert outcome.own == {"QUERY_BLOCK": 0, "KEY_BLOCK": 0, "CACHE_BYTES": 1 << 20}
    assert outcome.ratios == {WORK.name: 0.25}
    # its own size is not tried again; the last pair compares all that was found with the kernel's own sizes
    assert len(tried) == (len(CACHES) - 1) + 2 * (len(BLOCKS) - 1) + 1
    assert "QUERY_BLOCK 0 → 512" in found.table() and "0.25" in found.table()


def test_a_small_gain_is_not_worth_it() -> None:
    found, _ = tuned(lambda query, key, cache: 1.0 - 0.02 * (query == 512))
    assert found.found == {} and "its own sizes are as good" in found.table()


def test_sizes_with_which_the_kernel_is_beyond_its_bound_are_not_kept() -> None:
    found, _ = tuned(lambda query, key, cache: 2.0 - (query == 64), check=lambda *_: Check(BEYOND, 2.0, "rows 0"))
    assert found.found == {} and "beyond its bound" in found.table()


def test_the_kernel_that_is_checked_has_the_sizes_found() -> None:
    seen: list[Any] = []

    def check(workload: Any, kernel: Any, inputs: Any, result: Any) -> Check:
        seen.append(result)
        return Check(WITHIN, 0.0, "how")

    tuned(lambda query, key, cache: 2.0 - (query == 64), check=check)
    assert seen == [(64, 0, 1 << 20)]


def test_a_size_that_does_not_work_is_passed_over() -> None:
    def cost(query: int, key: int, cache: int) -> float:
        if query == 128:
            raise MemoryError
        return 2.0 - (query == 256)

    assert tuned(cost)[0].found == {"attention": {"QUERY_BLOCK": 256}}


def test_what_cannot_be_generated_or_has_no_sizes_is_listed() -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise InputError("not built yet")

    assert "not built yet" in tuned(lambda *_: 1.0, generate=refused)[0].table()
    plain = Toy("def attention(q, k, v):\n    return 0\n")
    assert "it has no block sizes" in tuned(lambda *_: 1.0, generate=lambda *_, **__: plain)[0].table()


def test_what_was_found_is_written_and_nothing_where_nothing_is_better(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "blocks.json"
    tuned(lambda *_: 1.0)[0].write(path)
    assert not path.parent.exists()
    found = tuned(lambda query, key, cache: 2.0 - (query == 64))[0]
    found.write(path)
    assert files.read(path) == {"attention": {"QUERY_BLOCK": 64}}
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["kernels"][0]["found"] == {"QUERY_BLOCK": 64}


def test_workloads_are_grouped_by_kind_without_those_of_memory() -> None:
    groups = tunable_workloads([])
    assert sum(map(len, groups.values())) == sum(row.megabytes is None for row in WORKLOADS)
    assert all({row.kind for row in group} == {kind} for kind, group in groups.items())
    assert list(tunable_workloads(["attention.vjp"])) == ["attention.vjp"]


def test_a_generated_kernel_is_executed_anew_for_each_choice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Tuning starts from the sizes in the text, whatever an earlier tuning left on this machine."""
    from kernelproof.reports.speed.tune import _Work

    work: Any = _Work(WORK, Toy())  # type: ignore[arg-type]
    one, other = work.kernel_with({"QUERY_BLOCK": 64, "unknown": 1}), work.kernel_with({})
    assert (one(1, 2, 3), other(1, 2, 3)) == ((64, 0, 1 << 20), (0, 0, 1 << 20))
    assert "unknown" not in one.function.__globals__
