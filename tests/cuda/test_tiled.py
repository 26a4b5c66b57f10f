"""Attention in tiles, executed on the CPU: every variant within the derived bound, whatever the order of threads, with nothing copied.

The elementary functions are the host's; which kernel ran is seen by taking the printer's away.
"""

from __future__ import annotations

import ast
import itertools
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from kernelproof.numeric.cuda.tiled import COLUMNS, contract
from kernelproof.numeric.cupy_file import cupy_source
from kernelproof.numeric.kernel_file import licences_of
from kernelproof.symbolic.registry import derive

pytestmark = pytest.mark.cuda
VARIANTS: list[dict[str, object]] = [
    {"fully_masked": "nan"}, {"window": 70}, {"grouped_query": True}, {"grouped_query": True, "softcap": 2.0, "window": 3},
    {"grouped_query": True, "sinks": True, "window": 3, "causal_alignment": "bottom_right"},
    {"alibi": True, "fully_masked": "mean", "causal_alignment": "bottom_right"}, {"rotary": "halves"},
]
TARGETS = [
    *(({}, dtype) for dtype in ("float32", "float64", "float16", "bfloat16")), *((variant, "float32") for variant in VARIANTS),
    ({"grouped_query": True, "rotary": "interleaved"}, "float64"),
    ({"sinks": True, "alibi": True}, "bfloat16"), ({"fully_masked": "mean"}, "float16"),
    ({"grouped_query": True, "sinks": True, "rotary": "interleaved"}, "bfloat16"),
]


def name(part: object) -> str:
    return ("-".join(f"{key}={value}" for key, value in part.items()) or "plain") if isinstance(part, dict) else str(part)


@pytest.fixture(scope="module")
def tiled_cases(neighbour: Any) -> ModuleType:
    return neighbour("tiled_cases")  # type: ignore[no-any-return]


def only_tiles(space: dict[str, Any]) -> Any:
    """The kernel of a file, without the kernels of its printer."""

    def refused(*_: Any) -> None:
        raise AssertionError("a kernel of the printer was used")

    space["_launch"] = refused
    return space["attention"]


@pytest.mark.tier("T2", kernel="attention in tiles")
@pytest.mark.parametrize(("variant", "dtype"), TARGETS, ids=name)
def test_every_call_keeps_its_bound(
    variant: dict[str, object], dtype: str, emulation: ModuleType, compiler: Any, cases: ModuleType, tiled_cases: ModuleType
) -> None:
    derivation = derive("attention", **variant)
    kernel = only_tiles(emulation.namespace_of(cupy_source(derivation, dtype), emulation.stand_in(compiler, 2)))
    bounds = cases.Bounds(derivation, dtype)
    for call in tiled_cases.calls(cases, dtype, derivation.variant):
        with np.errstate(all="ignore"):
            result = kernel(*cases.arguments("attention", call, dtype), **call.options)
        bounds.check(call, result, None)
    assert bounds.total.inconclusive <= 0.2 * (bounds.total.compared + bounds.total.inconclusive)


@pytest.mark.tier("T2", kernel="attention in tiles")
@pytest.mark.parametrize("variant", [{}, VARIANTS[4]], ids=name)
def test_the_order_of_threads_does_not_matter(
    variant: dict[str, object], emulated: Any, cases: ModuleType, tiled_cases: ModuleType
) -> None:
    source = cupy_source(derive("attention", **variant), "float32")
    kernels = [emulated(source, "attention", schedule) for schedule in (0, 1, 2, 7, 8)]
    for call in tiled_cases.few(cases, "float32", variant):
        results = [kernel(*cases.arguments("attention", call, "float32"), **call.options).tobytes() for kernel in kernels]
        assert len(set(results)) == 1, "the result depends on the order in which threads run"


