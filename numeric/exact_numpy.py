"""A small substitute for NumPy, SciPy and ``math`` in which nothing is rounded but at the working precision of mpmath.

What it does: :func:`modules` gives what a generated kernel file may import: the functions of NumPy that the printers write, those that
kernels in tiles need (``einsum``, ``out=``, …), ``scipy.special.erf``, ``ml_dtypes.bfloat16`` as a name, and ``math`` on mpmath numbers.
Guarantees: anything else raises :class:`NotInTheSubstitute` and never reaches NumPy. There is no ``finfo``, ``eps`` or ``tiny``: no
generated file reads one, and a constant that is about rounding has no meaning where there is none; a file that starts to use one is
refused until somebody decides what it means. Each function is tested against NumPy's (``tests/numeric/test_exact_numpy.py``). Cannot
see: overflow, underflow and the order of summation.
"""

from __future__ import annotations

import contextlib
import math
import operator
from collections import deque
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import mpmath
import numpy as np

from kernelproof.numeric.exact_array import (
    ExactArray,
    NotInTheSubstitute,
    elementwise,
    exact,
    larger,
    power,
    quotient,
    reals,
    reduced,
    smaller,
    type_of,
)
from kernelproof.numeric.exact_kinds import BOOL, FLOAT64, INT64, KINDS, Kind, NotExact, kind_of, promoted
from kernelproof.numeric.exact_sparse import SparseRows


class Module:
    """A module with these members; any other name raises NotInTheSubstitute."""

    def __init__(self, module: str, members: dict[str, Any]) -> None:
        self.__dict__.update(members)
        self.__dict__["__name__"] = module

    def __getattr__(self, name: str) -> Any:
        where = self.__dict__["__name__"]
        raise NotInTheSubstitute(f"{where}.{name}: the substitute has no such name; add it to exact_numpy, with a test")


# -- functions of numbers -----------------------------------------------------------------------------------------------------


def _function(name: str, low: float = -math.inf, waves: bool = False) -> Callable[[Any], Any]:
    """The function of mpmath, real: nan below ``low``, and for waves at infinity."""
    compute = getattr(mpmath, name)

    def of(x: Any) -> Any:
        if mpmath.isnan(x) or x < low or (waves and mpmath.isinf(x)):
            return mpmath.nan
        return compute(x)

    return of


FUNCTIONS = {
    "exp": _function("exp"), "tanh": _function("tanh"), "erf": _function("erf"), "log": _function("log", 0), "sqrt": _function("sqrt", 0),
    "sin": _function("sin", waves=True), "cos": _function("cos", waves=True),
}


def _unary(function: Callable[[Any], Any], floating: bool = True) -> Callable[..., ExactArray]:
    def call(x: Any, out: ExactArray | None = None) -> ExactArray:
        return _into(out, elementwise(function, x, divided=floating))

    return call


def _binary(function: Callable[[Any, Any], Any], **result: Any) -> Callable[..., ExactArray]:
    def call(x: Any, y: Any, out: ExactArray | None = None) -> ExactArray:
        return _into(out, elementwise(function, x, y, **result))

    return call


def _into(out: ExactArray | None, found: ExactArray) -> ExactArray:
    """The result, written to ``out`` if there is one; ValueError where the shapes differ, as in NumPy."""
    if out is None:
        return found
    if out.shape != found.shape:
        raise ValueError(f"out of shape {out.shape} for a result of shape {found.shape}")
    out[...] = found
    return out


def isneginf(x: Any) -> ExactArray:
    return elementwise(lambda entry: entry == -mpmath.inf, x, kind=BOOL)


def isfinite(x: Any) -> ExactArray:
    return elementwise(lambda entry: bool(mpmath.isfinite(entry)), x, kind=BOOL)


def where(condition: Any, x: Any, y: Any) -> ExactArray:
    return elementwise(lambda which, a, b: a if which else b, condition, x, y, kind=type_of(x, y))


# -- sums and products --------------------------------------------------------------------------------------------------------


def total(a: Any, axis: Any = None, keepdims: bool = False, out: ExactArray | None = None) -> ExactArray:
    array = exact(a)
    counted = array if array.dtype.floating else array.astype(INT64)
    return _into(out, reduced(operator.add, counted, axis, keepdims, initial=0))


