"""``bound``: what a phase gives for inputs of yours, and how far from it rounding alone can take a right kernel.

Guarantees: a call that the phase's signature does not have is an :class:`InputError` that names the input, what it is and what was
expected; nothing is converted in silence, since a kernel would not see what the bound was made for.
Cannot see: whether the kernel was given the same inputs.
"""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kernelproof.numeric.precision import read_precision
from kernelproof.numeric.reference import reference
from kernelproof.properties.call import as_array, one_line
from kernelproof.properties.model import DTYPES, dtype_named
from kernelproof.properties.shapes import PhaseShape, Tensor, phase_shape
from kernelproof.properties.values import Array
from kernelproof.symbolic.errors import InputError
from kernelproof.symbolic.registry import check_variant


def bound(
    phase: str, inputs: Mapping[str, Any], profile: str = "", *, dtype: str | None = None, vjp: bool = False, **variant: object
) -> tuple[Any, Any]:
    """(reference, bound): a right kernel of this dtype is within ``bound`` of ``reference``, entry by entry.

    ``inputs`` has the arguments of the contract by name, options among them. For a test of your own, in any framework:

    >>> reference, bound = kernelproof.bound("attention", {"q": q, "k": k, "v": v, "causal": True}, dtype="float32")  # doctest: +SKIP
    >>> assert (abs(mine - reference) <= bound).all()  # doctest: +SKIP

    Both have the shape of the result; they are float64, or long double for float64 kernels. ``dtype`` is the kernel's, by default that of
    the inputs (float32 for ``positional``, which has no array). ``profile`` says how the kernel's arithmetic differs from what is assumed
    of that dtype, as ``NAME=VALUE,…`` of :class:`kernelproof.numeric.precision.Precision`: ``"products=tfloat32"`` for TF32 products,
    ``"score=bfloat16"`` for scores kept in bfloat16, ``"exp=8"`` for an exponential within 8 ulp, ``"tile=64"`` for an online softmax that
    rescales after 64 keys or more. Assumed by default: round to nearest, sums in any order, 16-bit types as storage with sums in float32.

    With ``vjp``, of the gradient kernel: ``inputs`` has ``grad_out`` too, and both are tuples as a gradient kernel gives them.

    Where nothing can be said (overflow, NaN or infinity in an input) the bound is inf, and the reference there is no claim. Such an entry
    holds for every finite number, and fails for NaN: compare where ``np.isfinite(bound)`` if a kernel may give NaN there.

    Raises InputError for an unknown phase, variant or profile, a missing or unknown name, a wrong shape, dtype or option.
    """
    chosen = check_variant(phase, variant)
    shape = phase_shape(phase, chosen)
    if profile in DTYPES and dtype is None:
        # the plain arithmetic of a type
        profile, dtype = "", profile
    read_precision(profile, "float32")
    if vjp:
        from kernelproof.properties.gradient_bound import gradient_bound

        return gradient_bound(phase, inputs, profile, dtype, **variant)
    if dtype is not None and dtype not in DTYPES:
        raise InputError(f"bounding {phase}: dtype {dtype!r}; expected one of {', '.join(DTYPES)}")
    given = _by_name(shape, inputs)
    tensors = {tensor.name: _array(shape, tensor.name, given.pop(tensor.name)) for tensor in shape.tensors}
    _check_types(shape, tensors, dtype)
    sizes, lead = _check_shapes(shape, tensors)
    options = {name: _option(shape, name, value) for name, value in given.items() if value is not None or name not in MAY_BE_NONE}
    _check_sizes(shape, {**sizes, **{axis: options[name] for name, axis in shape.size_options}}, options)
    for tensor in shape.tensors:
        if tensor.below:
            _check_ids(shape, tensor, tensors[tensor.name], sizes[tensor.below])
    found_type = dtype or next((tensors[tensor.name].dtype.name for tensor in shape.tensors if not tensor.below), "float32")
    if "mask" in options:
        options["mask"] = _mask(shape, options["mask"], (*lead, *(sizes[axis] for axis in shape.score_axes)), found_type)
    found = reference(phase, chosen, tensors, options, found_type, precision=read_precision(profile, found_type))
    return found.value, found.error


def _refuse(shape: PhaseShape, problem: str, advice: str) -> InputError:
    return InputError(f"bounding {shape.phase}: {problem}; {advice}")


