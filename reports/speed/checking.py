"""Is the kernel that is timed right? Its result on the very work, held to the derived bound.

What it does: some rows of the work's result (the first, the middle, the last) are compared with the reference and the bound of the same
rows alone, for every row of these phases depends on one row of one argument. A gradient kernel is called on the whole work with a gradient
that is zero outside those rows: what it gives for the weights is then their gradient too, exactly, since zeros add nothing. Where no row
stands alone, some tokens are called alone, and among all of the work with the others hidden (``attention.padding``). The worst case grows
in every product by the sizes of its weights; in a block of 512 channels it could take away the whole spread that the last norm divides by,
so no bound in float32 is finite. Then the same kernel is given the same numbers in float64, in which it computes. Guarantees: a result
beyond its bound, or not of the shape, is never called right. Cannot see: the other rows; in float64, what only float32 gets wrong.
``kernelproof verify`` searches wider.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelproof.numeric.error_bounds import ErrorBound
from kernelproof.numeric.gradient_reference import GRAD_OUT, gradient_reference
from kernelproof.numeric.kernel import Kernel
from kernelproof.reports.speed.workloads import Inputs, Workload

Array = NDArray[Any]
#: the argument whose rows (axis −2) are the rows of the result
ROWS: Mapping[str, str] = {
    "attention": "q", "feed_forward": "x", "layer_norm": "x", "rms_norm": "x", "softmax": "x", "activation": "x", "rotary": "x",
}
SMALL = 48  # tokens that are called alone
WITHIN, BEYOND, UNBOUNDED = "within", "beyond", "no bound"


@dataclass(frozen=True)
class Check:
    """Whether the kernel was within its bound, on what, and how close it came."""

    verdict: str
    worst: float | None
    how: str


def check(workload: Workload, kernel: Kernel, inputs: Inputs, result: Any) -> Check:
    """Hold the kernel to its bound; ``result`` is what it gave on the whole work."""
    if workload.kind == "embedding.vjp":
        return _one_word(workload, kernel, inputs, result)
    if workload.phase == "embedding":
        return _chosen_words(kernel, inputs, result)
    if workload.phase == "positional":
        return _table(kernel, inputs, result)
    if workload.phase not in ROWS:
        return _some_tokens(workload, kernel, inputs)
    rows = _some_rows(inputs.named[ROWS[workload.phase]].shape[-2], together=workload.phase == "rotary")
    return _gradient_rows(workload, kernel, inputs, rows) if workload.vjp else _forward_rows(workload, kernel, inputs, result, rows)


def judge(pairs: list[tuple[Any, Any, Any]], how: str) -> Check:
    """The worst error over bound of (result, reference, bound) triples."""
    worst, bounded = 0.0, False
    for result, expected, bound in pairs:
        given = np.asarray(result)
        if given.shape != np.shape(expected):
            return Check(BEYOND, math.inf, f"{how}: shape {given.shape} instead of {np.shape(expected)}")
        known = np.isfinite(bound)
        bounded = bounded or bool(known.any())
        with np.errstate(all="ignore"):
            error = np.abs(given.astype(np.asarray(expected).dtype) - expected)
            over = np.where(error == 0, 0.0, error / bound)
        over = np.where(np.isnan(over), np.inf, over)
        worst = max(worst, float(over[known].max(initial=0)))
    if not bounded:
        return Check(UNBOUNDED, None, how)
    return Check(WITHIN if worst <= 1 else BEYOND, worst, how)


def _some_rows(length: int, together: bool = False) -> Array:
    """Row numbers: the first two, two in the middle, the last two; the last four where they must be neighbours."""
    if together:
        return np.arange(max(0, length - 4), length)
    return np.unique(np.clip([0, 1, length // 2 - 1, length // 2, length - 2, length - 1], 0, length - 1))


def _sliced(workload: Workload, inputs: Inputs, rows: Array) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arguments and options of the call for those rows alone."""
    name = ROWS[workload.phase]
    options = dict(inputs.options)
    own = {**inputs.named, name: inputs.named[name][..., rows, :]}
    if options.pop("causal", False):
        options["mask"] = np.arange(inputs.named["k"].shape[-2]) <= rows[:, None]
    if workload.phase == "rotary":
        options["start"] = int(rows[0])
    return own, options