def maximum_along(a: Any, axis: Any = None, keepdims: bool = False, initial: Any = None, out: ExactArray | None = None) -> ExactArray:
    return _into(out, reduced(larger, a, axis, keepdims, initial))


def minimum_along(a: Any, axis: Any = None, keepdims: bool = False, initial: Any = None, out: ExactArray | None = None) -> ExactArray:
    return _into(out, reduced(smaller, a, axis, keepdims, initial))


def matmul(x: Any, y: Any, out: ExactArray | None = None) -> ExactArray:
    return _into(out, _product(np.matmul, x, y))


def einsum(subscripts: str, *operands: Any, out: ExactArray | None = None) -> ExactArray:
    return _into(out, _product(lambda *tables: np.einsum(subscripts, *tables), *operands))


def _product(function: Callable[..., Any], *operands: Any) -> ExactArray:
    """Sums of products: NumPy's loops over Python numbers, ``+`` and ``·`` of mpmath."""
    kind = type_of(*map(exact, operands))
    found = np.asarray(function(*(exact(operand).values.astype(object) for operand in operands)), dtype=object)
    # an empty sum of NumPy's is the integer 0
    return ExactArray(reals(found) if kind.floating else found, kind)


# -- making and moving --------------------------------------------------------------------------------------------------------


def asarray(value: Any, dtype: Any = None) -> ExactArray:
    found = exact(value)
    return found if dtype is None else found.astype(dtype, copy=False)


def empty(shape: Any, dtype: Any = FLOAT64) -> ExactArray:
    """Entries that are no numbers: to read one before it is written fails."""
    kind = kind_of(dtype)
    if not kind.floating:
        raise NotExact(f"empty of {kind}; expected a floating type, since entries not written could not be told from others")
    return ExactArray(np.empty(shape, dtype=object), kind)


def full(shape: Any, fill_value: Any, dtype: Any = None) -> ExactArray:
    value = exact(fill_value)
    value = value if dtype is None else value.astype(dtype)
    return ExactArray(np.full(shape, value.item(), dtype=value.values.dtype), value.dtype)


def zeros(shape: Any, dtype: Any = FLOAT64) -> ExactArray:
    return full(shape, 0, dtype)


def ones(shape: Any, dtype: Any = FLOAT64) -> ExactArray:
    return full(shape, 1, dtype)


def arange(stop: Any, dtype: Any = INT64) -> ExactArray:
    return ExactArray(np.arange(operator.index(stop)), INT64).astype(dtype)


def tri(n: int, m: int | None = None, k: int = 0, dtype: Any = FLOAT64) -> ExactArray:
    return ExactArray(np.tri(n, m, k, dtype=bool), BOOL).astype(dtype)


def take(a: Any, indices: Any, axis: int | None = None) -> ExactArray:
    array = exact(a)
    return ExactArray(np.take(array.values, exact(indices).values, axis=axis), array.dtype)


def swapaxes(a: Any, axis1: int, axis2: int) -> ExactArray:
    return _moved(a, lambda values: values.swapaxes(axis1, axis2))


def expand_dims(a: Any, axis: Any) -> ExactArray:
    return _moved(a, lambda values: np.expand_dims(values, axis))


def broadcast_to(a: Any, shape: Any) -> ExactArray:
    return _moved(a, lambda values: np.broadcast_to(values, shape))


def _moved(a: Any, move: Callable[[Any], Any]) -> ExactArray:
    array = exact(a)
    return ExactArray(move(array.values), array.dtype)


def concatenate(arrays: Sequence[Any], axis: int = 0) -> ExactArray:
    kind = type_of(*map(exact, arrays))
    return ExactArray(np.concatenate([exact(array).astype(kind).values for array in arrays], axis=axis), kind)


def result_type(*arrays_and_dtypes: Any) -> Kind:
    kinds = [given if isinstance(given, Kind) else exact(given).dtype for given in arrays_and_dtypes]
    return promoted(kinds, [])


def simd(names: Sequence[str]) -> Callable[..., dict[str, Any]]:
    """``show_config`` on Linux with these extensions of the processor."""

    def show_config(mode: str = "stdout") -> dict[str, Any]:
        if mode != "dicts":
            raise NotInTheSubstitute(f"numpy.show_config(mode={mode!r}): the substitute knows mode='dicts'")
        return {"SIMD Extensions": {"baseline": [], "found": list(names)}, "Machine Information": {"host": {"system": "linux"}}}

    return show_config