@pytest.mark.tier(kernel="attention in tiles")
@pytest.mark.parametrize("sanitizer", ["address", "thread"])
@pytest.mark.parametrize(("variant", "dtype"), [(VARIANTS[4], "float32"), (VARIANTS[5], "float16")], ids=name)
def test_sanitizers_find_nothing(
    variant: dict[str, object], dtype: str, sanitizer: str, emulation: ModuleType, compiler: Any, cases: ModuleType, tiled_cases: ModuleType
) -> None:
    derivation = derive("attention", **variant)
    kernel = only_tiles(emulation.namespace_of(cupy_source(derivation, dtype), emulation.stand_in(compiler, 2, sanitizer)))
    bounds = cases.Bounds(derivation, dtype)
    for call in tiled_cases.few(cases, dtype, variant):
        bounds.check(call, kernel(*cases.arguments("attention", call, dtype), **call.options), None)


@pytest.mark.tier("T1", kernel="attention in tiles")
@pytest.mark.parametrize(
    ("variant", "dtype"),
    [
        ({}, "float32"), ({**VARIANTS[5], "softcap": 30.0}, "bfloat16"),
        ({"sinks": True, "alibi": True, "softcap": 30.0, "window": 70}, "float64"),
    ],
    ids=name,
)
def test_the_text_has_the_wanted_instructions(variant: dict[str, object], dtype: str, neighbour: Any) -> None:
    """No local memory; four entries are read at once, products and sums are fused, scales of scores are not."""
    nvrtc = neighbour("nvrtc")
    found = nvrtc.constants(cupy_source(derive("attention", **variant), dtype), "TILED_CUDA", "TILED_LAUNCH")
    ptx = nvrtc.compiled(found["TILED_CUDA"], found["TILED_LAUNCH"], "sm_90")
    real = "f64" if dtype == "float64" else "f32"
    own = real if real == "f64" else f"ftz.{real}"
    assert ".local" not in ptx and f"fma.rn.{own}" in ptx
    several, stored = ("2", real) if real == "f64" else ("4", real if dtype == "float32" else "u16")
    assert f"ld.shared.v{several}.{real}" in ptx and f"ld.global.nc.v{several}.{stored}" in ptx
    assert ptx.count(f"mul.rn.{own}") >= 32 * len(found["TILED_LAUNCH"]), "a product that is not rounded before the shift"


def test_a_multiprocessor_has_what_the_contract_asks_for() -> None:
    """The smallest of those compiled for has 65536 registers and 164 KiB of shared memory, 1 KiB of it for each block."""
    for real, columns in COLUMNS.items():
        for width in columns:
            made = contract(real, width)
            assert made.blocks * made.block * made.registers <= 65536 and made.blocks * (made.shared + 1024) <= 164 * 1024
            assert made.shared <= 64 * 1024, "what a block of compute capability 7.5 may ask for"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nothing_is_copied_and_no_scores_are_made(dtype: str, emulation: ModuleType, compiler: Any, cases: ModuleType) -> None:
    module, made = emulation.stand_in(compiler), []
    empty = module.empty
    module.empty = lambda shape, dtype: made.append(shape) or empty(shape, dtype)  # type: ignore[attr-defined]
    space = emulation.namespace_of(cupy_source(derive("attention"), dtype), module)
    draw, handed = cases.Draw(dtype, 1), []
    space["_tiles"] = lambda name, blocks, lead, arrays, numbers: handed.append(arrays)
    q, k, v = draw(2, 3, 70, 8).astype(dtype), draw(2, 1, 90, 8).astype(dtype), draw(90, 8).astype(dtype)
    for mask in (draw.choice(70, 90), draw.choice(3, 1, 90), np.zeros((70, 90), np.float16), np.zeros((2, 1, 70, 90))):
        space["attention"](q, k, v, mask=mask, causal=True)
        for given, array in zip((q, k, v, mask), handed[-1][:4], strict=True):
            assert np.shares_memory(given, array)
        assert handed[-1][3].shape == (2, 3, 70, 90) and handed[-1][3].dtype == mask.dtype
    assert made == [(2, 3, 70, 8)] * 4


