"""Calls of phases with attention inside, for what stands between the projections and the kernels in tiles.

What it does: masks that differ along every axis, more leading axes than a launch takes, as many positions as heads, whole and ragged tiles.
Weights are small, so that no score is far from the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np


def calls(cases: Any, phase: str, dtype: str, vjp: bool = False, seed: int = 0) -> Iterator[Any]:
    """All of them, each with a gradient of the result if that is asked for."""
    draw = cases.Draw(dtype, seed)
    floating = np.where(draw.choice(2, 4, 4), draw(2, 4, 4), -np.inf).astype(np.float16)
    floating[1, 2] = -np.inf  # a row that may attend to nothing
    for lead, n, d, heads, options in (
        ((), 5, 6, 2, {"causal": True}), ((2,), 4, 4, 2, {"mask": draw.choice(2, 4, 4)}), ((2,), 4, 4, 2, {"mask": floating}),
        ((2, 3), 4, 4, 2, {"mask": draw.choice(2, 1, 4, 4), "causal": True}), ((2, 2, 2), 3, 4, 2, {"mask": draw.choice(2, 1, 2, 3, 3)}),
        ((0, 2, 1), 3, 4, 2, {}), ((2,), 2, 6, 2, {"mask": draw.choice(1, 2)}), ((), 67, 4, 1, {"mask": draw.choice(67)}),
    ):
        yield cases.Call(_tensors(draw, phase, lead, n, d, vjp), {"n_heads": heads, **options})


def _tensors(draw: Any, phase: str, lead: tuple[int, ...], n: int, d: int, vjp: bool) -> dict[str, np.ndarray]:
    """The arrays of a phase by name."""
    shapes = {"x": (*lead, n, d), **dict.fromkeys(("w_q", "w_k", "w_v", "w_o"), (d, d))}
    if phase == "encoder_block":
        shapes |= {"w1": (d, 3), "b1": (3,), "w2": (3, d), "b2": (d,), **dict.fromkeys(("gain1", "bias1", "gain2", "bias2"), (d,))}
    made = {name: draw(*shape, scale=1.0 if name == "x" else 0.5) for name, shape in shapes.items()}
    return {**made, "grad_out": draw(*shapes["x"])} if vjp else made
