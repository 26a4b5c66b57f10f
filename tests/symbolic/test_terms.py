"""Terms: one object for equal trees, nothing simplified, nothing changed afterwards, bad ones refused."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from fractions import Fraction

import pytest
from generators import INDICES, lambdas, terms
from hypothesis import given

from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import Formula, derivative, equation, every, permutation, positive
from kernelproof.symbolic.terms import ONE, Call, Entry, Fold, Lambda, Node, Num, Op, Term, Var, is_size, size, term, total, variables

i, j, a = variables("i j a")
n = size("n")


def test_equal_trees_are_one_object() -> None:
    assert total(j, n, Entry("x", j) + 1) is total(j, n, Entry("x", j) + 1)
    assert Var("n") is not n
    assert Num(Fraction(2, 4)) is Num(Fraction(1, 2))
    assert equation(a, 1) is equation(a, ONE)


@given(terms(3), lambdas(2, terms(1)))
def test_copies_are_the_same_object(value: Term, given: Lambda) -> None:
    for node in (value, given, equation(value, value), permutation("s", value), every(((INDICES[0], value),), positive(value))):
        assert copy.deepcopy(node) is node
        assert pickle.loads(pickle.dumps(node)) is node


def test_nothing_is_simplified() -> None:
    assert (a - a).name == "sub" and (0 * a).name == "mul" and (a / a).name == "div" and (a**0).name == "pow"
    assert isinstance(total(i, n, total(j, n, a)).body, Fold)


def test_a_term_cannot_be_changed() -> None:
    value = Entry("x", a)
    for name in ("tensor", "indices", "fields", "new"):
        with pytest.raises(AttributeError):
            setattr(value, name, "y")
    with pytest.raises(AttributeError):
        del value.tensor  # type: ignore[misc]
    assert value is Entry("x", a) and value.tensor == "x"


@pytest.mark.parametrize(
    "bad",
    [
        lambda: Op("add", a),
        lambda: Op("sinh", a),
        lambda: Op("pow", a, Num(-1)),
        lambda: Op("pow", a, Num(Fraction(1, 2))),
        lambda: Op("pow", a, n),
        lambda: a**-1,
        lambda: a + 0.5,
        lambda: Num(0.1),
        lambda: term(True),
        lambda: Var("a", "integer"),
        lambda: Var("#1"),
        lambda: Fold("product", j, n, a),
        lambda: Fold("sum", n, n, a),
        lambda: Fold("sum", Entry("x", a), n, a),
        lambda: Lambda((j, j), Entry("x", j)),
        lambda: Lambda((n,), a),
        lambda: Call("softmax", (("n", n),), (j,)),
        lambda: equation("a", a),
        lambda: permutation(a, n),
        lambda: every((), positive(a)),
        lambda: every(((j, n), (j, n)), positive(a)),
        lambda: every(((n, n),), positive(a)),
        lambda: every(((j, n),), permutation("s", n)),
        lambda: every(((j, n),), a),
        lambda: derivative(Lambda((i, j), a), a, a),
        lambda: derivative(a, a, a),
        lambda: derivative(Lambda((j,), a), Lambda((j,), a), a),
        lambda: positive(Lambda((j,), a)),
    ],
)
def test_malformed_ones_are_refused(bad: Callable[[], Node]) -> None:
    with pytest.raises((TypeError, ProofError)):
        bad()


@pytest.mark.parametrize("bad", [("eq", a), ("greater", a, a), ("positive", a, a)])
def test_unknown_formulas_are_refused(bad: tuple[object, ...]) -> None:
    with pytest.raises(ProofError):
        Formula(*bad)


def test_only_a_permutation_speaks_of_a_tensor() -> None:
    with pytest.raises(ProofError):
        Formula("positive", a, tensor="s")
    with pytest.raises(ProofError):
        Formula("permutation", n)
    with pytest.raises(ProofError):
        _ = permutation("s", n).left
    with pytest.raises(ProofError):
        _ = every(((j, n),), equation(a, a)).left


def test_sizes_by_form() -> None:
    assert all(is_size(value) for value in (n, Num(0), n + 1, n * size("m"), 2 * n + Num(3)))
    assert not any(is_size(value) for value in (a, n - 1, Num(-1), Num(Fraction(1, 2)), n / 2, -n, *INDICES))
