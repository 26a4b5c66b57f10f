"""The modular look: what exp, roots, signs and derivatives show, and when it says that it cannot see."""

from __future__ import annotations

import pytest
from claims import SOFTMAX, claim

from kernelproof.symbolic.formulas import Formula, derivative, equation, every, nonnegative, positive
from kernelproof.symbolic.looks.model import LOOKS
from kernelproof.symbolic.phase import Extra
from kernelproof.symbolic.terms import PI, Entry, Lambda, Num, Op, Term, exp, log, maximum_of, size, sqrt, total, variables

n = size("n")
a, b, c, i, j, p, t, u = variables("a b c i j p t u")
f, g = Entry("f", t), Entry("g", j)


def verdict(conclusion: Formula, *hypotheses: Formula, over: tuple[tuple[object, Term], ...] = ()) -> str:
    return LOOKS["modular"](SOFTMAX, claim(conclusion, *hypotheses, over=over), 0).verdict


def test_a_shift_inside_exp_is_visible() -> None:
    shifted = SOFTMAX.definition.call({"x": Lambda((j,), Entry("x", j) + c)}, j)
    plain = SOFTMAX.definition.call({}, j)
    scaled = SOFTMAX.definition.call({"x": Lambda((j,), Entry("x", j) * c)}, j)
    assert verdict(equation(shifted, plain), over=((j, n),)) == "pass"
    assert verdict(equation(scaled, plain), over=((j, n),)) == "fail"
    assert verdict(equation(exp(a + c), exp(a) * exp(c))) == "pass" and verdict(equation(exp(a + c), exp(a) + exp(c))) == "fail"
    assert verdict(equation(exp(a * b) * exp(-b * a), 1)) == "pass" and verdict(equation(exp(a * b), exp(a) * exp(b))) == "fail"
    assert verdict(equation(exp(a / 2) ** 2, exp(a))) == "pass" and verdict(equation(exp(exp(a) + b), exp(exp(a)) * exp(b))) == "pass"


TRUE = [
    equation(sqrt(a * a * PI), sqrt(PI * a * a)), equation(Op("sin", 2 * a), 2 * Op("sin", a) * Op("cos", a)),
    equation(Op("tanh", a) * (exp(2 * a) + 1), exp(2 * a) - 1), equation(Op("erf", a - b), -Op("erf", b - a)),
    equation(Op("max", a, b), Op("max", b, a)), equation(log(exp(a) * exp(b)), a + b), equation(Num(1) / (a - a), 0),
    equation(maximum_of(j, n, g), maximum_of(i, n, Entry("g", i))), equation(sqrt(Num(8)), 2 * sqrt(Num(2))),
]
FALSE = [
    equation(Op("sin", 2 * a), 2 * Op("sin", a)), equation(Op("cos", -a), -Op("cos", a)), equation(Op("tanh", -a), Op("tanh", a)),
    equation(Op("max", a, b), a * b), equation(total(j, n, g), total(j, n + 1, g)), equation(sqrt(Num(2)) ** 2, 3),
    equation(Num(1) / a * b, a / b),
]


@pytest.mark.parametrize("number", range(len(TRUE)))
def test_true(number: int) -> None:
    assert verdict(TRUE[number]) == "pass"


@pytest.mark.parametrize("number", range(len(FALSE)))
def test_false(number: int) -> None:
    assert verdict(FALSE[number]) == "fail"


def test_signs_that_are_not_assumed_are_not_taken_for_granted() -> None:
    assert verdict(equation(sqrt(a * a), a)) == "unknown" and verdict(equation(sqrt(a * a), a), positive(a)) == "pass"
    assert verdict(equation(Op("max", 0, c * a), c * Op("max", 0, a))) == "unknown"
    assert verdict(equation(Op("max", 0, c * a), c * Op("max", 0, a)), positive(c)) == "pass"


def test_derivatives_inside_and_outside_of_exp() -> None:
    along = derivative(Lambda((t,), f), p, u)
    right = exp(Entry("f", p)) * (1 + Entry("f", p)) * u
    assert verdict(derivative(Lambda((t,), f * exp(f)), p, right), along) == "pass"
    assert verdict(derivative(Lambda((t,), f * exp(f)), p, exp(Entry("f", p)) * u), along) == "fail"
    assert verdict(derivative(Lambda((t,), f * exp(f)), p, right)) == "not_applicable"
    rows = every(((j, n),), derivative(Lambda((t,), Entry("x", t, j)), p, Entry("g", j)))
    whole = total(j, n, Entry("x", t, j) ** 2)
    assert verdict(derivative(Lambda((t,), whole), p, total(j, n, 2 * Entry("x", p, j) * g)), rows) == "pass"
    assert verdict(derivative(Lambda((t,), whole), p, total(j, n, Entry("x", p, j) * g)), rows) == "fail"


def test_what_is_not_seen_is_said_not_to_be() -> None:
    for formula in (positive(exp(a)), nonnegative(a * a), equation(Op("sin", PI), 0), equation(log(a * a + 1), a)):
        assert verdict(formula) == "not_applicable"
    deep = exp(exp(exp(exp(a))))
    assert verdict(equation(deep * exp(b), exp(exp(exp(exp(a))) + b))) == "not_applicable"
    assert verdict(equation(a, b), equation(exp(a), exp(b))) == "not_applicable"
    assert verdict(equation(a, b), positive(Num(-1))) == "not_applicable"


def test_permutations_and_masks_are_integers() -> None:
    from kernelproof.symbolic.formulas import permutation

    moved = equation(total(j, n, Entry("f", Entry("s", j))), total(j, n, Entry("f", j)))
    assert verdict(moved, permutation("s", n)) == "pass"
    found = LOOKS["modular"](SOFTMAX, claim(moved, extras=(Extra("s", "index_map", (n,), n),)), 0)
    assert found.verdict == "fail" and found.status == "sampled"
    mask = every(((j, n),), equation(g * g, g))
    assert verdict(equation(total(j, n, g * g * Entry("f", j)), total(j, n, g * Entry("f", j))), mask) == "pass"
    assert verdict(equation(total(j, n, g * g * Entry("f", j)), total(j, n, g * Entry("f", j)))) == "fail"


def test_the_same_seed_says_the_same() -> None:
    one, two = (LOOKS["modular"](SOFTMAX, claim(FALSE[0]), 5) for _ in range(2))
    assert one == two
