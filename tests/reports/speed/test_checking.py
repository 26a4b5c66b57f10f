"""A kernel is checked on the work it is timed on: the generated ones pass, one that is off by a little does not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from speed_cases import small

from kernelproof.numeric.kernel import Kernel, generate
from kernelproof.reports.speed.checking import BEYOND, UNBOUNDED, WITHIN, check, judge
from kernelproof.reports.speed.workloads import Workload, inputs_of

SIZES = {"n": 40, "tokens": 60, "rows": 50, "vocab": 12}
FORWARD = [
    *(small(kind) for kind in ("attention", "feed_forward", "layer_norm", "softmax", "rotary", "positional", "embedding")),
    small("attention", options={"causal": True}),
    small("multi_head_attention", options={"n_heads": 2}),
    small("encoder_block", options={"n_heads": 2}),
    small("encoder_block", options={"n_heads": 2, "causal": True}),
]
GRADIENTS = [small(kind) for kind in ("attention.vjp", "feed_forward.vjp", "layer_norm.vjp", "embedding.vjp")]
GRADIENTS.append(small("attention.vjp", options={"causal": True}))


def larger(workload: Workload) -> Workload:
    return replace(workload, sizes={name: SIZES.get(name, size) for name, size in workload.sizes.items()})


@cache
def kernel_of(phase: str, vjp: bool) -> Kernel:
    return generate(phase, vjp=vjp)


@dataclass(frozen=True)
class Off:
    """A kernel whose results are off by a factor in the last of their rows."""

    kernel: Any
    factor: float = 1.001

    @property
    def error_bound(self) -> Any:
        return self.kernel.error_bound

    @property
    def dtype(self) -> str:
        return str(self.kernel.dtype)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        found = self.kernel(*arguments, **options)
        return tuple(self._off(part) for part in found) if isinstance(found, tuple) else self._off(found)

    def _off(self, array: Any) -> Any:
        changed = np.array(array)
        changed[(..., *([slice(-1, None), slice(None)][-changed.ndim:]))] *= np.float32(self.factor)
        return changed


@pytest.mark.parametrize("workload", [larger(one) for one in (*FORWARD, *GRADIENTS)], ids=lambda workload: workload.name)
def test_a_generated_kernel_is_within_its_bound_and_one_that_is_off_is_not(workload: Workload) -> None:
    kernel, inputs = kernel_of(workload.phase, workload.vjp), inputs_of(workload)
    found = check(workload, kernel, inputs, kernel(*inputs.arguments, **inputs.options))
    assert found.verdict == WITHIN and found.worst is not None and 0 <= found.worst <= 1, found
    wrong: Any = Off(kernel)
    found = check(workload, wrong, inputs, wrong(*inputs.arguments, **inputs.options))
    assert found.verdict == BEYOND and found.worst is not None and found.worst > 1, found


def test_where_float32_has_no_finite_bound_the_kernel_is_held_to_that_of_float64() -> None:
    workload = Workload("encoder_block", {"n": 4, "d": 256, "h": 512}, options={"n_heads": 8})
    kernel, inputs = kernel_of("encoder_block", False), inputs_of(workload)
    result = kernel(*inputs.arguments, **inputs.options)
    assert not np.isfinite(kernel.error_bound(*inputs.arguments, **inputs.options)[1]).any()
    found = check(workload, kernel, inputs, result)
    assert found.verdict == WITHIN and found.worst is not None and "float64" in found.how
    assert check(workload, Off(kernel, 1 + 2.0**-20), inputs, result).verdict == BEYOND  # type: ignore[arg-type]


def test_tokens_that_a_kernel_leaves_out_among_many_are_seen() -> None:
    """Right for 48 tokens alone, wrong where there are more: what a smaller call could not see."""
    workload = replace(small("encoder_block", options={"n_heads": 2}), sizes={"n": 70, "d": 8, "h": 12})
    kernel, inputs = kernel_of("encoder_block", False), inputs_of(workload)

    def short(x: Any, params: Any, **options: Any) -> Any:
        found = kernel(x, params, **options)
        found[64:] = 0
        return found

    wrong: Any = type("Short", (), {"__call__": lambda _, *given, **options: short(*given, **options)})()
    wrong.error_bound, wrong.dtype = kernel.error_bound, "float32"
    assert check(workload, wrong, inputs, short(*inputs.arguments, **inputs.options)).verdict == BEYOND


def test_a_gradient_that_sums_over_too_few_rows_is_seen() -> None:
    """The middle rows of grad_out have a part in the weights' gradients."""
    workload = larger(small("feed_forward.vjp"))
    kernel, inputs = kernel_of("feed_forward", True), inputs_of(workload)

    def half(*arguments: Any) -> Any:
        kept = np.array(arguments[-1])
        kept[len(kept) // 2 :] = 0
        return kernel(*arguments)[0], *kernel(*arguments[:-1], kept)[1:]

    wrong: Any = type("Half", (), {"__call__": lambda _, *arguments: half(*arguments), "dtype": "float32"})()
    assert check(workload, wrong, inputs, half(*inputs.arguments)).verdict == BEYOND


def test_shapes_not_numbers_and_bounds_that_say_nothing() -> None:
    one, bound = np.ones((2, 2)), np.full((2, 2), 0.5)
    assert judge([(one.astype(np.float32), one, bound)], "how").verdict == WITHIN
    assert judge([(one[:1], one, bound)], "how").verdict == BEYOND
    assert judge([(one * np.nan, one, bound)], "how").verdict == BEYOND
    assert judge([(one * 2, one, bound)], "how").worst == 2.0
    assert judge([(one * 2, one, bound * np.inf)], "how").verdict == UNBOUNDED
    assert judge([(one, one, bound * 0)], "how").verdict == WITHIN
