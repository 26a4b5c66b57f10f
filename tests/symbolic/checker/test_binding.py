"""De Bruijn indices against names: equality up to bound names and substitution agree with the core's, and nothing is captured."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from random_terms import NAMES, SIZES, bound_term, lambda_term
from replays import handmade, i, j, k, mirrored, n, x

from kernelproof.symbolic.binding import alpha_equal, children, free_variables, positions, rebuild, replace_at
from kernelproof.symbolic.binding import substitute as core_substitute
from kernelproof.symbolic.checker import CheckError, check
from kernelproof.symbolic.checker.binding import close, lifted, opened, substitute
from kernelproof.symbolic.checker.nodes import DEEPEST, Node, make, number, operation, predicate, variable
from kernelproof.symbolic.core.laws import law
from kernelproof.symbolic.core.logic import instantiation, reflexivity
from kernelproof.symbolic.serialise import proofs
from kernelproof.symbolic.terms import Entry, Fold, Lambda, Op, Term, Var, exp, total


def through_json(term: Term) -> Node:
    """The term as the checker reads it from a document."""
    return check(proofs({"it": reflexivity((), term)})).theorems["it"].conclusion.parts[0]


def renamed(node: Term, dice: random.Random) -> Term:
    """The term with one bound variable called otherwise, not always rightly."""
    folds = [(path, part) for path, part in positions(node) if isinstance(part, Fold)]
    if not folds:
        return node
    path, fold = dice.choice(folds)
    new = dice.choice(NAMES)
    # replaced by hand and without care, so that it may capture
    body, guard = (core_substitute(part, {fold.var: new}) for part in (fold.body, fold.guard))
    return replace_at(node, path, Fold(fold.kind, new, fold.size, body, guard))


def test_a_term_read_from_json_is_the_mirrored_one() -> None:
    for seed in range(300):
        term = bound_term(random.Random(seed), 3)
        assert through_json(term) is mirrored(term)
        assert through_json(term).free == {variable(var.name, var.kind) for var in free_variables(term)}


def test_equality_up_to_bound_names_is_the_cores() -> None:
    equal = different = 0
    for seed in range(2500):
        dice = random.Random(seed)
        one = bound_term(dice, 3)
        other = renamed(one, dice) if seed % 5 else bound_term(dice, 2)
        same = mirrored(one) is mirrored(other)
        assert same == alpha_equal(one, other), (one, other)
        if one is not other:
            equal, different = equal + same, different + (not same)
    assert equal > 150 and different > 500


def test_substitution_is_the_cores() -> None:
    changed = 0
    for seed in range(1500):
        dice = random.Random(seed)
        term = bound_term(dice, 3)
        values: dict[Var, Term] = {var: bound_term(dice, 2) for var in dice.sample((*NAMES, *SIZES), dice.randrange(4))}
        counts = {name: count for name, count in (("x", 1), ("f", 2)) if dice.random() < 0.5}
        functions = {name: lambda_term(dice, count, 2) for name, count in counts.items()}
        expected = mirrored(core_substitute(term, values, functions))
        own = substitute(
            mirrored(term), {mirrored(var): mirrored(value) for var, value in values.items()},
            {name: mirrored(value) for name, value in functions.items()},
        )
        assert own is expected, (term, values, functions)
        changed += own is not mirrored(term)
    assert changed > 700


def test_closing_and_opening_undo_each_other() -> None:
    for seed in range(300):
        dice = random.Random(seed)
        term = mirrored(bound_term(dice, 3))
        variables = [mirrored(var) for var in dice.sample(NAMES, 2)]
        body = close(term, variables)
        assert opened(body, variables) is term
        assert not set(variables) & body.free


def test_lifting_moves_what_points_outside_only() -> None:
    inner = make(("fold", "sum"), [make(("bound", 0)), number(1), operation("add", make(("bound", 0)), make(("bound", 1)))])
    outer = make(("fold", "sum"), [make(("bound", 2)), number(1), operation("add", make(("bound", 0)), make(("bound", 3)))])
    assert lifted(inner, 2) is outer and inner.loose == 1 and outer.loose == 3


def rows(inner: Var, outer: Var) -> Term:
    """exp of row sums of f, added up."""
    return total(outer, n, exp(total(inner, n, Entry("f", outer, inner))))


def columns(inner: Var, outer: Var) -> Term:
    """exp of column sums."""
    return total(outer, n, exp(total(inner, n, Entry("f", inner, outer))))


def test_row_sums_are_not_column_sums() -> None:
    """SymPy's dummy_eq takes these for equal."""
    assert through_json(rows(j, i)) is through_json(rows(i, j)) is through_json(rows(k, i))
    assert through_json(rows(j, i)) is not through_json(columns(j, i))
    assert through_json(columns(j, i)) is through_json(columns(k, j))


