"""Uniqueness of all positions as a property: its lengths, its verdicts, its program."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from kernelproof.properties.call import Call, TimeIsUp
from kernelproof.properties.exhaustive import LENGTHS, exhaustive_properties, length
from kernelproof.properties.model import Setting
from kernelproof.properties.profiles import PROFILES
from kernelproof.properties.registry import properties_of
from kernelproof.properties.runner import run_property
from kernelproof.properties.shapes import phase_shape
from kernelproof.properties.verdict import PropertyVerdict
from kernelproof.properties.verify import checked_variant

VARIANT = checked_variant("positional", {})
(PROPERTY,) = exhaustive_properties("positional", VARIANT)


def table(n_positions: int, d_model: int, *, start: int = 0, period: float = math.inf, dtype: Any = np.float32) -> Any:
    columns, places = np.arange(d_model), (start + np.arange(n_positions)) % period
    angle = places[:, None] * 10000.0 ** (-(columns // 2 * 2) / d_model)
    return np.where(columns % 2, np.cos(angle), np.sin(angle)).astype(dtype)


def judged(function: Any, **changes: Any) -> PropertyVerdict:
    setting = Setting("positional", VARIANT, "float32", frozenset({"start"}), PROFILES["quick"])
    call = Call(function, phase_shape("positional", VARIANT))
    setting = replace(setting, **changes)
    found, _ = run_property(PROPERTY, call, setting, seed=0, seconds=60.0, reproduce=lambda subject, case, finding: str(finding.script))
    return found


def test_it_is_one_of_the_properties_of_positions_alone() -> None:
    assert PROPERTY.id in [found.id for found in properties_of("positional", VARIANT)]
    assert exhaustive_properties("softmax", {}) == []


def test_the_length_follows_the_profile_and_its_time() -> None:
    lengths = {name: length(Setting("positional", VARIANT, profile=PROFILES[name])) for name in PROFILES}
    assert lengths == {"quick": (4096, 64), "standard": (100_000, 128), "thorough": (1_000_000, 512)}
    short = replace(PROFILES["thorough"], seconds=LENGTHS["standard"][2])
    assert length(Setting("positional", VARIANT, profile=short)) == (100_000, 128)
    assert length(Setting("positional", VARIANT, profile=replace(short, seconds=1.0))) == (4096, 64)


def test_a_right_table_passes_in_one_example() -> None:
    found = judged(table)
    assert (found.verdict, found.examples) == ("pass", 1)
    assert found.worst is not None and 0 < found.worst < 1


@pytest.mark.parametrize("start", [True, False])
def test_the_first_collision_is_named_and_its_program_asks_for_two_rows(start: bool) -> None:
    def periodic(n_positions: int, d_model: int, **options: int) -> Any:
        return table(n_positions, d_model, period=1000, **options)

    found = judged(periodic, capabilities=frozenset({"start"} if start else ()))
    assert found.verdict == "fail"
    assert "positions 0 and 1000" in found.message
    assert found.counterexample is not None
    names: dict[str, Any] = {"np": np, "target": periodic, **found.counterexample.finding.inputs.options}  # type: ignore[union-attr]
    exec(found.counterexample.reproducer, names)
    assert names["observed"].shape == (2, 64)
    assert not eval(str(found.counterexample.finding.assertion), names)
    names["target"] = table
    exec(found.counterexample.reproducer, names)
    assert eval(str(found.counterexample.finding.assertion), names)


def test_what_rounding_makes_equal_is_inconclusive_and_said() -> None:
    found = judged(lambda n, d, start=0: table(n, d, start=start, dtype=np.float16), dtype="float16")
    coarse = judged(lambda n, d, start=0: (table(n, d, start=start) * 0).astype(np.float32))
    assert found.verdict in ("pass", "inconclusive")
    assert coarse.verdict == "fail"
    assert "positions 0 and 1 " in coarse.message


def test_another_shape_is_another_propertys_finding_and_time_ends_it() -> None:
    assert judged(lambda n, d, start=0: np.zeros((n, d + 1), np.float32)).verdict == "inconclusive"
    call = Call(table, phase_shape("positional", VARIANT))
    setting = Setting("positional", VARIANT, "float32", frozenset({"start"}), PROFILES["quick"], ends=0.0)
    with pytest.raises(TimeIsUp):
        PROPERTY.check(call, PROPERTY.draw(lambda strategy: strategy.value, setting), setting)  # type: ignore[arg-type, attr-defined]
