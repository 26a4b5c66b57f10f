"""The substitute for NumPy: function by function as NumPy, but for the rounding; what it does not have it refuses."""

from __future__ import annotations

import itertools
import math
import operator
import re
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from numeric_cases import ALL, DTYPES, kernel_of

from kernelproof.numeric.exact_array import ExactArray, NotInTheSubstitute, exact
from kernelproof.numeric.exact_kinds import KINDS, NotExact, kind_of, promoted
from kernelproof.numeric.exact_numpy import FUNCTIONS, NUMPY, modules

RNG = np.random.default_rng(7)
A, B = RNG.standard_normal((2, 3, 4)), RNG.standard_normal((3, 1))
P, WHOLE, YES = np.abs(A) + 0.1, RNG.integers(-3, 4, (3, 4)), RNG.random((3, 4)) < 0.5
TIES = np.array([[2.0, 2.0, -1.0], [0.0, -np.inf, 0.0]])
STRANGE = np.array([0.0, -0.5, 1.0, np.inf, -np.inf, np.nan])
BESIDE = np.array([0.0, 0.0, -2.0, np.inf, np.inf, 1.0])
SUBSTITUTE = modules()["numpy"]

#: for each function of the substitute calls of it, as for NumPy
CASES: dict[str, list[tuple[tuple[Any, ...], dict[str, Any]]]] = {
    "exp": [((A,), {}), ((STRANGE,), {}), ((WHOLE,), {})], "tanh": [((A,), {}), ((STRANGE,), {})],
    "exp2": [((A,), {}), ((STRANGE,), {}), ((WHOLE,), {})], "log": [((P,), {}), ((STRANGE,), {})], "sqrt": [((P,), {}), ((STRANGE,), {})],
    "sin": [((A,), {}), ((STRANGE,), {})], "cos": [((A,), {}), ((STRANGE,), {})],
    "square": [((A,), {}), ((WHOLE,), {})], "negative": [((A,), {}), ((WHOLE,), {})], "absolute": [((A,), {}), ((WHOLE,), {})],
    "add": [((A, B), {}), ((A, 2), {}), ((STRANGE, BESIDE), {})], "subtract": [((A, B), {}), ((2, WHOLE), {}), ((STRANGE, BESIDE), {})],
    "multiply": [((A, B), {}), ((WHOLE, WHOLE), {}), ((STRANGE, BESIDE), {})],
    "divide": [((A, B), {}), ((WHOLE, WHOLE), {}), ((STRANGE, BESIDE), {}), ((1, WHOLE), {})],
    "power": [((P, B), {}), ((A, 3), {}), ((P, -2), {})], "maximum": [((A, B), {}), ((A, 0), {}), ((STRANGE, BESIDE), {})],
    "minimum": [((A, B), {}), ((WHOLE, 1), {}), ((STRANGE, BESIDE), {})],
    "isneginf": [((STRANGE,), {})], "isfinite": [((STRANGE,), {})],
    "where": [((YES, A, 0), {}), ((A > 0, B, A), {}), ((YES, WHOLE, 1), {})],
    "sum": [((A,), {"axis": axis}) for axis in (None, 0, -1, (0, 2))] + [((A,), {"axis": 1, "keepdims": True}), ((YES,), {"axis": 0})]
    + [((np.zeros((2, 0)),), {"axis": -1})],
    "max": [((A,), {"axis": -1}), ((A,), {}), ((TIES,), {"axis": -1, "keepdims": True}), ((STRANGE,), {"axis": 0})],
    "min": [((A,), {"axis": (0, -1)}), ((A,), {}), ((TIES,), {"axis": 0}), ((STRANGE,), {"axis": 0}), ((WHOLE,), {"axis": 1})],
    "matmul": [((A, A.swapaxes(-1, -2)), {}), ((A[0], A[0, 0]), {}), ((np.zeros((2, 0)), np.zeros((0, 3))), {}), ((WHOLE, WHOLE.T), {})],
    "einsum": [(("hij,hkj->hik", A, A), {}), (("ij,j->i", A[0], A[0, 0]), {}), (("ij,ij->", A[0], A[0]), {})],
    "ascontiguousarray": [((A,), {})],
    "asarray": [((A,), {}), ((WHOLE,), {"dtype": np.float32})], "full": [(((2, 3), 2), {"dtype": np.float32}), ((2, 5), {})],
    "zeros": [(((2, 3),), {}), ((3,), {"dtype": np.int64})], "ones": [((2,), {"dtype": bool}), (((1, 2),), {})],
    "arange": [((4,), {}), ((3,), {"dtype": np.float64}), ((0,), {"dtype": np.float64})],
    "tri": [((3, 4), {"dtype": bool}), ((4, 3, -1), {"dtype": bool}), ((2,), {})],
    "take": [((A, WHOLE[0] % 2), {"axis": 0}), ((A[0], np.array([[1, 0]])), {"axis": -1})],
    "swapaxes": [((A, -2, -1), {}), ((A, 0, 2), {})], "expand_dims": [((A, -1), {}), ((A, 1), {})],
    "broadcast_to": [((B, (2, 3, 5)), {})], "broadcast_shapes": [(((2, 1), (3,)), {})],
    "concatenate": [(([A, P],), {"axis": -1}), (([WHOLE, YES],), {})],
}
APART = {"empty", "result_type", "errstate", "show_config", "ndindex", *KINDS}


