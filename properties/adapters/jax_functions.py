"""``jax.nn`` and ``jax.numpy`` in the contract's words. The arrays are JAX's here; ``crossing.py`` brings them.

Guarantees: one call of the function a kernel, under ``jax.jit``, as JAX compiles for every shape anew and one compilation costs less than
one for each operation; around it axes are moved, and what JAX has as a convention of its own is written down.
Cannot see: the same function without ``jit``, which may round otherwise; the strides of NumPy's views, as every array is copied to JAX;
backends other than XLA's on the default device.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from kernelproof.properties.adapters.known import Kernel, Known

Variant = Mapping[str, object]
JITTED = "called under jax.jit"
COPIED = frozenset({"layouts"})


def _compiled(kernel: Kernel, **options: Any) -> Kernel:
    made: Kernel = importlib.import_module("jax").jit(kernel, **options)
    return made


def _softmax(function: Kernel, variant: Variant) -> Kernel:
    return _compiled(lambda x: function(x, axis=-1))


def _gelu(function: Kernel, variant: Variant) -> Kernel:
    approximate = variant["activation"] == "gelu_tanh"
    return _compiled(lambda x: function(x, approximate=approximate))


def _elementwise(function: Kernel, variant: Variant) -> Kernel:
    return _compiled(lambda x: function(x))


def _embedding(function: Kernel, variant: Variant) -> Kernel:
    return _compiled(lambda ids, table: function(table, ids, axis=0))


def _layer_norm(function: Kernel, variant: Variant) -> Kernel:
    return _compiled(lambda x, gain, bias, *, eps=1e-5: function(x, axis=-1, epsilon=eps) * gain + bias)


def _attention(function: Kernel, variant: Variant) -> Kernel:
    put = importlib.import_module("jax").device_put
    compiled = _compiled(function, static_argnames=("scale", "is_causal"))

    def attention(q: Any, k: Any, v: Any, *, causal: bool = False, mask: Any = None, scale: float | None = None) -> Any:
        # axes are moved in NumPy: JAX would compile that for every shape
        q, k, v = (np.asarray(x) for x in (q, k, v))
        lead, n, m = q.shape[:-2], q.shape[-2], k.shape[-2]
        slices = math.prod(lead)
        # (…, n, d) to (batch, n, heads, d) with one head
        moved = [put(x.reshape((slices, x.shape[-2], 1, x.shape[-1]))) for x in (q, k, v)]
        allow: Any = np.tri(n, m, dtype=np.bool_) if causal else np.ones((n, m), dtype=np.bool_)
        chosen: dict[str, Any] = {}
        if mask is not None:
            boolean = mask.dtype == bool
            full = np.broadcast_to(np.asarray(mask), (*lead, n, m))
            chosen["mask" if boolean else "bias"] = put(full.reshape((slices, 1, n, m)))
            allow = allow & (full if boolean else ~np.isneginf(full))
        out = np.asarray(compiled(*moved, scale=scale, is_causal=causal, **chosen)).reshape((*lead, n, v.shape[-1]))
        return put(np.where(allow.any(axis=-1)[..., None], out, np.zeros((), out.dtype)))

    return attention


JAX = (
    Known(("jax.nn.softmax",), "softmax", _softmax, ("called with axis=-1", JITTED), without=COPIED),
    Known(
        ("jax.nn.dot_product_attention",),
        "attention",
        _attention,
        (
            "layout: (..., n, d) is given as (batch, n, 1, d), one head for each leading index",
            "masks: boolean True = may attend as mask=, floating ones are added as bias=",
            "causal: is_causal, first query with first key (top left); JAX intersects it with the mask",
            "a row that may attend to nothing is not judged (JAX gives the mean, or NaN for -inf): the adapter writes zeros there",
            "values as wide as keys: JAX refuses others",
            JITTED,
        ),
        without=COPIED | {"value_width"},
    ),
    Known(("jax.numpy.take",), "embedding", _embedding, ("called as take(table, ids, axis=0), JAX's own mode", JITTED), without=COPIED),
    Known(
        ("jax.nn.standardize",), "layer_norm", _layer_norm,
        ("over the last axis, epsilon=eps; the adapter multiplies by gain and adds bias, which JAX leaves to its caller", JITTED),
        without=COPIED,
    ),
    Known(
        ("jax.nn.gelu",), "activation", _gelu,
        ("activation=gelu is approximate=False (erf); gelu_tanh is approximate=True, JAX's own default", JITTED),
        choices={"activation": ("gelu", "gelu_tanh")}, without=COPIED,
    ),
    Known(("jax.nn.relu",), "activation", _elementwise, ("elementwise", JITTED), choices={"activation": ("relu",)}, without=COPIED),
    Known(
        ("jax.nn.silu", "jax.nn.swish"), "activation", _elementwise, ("elementwise", JITTED),
        choices={"activation": ("silu",)}, without=COPIED,
    ),
)
