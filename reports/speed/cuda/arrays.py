"""Inputs of a row on a GPU: random normal numbers that the format of the row holds, stored for the device, and as they are for the check.

Guarantees: what the device is handed and what the check computes with are the same numbers, exactly. Rows of the same size and format share
numbers, which are drawn once. Cannot see: other distributions; sparse or large values are for ``verify``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelproof.reports.speed.cuda.workloads import shapes
from kernelproof.reports.speed.workloads import SEED, Inputs, Workload

Array = NDArray[Any]


def stored(values: Array, dtype: str) -> Array:
    """float32 numbers as the format stores them, rounded to nearest; bfloat16 as its 16 bits."""
    if dtype != "bfloat16":
        return values.astype(dtype, copy=False)
    bits = values.view(np.uint32)
    return ((bits + (np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1)))) >> np.uint32(16)).astype(np.uint16)


def values_of(array: Array, dtype: str) -> Array:
    """What such an array holds, exactly, as float32."""
    if dtype != "bfloat16":
        return array.astype(np.float32, copy=False)
    return (array.astype(np.uint32) << np.uint32(16)).view(np.float32)


@dataclass(frozen=True)
class Given:
    """The arguments of a row: on the device, and on the host as float32 numbers."""

    device: Inputs
    host: Inputs


@dataclass
class Drawn:
    """Makes the inputs of rows; ``upload`` brings an array of NumPy to the device. Numbers of one format are kept at a time."""

    upload: Callable[[Array], Any]
    seed: int = SEED
    _dtype: str = ""
    _kept: dict[tuple[str, int], tuple[Array, Any]] = field(default_factory=dict)

    def inputs(self, workload: Workload) -> Given:
        """The arguments of the row's call."""
        wanted = shapes(workload)
        if not wanted:
            named: Mapping[str, Any] = {"n_positions": workload.sizes["n"], "d_model": workload.sizes["d"]}
            return Given(Inputs(named, workload.options), Inputs(named, workload.options))
        sizes = {(name, prod(shape)) for name, shape in wanted.items()}
        if workload.dtype != self._dtype or not sizes & self._kept.keys():
            self._kept.clear()  # what a row of another kind had would only fill memory
        self._dtype = workload.dtype
        found = {name: self._drawn(name, prod(shape)) for name, shape in wanted.items()}
        host, device = ({name: found[name][at].reshape(shape) for name, shape in wanted.items()} for at in (0, 1))
        return Given(Inputs(device, workload.options), Inputs(host, workload.options))

    def _drawn(self, name: str, size: int) -> tuple[Array, Any]:
        if (name, size) not in self._kept:
            # the name is a part of the seed, so that q is not k, whatever was drawn before
            rng = np.random.default_rng([self.seed, *name.encode()])
            array = stored(rng.standard_normal(size, dtype=np.float32), self._dtype)
            self._kept[name, size] = values_of(array, self._dtype), self.upload(array)
        return self._kept[name, size]