def agree(found: Any, expected: Any) -> None:
    """Shape and dtype alike, and entries to the precision of NumPy's."""
    if not isinstance(found, ExactArray):
        assert found == expected
        return
    expected = np.asarray(expected)
    assert (found.shape, str(found.dtype)) == (expected.shape, expected.dtype.name)
    np.testing.assert_allclose(np.asarray(found.values, dtype=expected.dtype), expected, rtol=1e-13, atol=1e-13)


def given(value: Any) -> Any:
    """An argument for the substitute."""
    if isinstance(value, list):
        return [exact(part) for part in value]
    return exact(value) if isinstance(value, np.ndarray) else value


@pytest.mark.parametrize("name", sorted(NUMPY))
def test_every_function_is_numpys(name: str) -> None:
    assert (name in CASES) != (name in APART), "a function without a case"
    for arguments, options in CASES.get(name, []):
        with np.errstate(all="ignore"):
            expected = getattr(np, name)(*arguments, **options)
        agree(getattr(SUBSTITUTE, name)(*map(given, arguments), **options), expected)


def test_what_the_processor_has() -> None:
    """The keys are NumPy's, and the two numbers of threads see one machine with vectors and one without."""
    real = np.show_config(mode="dicts")
    for threads, found in ((1, []), (2, ["AVX512_SKX"])):
        held = modules(threads)["numpy"].show_config(mode="dicts")
        assert held["SIMD Extensions"] == {"baseline": [], "found": found}
        assert set(held["SIMD Extensions"]) <= {*real["SIMD Extensions"], "found"}
        assert set(held["Machine Information"]["host"]) <= set(real["Machine Information"]["host"])
    with pytest.raises(NotInTheSubstitute):
        SUBSTITUTE.show_config()


def test_places_of_an_array() -> None:
    for shape in ((), (2, 3), (0, 2)):
        assert list(SUBSTITUTE.ndindex(*shape)) == list(np.ndindex(*shape))


def test_a_start_of_a_fold() -> None:
    for name, start in (("max", -mpmath.inf), ("min", mpmath.inf)):
        real = {"axis": -1, "initial": float(start)}
        for table in (TIES, np.zeros((2, 0))):
            agree(getattr(SUBSTITUTE, name)(exact(table), axis=-1, initial=start), getattr(np, name)(table, **real))
        with pytest.raises(ValueError):
            getattr(SUBSTITUTE, name)(exact(np.zeros((2, 0))), axis=-1)


@pytest.mark.parametrize("name", ["exp", "add", "divide", "sum", "max", "matmul", "einsum"])
def test_out(name: str) -> None:
    of = {"sum": (A,), "max": (A,), "exp": (A[0],), "matmul": (A[0], A[0].T), "einsum": ("ij,kj->ik", A[0], A[0])}
    arguments = of.get(name, (A[0], P[0]))
    options = {"axis": 0} if name in ("sum", "max") else {}
    expected = getattr(np, name)(*arguments, **options)
    out = SUBSTITUTE.empty(expected.shape)
    found = getattr(SUBSTITUTE, name)(*map(given, arguments), out=out, **options)
    assert found is out
    agree(out, expected)
    with pytest.raises(ValueError, match="out of shape"):
        getattr(SUBSTITUTE, name)(*map(given, arguments), out=SUBSTITUTE.empty((9, 9)), **options)


OPERATORS = (operator.add, operator.sub, operator.mul, operator.truediv, operator.lt, operator.le, operator.gt, operator.ge,
             operator.eq, operator.ne)


