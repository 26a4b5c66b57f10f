"""The textbook functions compute what the theorems are about: each within the derived bound of a float32 kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from speed_cases import small

from kernelproof.numeric.gradient_reference import gradient_reference
from kernelproof.numeric.reference import reference
from kernelproof.reports.speed.with_numpy import BUILDERS
from kernelproof.reports.speed.workloads import Inputs, Workload, inputs_of

CASES = [
    *(small(kind) for kind in BUILDERS if kind not in ("multi_head_attention", "encoder_block", "activation")),
    *(small(kind, options={"causal": True}) for kind in ("attention", "attention.vjp")),
    *(small(kind, variant={"activation": "gelu"}) for kind in ("feed_forward", "activation")),
    small("activation"),
    *(
        small(kind, options={"n_heads": 2, "causal": causal})
        for kind in ("multi_head_attention", "encoder_block")
        for causal in (False, True)
    ),
]


def bounded(workload: Workload, inputs: Inputs) -> list[tuple[Any, Any]]:
    """References and bounds of all results."""
    tensors: dict[str, Any] = {}
    for name, value in inputs.named.items():
        tensors |= value if isinstance(value, dict) else {name: value}
    arrays = {name: np.asarray(value) for name, value in tensors.items()}
    given = (workload.phase, workload.variant, arrays, dict(inputs.options), workload.dtype)
    if workload.vjp:
        return [(one.value, one.error) for one in gradient_reference(*given).values()]
    found = reference(*given)
    return [(found.value, found.error)]


@pytest.mark.parametrize("workload", CASES, ids=lambda workload: workload.name)
def test_it_is_within_the_bound(workload: Workload) -> None:
    inputs = inputs_of(workload)
    call: Callable[[], Any] = BUILDERS[workload.kind](workload, inputs).call
    results = call() if workload.vjp else (call(),)
    expected = bounded(workload, inputs)
    assert len(results) == len(expected)
    for result, (value, bound) in zip(results, expected, strict=True):
        assert result.dtype == np.float32 and result.shape == value.shape
        # a table of float32 angles is known to be worse than the bound of one with wide angles at large positions; here it is not
        assert np.isfinite(bound).all() and (np.abs(result - value) <= bound).all()
