"""The same seed draws the same, whatever modules happen to be loaded."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

from kernelproof.properties.draws import same_draws_everywhere


def drawn() -> list[int]:
    """What one seed draws."""
    found: list[int] = []

    @seeded(1)
    @settings(max_examples=200, database=None, phases=(Phase.generate,), deadline=None)
    @given(st.integers(-(10**6), 10**6))
    def draw(value: int) -> None:
        found.append(value)

    draw()
    return found


def load(path: Path, first: int) -> None:
    """A module of this repository's kind, full of constants."""
    path.write_text("\n".join(f"C{place} = {first + 7 * place}" for place in range(200)), encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)


def test_a_module_with_constants_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("constants_one", "constants_two"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with same_draws_everywhere():
        before = drawn()
    load(tmp_path / "constants_one.py", 300_001)
    with same_draws_everywhere():
        assert drawn() == before
    assert len(set(before)) > 100
    with same_draws_everywhere():
        assert drawn() == before
    del sys.modules["constants_one"]


def test_hypothesis_alone_would_be_changed(tmp_path: Path) -> None:
    """Why the guard is there; where this fails, Hypothesis no longer does so and the guard can go."""
    load(tmp_path / "constants_two.py", 500_003)
    found = drawn()
    del sys.modules["constants_two"]
    with same_draws_everywhere():
        assert drawn() != found