@pytest.mark.parametrize("function", OPERATORS)
def test_operators(function: Callable[..., Any]) -> None:
    with np.errstate(all="ignore"):
        for one, other in ((A, B), (WHOLE, WHOLE.T[:3, :3][:, :1]), (A, 2), (2, A), (STRANGE, BESIDE), (A.astype(np.float32), WHOLE)):
            expected = function(one, other)
            found = function(given(one), given(other))
            assert str(found.dtype) == expected.dtype.name and found.shape == expected.shape
            rough = 1e-5 if "float32" in str(getattr(one, "dtype", "")) else 1e-13
            np.testing.assert_allclose(np.asarray(found.values, dtype=expected.dtype), expected, rtol=rough)


@pytest.mark.parametrize("function", [operator.iadd, operator.isub, operator.imul, operator.itruediv])
def test_in_place_keeps_the_memory(function: Callable[..., Any]) -> None:
    real, held = A.copy(), exact(A)
    held = ExactArray(held.values.copy(), held.dtype)
    real_view, view = real[0], held[0]
    function(real_view, B)
    assert function(view, exact(B)) is view
    agree(held, real)


def test_bits_powers_and_signs() -> None:
    agree(~exact(YES), ~YES)
    agree(exact(YES) & exact(YES[:1]), YES & YES[:1])
    agree(exact(YES) | exact(YES[:1]), YES | YES[:1])
    agree(-exact(A), -A)
    agree(abs(exact(WHOLE)), abs(WHOLE))
    agree(exact(A) ** 3, A**3)
    agree(2 ** exact(P), 2**P)
    for operation in (operator.invert, lambda x: x & x):
        with pytest.raises(TypeError):
            operation(exact(A))


def test_indexing_gives_views_and_takes_values() -> None:
    for key in ((..., 0), (0, slice(None), None), (slice(None), slice(0, None, 2)), (Ellipsis, None, slice(1, 3))):
        agree(exact(A)[key], A[key])
    real, held = np.zeros((2, 4)), SUBSTITUTE.zeros((2, 4))
    for key, new in (((slice(None), slice(0, None, 2)), B[:2]), ((1, 1), 3), ((0, slice(1, 3)), A[0, 0, :2])):
        real[key] = new
        held[key] = given(new)
    agree(held, real)
    agree(exact(A)[exact(WHOLE[0] % 2)], A[WHOLE[0] % 2])
    agree(exact(A)[0][exact(YES)], A[0][YES])
    assert [int(entry) for entry in exact(WHOLE[0])] == WHOLE[0].tolist() and len(exact(A)) == 2
    agree(exact(A).reshape(-1, 4), A.reshape(-1, 4))
    agree(exact(WHOLE).min(), WHOLE.min())
    agree(exact(WHOLE).max(), WHOLE.max())


def test_casts_between_floats_keep_every_digit() -> None:
    with mpmath.workdps(60):
        third = exact(mpmath.mpf(1) / 3)
        for kind in KINDS.values():
            if kind.floating:
                assert third.astype(kind).item() == third.item() and third.astype(kind).dtype == kind
        agree(exact(A * 3).astype(np.int64), (A * 3).astype(np.int64))
        agree(exact(A).astype(bool), A.astype(bool))
        assert SUBSTITUTE.float16(third).item() == third.item()
        copied = exact(A).astype(np.float64)
        assert copied.values is not exact(A).values


def test_functions_have_the_digits_asked_for() -> None:
    with mpmath.workdps(60):
        x = mpmath.mpf(1) / 7
        for name in FUNCTIONS:
            found = modules()["scipy.special"].erf if name == "erf" else getattr(SUBSTITUTE, name)
            with mpmath.workdps(80):
                expected = getattr(mpmath, name)(x)
            assert abs(found(exact(x)).item() - expected) < mpmath.mpf(10) ** -59, name
            assert abs(getattr(modules()["math"], name)(x) - expected) < mpmath.mpf(10) ** -59
        assert abs(modules()["math"].pi - mpmath.pi) < mpmath.mpf(10) ** -59
    assert mpmath.isnan(modules()["math"].nan)


def test_erf_is_scipys() -> None:
    from scipy.special import erf

    agree(modules()["scipy.special"].erf(exact(STRANGE)), erf(STRANGE))


def test_math_refuses_what_math_refuses() -> None:
    substitute = modules()["math"]
    for name, bad in (("sqrt", -1), ("log", 0), ("log", -2)):
        with pytest.raises(ValueError):
            getattr(math, name)(bad)
        with pytest.raises(ValueError, match="domain"):
            getattr(substitute, name)(bad)
    assert substitute.isfinite(3) and not substitute.isfinite(-substitute.inf) and substitute.prod((2, 3)) == 6


