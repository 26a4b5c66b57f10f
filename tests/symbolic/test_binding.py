"""Alpha-equality, substitution, free variables and positions, each against the independent evaluator."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from generators import INDICES, REALS, TENSORS, formulas, lambdas, renamed, terms, worlds
from hypothesis import given
from hypothesis import strategies as st

from kernelproof.symbolic.binding import (
    alpha_equal,
    at,
    bound_on_path,
    canonical,
    free_variables,
    positions,
    replace_at,
    substitute,
    tensors,
)
from kernelproof.symbolic.formulas import Formula, derivative, equation, every, permutation, positive, within
from kernelproof.symbolic.soundness.evaluator import World, same
from kernelproof.symbolic.terms import Entry, Fold, Lambda, Term, Var, exp, maximum_of, size, total, variables

i, j, k, l, a, b = variables("i j k l a b")
n, m = size("n"), size("m")
f = lambda *at: Entry("f", *at)  # noqa: E731


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (total(i, n, f(i, j)), total(k, n, f(k, j))),
        (total(i, n, total(j, m, f(i, j))), total(j, n, total(i, m, f(j, i)))),
        (total(i, n, total(i, m, f(i, i))), total(i, n, total(j, m, f(j, j)))),
        (total(i, Entry("x", i), f(i, a)), total(j, Entry("x", i), f(j, a))),
        (Lambda((i, j), f(i, j)), Lambda((j, i), f(j, i))),
        (maximum_of(i, n, f(i, a), f(a, i)), maximum_of(j, n, f(j, a), f(a, j))),
    ],
)
def test_renaming_makes_no_difference(left: Term, right: Term) -> None:
    assert left is not right and alpha_equal(left, right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (total(i, n, exp(total(j, n, f(i, j)))), total(j, n, exp(total(i, n, f(i, j))))),
        (total(i, n, f(i, j)), total(j, n, f(j, j))),
        (total(i, n, f(i, j)), total(i, n, f(j, i))),
        (total(i, Entry("x", i), f(i, a)), total(j, Entry("x", j), f(j, a))),
        (total(i, n, f(i, a)), total(i, m, f(i, a))),
        (Lambda((i, j), f(i, j)), Lambda((i, j), f(j, i))),
        (Lambda((i, j), f(i, i)), Lambda((i,), f(i, i))),
        (maximum_of(i, n, f(i, a), f(a, i)), maximum_of(i, n, f(i, a), f(i, a))),
        (Var("i"), size("i")),
    ],
)
def test_other_differences_do(left: Term, right: Term) -> None:
    assert not alpha_equal(left, right)


@given(terms(4))
def test_renaming_by_hand_gives_the_same_canonical_term(value: Term) -> None:
    fresh = count()
    other = renamed(value, lambda: f"u{next(fresh)}")
    assert alpha_equal(value, other)
    assert canonical(value) is canonical(other)
    assert free_variables(value) == free_variables(other)


@given(terms(3), worlds(), st.permutations(INDICES), st.data())
def test_what_is_alpha_equal_has_equal_values(value: Term, world: World, order: list[Var], data: st.DataObject) -> None:
    """A term with some of its index names exchanged, free and bound alike: mostly another term, sometimes the same."""
    swap = dict(zip(INDICES, order, strict=True))
    other: Any = _exchanged(value, swap, data)
    if alpha_equal(value, other):
        assert same(world.value(value), world.value(other))


def _exchanged(node: Any, swap: dict[Var, Var], data: st.DataObject) -> Any:
    if isinstance(node, Var):
        return swap.get(node, node)
    if isinstance(node, Fold):
        inner = swap if data.draw(st.booleans()) else {}
        parts = (_exchanged(part, inner, data) for part in (node.body, node.guard))
        return Fold(node.kind, inner.get(node.var, node.var), _exchanged(node.size, swap, data), *parts)
    if isinstance(node, Entry):
        return Entry(node.tensor, *(_exchanged(part, swap, data) for part in node.indices))
    return node


@given(terms(3), terms(2), terms(2), lambdas(1, terms(2)), lambdas(2, terms(1)), worlds())
def test_substitution_means_what_it_says(value: Term, one: Term, two: Term, unary: Lambda, binary: Lambda, world: World) -> None:
    """The value of the term with things put in is its value where variables and tensors have the values of these things."""
    values: dict[Var, Term] = {INDICES[0]: one, REALS[0]: two}
    functions = {"x": unary, "f": binary}
    there = World(
        world.variables | {var: world.value(put) for var, put in values.items()},
        world.tensors | {name: _tensor(world, put) for name, put in functions.items()},
        world.seed, world.denominators,
    )
    assert same(world.value(substitute(value, values, functions)), there.value(value))


def _tensor(world: World, given: Lambda) -> Any:
    def entry(*indices: Any) -> Any:
        at = world.variables | dict(zip(given.params, indices, strict=True))
        return World(at, world.tensors, world.seed, world.denominators).value(given.body)

    return entry


@given(terms(3), terms(1), worlds())
def test_substitution_is_simultaneous(value: Term, put: Term, world: World) -> None:
    swapped = substitute(value, {i: j, j: i})
    there = World({**world.variables, i: world.variables[j], j: world.variables[i]}, world.tensors, world.seed, world.denominators)
    assert same(world.value(swapped), there.value(value))
    assert substitute(value, {}) is value
    assert alpha_equal(substitute(substitute(value, {i: l}), {l: put}), substitute(value, {i: put}))


@given(terms(3), worlds(), worlds())
def test_only_free_variables_and_tensors_matter(value: Term, world: World, other: World) -> None:
    mixed = World(
        {**other.variables, **{var: world.variables[var] for var in free_variables(value)}},
        {name: lambda *at, name=name: world.entry(name, at) for name in tensors(value)}, seed=other.seed,
    )
    assert tensors(value) <= set(TENSORS)
    assert same(world.value(value), mixed.value(value))


@pytest.mark.parametrize(
    ("value", "put", "expected"),
    [
        (total(j, n, f(j, a)), {a: j}, total(k, n, f(k, j))),
        (total(j, a, f(j, a)), {a: j}, total(k, j, f(k, j))),
        (total(j, Entry("x", j), f(j, a)), {j: i}, total(j, Entry("x", i), f(j, a))),
        (total(j, n, total(k, n, f(j, a))), {a: k + j}, total(i, n, total(l, n, f(i, k + j)))),
        (total(j, n, f(j, a)), {j: i}, total(j, n, f(j, a))),
        (total(j, n, Var("j'") * f(j, a)), {a: j}, total(k, n, Var("j'") * f(k, j))),
        (maximum_of(j, n, a, f(j, a)), {a: j}, maximum_of(k, n, j, f(k, j))),
    ],
)
def test_binders_make_way(value: Term, put: dict[Var, Term], expected: Term) -> None:
    assert alpha_equal(substitute(value, put), expected)


def test_a_lambda_put_in_is_not_captured() -> None:
    value = total(j, n, Entry("x", j))
    put = substitute(value, {}, {"x": Lambda((i,), f(i, j))})
    assert alpha_equal(put, total(k, n, f(k, j)))
    below = substitute(Lambda((j,), Entry("x", j) + a), {a: j}, {"x": Lambda((i,), i + j)})
    assert alpha_equal(below, Lambda((k,), (k + j) + j))


@given(formulas(2))
def test_renaming_by_hand_gives_the_same_canonical_formula(said: Formula) -> None:
    fresh = count()
    other = renamed(said, lambda: f"u{next(fresh)}")
    assert alpha_equal(said, other) and canonical(said) is canonical(other) and free_variables(said) == free_variables(other)


@given(formulas(2), terms(1), terms(1), lambdas(1, terms(1)), worlds())
def test_substitution_into_a_formula_means_what_it_says(said: Formula, one: Term, two: Term, unary: Lambda, world: World) -> None:
    """It holds with things put in just where it holds with variables and tensors of these values."""
    values: dict[Var, Term] = {INDICES[0]: one, REALS[0]: two}
    there = World(
        world.variables | {var: world.value(put) for var, put in values.items()},
        world.tensors | {"x": _tensor(world, unary)}, world.seed, world.denominators,
    )
    assert world.holds(substitute(said, values, {"x": unary})) == there.holds(said)


@pytest.mark.parametrize(
    ("said", "put", "expected"),
    [
        (every(((j, n),), positive(f(j, a))), {a: j}, every(((k, n),), positive(f(k, j)))),
        (every(((j, a),), positive(f(j, a))), {a: j}, every(((k, j),), positive(f(k, j)))),
        (every(((j, n), (i, j)), positive(f(i, j))), {j: a}, every(((j, n), (i, a)), positive(f(i, j)))),
        (every(((j, n), (i, m)), positive(f(i, j) + a)), {a: i * j}, every(((k, n), (l, m)), positive(f(l, k) + i * j))),
        (derivative(Lambda((j,), f(j, a)), a, a), {a: j}, derivative(Lambda((k,), f(k, j)), j, j)),
        (every(((j, n),), derivative(Lambda((i,), f(i, j) * a), a, j)), {a: i},
         every(((k, n),), derivative(Lambda((l,), f(l, k) * i), i, k))),
    ],
)
def test_binders_of_formulas_make_way(said: Formula, put: dict[Var, Term], expected: Formula) -> None:
    assert alpha_equal(substitute(said, put), expected)


@pytest.mark.parametrize(
    ("one", "two", "equal"),
    [
        (every(((i, n),), positive(f(i, j))), every(((k, n),), positive(f(k, j))), True),
        (every(((i, n),), positive(f(i, j))), every(((j, n),), positive(f(j, j))), False),
        (every(((i, n), (j, m)), positive(f(i, j))), every(((j, n), (i, m)), positive(f(j, i))), True),
        (every(((i, n), (j, m)), positive(f(i, j))), every(((j, m), (i, n)), positive(f(i, j))), False),
        (every(((i, i),), positive(f(i, a))), every(((j, i),), positive(f(j, a))), True),
        (every(((i, i),), positive(f(i, a))), every(((j, j),), positive(f(j, a))), False),
        (every(((i, n), (j, i)), positive(f(i, j))), every(((k, n), (l, i)), positive(f(k, l))), True),
        (every(((i, n), (j, i)), positive(f(i, j))), every(((k, n), (l, k)), positive(f(k, l))), False),
        (derivative(Lambda((i,), f(i, j)), i, j), derivative(Lambda((k,), f(k, j)), i, j), True),
        (derivative(Lambda((i,), f(i, j)), i, j), derivative(Lambda((j,), f(j, j)), i, j), False),
        (every(((i, n),), every(((i, m),), positive(f(i, i)))), every(((i, n),), every(((j, m),), positive(f(j, j)))), True),
    ],
)
def test_formulas_up_to_bound_names(one: Formula, two: Formula, equal: bool) -> None:
    assert alpha_equal(one, two) is equal


def test_formulas_are_substituted_as_well() -> None:
    assert substitute(equation(a, b), {a: b, b: a}) is equation(b, a)
    assert substitute(within(i, n), {i: j}) is within(j, n)
    assert substitute(permutation("s", n), {n: m}) is permutation("s", m)


def test_the_wrong_number_of_indices_is_refused() -> None:
    with pytest.raises(TypeError, match="2 indices"):
        substitute(f(i, j), {}, {"f": Lambda((i,), i)})
    with pytest.raises(TypeError, match="lambda"):
        substitute(f(i, j), {}, {"f": a})  # type: ignore[dict-item]


@given(terms(3))
def test_positions_lead_where_they_say(value: Term) -> None:
    for path, part in positions(value):
        assert at(value, path) is part
        if isinstance(part, Term):
            assert replace_at(value, path, part) is value


def test_binders_on_the_way() -> None:
    value = total(i, n, a + total(j, Entry("x", i), f(i, j)))
    assert bound_on_path(value, (2, 1, 2)) == (((i, n),), ((j, Entry("x", i)),))
    assert bound_on_path(value, (0,)) == () and bound_on_path(value, (2, 1, 0)) == (((i, n),),)
    assert bound_on_path(Lambda((i, j), a), (0,)) == (((i, None), (j, None)),)
    said = every(((i, n), (j, i)), equation(total(k, n, f(i, k)), a))
    assert bound_on_path(said, (2, 0, 2)) == (((i, n), (j, i)), ((k, n),)) and bound_on_path(said, (1,)) == ()