def _by_name(shape: PhaseShape, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs in one mapping, with those that the contract packs into one argument taken out of it."""
    wanted = (*shape.arguments, *shape.required)
    given = _complete(shape, "inputs", inputs, wanted, shape.options)
    if shape.packed:
        name, members = shape.packed
        given |= _complete(shape, name, given.pop(name), members, ())
    return given


def _complete(shape: PhaseShape, what: str, found: Any, wanted: tuple[str, ...], optional: tuple[str, ...]) -> dict[str, Any]:
    listed = ", ".join([*wanted, *(f"[{name}]" for name in optional)])
    if not isinstance(found, Mapping):
        raise _refuse(shape, f"{what} is of type {type(found).__name__}", f"expected a mapping with {listed}")
    if missing := [name for name in wanted if name not in found]:
        raise _refuse(shape, f"{what} lacks {', '.join(missing)}", f"expected {listed}")
    if unknown := [str(name) for name in found if name not in (*wanted, *optional)]:
        raise _refuse(shape, f"{what} has {', '.join(unknown)}, which {shape.signature} does not take", f"expected {listed}")
    return dict(found)


def _array(shape: PhaseShape, name: str, value: Any) -> Array:
    try:
        return as_array(np.asarray(value) if isinstance(value, (list, tuple)) else value)
    except Exception as error:
        raise _refuse(
            shape,
            f"{name} is of type {type(value).__name__}, which NumPy cannot read ({one_line(error)})",
            "give an array of numbers in the CPU's memory",
        ) from None


def _check_types(shape: PhaseShape, tensors: Mapping[str, Array], dtype: str | None) -> None:
    """Whole numbers where the contract has ids; elsewhere one floating type, the one asked for."""
    expected, source = dtype, "the dtype asked for"
    for tensor in shape.tensors:
        have = tensors[tensor.name].dtype
        if tensor.below:
            if have.kind not in "iu":
                raise _refuse(shape, f"{tensor.name} is {have.name}", "expected integers")
            continue
        if have.name not in DTYPES:
            raise _refuse(shape, f"{tensor.name} is {have.name}", f"expected one of {', '.join(DTYPES)}: convert it, for the kernel too")
        if expected is None:
            expected, source = have.name, f"as {tensor.name} is"
        if have.name != expected:
            raise _refuse(
                shape, f"{tensor.name} is {have.name}", f"expected {expected}, {source}: convert it, and give the kernel what you converted"
            )
    if expected is not None:
        dtype_named(expected)


def _check_shapes(shape: PhaseShape, tensors: Mapping[str, Array]) -> tuple[dict[str, int], tuple[int, ...]]:
    """The sizes by name, and what the leading axes broadcast to."""
    sizes: dict[str, int] = {}
    first: dict[str, str] = {}
    leads: dict[str, tuple[int, ...]] = {}
    for tensor in shape.tensors:
        have, axes = tensors[tensor.name].shape, tuple(axis for axis in tensor.axes if axis != "...")
        expected = f"expected {tensor.name} ({', '.join(tensor.axes)})"
        batched = len(axes) < len(tensor.axes)
        if len(have) < len(axes) or (len(have) > len(axes) and not batched):
            raise _refuse(shape, f"{tensor.name} has shape {have}", expected)
        for axis, length in zip(axes, have[len(have) - len(axes) :], strict=True):
            if sizes.setdefault(axis, length) != length:
                other = "" if first[axis] == tensor.name else f" and {first[axis]} has {tensors[first[axis]].shape}"
                clash = f"{axis} would be {sizes[axis]} and {length}"
                raise _refuse(shape, f"{tensor.name} has shape {have}{other}: {clash}", f"{expected} with one {axis}")
            first.setdefault(axis, tensor.name)
        if batched:
            leads[tensor.name] = have[: len(have) - len(axes)]
    try:
        return sizes, np.broadcast_shapes(*leads.values())
    except ValueError:
        told = ", ".join(f"{name} {tensors[name].shape}" for name in leads)
        raise _refuse(shape, told, "expected leading axes that broadcast to one shape") from None


def _check_sizes(shape: PhaseShape, sizes: Mapping[str, int], options: Mapping[str, Any]) -> None:
    """Widths that are products: heads times their width, pairs of channels."""
    for size, parts in shape.derived:
        factor = math.prod(part if isinstance(part, int) else sizes.get(part, 1) for part in parts)
        if factor < 1 or sizes[size] % factor:
            told = "".join(f" and {name} {options[name]}" for name in shape.required)
            advice = "expected a number of heads that divides the width" if told else "expected an even width, channels go in pairs"
            raise _refuse(shape, f"width {sizes[size]}{told}", advice)


def _check_ids(shape: PhaseShape, tensor: Tensor, ids: Array, below: int) -> None:
    if ids.size and (int(ids.min()) < 0 or int(ids.max()) >= below):
        reach = f"{tensor.name} from {int(ids.min())} to {int(ids.max())}"
        raise _refuse(shape, reach, f"expected 0 <= id < {below}, the rows of the table")


def _mask(shape: PhaseShape, value: Any, scores: tuple[int, ...], dtype: str) -> Array:
    mask = _array(shape, "mask", value)
    if mask.dtype.kind != "b" and mask.dtype.name != dtype:
        raise _refuse(shape, f"mask is {mask.dtype.name}", f"expected bool (True = may attend) or {dtype} (added to the scores)")
    try:
        fits = np.broadcast_shapes(mask.shape, scores) == scores
    except ValueError:
        fits = False
    if not fits:
        raise _refuse(shape, f"mask has shape {mask.shape}", f"expected one that broadcasts to the scores' shape {scores}")
    return mask


def _is_number(value: Any) -> bool:
    return not isinstance(value, (bool, np.bool_)) and isinstance(value, numbers.Real) and math.isfinite(value)


def _is_count(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, numbers.Integral) and operator.index(value) >= 0


#: option -> (what it must be, in words; whether a value is that)
_OPTIONS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "n_positions": ("a whole number from 0 up", _is_count),
    "d_model": ("a whole number from 0 up", _is_count),
    "n_heads": ("a whole number from 1 up", lambda value: _is_count(value) and value >= 1),
    "causal": ("True or False", lambda value: isinstance(value, (bool, np.bool_))),
    "mask": ("an array", lambda value: True),
    "scale": ("a finite number", _is_number),
    "eps": ("a finite number from 0 up", lambda value: _is_number(value) and value >= 0),
    "base": ("a finite positive number", lambda value: _is_number(value) and value > 0),
    "start": ("a finite number", _is_number),
}
#: options whose None means that they were not given
MAY_BE_NONE = ("mask", "scale")


def _option(shape: PhaseShape, name: str, value: Any) -> Any:
    expected, holds = _OPTIONS[name]
    if not holds(value):
        raise _refuse(shape, f"{name} is {value!r}", f"expected {expected}")
    return value
