"""What a kernel remembers of an earlier call is seen; what only copies does so over the whole range of the format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from kernelproof.properties.campaign_trials import numpy_target
from kernelproof.properties.model import Setting
from kernelproof.properties.mutants import parts
from kernelproof.properties.profiles import PROFILES
from kernelproof.properties.shapes import PHASES
from kernelproof.properties.shared_examples import Judgement, SharedExamples, short


@pytest.fixture(autouse=True)
def toy_tolerance() -> Iterator[None]:
    """The derived bounds instead of the toy ones of this folder."""
    with threadpool_limits(1):
        yield


def judged(function: Callable[..., Any], phase: str, name: str, **variant: object) -> Judgement:
    target = numpy_target(function, phase, variant)
    shared = SharedExamples(Setting(phase, target.variant, "float32", target.capabilities, PROFILES["quick"]), 0)
    (subject,) = [one for one in shared.properties if short(one) == name]
    (found,) = shared.judged(target.call, [subject])
    return found


def test_rows_kept_by_their_ids_are_seen() -> None:
    known: dict[Any, Any] = {}

    def kept(ids: Any, table: Any) -> Any:
        return known.setdefault((ids.tobytes(), ids.shape, ids.dtype, table.shape), table[ids]).copy()

    found = judged(kept, "embedding", "one_input_changed")
    assert found.verdict == "fail" and found.message.startswith("after a call with another table: ")
    assert judged(lambda ids, table: table[ids], "embedding", "one_input_changed").verdict == "pass"


def test_a_table_kept_without_the_start_is_seen() -> None:
    known: dict[Any, Any] = {}
    right = parts.positional()

    def kept(n_positions: int, d_model: int, *, base: float = 10000.0, start: int = 0) -> Any:
        return known.setdefault((n_positions, d_model), right(n_positions, d_model, base=base, start=start))

    found = judged(kept, "positional", "one_input_changed")
    assert found.verdict == "fail" and found.message.startswith("after a call with no options: ")
    assert judged(right, "positional", "one_input_changed").verdict == "pass"


def test_only_phases_with_something_beside_have_the_property() -> None:
    from kernelproof.properties.one_input_changed import changed_input_properties

    assert {phase for phase in PHASES if changed_input_properties(phase, {})} == set(PHASES) - {"softmax", "activation"}


def test_relu_by_absolute_values_overflows() -> None:
    found = judged(lambda x: (x + np.abs(x)) / 2, "activation", "whole_range", activation="relu")
    assert found.verdict == "fail" and "inf" in found.message
    assert judged(lambda x: np.maximum(x, 0), "activation", "whole_range", activation="relu").verdict == "pass"
    assert judged(lambda ids, table: np.take(table, ids, axis=0), "embedding", "whole_range").verdict == "pass"


def test_what_computes_has_no_such_range() -> None:
    from kernelproof.properties.whole_range import range_of_the_format

    assert not range_of_the_format("activation", {"activation": "gelu"}) and not range_of_the_format("softmax", {})
