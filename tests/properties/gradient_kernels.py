"""Gradient kernels in a file, for the command line."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np


def softmax(x: Any, grad_out: Any) -> Any:
    if not x.shape[-1]:
        return (x.copy(),)
    e = np.exp(x - x.max(-1, keepdims=True))
    p = e / e.sum(-1, keepdims=True)
    return (p * (grad_out - (p * grad_out).sum(-1, keepdims=True)),)


def uncentred(x: Any, grad_out: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return (e / e.sum(-1, keepdims=True) * grad_out,)


def crashing(x: Any, grad_out: Any) -> Any:
    if x.shape[-1] > 5:
        ctypes.string_at(0)
    return softmax(x, grad_out)


def overwriting(x: Any, gain: Any, grad_out: Any, *, eps: float = 1e-5) -> Any:
    """The second gradient lies in a buffer of the module."""
    root = np.sqrt((x * x).mean(-1, keepdims=True) + x.dtype.type(eps))
    normal, row = x / root, grad_out * gain
    kept = BUFFERS.setdefault(gain.shape, np.empty(gain.shape, gain.dtype))
    kept[...] = (grad_out * normal).sum(tuple(range(x.ndim - 1)))
    return (row - normal * (row * normal).mean(-1, keepdims=True)) / root, kept


BUFFERS: dict[Any, Any] = {}
