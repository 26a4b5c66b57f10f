"""Arrays across the border: NumPy to the target's library and back.

Guarantees: bit for bit, bfloat16 (ml_dtypes) included. To PyTorch in the same memory, so that a target that writes into its inputs is
seen; only reversed views, which tensors cannot express, are copied. To JAX by a copy, as its arrays are immutable and may alias NumPy's.
Where an argument is a tensor already, the result stays one. Cannot see: sparse, quantised and complex tensors.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernelproof.properties.values import Array
from kernelproof.symbolic.errors import InputError


@dataclass(frozen=True)
class Crossing:
    """``tensor`` is the type of the library's arrays, or a tuple of types; ``during`` is entered for a call on these arrays."""

    tensor: Any
    to_library: Callable[[Array], Any]
    to_numpy: Callable[[Any], Array]
    during: Callable[[list[Any]], AbstractContextManager[Any]] = lambda arrays: nullcontext()


def crossed(function: Callable[..., Any], library: str) -> Callable[..., Any]:
    """``function``, which takes and gives arrays of ``library`` (``torch``, ``jax``), on NumPy arrays as well.

    Arrays are found in positional and keyword arguments and in mappings, tuples and lists among them.

    >>> kernelproof.verify(crossed(my_torch_softmax, "torch"), phase="softmax")  # doctest: +SKIP
    """
    if library not in CROSSINGS:
        raise InputError(f"crossing to the array library {library!r}: it is not known; choose one of {', '.join(CROSSINGS)}")
    try:
        border = CROSSINGS[library]()
    except ImportError as error:
        raise InputError(
            f"crossing to the array library {library!r}: {error}; install it with 'pip install kernelproof[{library}]'"
        ) from None

    return bridged(function, border)


def bridged(function: Callable[..., Any], border: Crossing) -> Callable[..., Any]:
    """``function`` with its arrays carried over the border and back."""

    def call(*arguments: Any, **options: Any) -> Any:
        given = list(_leaves([arguments, options]))
        with border.during(given):
            moved = functools.partial(_mapped, lambda leaf: border.to_library(leaf) if isinstance(leaf, np.ndarray) else leaf)
            result = function(*moved(arguments), **moved(options))
            if any(isinstance(leaf, border.tensor) for leaf in given):
                return result
            return _mapped(lambda leaf: border.to_numpy(leaf) if isinstance(leaf, border.tensor) else leaf, result)

    # not the attributes: those of a torch module are its weights
    return functools.update_wrapper(call, function, updated=())


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from (leaf for part in value.values() for leaf in _leaves(part))
    elif isinstance(value, (tuple, list)):
        yield from (leaf for part in value for leaf in _leaves(part))
    else:
        yield value


def _mapped(change: Callable[[Any], Any], value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _mapped(change, part) for key, part in value.items()}
    if type(value) in (tuple, list):
        return type(value)(_mapped(change, part) for part in value)
    return change(value)


def _torch() -> Crossing:
    torch = importlib.import_module("torch")

    def to_library(array: Array) -> Any:
        if any(stride < 0 for stride in array.strides):
            array = array.copy()
        if array.dtype.name == "bfloat16":
            return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
        return torch.from_numpy(array)

    def to_numpy(tensor: Any) -> Array:
        here = tensor.detach().cpu()
        if here.dtype is not torch.bfloat16:
            return np.asarray(here.numpy())
        bits: Array = here.view(torch.int16).numpy()
        return bits.view(importlib.import_module("ml_dtypes").bfloat16)

    return Crossing(torch.Tensor, to_library, to_numpy)


def _jax() -> Crossing:
    jax = importlib.import_module("jax")
    # its place before 0.8
    wide = (jax if hasattr(jax, "enable_x64") else importlib.import_module("jax.experimental")).enable_x64

    def during(arrays: list[Any]) -> AbstractContextManager[Any]:
        """64-bit types are on for float64 inputs alone: they change what a kernel's own constants are."""
        context: AbstractContextManager[Any] = nullcontext()
        if any(getattr(array, "dtype", None) == np.float64 for array in arrays):
            context = wide(True)
        return context

    # a copy of NumPy's: jax.numpy.array would compile one for every shape, and device_put alone may share memory
    return Crossing(jax.Array, lambda array: jax.device_put(array.copy()), np.asarray, during)


#: by library, imported when first asked for
CROSSINGS: dict[str, Callable[[], Crossing]] = {"torch": _torch, "jax": _jax}