def test_unknown_names_are_refused() -> None:
    for name, module in modules().items():
        with pytest.raises(NotInTheSubstitute, match=re.escape(f"{name}.nansum")):
            _ = module.nansum
    for name in ("finfo", "nan_to_num", "float128", "random", "linalg"):
        with pytest.raises(NotInTheSubstitute):
            getattr(SUBSTITUTE, name)
    for name in ("T", "sum", "mean", "tolist", "copy", "ravel"):
        with pytest.raises(NotInTheSubstitute, match=name):
            getattr(exact(A), name)
    with pytest.raises(TypeError):
        SUBSTITUTE.exp(exact(A), where=exact(A > 0))


def test_rounded_numbers_and_numpy_itself_are_refused() -> None:
    for operation in (lambda: exact(A) + 0.1, lambda: 0.1 * exact(A), lambda: SUBSTITUTE.maximum(exact(A), 0.0), lambda: exact(0.5)):
        with pytest.raises(NotExact, match="Python float"):
            operation()
    with pytest.raises(NotExact):
        float(exact(A)[0, 0, 0])
    for function in (np.exp, np.sum, np.sqrt):
        with pytest.raises(TypeError):
            function(exact(A))
    with pytest.raises(NotExact):
        exact([1, 2])
    for dtype in (np.datetime64, np.longdouble, "no such type"):
        with pytest.raises(NotExact):
            kind_of(dtype)


def test_complex_numbers_are_made_of_real_ones_and_taken_apart() -> None:
    a, b = np.linspace(-1.0, 2.0, 6).reshape(2, 3), np.array([0.5, -0.25, 2.0])
    one, two = (exact(table) for table in (a, b))
    found, wanted = (one - 1j * two) * (two + 1j * one), (a - 1j * b) * (b + 1j * a)
    assert str(found.dtype) == str(wanted.dtype) == "complex128"
    for part in ("real", "imag"):
        assert np.array_equal(getattr(found, part).values.astype(float), getattr(wanted, part))
    seen = found.view(SUBSTITUTE.float64)
    assert seen.shape == (2, 6) and np.array_equal(seen.values.astype(float), wanted.view(np.float64))
    short = SUBSTITUTE.empty((2, 3), dtype=SUBSTITUTE.complex64)
    SUBSTITUTE.multiply(found, two, out=short)
    assert str(short.dtype) == "complex64" and str(short.real.dtype) == str(short.view(SUBSTITUTE.float32).dtype) == "float32"
    assert str(promoted([kind_of("float16"), kind_of("complex64")], [])) == "complex64"
    for refused in (lambda: found.astype(SUBSTITUTE.float64), lambda: exact(wanted), lambda: exact(2j)):
        with pytest.raises(NotExact):
            refused()
    for array, dtype in ((one, SUBSTITUTE.float64), (found, SUBSTITUTE.complex128)):
        with pytest.raises(NotInTheSubstitute, match="as their parts only"):
            array.view(dtype)


def test_an_entry_that_was_never_written_cannot_be_used() -> None:
    table = SUBSTITUTE.empty((2,))
    table[0] = exact(1)
    assert (table[0] + 1).item() == 2
    with pytest.raises(TypeError):
        table + 1
    with pytest.raises(NotExact):
        SUBSTITUTE.empty((2,), dtype=bool)


def test_types_result_as_in_numpy() -> None:
    names = [name for name in KINDS if name != "bfloat16"]
    for one, other in itertools.product(names, repeat=2):
        assert promoted([KINDS[one], KINDS[other]], []).name == np.result_type(np.dtype(one), np.dtype(other)).name
        assert promoted([KINDS[one]], [0.0]).name == np.result_type(np.dtype(one), 0.0).name
    for other, result in (("bfloat16", "bfloat16"), ("float16", "float32"), ("float32", "float32"), ("float64", "float64")):
        assert SUBSTITUTE.result_type(exact(A).astype(KINDS["bfloat16"]), KINDS[other]).name == result
    with pytest.raises(NotExact):
        promoted([KINDS["bfloat16"], KINDS["int64"]], [])


def test_the_substitute_has_what_generated_files_use() -> None:
    for phase, variant in ALL:
        for dtype in DTYPES:
            text = kernel_of(phase, variant, dtype).source
            for module, members in (("np", NUMPY), ("math", vars(modules()["math"])), ("ml_dtypes", {"bfloat16"})):
                code = "\n".join(line.partition("  #")[0] for line in text.partition("\nimport ")[2].splitlines())
                assert set(re.findall(rf"\b{module}\.(\w+)", code)) <= set(members)