def test_nothing_is_captured() -> None:
    """SymPy's subs, xreplace and diff capture in each of these."""
    y = Var("y")
    value = substitute(through_json(total(j, n, x(j) * y)), {mirrored(y): mirrored(x(j))})
    assert value is mirrored(total(k, n, x(k) * x(j))) and value is not mirrored(total(j, n, x(j) * x(j)))
    value = substitute(through_json(total(j, n, x(j) * Entry("f", k, j))), {mirrored(k): mirrored(j)})
    assert value is mirrored(total(i, n, x(i) * Entry("f", j, i))) and value is not mirrored(total(j, n, x(j) * Entry("f", j, j)))
    value = substitute(mirrored(total(j, n, x(j))), {}, {"x": mirrored(Lambda((i,), x(i) * j))})
    assert value is mirrored(total(k, n, x(k) * j))
    value = substitute(mirrored(total(j, n, x(total(k, n, x(j))))), {}, {"x": mirrored(Lambda((i,), total(j, n, i * x(j) * k)))})
    inside = total(Var("p"), n, total(Var("q"), n, j * x(Var("q")) * k))
    assert value is mirrored(total(j, n, total(i, n, inside * x(i) * k)))


def test_instances_do_not_capture_in_a_document() -> None:
    given = law((), "derivative_of_constant", {}, {})
    for made in (instantiation([given], {Var("c"): Var("t")}, {}), law((), "derivative_of_constant", {Var("c"): Var("t")}, {})):
        conclusion = check(proofs({"it": made})).theorems["it"].conclusion
        assert conclusion.parts[0].parts[0] is variable("t") and conclusion.parts[0].loose == 0


def test_nothing_is_simplified_when_it_is_read() -> None:
    """SymPy turns these into 1, 0, exp(−a), one sum with two limits."""
    for term in (x(j) / x(j), 0 * total(j, n, 1 / x(j)), 1 / exp(i), total(i, n, total(j, n, Entry("f", i, j))), exp(i) * exp(2 * i)):
        node = through_json(term)
        assert node.head == (("op", term.name) if isinstance(term, Op) else ("fold", "sum"))
        assert len(node.parts) == len(children(term))
        assert node is mirrored(term)


def test_the_parts_of_a_node_stand_in_the_order_of_the_core() -> None:
    """A path of the core leads to the same place here."""
    for seed in range(100):
        term = bound_term(random.Random(seed), 2)
        node = mirrored(term)
        parts = [part for part, _ in children(term)]
        assert len(parts) == len(node.parts)
        assert mirrored(rebuild(term, parts)) is node
        for part, bound, own in zip(parts, [bound for _, bound in children(term)], node.parts, strict=True):
            assert close(mirrored(part), [mirrored(var) for var in bound]) is own


@pytest.mark.parametrize(
    ("head", "parts"),
    [
        (("op", "add"), 1), (("op", "foo"), 2), (("op", "pi"), 1), (("fold", "product"), 3), (("fold", "sum"), 2),
        (("var", "x", "index"), 0), (("num", Fraction(1)), 1), (("num", 1.5), 0), (("nothing",), 0), (("call", "f", ("a",)), 1),
        (("lambda", 1), 2), (("every", 0), 1), (("every", 1), 2), (("formula", "eq", "s"), 2),
        (("formula", "permutation", None), 1), (("formula", "derivative", None), 3),
    ],
)
def test_a_malformed_node_is_not_made(head: tuple[object, ...], parts: int) -> None:
    with pytest.raises(CheckError):
        make(head, [number(1)] * parts)


def test_a_formula_speaks_of_parts_of_the_right_sort() -> None:
    one, permuted = number(1), predicate("permutation", number(1), tensor="s")
    functions = [make(("lambda", count), [one]) for count in range(3)]
    assert make(("every", 1), [one, predicate("integer", one)]).is_formula and predicate("derivative", functions[1], one, one).is_formula
    for head, parts in (
        (("every", 1), [one, permuted]), (("every", 1), [one, one]), (("every", 1), [permuted, predicate("integer", one)]),
        (("formula", "derivative", None), [functions[0], one, one]), (("formula", "derivative", None), [functions[2], one, one]),
        (("formula", "derivative", None), [one, one, one]), (("formula", "eq", None), [functions[1], one]), (("op", "neg"), [functions[0]]),
        (("lambda", 1), [permuted]), (("entry", "x"), [permuted]), (("call", "f", ("a",)), [one]),
        (("call", "f", ("a",)), [functions[0], permuted]),
    ):
        with pytest.raises(CheckError):
            make(head, parts)


def test_a_power_has_a_literal_natural_exponent() -> None:
    for exponent in (variable("n", "size"), number(-1), number(Fraction(1, 2))):
        with pytest.raises(CheckError, match="natural"):
            operation("pow", variable("x"), exponent)


def test_deep_nesting_is_an_error_of_ours() -> None:
    node = number(1)
    with pytest.raises(CheckError, match="deeper"):
        for _ in range(DEEPEST):
            node = operation("neg", node)
    assert node.deep == DEEPEST


def test_handmade_theorems_are_read_as_they_are_mirrored() -> None:
    theorems = handmade()
    statements = check(proofs(theorems)).theorems
    assert all(statements[name].conclusion is mirrored(theorem.conclusion) for name, theorem in theorems.items())
    assert statements["instance"].conclusion.parts[0] is mirrored(total(k, n + 1, (x(k) + j) * x(j)))
