"""Formal parameters of a definition presented as a call in the contract's words.

What it does: the way back from ``numeric.formal``: arrays rounded to the dtype under test, an indicator and a bias as ``causal`` or
``mask``, scalars as options. What a statement left alone is passed as it was drawn; what it changed (a permuted mask, a scaled ε) is
passed explicitly. Guarantees: the rounding of every argument is bounded in ``errors``, so that it can be carried into the bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernelproof.numeric.interpret import Approx
from kernelproof.numeric.rounding import FORMATS
from kernelproof.properties.model import Case, Inputs, Setting, dtype_named
from kernelproof.properties.values import Array

#: formal scalars that are options of the contract
SCALARS = ("scale", "eps", "base", "start")


@dataclass(frozen=True)
class Shown:
    """A call: tensors, options, and bounds on how far each tensor is from what the statement says."""

    tensors: dict[str, Array]
    options: dict[str, Any]
    errors: dict[str, Array]


def present(
    case: Case,
    setting: Setting,
    arguments: Mapping[str, Approx],
    sizes: Mapping[str, int],
    inputs: Inputs,
    plain: Mapping[str, Any],
    nested: bool = False,
) -> Shown:
    """The call that a statement asks for. ``nested``: an argument may come from another call, whose error is the target's, not ours."""
    dtype = dtype_named(setting.dtype)
    options = dict(inputs.options)
    tensors: dict[str, Array] = {}
    errors: dict[str, Array] = {}
    for tensor in case.shape.tensors:
        argument = arguments[tensor.name]
        if tensor.below:
            tensors[tensor.name] = argument.value.astype(inputs.tensors[tensor.name].dtype)
            continue
        with np.errstate(over="ignore"):
            tensors[tensor.name] = argument.value.astype(dtype)
        errors[tensor.name] = _rounding(tensors[tensor.name], argument, setting.dtype, nested)
    tensors |= _with_equal_lead(case, tensors)
    for name in SCALARS:
        if name in arguments and float(arguments[name].value) != float(plain[name]):
            value = float(arguments[name].value)
            options[name] = int(value) if name == "start" and value.is_integer() else value
    if "allow" in arguments:
        options = _masked(options, arguments["allow"].value, arguments["bias"].value, plain, dtype)
    if "n_heads" in case.shape.required:
        options["n_heads"] = sizes["heads"]
    return Shown(tensors, options, errors)


def _with_equal_lead(case: Case, tensors: Mapping[str, Array]) -> dict[str, Array]:
    """The tensors with the leading axes of all: a statement may speak of one v for every batch entry, a call may not."""
    own = {tensor.name: len(tensor.axes) - 1 for tensor in case.shape.tensors if tensor.axes[:1] == ("...",)}
    lead = {name: tensors[name].shape[: tensors[name].ndim - count] for name, count in own.items()}
    whole = np.broadcast_shapes(*lead.values())
    return {
        name: np.broadcast_to(tensors[name], (*whole, *tensors[name].shape[len(lead[name]) :])).copy()
        for name in own
        if lead[name] != whole
    }


def _rounding(rounded: Array, argument: Approx, dtype: str, nested: bool) -> Array:
    """|rounded − meant|: the rounding to the dtype, and what the wide arithmetic, or the target in an inner call, lost on the way."""
    compute = FORMATS["float32" if dtype in ("float16", "bfloat16") else dtype]
    lost = argument.error if nested else 2 * argument.error * (float(np.finfo(argument.value.dtype).eps) / compute.unit)
    with np.errstate(invalid="ignore"):
        return np.where(
            np.isfinite(argument.error), np.abs(rounded.astype(argument.value.dtype) - argument.value) + lost, np.inf
        )


def _masked(
    options: dict[str, Any], allow: Array, bias: Array, plain: Mapping[str, Any], dtype: np.dtype[Any]
) -> dict[str, Any]:
    """The options for an indicator and a bias: as drawn where the statement left them alone, else one explicit mask."""
    if _same(allow, plain["allow"]) and _same(bias, plain["bias"]):
        return options
    rest = {name: value for name, value in options.items() if name not in ("causal", "mask")}
    if not bias.any():
        return rest if allow.all() else {**rest, "mask": allow != 0}
    return {**rest, "mask": np.where(allow != 0, bias, -np.inf).astype(dtype)}


def _same(one: Array, other: Any) -> bool:
    return one.shape == np.shape(other) and bool(np.array_equal(one, other))
