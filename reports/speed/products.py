"""The floor: the same machine's bare matrix products of the same shapes, or where there are none, one pass over the arrays.

What it does: every product that the work cannot do without, in row tiles of 512 on as many threads as there are cores with one BLAS thread
each, into buffers that are made beforehand; nothing else: no exponentials, no sums, no masks. Causal work does the products of the tiles
below the diagonal. A kernel cannot be faster than this with the same BLAS, tile shape aside. For work without products it is one NumPy
pass: every element read once and written once. Guarantees: the tiles are shared among threads by the text that the kernels themselves use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelproof.numeric.schedules import threads
from kernelproof.reports.speed.rivals import Builder, Rival
from kernelproof.reports.speed.workloads import Inputs, Workload

TILE = 512
Array = NDArray[Any]
Each = Callable[[int, Callable[[int], None]], None]


def sharing() -> Each:
    """``each(count, work)`` of the generated kernels."""
    text = "\n".join((*threads.IMPORTS, "import numpy as np", threads.OPTIONAL_IMPORT, *threads.CONSTANTS, threads.HELPER))
    space: dict[str, Any] = {"__name__": "kernelproof_sharing"}
    exec(compile(text, "<kernelproof threads>", "exec"), space)
    made: Each = space["_each"]
    return made


def _ranges(length: int) -> list[slice]:
    return [slice(start, min(start + TILE, length)) for start in range(0, length, TILE)]


def _buffers(make: Callable[[], tuple[Array, ...]]) -> Callable[[], tuple[Array, ...]]:
    """Buffers of the thread that asks, made once."""
    import threading

    own = threading.local()

    def get() -> tuple[Array, ...]:
        if not hasattr(own, "arrays"):
            own.arrays = make()
        found: tuple[Array, ...] = own.arrays
        return found

    return get


def _attention(workload: Workload, inputs: Inputs) -> Rival:
    q, k, v = (inputs.named[name] for name in ("q", "k", "v"))
    heads, n, _ = q.shape
    out = np.empty((heads, n, v.shape[-1]), q.dtype)
    tiles = [(head, rows) for head in range(heads) for rows in _ranges(n)]
    each, buffers = sharing(), _buffers(lambda: (np.empty(TILE * k.shape[-2], q.dtype),))

    def work(number: int) -> None:
        head, rows = tiles[number]
        keys = slice(0, rows.stop if workload.causal else k.shape[-2])
        scores = buffers()[0][: (rows.stop - rows.start) * keys.stop].reshape(-1, keys.stop)
        np.matmul(q[head, rows], k[head, keys].T, out=scores)
        np.matmul(scores, v[head, keys], out=out[head, rows])

    return Rival(f"q kᵀ and the result times v, tiles of {TILE} rows{_half(workload)}", lambda: each(len(tiles), work))


def _attention_gradient(workload: Workload, inputs: Inputs) -> Rival:
    q, k, v, grad_out = (inputs.named[name] for name in ("q", "k", "v", "grad_out"))
    heads, n, d = q.shape
    grad_q = np.empty_like(q)
    tiles = [(head, rows) for head in range(heads) for rows in _ranges(n)]
    each = sharing()
    scores_size, m = TILE * k.shape[-2], k.shape[-2]
    buffers = _buffers(lambda: (*np.empty((2, scores_size), q.dtype), np.empty((m, d), q.dtype), np.empty((m, v.shape[-1]), q.dtype)))

    def work(number: int) -> None:
        head, rows = tiles[number]
        keys = slice(0, rows.stop if workload.causal else m)
        first, second, grad_k, grad_v = buffers()
        weights, grads = (flat[: (rows.stop - rows.start) * keys.stop].reshape(-1, keys.stop) for flat in (first, second))
        np.matmul(q[head, rows], k[head, keys].T, out=weights)
        np.matmul(grad_out[head, rows], v[head, keys].T, out=grads)
        np.matmul(weights.T, grad_out[head, rows], out=grad_v[keys])
        np.matmul(grads, k[head, keys], out=grad_q[head, rows])
        np.matmul(grads.T, q[head, rows], out=grad_k[keys])

    return Rival(f"the five products of the gradient, tiles of {TILE} rows{_half(workload)}", lambda: each(len(tiles), work))


def _half(workload: Workload) -> str:
    return ", keys up to the tile's last row" if workload.causal else ""


def _feed_forward(workload: Workload, inputs: Inputs) -> Rival:
    x, w1, w2 = (inputs.named[name] for name in ("x", "w1", "w2"))
    out = np.empty_like(x)
    tiles = _ranges(len(x))
    each, buffers = sharing(), _buffers(lambda: (np.empty((TILE, w1.shape[1]), x.dtype),))

    def work(number: int) -> None:
        rows = tiles[number]
        hidden = buffers()[0][: rows.stop - rows.start]
        np.matmul(x[rows], w1, out=hidden)
        np.matmul(hidden, w2, out=out[rows])

    return Rival(f"two products, tiles of {TILE} rows", lambda: each(len(tiles), work))


def _feed_forward_gradient(workload: Workload, inputs: Inputs) -> Rival:
    x, w1, w2, grad_out = (inputs.named[name] for name in ("x", "w1", "w2", "grad_out"))
    grad_x, tiles = np.empty_like(x), _ranges(len(x))
    hidden_shape = (TILE, w1.shape[1])
    each = sharing()
    buffers = _buffers(lambda: (*np.empty((2, *hidden_shape), x.dtype), np.empty_like(w1), np.empty_like(w2)))

    def work(number: int) -> None:
        rows = tiles[number]
        first, second, grad_w1, grad_w2 = buffers()
        hidden, grads = first[: rows.stop - rows.start], second[: rows.stop - rows.start]
        np.matmul(x[rows], w1, out=hidden)
        np.matmul(grad_out[rows], w2.T, out=grads)
        np.matmul(grads, w1.T, out=grad_x[rows])
        np.matmul(x[rows].T, grads, out=grad_w1)
        np.matmul(hidden.T, grad_out[rows], out=grad_w2)

    return Rival(f"the five products of the gradient, tiles of {TILE} rows", lambda: each(len(tiles), work))


def _one_pass(name: str) -> Builder:
    """Every element of an argument read once and written once, in blocks that fit a cache."""

    def build(workload: Workload, inputs: Inputs) -> Rival:
        array = inputs.named[name]
        given = array.reshape(-1, array.shape[-1])
        out = np.empty_like(given)
        return Rival(f"one NumPy pass over {name}: a multiplication", _passing(given, out))

    return build


def _passing(given: Array, out: Array) -> Callable[[], None]:
    rows = max(1, (1 << 18) // (given.shape[-1] * given.itemsize))
    blocks = [slice(start, start + rows) for start in range(0, len(given), rows)]
    each, factor = sharing(), given.dtype.type(0.5)

    def work(number: int) -> None:
        np.multiply(given[blocks[number]], factor, out=out[blocks[number]])

    return lambda: each(len(blocks), work)


def _table(workload: Workload, inputs: Inputs) -> Rival:
    n, d = inputs.arguments[:2]
    given, out = np.ones((256, d), np.float32), np.empty((n, d), np.float32)
    blocks = [slice(start, min(start + 256, n)) for start in range(0, n, 256)]
    each = sharing()

    def work(number: int) -> None:
        np.multiply(given[: blocks[number].stop - blocks[number].start], np.float32(0.5), out=out[blocks[number]])

    return Rival("one NumPy pass that writes a table of this size", lambda: each(len(blocks), work))


#: the kinds of work that have no products, by the argument that is read
_PASSED: Mapping[str, str] = {
    **dict.fromkeys(("softmax", "layer_norm", "rms_norm", "activation", "rotary"), "x"),
    **dict.fromkeys(("layer_norm.vjp", "embedding.vjp"), "grad_out"),
}
PASSES = frozenset({*_PASSED, "positional"})
BUILDERS: Mapping[str, Builder] = {
    "attention": _attention,
    "attention.vjp": _attention_gradient,
    "feed_forward": _feed_forward,
    "feed_forward.vjp": _feed_forward_gradient,
    "positional": _table,
    **{kind: _one_pass(name) for kind, name in _PASSED.items()},
}
