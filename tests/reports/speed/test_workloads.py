"""The rows of the benchmark: names, inputs, and the aims that the project set itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kernelproof.reports.speed.workloads import TABLE_ERROR, WORKLOADS, Workload, chosen, inputs_of
from kernelproof.symbolic.errors import InputError
from kernelproof.symbolic.registry import check_variant, phases

LONG = {"numpy": 0.6, "torch": 1.0, "products": 1.15}
#: what the project wants to reach, written down a second time; a change of an aim must be made in both places
AIMS: dict[str, dict[str, float]] = {
    "attention: heads 8, n 512, d 64": {"numpy": 0.9, "torch": 1.5},
    **{f"attention: heads 8, n {n}, d {d}": LONG for n in (2048, 4096) for d in (64, 128)},
    "attention: heads 2, n 8192, d 128": {"numpy": 0.32, "torch": 1.0, "products": 1.12},
    **{f"attention causal: heads 8, n {n}, d {d}": {"numpy": 0.4, "torch": 1.1} for n in (2048, 4096) for d in (64, 128)},
    "attention causal: heads 2, n 8192, d 128": {"numpy": 0.4, "torch": 1.1},
    **{
        f"attention gradient{causal}: heads 8, n 2048, d {d}": {"numpy": 0.5, "torch": 1.3, "products": 1.25}
        for causal, d in (("", 64), ("", 128), (" causal", 64))
    },
    "feed_forward: tokens 4096, d 512, h 2048": {"numpy": 0.7, "torch": 0.75},
    "feed_forward activation=gelu: tokens 4096, d 512, h 2048": {"numpy": 0.7, "torch": 0.75},
    "layer_norm: rows 4096, d 512": {"numpy": 0.4, "torch": 6.0},
    "positional: n 65536, d 512": {"numpy": 0.4, "torch": 0.15},
    "embedding gradient: tokens 1000000, vocab 50000, d 64": {"numpy": 0.12, "torch": 2.0},
}


def test_the_aims_are_those_of_the_project() -> None:
    assert {row.name: dict(row.targets) for row in WORKLOADS if row.targets} == AIMS
    assert [(row.name, row.megabytes) for row in WORKLOADS if row.megabytes] == [("attention: heads 1, n 65536, d 64", 300)]
    assert [(row.name, row.error) for row in WORKLOADS if row.error] == [("positional: n 65536, d 512", TABLE_ERROR)]
    assert TABLE_ERROR == 2.0**-24 + 2.0**-27


def test_names_are_unique_and_every_phase_has_a_row() -> None:
    names = [row.name for row in WORKLOADS]
    assert len(set(names)) == len(names)
    assert {row.phase for row in WORKLOADS} == set(phases())
    for row in WORKLOADS:
        assert check_variant(row.phase, row.variant).items() >= dict(row.variant).items()


def test_rows_are_chosen_by_phase_or_by_gradient() -> None:
    assert chosen([]) == list(WORKLOADS)
    assert {row.kind for row in chosen(["attention"])} == {"attention", "attention.vjp"}
    assert {row.kind for row in chosen(["attention.vjp", "softmax"])} == {"attention.vjp", "softmax"}
    with pytest.raises(InputError, match="phase 'sofmax'"):
        chosen(["softmax", "sofmax"])


def small(row: Workload) -> Workload:
    return Workload(row.phase, {name: min(size, 16) for name, size in row.sizes.items()}, row.vjp, row.variant, row.options)


def arrays(value: Any) -> list[Any]:
    parts = value.values() if isinstance(value, dict) else [value]
    return [part for part in parts if isinstance(part, np.ndarray)]


@pytest.mark.parametrize("row", [row for row in WORKLOADS if row.phase != "positional"], ids=lambda row: row.name)
def test_inputs_are_random_the_same_each_time_and_never_zeros(row: Workload) -> None:
    first, second = inputs_of(small(row)), inputs_of(small(row))
    found = [part for value in first.named.values() for part in arrays(value)]
    again = [part for value in second.named.values() for part in arrays(value)]
    assert found
    for one, other in zip(found, again, strict=True):
        assert np.array_equal(one, other)
        if one.dtype.kind == "f":
            assert one.dtype == np.float32 and np.count_nonzero(one) == one.size
            assert one.std() > 0


def test_another_seed_gives_other_inputs() -> None:
    row = small(WORKLOADS[0])
    assert not np.array_equal(inputs_of(row).named["q"], inputs_of(row, seed=6).named["q"])


def test_a_gradient_has_the_gradient_of_the_result_last() -> None:
    row = next(row for row in WORKLOADS if row.kind == "attention.vjp")
    inputs = inputs_of(small(row))
    assert list(inputs.named) == ["q", "k", "v", "grad_out"]
    assert inputs.arguments[-1].shape == inputs.named["q"].shape