def _forward_rows(workload: Workload, kernel: Kernel, inputs: Inputs, result: Any, rows: Array) -> Check:
    own, options = _sliced(workload, inputs, rows)
    expected, bound = kernel.error_bound(*own.values(), **options)
    how = f"rows {_listed(rows)} of the result on this work, against their bound"
    return judge([(np.asarray(result)[..., rows, :], expected, bound)], how)


def _gradient_rows(workload: Workload, kernel: Kernel, inputs: Inputs, rows: Array) -> Check:
    grad_out = np.zeros_like(inputs.named[GRAD_OUT])
    grad_out[..., rows, :] = inputs.named[GRAD_OUT][..., rows, :]
    results = kernel(*{**inputs.named, GRAD_OUT: grad_out}.values(), **inputs.options)
    own, options = _sliced(workload, inputs, rows)
    own[GRAD_OUT] = grad_out[..., rows, :]
    expected = gradient_reference(workload.phase, workload.variant, own, options, kernel.dtype)
    pairs = []
    for name, result in zip(expected, results, strict=True):
        array = np.asarray(result)
        if name == ROWS[workload.phase]:
            array = array[..., rows, :]
        pairs.append((array, expected[name].value, expected[name].error))
    return judge(pairs, f"all gradients on this work for a gradient in rows {_listed(rows)}, against their bounds")


def _table(kernel: Kernel, inputs: Inputs, result: Any) -> Check:
    n, d = inputs.arguments[:2]
    rows = _some_rows(n, together=True)
    expected, bound = kernel.error_bound(len(rows), d, start=int(rows[0]))
    return judge([(np.asarray(result)[rows], expected, bound)], f"rows {_listed(rows)} of the table, against their bound")


def _chosen_words(kernel: Kernel, inputs: Inputs, result: Any) -> Check:
    places = _some_rows(len(inputs.named["ids"]))
    ids, table = inputs.named["ids"][places], inputs.named["table"]
    expected, bound = kernel.error_bound(np.arange(len(ids)), table[ids])
    how = f"places {_listed(places)} of the result on this work, against their bound"
    return judge([(np.asarray(result)[places], expected, bound)], how)


def _one_word(workload: Workload, kernel: Kernel, inputs: Inputs, result: Any) -> Check:
    """The rows of the gradient for a few words, from the places where those stand."""
    ids, table = inputs.named["ids"], inputs.named["table"]
    words = _some_rows(len(table))
    places = np.flatnonzero(np.isin(ids, words))
    own = {"ids": np.searchsorted(words, ids[places]), "table": table[words], GRAD_OUT: inputs.named[GRAD_OUT][places]}
    expected = gradient_reference(workload.phase, workload.variant, own, {}, kernel.dtype)["table"]
    how = f"the gradient of words {_listed(words)} on this work, against their bound"
    return judge([(np.asarray(result[0])[words], expected.value, expected.error)], how)


def _some_tokens(workload: Workload, kernel: Kernel, inputs: Inputs) -> Check:
    """Some tokens alone, and where they see nothing else among all tokens of the work; in float64 where float32 has no finite bound."""
    length = inputs.named["x"].shape[-2]
    rows = np.unique(np.linspace(0, length - 1, min(SMALL, length)).astype(int))
    how = f"{len(rows)} tokens of this work alone, and among the others with those hidden, against their bound"
    found = _tokens_in(kernel, kernel.error_bound, inputs.named, inputs.options, rows, how)
    if found.verdict != UNBOUNDED:
        return found
    wider = {name: _in_float64(value) for name, value in inputs.named.items()}
    how += f", in float64, for that of {kernel.dtype} is not finite"
    return _tokens_in(kernel, ErrorBound(workload.phase, workload.variant, "float64"), wider, inputs.options, rows, how)


def _tokens_in(
    kernel: Kernel, error_bound: Callable[..., Any], named: Mapping[str, Any], options: Mapping[str, Any], rows: Array, how: str
) -> Check:
    seen = np.isin(np.arange(named["x"].shape[-2]), rows)
    alone = {**named, "x": named["x"][..., rows, :]}
    expected, bound = error_bound(*alone.values(), **options)
    among = np.asarray(kernel(*named.values(), mask=seen, **options))
    return judge([(kernel(*alone.values(), **options), expected, bound), (among[..., rows, :], expected, bound)], how)


def _in_float64(value: Any) -> Any:
    return {name: _in_float64(part) for name, part in value.items()} if isinstance(value, Mapping) else value.astype(np.float64)


def _listed(rows: Array) -> str:
    return ", ".join(str(row) for row in rows)