def test_what_does_not_fit_goes_another_way_or_is_told(emulation: ModuleType, compiler: Any, cases: ModuleType) -> None:
    q, old = np.ones((2, 3, 4), np.float32), emulation.stand_in(compiler, capability="60")
    assert (emulation.namespace_of(cupy_source(derive("attention"), "float32"), old)["attention"](q, q, q) == 1).all()
    kernel = emulation.namespace_of(cupy_source(derive("attention", sinks=True), "float32"), old)["attention"]
    with pytest.raises(ValueError, match=r"on a device of compute capability 7\.0 or more"):
        kernel(q, q, q, np.zeros(2, np.float32))


def test_wrong_arguments_are_told(emulation: ModuleType, compiler: Any) -> None:
    module = emulation.stand_in(compiler)
    plain = emulation.namespace_of(cupy_source(derive("attention"), "float32"), module)["attention"]
    headed = emulation.namespace_of(cupy_source(derive("attention", sinks=True, grouped_query=True), "float32"), module)["attention"]
    turned = emulation.namespace_of(cupy_source(derive("attention", rotary="halves"), "float32"), module)["attention"]
    q, k, sinks = np.zeros((2, 4, 5), np.float32), np.zeros((3, 4, 5), np.float32), np.zeros(2, np.float32)
    for call, message in (
        (lambda: plain(q, k, k), "expected leading axes that broadcast"), (lambda: plain(q, q, q[:, :3]), "expected .*, d.*, m, e"),
        (lambda: plain(q, q, q, mask=np.zeros((4, 5), bool)), "mask of shape .4, 5.; expected one that broadcasts"),
        (lambda: headed(q, k, k, sinks), "heads .axis -3."), (lambda: headed(q, q, q, sinks[:1]), "sinks has shape"),
        (lambda: headed(q, q, q, sinks, mask=np.zeros((3, 4, 4), bool)), "mask of shape .3, 4, 4.; expected one"),
        (lambda: turned(q, q, q), "width 5; expected an even width"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match="mask of dtype int64; expected bool"):
        plain(q, q, q, mask=np.zeros((4, 4), np.int64))


@pytest.mark.parametrize("variant", [{}, *VARIANTS], ids=name)
def test_text_and_licences(variant: dict[str, object], cupy: ModuleType) -> None:
    """The same bytes twice, names that cupy has, and the theorems that the order of the computation rests on."""
    derivation = derive("attention", **variant)
    source = cupy_source(derivation, "float32")
    assert source == cupy_source(derive("attention", **variant), "float32")
    attributes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)]
    used = {node.attr for node in attributes if isinstance(node.value, ast.Name) and node.value.id == "cp"}
    assert not [used_name for used_name in used if not hasattr(cupy, used_name)]
    licences = licences_of(derivation, "cupy", "float32")
    assert {"attention.online_step", "attention.online_tiles_o", "attention.masked_weight"} <= set(licences)
    proved = {statement.id for statement in derive("attention").statements} | {statement.id for statement in derivation.statements}
    assert set(licences) <= proved
    of_variant = {"window": "outside_window", "sinks": "sinks", "rotary": "rotary"}
    assert all(f"attention.{theorem}" in licences for option, theorem in of_variant.items() if variant.get(option))


def test_places_of_a_tile_meet_at_no_bank() -> None:
    """In float32: what a warp stores of a turned tile one by one, and what eight lanes read or write by fours of it at once."""

    def place(line: int, at: int) -> int:
        return line * 64 + (at ^ ((line >> 2 & 7) << 2))

    assert sorted(itertools.starmap(place, itertools.product(range(64), range(64)))) == list(range(64 * 64))
    for entry in range(4):  # a warp has 4 rows and 8 pieces of 4 channels
        assert len({place(4 * piece + entry, row) % 32 for piece, row in itertools.product(range(8), range(4))}) == 32
    for line, group in itertools.product(range(32), (0, 8)):  # keys of a channel
        assert len({place(line, 4 * lane) % 32 // 4 for lane in range(group, group + 8)}) == 8
    for half, group in itertools.product((0, 4), (0, 8)):  # weights of four queries, from lanes with other keys
        assert len({place(4 * lane, half) % 32 // 4 for lane in range(group, group + 8)}) == 8
