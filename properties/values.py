"""Arrays from a style, a magnitude and a seed. Needs NumPy alone: reproducers carry the source of these functions.

Guarantees: the same arguments give the same bits; floating values are finite in the type asked for; every tensor has
a stream of its own, so changing one tensor leaves the others alone.
Cannot see: what the numbers mean; ranges that suit a phase are the strategies' business.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

#: drawn at random, simplest first: a failing example shrinks towards the front
STYLES = (
    "integers",
    "constant",
    "one_hot",
    "normal",
    "uniform",
    "zeros",
    "negative",
    "repeated",
    "ramp",
    "spike",
    "offset",
    "small",
    "large",
    "heavy_tail",
    "subnormal",
)
#: never drawn: a property asks for them by name
EXACT_STYLES = ("ones", "zero", "identity", "same_slices", "positive", "binades")
ID_STYLES = ("ids", "ids_ends", "ids_repeated")


def generator(seed: int, name: str) -> np.random.Generator:
    """The stream of one tensor."""
    return np.random.Generator(np.random.PCG64([seed, zlib.crc32(name.encode())]))


def make_floats(style: str, magnitude: float, shape: tuple[int, ...], dtype: Any, seed: int, name: str) -> Array:
    """A floating array. ``magnitude`` is the scale of its entries; styles differ in where the large ones stand."""
    g = generator(seed, name)
    with np.errstate(all="ignore"):
        x = _floats(style, magnitude, shape, g, dtype)
        # bfloat16 reaches as far as float32, and NumPy's finfo does not know it
        limit = float(np.finfo(dtype).max) if np.dtype(dtype).kind == "f" else 3e38
        # 0.99: rounding to a narrower type must not reach infinity
        return np.asarray(np.clip(x, -0.99 * limit, 0.99 * limit)).astype(dtype)


def _floats(style: str, magnitude: float, shape: tuple[int, ...], g: np.random.Generator, dtype: Any) -> Array:
    normal = np.asarray(g.standard_normal(shape))
    if style in ("normal", "small", "large"):
        return normal * magnitude
    if style == "uniform":
        return np.asarray(g.random(shape)) * magnitude
    if style == "integers":
        return np.asarray(g.integers(-4, 5, shape)) * max(1.0, magnitude)
    if style == "constant":
        return np.full(shape, g.standard_normal() * magnitude)
    if style in ("ones", "zero"):
        return np.full(shape, float(style == "ones"))
    if style == "positive":
        return magnitude * 2.0 ** np.asarray(g.uniform(-2.0, 2.0, shape))
    if style == "binades":
        # every order of magnitude up to 128 equally often
        return np.copysign(magnitude * 2.0 ** np.asarray(g.uniform(-20.0, 7.0, shape)), normal)
    if style == "same_slices":
        # equal along the first axis, so that a view of stride 0 can hold it
        return np.broadcast_to(normal[:1], shape) * magnitude if shape else normal
    if style == "identity":
        return np.asarray(np.broadcast_to(np.eye(shape[-2], shape[-1]), shape))
    if style == "zeros":
        # both signs of zero
        return np.copysign(0.0, normal)
    if style == "negative":
        # far from zero as well: rows whose maximum is very negative
        return -np.abs(normal) * magnitude - magnitude * g.integers(0, 100)
    if style in ("one_hot", "spike"):
        base = normal * 0.1 if style == "spike" else np.zeros(shape)
        return _with_one_large(base, magnitude * (100.0 if style == "spike" else 1.0), g)
    if style == "ramp":
        # maxima that grow, or fall, along every row
        steps = np.linspace(-1.0, 1.0, shape[-1] if shape else 1) * g.choice([-10.0, 10.0])
        return np.reshape(normal + (steps if shape else 0.0), shape) * magnitude
    if style == "offset":
        # one large number common to all entries
        return normal + magnitude * 100.0 * float(g.choice([-1.0, 1.0]))
    if style == "repeated":
        # all rows of the last two axes equal
        return np.broadcast_to(normal[..., :1, :], shape) * magnitude if len(shape) >= 2 and shape[-2] else normal
    if style == "heavy_tail":
        return np.asarray(g.standard_cauchy(shape)) * magnitude
    if style == "subnormal":
        smallest = {"float16": 2.0**-24, "float64": 5e-324}.get(np.dtype(dtype).name, 2.0**-149)
        return np.asarray(g.integers(-50, 51, shape)) * smallest
    raise ValueError(f"style {style!r} is not known")


def _with_one_large(base: Array, large: float, g: np.random.Generator) -> Array:
    """One entry of every row becomes ``± large``."""
    if not base.ndim or not base.shape[-1]:
        return base
    rows = base.reshape(-1, base.shape[-1])
    where = g.integers(0, base.shape[-1], len(rows))
    rows[np.arange(len(rows)), where] = large * g.choice([-1.0, 1.0], len(rows))
    return rows.reshape(base.shape)


def make_ids(style: str, limit: int, shape: tuple[int, ...], dtype: Any, seed: int, name: str) -> Array:
    """Indices in ``[0, limit)``: anywhere, at both ends only, or few that repeat."""
    g = generator(seed, name)
    limit = min(limit, int(np.iinfo(dtype).max) + 1)
    if style == "ids_ends":
        ids = np.asarray(g.integers(0, 2, shape)) * (limit - 1)
    elif style == "ids_repeated":
        ids = np.asarray(g.choice(g.integers(0, limit, 2), shape))
    else:
        ids = np.asarray(g.integers(0, limit, shape))
    # not a scalar, where there are no axes
    return np.asarray(ids.astype(dtype))
