"""The instance check: all theorems and lines pass, a false statement fails, nothing is called a proof."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import mpmath
import pytest
from numeric_cases import ALL, name_of

from kernelproof.numeric.evaluation import World, holds, value
from kernelproof.numeric.instance import check_derivation, check_statement, draw_world
from kernelproof.symbolic.core.laws import LAWS
from kernelproof.symbolic.formulas import Formula, derivative, equation, every, nonnegative, positive, within
from kernelproof.symbolic.phase import Extra
from kernelproof.symbolic.registry import derive
from kernelproof.symbolic.terms import ONE, PI, ZERO, Entry, Lambda, Num, Op, Term, Var, exp, log, maximum_of, size, sqrt, total, variables

n = size("n")
i, j, a, b, c = variables("i j a b c")


def stated(conclusion: Formula, *hypotheses: Formula) -> Any:
    """The same for any formula."""
    theorem = SimpleNamespace(conclusion=conclusion, hypotheses=hypotheses)
    return SimpleNamespace(id="claim", title="a claim", theorem=theorem, over=(), extras=())


def claim(left: Term, right: Term, *hypotheses: Formula, over: tuple[Any, ...] = (), extras: tuple[Extra, ...] = ()) -> Any:
    """What looks like a statement: theorems cannot be forged, so the check is given a stand-in."""
    theorem = SimpleNamespace(conclusion=equation(left, right), hypotheses=hypotheses, left=left, right=right)
    return SimpleNamespace(id="claim", title="a claim", theorem=theorem, over=over, extras=extras)


@pytest.mark.parametrize(("phase", "variant"), ALL, ids=name_of)
def test_every_theorem_and_every_line_holds(phase: str, variant: dict[str, object]) -> None:
    derivation = derive(phase, **variant)
    results = check_derivation(derivation)
    lines = sum(len(clausal.lines) for clausal in derivation.clauses)
    assert len(results) == len(derivation.statements) + lines
    verdicts = {result.theorem_id: result.verdict for result in results}
    assert "fail" not in verdicts.values()
    assert {name for name, verdict in verdicts.items() if verdict != "pass"} <= {"positional.uniqueness", "encoder_block.order_matters"}
    assert all(result.detail.startswith("3 instances") for result in results if result.verdict == "pass")


SOFTMAX = derive("softmax")
CALL = SOFTMAX.definition.call
FALSE = [
    (CALL({}, j), exp(Entry("x", j))),
    (total(j, n, CALL({}, j)), ONE + Num(1) / Num(10**15)),
    (CALL({"x": derive("softmax").statements[1].theorem.left.arguments[1][1]}, j), CALL({}, j) * exp(Var("c"))),
    (maximum_of(j, n, Entry("x", j)), total(j, n, Entry("x", j))),
]


@pytest.mark.parametrize("number", range(len(FALSE)))
def test_a_false_statement_fails(number: int) -> None:
    left, right = FALSE[number]
    found = check_statement(SOFTMAX, claim(left, right, over=((j, n),), extras=(Extra("c", "real"),)))
    assert found.verdict == "fail" and "left" in found.detail


def test_a_true_statement_passes_and_is_called_an_instance() -> None:
    found = check_statement(SOFTMAX, claim(total(j, n, CALL({}, j)), ONE))
    assert found.verdict == "pass" and "instances" in found.detail


def test_hypotheses_that_never_hold_are_not_a_pass() -> None:
    never = positive(Num(-1))
    assert check_statement(SOFTMAX, claim(ZERO, ONE, never)).verdict == "not_applicable"
    assert check_statement(SOFTMAX, claim(ZERO, ONE, equation(exp(a), exp(b)))).verdict == "not_applicable"
    assert check_statement(SOFTMAX, claim(ZERO, ONE, equation(a, a + 1))).verdict == "not_applicable"


def test_a_variable_that_nobody_drew_is_no_zero() -> None:
    assert check_statement(SOFTMAX, claim(a * Entry("x", ZERO), ZERO)).verdict == "fail"  # the check draws what is free
    with pytest.raises(KeyError, match="'a' was not drawn"):
        value(a, World(0))


def test_laws_with_every_kind_of_formula_hold_and_their_neighbours_do_not() -> None:
    passed = 0
    for law in LAWS.values():
        found = check_statement(SOFTMAX, stated(law.conclusion, *law.hypotheses))
        assert found.verdict in ("pass", "not_applicable"), (law.name, found.detail)
        passed += found.verdict == "pass"
        if law.conclusion.name == "derivative":
            function, point, slope = law.conclusion.terms
            false = check_statement(SOFTMAX, stated(derivative(function, point, slope + Num(1) / 10**30), *law.hypotheses))
            assert false.verdict == "fail", law.name
    assert passed >= 74


def test_assumed_equations_curves_and_masks_are_met_by_construction() -> None:
    f, g = Entry("f", j), Entry("g", j)
    same = every(((j, n),), equation(f, g * g))
    assert check_statement(SOFTMAX, claim(total(j, n, f), total(j, n, g * g), same)).verdict == "pass"
    assert check_statement(SOFTMAX, claim(total(j, n, f), total(j, n, g * g))).verdict == "fail"
    mask = every(((j, n),), equation(g * g, g))
    assert check_statement(SOFTMAX, claim(total(j, n, g * g * f), total(j, n, g * f), mask)).verdict == "pass"
    rows = every(((j, n),), derivative(Lambda((a,), Entry("x", a, j)), b, g))
    whole = Lambda((a,), total(j, n, exp(Entry("x", a, j))))
    assert check_statement(SOFTMAX, stated(derivative(whole, b, total(j, n, exp(Entry("x", b, j)) * g)), rows)).verdict == "pass"
    assert check_statement(SOFTMAX, stated(derivative(whole, b, total(j, n, g)), rows)).verdict == "fail"
    bounded = every(((j, n),), nonnegative(a - f))
    assert check_statement(SOFTMAX, stated(nonnegative(n * a - total(j, n, f)), bounded)).verdict == "pass"
    assert check_statement(SOFTMAX, stated(nonnegative(total(j, n, f) - n * a), bounded)).verdict == "fail"


def test_false_inequalities_and_ranges_fail() -> None:
    true = (positive(exp(a)), nonnegative(a * a), Formula("nonzero", exp(a)), within(n - 1, n), Formula("integer", n * n))
    false = (positive(a - a), nonnegative(-a * a), Formula("nonzero", a - a), within(n, n), Formula("integer", n + Num(1) / 2))
    assert [check_statement(SOFTMAX, stated(formula)).verdict for formula in true] == ["pass"] * 5
    assert [check_statement(SOFTMAX, stated(formula)).verdict for formula in false] == ["fail"] * 5
    everywhere = every(((j, n),), positive(exp(Entry("f", j))))
    assert check_statement(SOFTMAX, stated(everywhere)).verdict == "pass"
    assert check_statement(SOFTMAX, stated(every(((j, n),), positive(Entry("f", j))))).verdict == "fail"


def test_a_column_that_is_of_no_clause_s_form_has_its_value() -> None:
    rotary = derive("rotary", layout="halves")
    columns = total(c, 2 * Var("h", "size"), rotary.definition.call({}, ZERO, c) ** 2)
    parts = total(c, 2 * Var("h", "size"), Entry("x", ZERO, c) ** 2)
    assert check_statement(rotary, claim(columns, parts)).verdict == "pass"
    assert check_statement(rotary, claim(columns, 2 * parts)).verdict == "fail"


def test_constants_of_an_axiom_are_not_drawn() -> None:
    assert check_statement(SOFTMAX, claim(Entry("turns", a, b), ZERO)).verdict == "not_applicable"


def test_real_extras_have_both_signs_and_positive_ones_have_not() -> None:
    statement = claim(ZERO, ZERO, extras=(Extra("a", "real"), Extra("b", "positive")))
    worlds = [draw_world(SOFTMAX, statement, random.Random(seed)) for seed in range(40)]
    assert {world.variables["a"] > 0 for world in worlds} == {True, False}
    assert {world.variables["b"] > 0 for world in worlds} == {True}


def test_the_same_seed_gives_the_same_world() -> None:
    statement = SOFTMAX.statements[1]
    one, two = (draw_world(SOFTMAX, statement, random.Random(3)) for _ in range(2))
    assert one.variables == two.variables and value(Entry("x", Num(1)), one) == value(Entry("x", Num(1)), two)
    assert value(Entry("x", Num(1)), one) != value(Entry("x", Num(2)), one)


def test_terms_have_their_total_meaning() -> None:
    world = World(0, {"n": 3, "z": 0}, {"x": lambda index: (2, -1, 5)[index]})
    with mpmath.workdps(50):
        assert value(ONE / ZERO, world) == 0 and value(sqrt(Num(-4)), world) == 0 and value(log(ZERO), world) == 0
        assert value(total(j, n, Entry("x", j)), world) == 6 and value(total(j, Num(0), Entry("x", j)), world) == 0
        assert value(maximum_of(j, n, Entry("x", j)), world) == 5
        assert value(maximum_of(j, n, Entry("x", j), Op("delta", j, ONE)), world) == -1
        assert value(maximum_of(j, n, Entry("x", j), ZERO), world) == 0
        assert value(ZERO**0, world) == 1 and abs(value(PI, world) - mpmath.pi) < mpmath.mpf(10) ** -48


def test_hypotheses_are_looked_at() -> None:
    world = World(0, {"a": 2, "b": mpmath.mpf("0.5")})
    assert holds(within(a, Num(3)), world) and not holds(within(a, Num(2)), world) and not holds(within(b, Num(3)), world)
    assert holds(positive(a), world) and not holds(positive(a - 2), world)
    assert holds(Formula("nonzero", a), world) and not holds(Formula("integer", b), world)
