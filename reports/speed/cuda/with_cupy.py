"""Textbook attention in whole arrays of CuPy, and the rate of a plain copy.

Guarantees: the textbook does what a person would write who is not thinking of speed, every array in the format of the inputs. Cannot see:
whether CuPy's products take tensor cores; float32 is what they are asked in. Works with the arrays of NumPy too, and is tested on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, sqrt
from typing import Any

import numpy as np

from kernelproof.reports.speed.cuda.workloads import last, traffic
from kernelproof.reports.speed.rivals import Builder, Rival
from kernelproof.reports.speed.workloads import Inputs, Workload

#: bytes of a copy, far beyond a cache
COPIED = 1 << 30


def library_of(array: Any) -> Any:
    """The module whose array this is."""
    if isinstance(array, np.ndarray):
        return np
    import cupy

    return cupy


def attention(q: Any, k: Any, v: Any, *, causal: bool = False) -> Any:
    """softmax(q kᵀ / √d) v, −∞ above the diagonal where causal."""
    module = library_of(q)
    scores = q @ k.swapaxes(-1, -2) / module.float32(sqrt(q.shape[-1]))
    if causal:
        scores = module.where(module.tri(*scores.shape[-2:], dtype=bool), scores, module.float32(-module.inf))
    exps = module.exp(scores - scores.max(axis=-1, keepdims=True))
    return exps / exps.sum(axis=-1, keepdims=True) @ v


def _values(found: Any) -> Any:
    shown = last(found)
    return shown.get() if hasattr(shown, "get") else shown


def apart(ours: Any, theirs: Any) -> float:
    """The largest difference over our largest entry, in all heads; infinite where the shapes differ, NaN where there is one."""
    if ours.shape != theirs.shape:
        return inf
    return float(abs(ours - theirs).max()) / (float(abs(ours).max()) or 1.0)


def _textbook(workload: Workload, inputs: Inputs) -> Rival:
    what = "softmax(q kᵀ / √d) v, whole arrays"
    return Rival(what, lambda: attention(*inputs.arguments, causal=workload.causal), _values, apart=apart)


def copy(workload: Workload, inputs: Inputs, size: int = COPIED) -> Rival:
    """A copy from one array to another, both sides counted; its time is scaled to the bytes of the row."""
    import cupy

    return copied(cupy, workload, size)


def copied(module: Any, workload: Workload, size: int) -> Rival:
    """The same by any library of arrays."""
    source, target = (module.zeros(size // 4, module.uint32) for _ in range(2))
    source += module.arange(len(source), dtype=module.uint32) * module.uint32(2654435761)  # different words, as in data
    what = f"a copy of {size >> 20} MiB at its rate, read and written bytes counted, for the bytes of the work"
    return Rival(what, lambda: module.copyto(target, source), scale=traffic(workload) / (2.0 * size))


BUILDERS: Mapping[str, Builder] = {"attention": _textbook}
COPY: Mapping[str, Builder] = dict.fromkeys(("layer_norm", "positional"), copy)
