"""Arrays of real numbers in many digits: what the substitute for NumPy computes with.

What it does: an array keeps a NumPy dtype as a *name* and its numbers as mpmath numbers of the working precision (integers and bools as
they are); shapes, broadcasting, views and indexing are NumPy's own. Guarantees: a cast between floating types changes the name and no
value, so nothing is rounded but at the working precision; x/0, √−1 and log 0 are NumPy's inf and nan; a Python float that meets an
array is refused (:class:`NotExact`), since it was rounded already, and so is NumPy itself. Cannot see: overflow and underflow, which
do not happen here.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

import mpmath
import numpy as np

from kernelproof.numeric.exact_kinds import BOOL, COMPLEX128, FLOAT64, INT64, PARTS, Kind, NotExact, kind_of, promoted

Values = np.ndarray[Any, Any]


class NotInTheSubstitute(AttributeError):
    """A name that the substitute does not have; nothing falls through to NumPy."""


def _operator(function: Callable[..., Any], swapped: bool = False, **result: Any) -> Callable[[ExactArray, Any], ExactArray]:
    def method(self: ExactArray, other: Any) -> ExactArray:
        return elementwise(function, *((other, self) if swapped else (self, other)), **result)

    return method


def _in_place(function: Callable[..., Any], **result: Any) -> Callable[[ExactArray, Any], ExactArray]:
    def method(self: ExactArray, other: Any) -> ExactArray:
        self[...] = elementwise(function, self, other, **result)
        return self

    return method


def quotient(a: Any, b: Any) -> Any:
    """a/b; by zero the infinities and nan that NumPy gives."""
    if b == 0:
        return mpmath.nan if a == 0 or mpmath.isnan(a) else mpmath.sign(a) * mpmath.inf
    return mpmath.mpf(a) / mpmath.mpf(b)


def power(a: Any, b: Any) -> Any:
    """a^b for a whole b, or a ≥ 0."""
    found = mpmath.nan if a == 0 and b < 0 else mpmath.mpf(a) ** b
    return found if isinstance(found, mpmath.mpf) else mpmath.nan


def larger(a: Any, b: Any) -> Any:
    """The larger one; nan where there is one."""
    return a if a >= b or a != a else b


def smaller(a: Any, b: Any) -> Any:
    """The smaller one; nan where there is one."""
    return a if a <= b or a != a else b


class ExactArray:
    """An array: ``values`` hold the numbers, ``dtype`` names the type that they would have in NumPy."""

    __slots__ = ("dtype", "values")
    __array_ufunc__ = None  # NumPy refuses to compute with it
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, values: Any, dtype: Kind) -> None:
        self.values: Values = np.asarray(values, dtype=object if dtype.floating else np.dtype(dtype.name))
        self.dtype = dtype

    # -- shape and views ------------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.values.shape)

    @property
    def ndim(self) -> int:
        return self.values.ndim

    @property
    def size(self) -> int:
        return self.values.size

    def reshape(self, *shape: Any) -> ExactArray:
        return ExactArray(self.values.reshape(*shape), self.dtype)

    def astype(self, dtype: Any, order: str = "K", copy: bool = True) -> ExactArray:
        """The same numbers under another floating type; towards zero from floating to integer, as NumPy has it. ``order`` is of memory."""
        kind = kind_of(dtype)
        if self.dtype in PARTS and kind not in PARTS:
            raise NotExact(f"complex numbers as {kind}; expected their parts, as from .real")
        if kind.floating:
            values = self.values if self.dtype.floating else reals(self.values)
            return ExactArray(values.copy() if copy else values, kind)
        if not self.dtype.floating:
            return ExactArray(self.values.astype(kind.name, copy=copy), kind)
        return ExactArray(_each(bool if kind == BOOL else int, self.values), kind)

    @property
    def real(self) -> ExactArray:
        return ExactArray(_each(mpmath.re, self.values), PARTS[self.dtype]) if self.dtype in PARTS else self

    @property
    def imag(self) -> ExactArray:
        return ExactArray(_each(mpmath.im, self.values), PARTS.get(self.dtype, self.dtype))

    def view(self, dtype: Any) -> ExactArray:
        """Complex numbers as real and imaginary parts side by side; a copy, where NumPy has the same memory."""
        kind = kind_of(dtype)
        if PARTS.get(self.dtype) != kind or not self.ndim:
            raise NotInTheSubstitute(f"{self.dtype} seen as {kind}: the substitute sees complex numbers as their parts only")
        parts = np.stack((self.real.values, self.imag.values), axis=-1)
        return ExactArray(parts.reshape(*self.shape[:-1], 2 * self.shape[-1]), kind)

    def min(self) -> ExactArray:
        return reduced(smaller, self)

    def max(self) -> ExactArray:
        return reduced(larger, self)

    def __getitem__(self, key: Any) -> ExactArray:
        return ExactArray(self.values[_index(key)], self.dtype)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.values[_index(key)] = exact(value).astype(self.dtype, copy=False).values

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[ExactArray]:
        return (self[at] for at in range(len(self.values)))

    def __getattr__(self, name: str) -> Any:
        raise NotInTheSubstitute(f"array.{name}: the substitute has no such attribute; add it to exact_array, with a test")

    # -- numbers out of arrays ------------------------------------------------------------------------------------------------

    def item(self) -> Any:
        """The only entry."""
        return self.values.item()

    def __bool__(self) -> bool:
        return bool(self.values)

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        return operator.index(self.item())

    def __float__(self) -> float:
        raise NotExact("an array made a Python float, which would round it")

    def __repr__(self) -> str:
        shown = mpmath.nstr(self.item(), 8) if self.size == 1 and self.dtype.floating else f"shape {self.shape}"
        return f"exact {self.dtype} {shown}"

    # -- operators ------------------------------------------------------------------------------------------------------------

    def __invert__(self) -> ExactArray:
        return ExactArray(np.invert(_whole(self)), self.dtype)

    def __and__(self, other: Any) -> ExactArray:
        return _bitwise(np.bitwise_and, self, other)

    def __or__(self, other: Any) -> ExactArray:
        return _bitwise(np.bitwise_or, self, other)

    __rand__, __ror__ = __and__, __or__

    __add__, __radd__, __iadd__ = _operator(operator.add), _operator(operator.add, swapped=True), _in_place(operator.add)
    __sub__, __rsub__, __isub__ = _operator(operator.sub), _operator(operator.sub, swapped=True), _in_place(operator.sub)
    __mul__, __rmul__, __imul__ = _operator(operator.mul), _operator(operator.mul, swapped=True), _in_place(operator.mul)
    __truediv__, __rtruediv__ = _operator(quotient, divided=True), _operator(quotient, swapped=True, divided=True)
    __itruediv__ = _in_place(quotient, divided=True)
    __pow__, __rpow__ = _operator(power), _operator(power, swapped=True)
    __lt__, __le__ = _operator(operator.lt, kind=BOOL), _operator(operator.le, kind=BOOL)
    __gt__, __ge__ = _operator(operator.gt, kind=BOOL), _operator(operator.ge, kind=BOOL)
    __eq__, __ne__ = _operator(operator.eq, kind=BOOL), _operator(operator.ne, kind=BOOL)  # type: ignore[assignment]

    def __neg__(self) -> ExactArray:
        return elementwise(operator.neg, self)

    def __abs__(self) -> ExactArray:
        return elementwise(abs, self)


def exact(value: Any) -> ExactArray:
    """An array of a number, an array of NumPy (its values as they are) or an exact one. NotExact for a Python float and the rest."""
    if isinstance(value, ExactArray):
        return value
    if isinstance(value, (mpmath.mpf, mpmath.mpc)):
        return ExactArray(np.array(value, dtype=object), FLOAT64 if isinstance(value, mpmath.mpf) else COMPLEX128)
    if isinstance(value, (bool, int)):
        return ExactArray(value, BOOL if isinstance(value, bool) else INT64)
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype != object:
        kind = kind_of(value.dtype)
        if kind in PARTS:
            raise NotExact(f"an array of {kind}; expected real numbers, complex ones are made of them here")
        # every float of at most 64 bits is a Python float, and that one a number of 53 bits
        return ExactArray(reals(np.asarray(value, dtype=np.float64)) if kind.floating else value, kind)
    if isinstance(value, complex) and value == 1j:
        return exact(mpmath.mpc(0, 1))
    if isinstance(value, float):
        raise NotExact(f"the Python float {value!r} met the exact arithmetic: it was rounded before; where does it come from?")
    raise NotExact(f"a value of type {type(value).__name__}; expected an array or a number")


def type_of(*operands: Any) -> Kind:
    """The type that results; Python numbers are weak."""
    kinds = [exact(operand).dtype for operand in operands if isinstance(operand, (ExactArray, np.ndarray, np.generic))]
    return promoted(kinds, [_weak(operand) for operand in operands if not isinstance(operand, (ExactArray, np.ndarray, np.generic))])


def _weak(number: Any) -> object:
    kind = exact(number).dtype
    return 0j if kind in PARTS else 0.0 if kind.floating else False if kind == BOOL else 0


def elementwise(function: Callable[..., Any], *operands: Any, divided: bool = False, kind: Kind | None = None) -> ExactArray:
    """A function of numbers, entry by entry with broadcasting; ``divided`` makes integers float64, ``kind`` names the result."""
    kind = kind or type_of(*operands)
    if divided and not kind.floating:
        kind = FLOAT64
    tables = [exact(operand).values.astype(object) for operand in operands]
    found = _each(function, *tables)
    return ExactArray(reals(found) if kind.floating else found, kind)


def reduced(step: Callable[[Any, Any], Any], array: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> ExactArray:
    """The fold of entries along axes (all of them for None), from ``initial``; ValueError where there is neither entry nor start."""
    array = exact(array)
    axes = tuple(range(array.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = tuple(sorted(np.lib.array_utils.normalize_axis_tuple(axes, array.ndim)))
    kept = [at for at in range(array.ndim) if at not in axes]
    moved = array.values.transpose([*kept, *axes])
    shape = tuple(array.shape[at] for at in kept)
    found = np.empty(shape, dtype=object)
    for at in np.ndindex(shape):
        entries = [*([] if initial is None else [exact(initial).item()]), *moved[at].reshape(-1).tolist()]
        if not entries:
            raise ValueError("a fold of nothing without a start")
        result = entries[0]
        for entry in entries[1:]:
            result = step(result, entry)
        found[at] = result
    if keepdims:
        found = np.expand_dims(found, axes)
    return ExactArray(reals(found) if array.dtype.floating else found, array.dtype)


def reals(values: Values) -> Values:
    """Entries as numbers of the working precision, complex ones as they are; TypeError where one was never written."""
    return _each(lambda value: value if isinstance(value, mpmath.mpc) else mpmath.mpf(value), values)


def _each(function: Callable[..., Any], *tables: Values) -> Values:
    with np.errstate(all="ignore"):  # the flags of the floats inside mpmath say nothing
        return np.asarray(np.frompyfunc(function, len(tables), 1)(*tables), dtype=object)


def _whole(array: ExactArray) -> Values:
    if array.dtype.floating:
        raise TypeError(f"a bitwise operation on {array.dtype}; expected integers or bools")
    return array.values


def _bitwise(function: Callable[..., Any], one: Any, other: Any) -> ExactArray:
    found = np.asarray(function(_whole(exact(one)), _whole(exact(other))))
    return ExactArray(found, Kind(found.dtype.name))


def _index(key: Any) -> Any:
    if isinstance(key, tuple):
        return tuple(_index(part) for part in key)
    return _whole(key) if isinstance(key, ExactArray) else key
