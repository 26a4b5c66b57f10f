"""Well-known functions are known by what they are; their conventions are stated, and what they are not is told."""

from __future__ import annotations

import importlib
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernelproof.properties.adapters import adapted, recognise
from kernelproof.properties.adapters.registry import FUNCTIONS, known
from kernelproof.properties.shapes import PHASES
from kernelproof.properties.targets import load_target, memory_target
from kernelproof.symbolic.errors import InputError
from kernelproof.symbolic.registry import check_variant, phase

PATHS = [(path, row) for row in FUNCTIONS for path in row.paths]


@pytest.fixture
def functional() -> Any:
    pytest.importorskip("torch", reason="torch.nn.functional is recognised")
    return importlib.import_module("torch.nn.functional")


def test_every_row_is_of_a_phase_and_its_variants() -> None:
    assert len({path for path, _ in PATHS}) == len(PATHS)
    for path, row in PATHS:
        assert row.phase in PHASES and row.conventions, path
        for name, values in row.choices.items():
            assert set(values) <= set(phase(row.phase).variants[name].choices), path


@pytest.mark.parametrize(("path", "row"), PATHS, ids=[path for path, _ in PATHS])
def test_a_function_is_found_by_its_identity(path: str, row: Any) -> None:
    pytest.importorskip(row.library, reason=f"{path} is recognised")
    module, _, name = path.rpartition(".")
    function = getattr(importlib.import_module(module), name)
    found = known(function)
    assert found is not None and found[1] is row
    default = check_variant(row.phase, {key: values[0] for key, values in row.choices.items()})
    target = load_target(f"{module}:{name}", phase=row.phase, variant=default)
    assert (target.library, target.packages) == (row.library, (row.library,))
    assert target.conventions == (f"{found[0]} as {row.phase}", *row.conventions)
    assert not target.capabilities & row.without
    assert known(lambda *arguments: function(*arguments)) is None


@pytest.mark.parametrize(
    ("name", "phase", "options"),
    [
        ("scaled_dot_product_attention", "attention", {"causal", "mask", "mask_bool", "mask_float", "scale"}),
        ("layer_norm", "layer_norm", {"eps"}),
        ("rms_norm", "rms_norm", {"eps"}),
        ("softmax", "softmax", set()),
    ],
)
def test_options_are_read_from_the_adapters_signature(functional: Any, name: str, phase: str, options: set[str]) -> None:
    target = load_target(f"torch.nn.functional:{name}", phase=phase, variant=check_variant(phase, {}))
    assert target.capabilities == {*options, "no_rows", "value_width", "layouts"}


def test_one_that_was_imported_elsewhere_is_the_same(functional: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("from torch.nn.functional import softmax as normal\n")
    target = load_target(f"{tmp_path}/mine.py:normal", phase="softmax", variant={})
    assert target.conventions[0] == "torch.nn.functional.softmax as softmax"
    assert memory_target(functional.softmax, phase="softmax", variant={}).conventions == target.conventions


def test_another_phase_or_variant_is_told_and_no_verdict(functional: Any) -> None:
    with pytest.raises(InputError, match=r"recognised as softmax, and the phase is 'attention'; give --phase softmax"):
        recognise("s", functional.softmax, "attention", {})
    advice = "does not compute activation=relu; give --variant activation=gelu or --variant activation=gelu_tanh"
    with pytest.raises(InputError, match=advice):
        recognise("s", functional.gelu, "activation", {"activation": "relu"})
    with pytest.raises(InputError, match="does not compute window=3; "):
        recognise("s", functional.scaled_dot_product_attention, "attention", {"window": 3})


def test_a_numpy_function_passes_untouched() -> None:
    def mine(x: Any) -> Any:
        return x

    found = recognise("mine", mine, "softmax", {})
    assert found.function is mine
    assert (found.library, found.conventions, found.without, found.packages) == ("numpy", (), frozenset(), ())
    assert recognise("number", 3, "softmax", {}).function == 3


def test_mask_and_causal_are_intersected(functional: Any) -> None:
    attention = adapted(functional.scaled_dot_product_attention, "attention", {})
    q = k = np.zeros((3, 2), dtype=np.float32)
    v = np.eye(3, dtype=np.float32)
    allow = np.array([[1, 1, 1], [0, 1, 1], [1, 0, 1]], dtype=bool)
    expected = [[1, 0, 0], [0, 1, 0], [0.5, 0, 0.5]]
    assert np.allclose(attention(q, k, v, causal=True, mask=allow), expected)
    assert np.allclose(attention(q, k, v, causal=True, mask=np.where(allow, 0, -np.inf).astype(np.float32)), expected)
    assert np.allclose(attention(q, k, v, mask=allow[1]), [[0, 0.5, 0.5]] * 3)


def test_rows_that_jax_has_its_own_convention_for_are_zeros() -> None:
    jax = pytest.importorskip("jax", reason="jax.nn.dot_product_attention is recognised")
    attention = adapted(jax.nn.dot_product_attention, "attention", {})
    q = k = v = np.ones((2, 3, 4), dtype=np.float32)
    allow = np.array([[0, 0, 0], [0, 1, 1], [1, 1, 1]], dtype=bool)
    for mask in (allow, np.where(allow, 0, -np.inf).astype(np.float32)):
        assert np.allclose(attention(q, k, v, mask=mask)[..., 0], [[0, 1, 1]] * 2)
        assert isinstance(attention(*map(jax.numpy.array, (q, k, v)), mask=jax.numpy.array(mask)), jax.Array)


def test_paths_resolve_in_the_order_of_their_names() -> None:
    """The first name of a row is the one that conventions show."""
    for row in FUNCTIONS:
        library = pytest.importorskip(row.library, reason="names are looked up in the library")
        first = reduce(getattr, row.paths[0].split(".")[1:], library)
        assert all(reduce(getattr, path.split(".")[1:], library) is not None for path in row.paths)
        assert known(first) == (row.paths[0], row)