def errstate(**_: str) -> contextlib.AbstractContextManager[None]:
    """Nothing to switch off: infinities and nan arise without a word."""
    return contextlib.nullcontext()


#: what generated files use of NumPy, and what kernels in tiles will
NUMPY: dict[str, Any] = {
    **{name: _unary(function) for name, function in FUNCTIONS.items() if name != "erf"},
    "square": _unary(lambda x: x * x, floating=False), "negative": _unary(operator.neg, floating=False),
    "absolute": _unary(abs, floating=False), "add": _binary(operator.add), "subtract": _binary(operator.sub),
    "multiply": _binary(operator.mul), "divide": _binary(quotient, divided=True), "power": _binary(power),
    "maximum": _binary(larger), "minimum": _binary(smaller), "isneginf": isneginf, "isfinite": isfinite, "where": where,
    "sum": total, "max": maximum_along, "min": minimum_along, "matmul": matmul, "einsum": einsum, "asarray": asarray, "empty": empty,
    "ascontiguousarray": asarray,
    "full": full, "zeros": zeros, "ones": ones, "arange": arange, "tri": tri, "take": take, "swapaxes": swapaxes,
    "expand_dims": expand_dims, "broadcast_to": broadcast_to, "broadcast_shapes": np.broadcast_shapes, "concatenate": concatenate,
    "result_type": result_type, "errstate": errstate, "exp2": _unary(lambda x: mpmath.mpf(2) ** x), "ndindex": np.ndindex,
    "show_config": simd(()),
    **{name: kind for name, kind in KINDS.items() if name != "bfloat16"},
}


def _scalar(name: str) -> Callable[[Any], Any]:
    """A function of ``math``: of one number, ValueError outside its domain."""

    def call(x: Any) -> Any:
        found = FUNCTIONS[name](mpmath.mpf(exact(x).item()))
        if mpmath.isnan(found) or (mpmath.isinf(found) and name == "log"):
            raise ValueError("math domain error")
        return found

    return call


class _AtOnce:
    """An executor whose threads are the caller's."""

    def __init__(self, _: int) -> None:
        pass

    def submit(self, work: Callable[[], Any]) -> _AtOnce:
        self._failure = None
        try:
            work()
        except Exception as error:
            self._failure = error
        return self

    def exception(self) -> Exception | None:
        return self._failure


class _NoLibraries:
    """A controller of the threads of BLAS where there is no BLAS."""

    def limit(self, **_: Any) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()


def modules(threads: int = 1) -> dict[str, Module]:
    """What a kernel file may import, by name; constants are as exact as the working precision at the time of the call.

    With one thread there is no threadpoolctl, and the processor has no vectors.
    """
    numpy = {**NUMPY, "show_config": simd(["AVX512_SKX"] if threads > 1 else [])}
    special = Module("scipy.special", {"erf": _unary(FUNCTIONS["erf"])})
    sparse = Module("scipy.sparse", {"csr_array": SparseRows})
    exact_math = {
        **{name: _scalar(name) for name in FUNCTIONS}, "inf": mpmath.inf, "nan": mpmath.nan, "pi": +mpmath.pi,
        "isfinite": lambda x: bool(mpmath.isfinite(exact(x).item())), "prod": math.prod,
    }
    futures = Module("concurrent.futures", {"ThreadPoolExecutor": _AtOnce})
    return {
        "math": Module("math", exact_math), "numpy": Module("numpy", numpy),
        "scipy": Module("scipy", {"special": special, "sparse": sparse}),
        "scipy.special": special, "scipy.sparse": sparse, "ml_dtypes": Module("ml_dtypes", {"bfloat16": KINDS["bfloat16"]}),
        "os": Module("os", {"getpid": lambda: 1, "cpu_count": lambda: threads}), "collections": Module("collections", {"deque": deque}),
        "concurrent": Module("concurrent", {"futures": futures}), "concurrent.futures": futures,
        "threading": Module("threading", {"Lock": contextlib.nullcontext}), "types": Module("types", {"ModuleType": ModuleType}),
        "sys": Module("sys", {"modules": {}}),
        **({"threadpoolctl": Module("threadpoolctl", {"ThreadpoolController": _NoLibraries})} if threads > 1 else {}),
    }
