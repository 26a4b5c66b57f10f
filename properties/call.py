"""Calling a target as the contract says: arguments by position, options by keyword, an array back.

Guarantees: the target gets writable arrays of its own, so nothing it does to them reaches the caller; the result is
NumPy's, in memory of its own; whatever the target raises comes out as :class:`TargetRaised`, never mixed up with a
fault of ours.
Cannot see: a target that kills or blocks the process (that is for :mod:`kernelproof.properties.isolation`); on another array library, a
result that shares memory.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from kernelproof.properties.model import Inputs
from kernelproof.properties.shapes import PhaseShape
from kernelproof.properties.values import Array

#: options of attention that bring earlier keys and values; the result is then (result, all keys, all values)
CACHE = ("past_k", "past_v")


class TargetRaised(Exception):
    """The target failed on a valid input: it raised, or returned something that is no array."""

    def __init__(self, text: str, inputs: Inputs) -> None:
        super().__init__(text)
        self.text = text
        self.inputs = inputs


class TargetDied(TargetRaised):
    """The target ended its process, blocked it, or used too much memory; ``cause`` says which, ``limit`` in seconds or bytes."""

    def __init__(self, text: str, inputs: Inputs, cause: Literal["end", "time", "memory"], limit: float = 0.0) -> None:
        super().__init__(text, inputs)
        self.cause = cause
        self.limit = limit


class TimeIsUp(BaseException):
    """The time of a search is over. Not an Exception, so that Hypothesis lets it through at once."""


def _unchanged(array: Array) -> Any:
    return array


def as_array(result: object) -> Array:
    """A numeric NumPy array from what a target returned, or a TypeError."""
    if isinstance(result, (np.ndarray, np.generic, int, float)) or hasattr(result, "__array__"):
        array = np.asarray(result)
    elif hasattr(result, "__dlpack__"):
        array = np.from_dlpack(result)
    else:
        raise TypeError("expected one array")
    # V: the extension types of ml_dtypes
    if array.dtype.kind not in "fiubV":
        raise TypeError(f"expected numbers, got dtype {array.dtype}")
    return array


def one_line(error: BaseException) -> str:
    """Type and text of an exception on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def _kind(value: object) -> str:
    name = type(value).__name__
    return f"{'an' if name[:1] in 'aeiouAEIOU' else 'a'} {name}"


