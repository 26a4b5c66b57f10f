"""The rows of a GPU: names, counts of operations and bytes, and the aims that the project set itself."""

from __future__ import annotations

import itertools

import pytest
from cuda_cases import small

from kernelproof.reports.speed.cuda import device
from kernelproof.reports.speed.cuda.run import OnGpu
from kernelproof.reports.speed.cuda.workloads import CUDA_WORKLOADS, GROUPS, chosen, operations, result_shapes, shapes, traffic
from kernelproof.reports.speed.rivals import CUDA, RIVALS
from kernelproof.reports.speed.workloads import WORKLOADS
from kernelproof.symbolic.errors import InputError

#: what the project wants to reach, written down a second time, as shares of the other's throughput
SHARES = {
    "forward": {"flash": 0.6},
    "warpgroups": {"flash": 1.0, "cudnn": 1.0},
    "gradient": {"flash": 0.8},
}


def test_attention_in_16_bits_has_every_row_with_its_aims() -> None:
    found = {row.name: dict(row.targets) for row in CUDA_WORKLOADS if row.phase == "attention" and row.dtype != "float32"}
    expected = {}
    for dtype, n, d, causal in itertools.product(("float16", "bfloat16"), (4096, 16384), (64, 128), ("", " causal")):
        heads = 16384 // n * 2048 // d
        for kind, name in (("forward", "attention {}"), ("warpgroups", "attention {} warpgroups"), ("gradient", "attention gradient {}")):
            aims = {rival: 1 / share for rival, share in SHARES[kind].items()}
            expected[f"{name.format(dtype)}{causal}: heads {heads}, n {n}, d {d}"] = aims
    assert found == expected


def test_the_other_rows_have_their_aims() -> None:
    others = {row.name: dict(row.targets) for row in CUDA_WORKLOADS if row.phase != "attention" or row.dtype == "float32"}
    assert others == {
        "layer_norm float32: rows 131072, d 1024": {"copy": 1.25},
        "positional float32: n 524288, d 512": {"copy": 1.25},
        "attention float32: heads 32, n 4096, d 64": {"cupy": 0.2},
        "attention float32 causal: heads 32, n 4096, d 64": {"cupy": 0.2},
    }
    assert {row.peak for row in CUDA_WORKLOADS if row.phase == "attention"} == {2.0}


def test_names_are_unique_and_rivals_are_those_of_a_gpu() -> None:
    names = [row.name for row in (*WORKLOADS, *CUDA_WORKLOADS)]
    assert len(set(names)) == len(names)
    for row in CUDA_WORKLOADS:
        assert {RIVALS[name].place for name in (*row.targets, *row.without)} == {CUDA}
        assert not set(row.targets) & set(row.without), "an aim at a rival that is left out"


def test_only_the_kernel_of_warpgroups_asks_for_one_capability() -> None:
    assert {(bool(row.constants), row.capability) for row in CUDA_WORKLOADS} == {(False, 0), (True, 90)}


def test_no_row_fits_a_cache() -> None:
    """Each array of attention in 16 bits, and the whole of what is moved elsewhere, are more than the 50 MiB of an H200."""
    for row in CUDA_WORKLOADS:
        assert traffic(row) > 2 * 50 * 2**20
        if row.phase == "attention" and row.dtype != "float32":
            assert {2 * a * b * c for a, b, c in shapes(row).values()} == {2 * 16384 * 2048} and 2 * 16384 * 2048 > 50 * 2**20


def test_operations_are_those_of_the_products() -> None:
    # 3 heads, q kᵀ and weights times v: two products of 16 · 16 · 8, two operations each
    assert operations(small("attention")) == 3 * 2 * 2 * 16 * 16 * 8
    assert operations(small("attention", options={"causal": True})) == 3 * 2 * 16 * 16 * 8
    assert operations(small("attention.vjp", "float16")) == 2.5 * 3 * 2 * 2 * 16 * 16 * 8
    assert operations(small("layer_norm")) is None


def test_bytes_are_read_once_and_written_once() -> None:
    assert traffic(small("attention")) == 4 * 4 * 3 * 16 * 8
    assert traffic(small("attention.vjp", "bfloat16")) == 2 * 7 * 3 * 16 * 8
    assert traffic(small("layer_norm")) == 4 * (2 * 9 * 8 + 2 * 8)
    assert traffic(small("positional")) == 4 * 12 * 8


def test_shapes_of_arguments_and_results() -> None:
    assert list(shapes(small("attention.vjp", "float16"))) == ["q", "k", "v", "grad_out"]
    assert result_shapes(small("attention.vjp", "float16")) == [(3, 16, 8)] * 3
    assert result_shapes(small("positional")) == [(12, 8)] and shapes(small("positional")) == {}


def test_rows_are_chosen_by_phase_or_by_gradient() -> None:
    assert chosen([]) == list(CUDA_WORKLOADS)
    assert {row.kind for row in chosen(["attention"])} == {"attention", "attention.vjp"}
    assert {row.kind for row in chosen(["attention.vjp", "positional"])} == {"attention.vjp", "positional"}
    assert chosen(["softmax"]) == []
    with pytest.raises(InputError, match="phase 'sofmax'"):
        chosen(["sofmax"])


def test_one_group_is_chosen_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "missing", lambda: "")
    for group, rows in GROUPS.items():
        monkeypatch.setenv("KERNELPROOF_CUDA_ROWS", group)
        assert OnGpu([], ["flash"], alone=True).workloads == list(rows)
        assert chosen(["layer_norm"], group) == [row for row in rows if row.phase == "layer_norm"]
    monkeypatch.setenv("KERNELPROOF_CUDA_ROWS", "forwards")
    with pytest.raises(InputError, match=r"KERNELPROOF_CUDA_ROWS=forwards: .* of forward, gradient, float32, bytes, warpgroups$"):
        OnGpu([], ["flash"], alone=True)


def test_a_kernel_that_no_device_has_run_comes_last_and_in_a_group_of_its_own() -> None:
    assert {row.capability for row in GROUPS["warpgroups"]} == {90}
    assert list(GROUPS)[-1] == "warpgroups" and CUDA_WORKLOADS[-len(GROUPS["warpgroups"]) :] == GROUPS["warpgroups"]