@dataclass(frozen=True)
class Call:
    """The function under test in its phase's signature; ``to_target`` and ``to_numpy`` cross to its array library."""

    function: Callable[..., Any]
    shape: PhaseShape
    to_target: Callable[[Array], Any] = _unchanged
    to_numpy: Callable[[Any], Array] = as_array

    @property
    def lost(self) -> float:
        """Seconds spent on calls that ended their process; none are survived here (:mod:`kernelproof.properties.isolation`)."""
        return 0.0

    def limit(self, ends: float, seconds: float) -> None:
        """Let no call outlast the moment ``ends`` of ``time.perf_counter``, nor take more than these seconds; one in this process can."""

    def __call__(self, tensors: Mapping[str, Array], options: Mapping[str, object]) -> Array:
        """The result for fresh copies of the inputs."""
        given = Inputs(dict(tensors), dict(options))
        return np.array(self.raw(given.copy(), given), copy=True)

    def raw(self, handed: Inputs, shown: Inputs | None = None) -> Array:
        """The result for exactly these arrays, not copied; ``shown`` is what a failure reports as the input."""
        (result,) = self.parts(handed, shown)
        return result

    def gradients(self, tensors: Mapping[str, Array], options: Mapping[str, object]) -> dict[str, Array]:
        """The result of a gradient kernel for fresh copies of the inputs, by the names of the inputs that it differentiates."""
        given = Inputs(dict(tensors), dict(options))
        parts = self.parts(given.copy(), given)
        return {name: np.array(part, copy=True) for name, part in zip(self.shape.gradients, parts, strict=True)}

    def parts(self, handed: Inputs, shown: Inputs | None = None) -> tuple[Array, ...]:
        """As :meth:`raw`, of any kernel: the one result, or all gradients in the order of the shape."""
        own = arrays_of(handed)
        given = {name: self.to_target(array) for name, array in own.items()}
        tensors = {name: given[name] for name in handed.tensors}
        options = {name: given.get(name, value) for name, value in handed.options.items()}
        shape = self.shape
        if shape.packed:
            name, members = shape.packed
            tensors = {**tensors, name: {member: tensors[member] for member in members}}
        positional = [options.pop(name) if name in shape.positional else tensors[name] for name in shape.arguments]
        result = self._guarded(positional, options, shown or handed)
        if self.to_target is not _unchanged:
            # what the target did to its inputs in another memory shows in ours
            for name, array in own.items():
                array[...] = self.to_numpy(given[name])
        return tuple(self._array(part, shown or handed) for part in self._apart(result, shown or handed))

    def _array(self, part: Any, shown: Inputs) -> Array:
        try:
            return self.to_numpy(part)
        except Exception as error:
            raise TargetRaised(f"returned {_kind(part)}, which is no array: {one_line(error)}", shown) from error

    def _apart(self, result: Any, shown: Inputs) -> tuple[Any, ...]:
        """What a kernel returned, as one part for each gradient; one gradient alone need not stand in a tuple."""
        wanted = self.shape.gradients
        if not wanted:
            return (result,) if CACHE[0] not in shown.options else self._cached(result, shown)
        slots = gradient_slots(self.shape)
        if not isinstance(result, (tuple, list)):
            if len(slots) == 1 and result is not None:
                return (result,)
            raise TargetRaised(f"returned {_kind(result)}, expected a tuple of the gradients of {', '.join(slots)}", shown)
        if len(result) != len(slots):
            raise TargetRaised(f"returned {len(result)} gradients, expected {len(slots)}: of {', '.join(slots)}", shown)
        parts: list[Any] = []
        for slot, part in zip(slots, result, strict=True):
            members = self.shape.packed[1] if self.shape.packed and slot == self.shape.packed[0] else ()
            if not members:
                parts.append(part)
            elif not isinstance(part, Mapping) or not set(members) <= set(part):
                wanted_text = f"a mapping with {', '.join(members)}"
                raise TargetRaised(f"returned {_kind(part)} for the gradients of {slot}, expected {wanted_text}", shown)
            parts += [part[member] for member in members]
        return tuple(parts)

    @staticmethod
    def _cached(result: Any, shown: Inputs) -> tuple[Any, ...]:
        if not isinstance(result, (tuple, list)) or len(result) != 1 + len(CACHE):
            raise TargetRaised(f"returned {_kind(result)} for a call with {CACHE[0]}, expected (result, all keys, all values)", shown)
        return tuple(result)

    def _guarded(self, positional: list[Any], options: dict[str, Any], shown: Inputs) -> Any:
        try:
            # an overflow that a target warns about is judged by its result alone
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return self.function(*positional, **options)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            # SystemExit and the like too: a kernel has no business ending the process
            raise TargetRaised(f"raised {one_line(error)}", shown) from error


def gradient_slots(shape: PhaseShape) -> tuple[str, ...]:
    """The places of a gradient kernel's tuple: the differentiable arguments, a mapping among them being one."""
    inside = shape.packed[1] if shape.packed else ()
    return tuple(name for name in shape.arguments if name in shape.gradients or (shape.packed and name == shape.packed[0] and inside))


def gradient_text(shape: PhaseShape, call: str, name: str) -> str:
    """The gradient of an input out of a call's result, as Python source."""
    slots = gradient_slots(shape)
    if len(slots) == 1:
        return f"(lambda result: result[0] if isinstance(result, (tuple, list)) else result)({call})"
    if shape.packed and name in shape.packed[1]:
        return f"{call}[{slots.index(shape.packed[0])}][{name!r}]"
    return f"{call}[{slots.index(name)}]"


def call_text(shape: PhaseShape, inputs: Inputs, named: str = "{}") -> str:
    """The call as Python source, with the inputs as variables of their own names (or as ``named`` says, for arrays)."""
    arrays = arrays_of(inputs)

    def name_of(name: str) -> str:
        return named.format(name) if name in arrays else name

    words = []
    for name in shape.arguments:
        if shape.packed and name == shape.packed[0]:
            words.append("{" + ", ".join(f"{member!r}: {name_of(member)}" for member in shape.packed[1]) + "}")
        else:
            words.append(name_of(name))
    words += [f"{name}={name_of(name)}" for name in inputs.options if name not in shape.positional]
    return f"target({', '.join(words)})"


def arrays_of(inputs: Inputs) -> dict[str, Array]:
    """The tensors, and the options that are arrays."""
    masks = {name: value for name, value in inputs.options.items() if isinstance(value, np.ndarray)}
    return {**inputs.tensors, **masks}
