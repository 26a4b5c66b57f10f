"""Random terms of the core, made to collide: few names, so that what is bound, free and put in is often called the same."""

from __future__ import annotations

import random
from typing import Any

from replays import handmade

from kernelproof.symbolic.core.definitions import definition_of
from kernelproof.symbolic.terms import Entry, Fold, Lambda, Num, Op, Term, delta, exp, size, variables

NAMES = variables("i j k j'")
SIZES = (size("n"), size("m"))
ATOMS = variables("a b c")


def scaled() -> Any:
    """A defined function of a size, a scalar and a tensor of one index; its body binds j."""
    handmade()
    return definition_of("checked_scaled")


def bound_term(dice: random.Random, depth: int) -> Term:
    """A term with folds, entries, calls and lambdas over few names."""
    if depth == 0:
        entries = Entry("x", dice.choice(NAMES)), Entry("f", *dice.choices(NAMES, k=2))
        return dice.choice((*NAMES, *SIZES, Num(dice.randint(-2, 3)), *entries))

    def part() -> Term:
        return bound_term(dice, dice.randrange(depth))

    match dice.randrange(7):
        case 0 | 1:
            guard = dice.choice((Num(1), Num(1), delta(dice.choice(NAMES), part())))
            return Fold(dice.choice(("sum", "max")), dice.choice(NAMES), dice.choice((*SIZES, part())), bound_term(dice, depth - 1), guard)
        case 2:
            return Entry("x", part())
        case 3:
            return Entry("f", part(), part())
        case 4:
            arguments = {"n": dice.choice(SIZES), "c": part(), "x": Lambda((dice.choice(NAMES),), part())}
            call: Term = scaled().call(arguments, part())
            return call
        case 5:
            return Op(dice.choice(("exp", "neg", "sqrt")), part())
    return Op(dice.choice(("add", "mul", "div", "delta")), part(), part())


def lambda_term(dice: random.Random, count: int, depth: int) -> Lambda:
    """A function of so many indices."""
    return Lambda(tuple(dice.sample(NAMES, count)), bound_term(dice, depth))


def field_term(dice: random.Random, depth: int, exponentials: bool = True) -> Term:
    """A term of arithmetic over three atoms and an opaque one; exponents are small."""
    if depth == 0:
        return dice.choice((*ATOMS, *ATOMS, Num(dice.choice((0, 1, 1, 2, -1, 3))), Entry("x", ATOMS[0])))

    def part() -> Term:
        return field_term(dice, dice.randrange(depth), exponentials)

    match dice.randrange(8 if exponentials else 7):
        case 0 | 1:
            return Op("add", part(), part())
        case 2 | 3:
            return Op("mul", part(), part())
        case 4:
            return Op("sub", part(), part())
        case 5:
            return Op("div", part(), part())
        case 6:
            return dice.choice((Op("neg", part()), Op("pow", part(), dice.randint(0, 3))))
    return exp(field_term(dice, dice.randrange(min(depth, 3)), dice.random() < 0.3))


def rewritten(value: Term, dice: random.Random) -> Term:
    """A term that is equal to another for all values, with x/0 = 0: by laws of fields and of exp, at random places."""
    if not isinstance(value, Op) or (value.name == "pow" and dice.random() < 0.5):
        return dice.choice((value, value, value + 0, 1 * value, value - 0, 0 - (-value), value / 1))
    args = tuple(rewritten(arg, dice) for arg in value.args) if value.name != "pow" else value.args
    match value.name, args:
        case "add", (one, other):
            return dice.choice((one + other, other + one, one - (-other), other - (-one)))
        case "sub", (one, other):
            return dice.choice((one - other, one + (-other), -(other - one), (-1) * other + one))
        case "mul", (one, other):
            if isinstance(other, Op) and other.name in ("add", "sub"):
                return Op(other.name, one * other.args[0], one * other.args[1])
            if isinstance(one, Op) and isinstance(other, Op) and one.name == other.name == "exp":
                return exp(one.args[0] + other.args[0])
            return dice.choice((one * other, other * one, -((-one) * other)))
        case "div", (one, other):
            if isinstance(one, Op) and one.name in ("add", "sub"):
                return Op(one.name, one.args[0] / other, one.args[1] / other)
            return dice.choice((one / other, one * (1 / other), (-one) / (-other)))
        case "exp", (one,):
            if isinstance(one, Op) and one.name == "add":
                return exp(one.args[0]) * exp(one.args[1])
            return dice.choice((exp(one), 1 / exp(-one), exp(one + 1) * exp(Num(-1)), exp(one / 2) ** 2))
        case "neg", (one,):
            return dice.choice((-one, (-1) * one, 0 - one))
        case "pow", (base, exponent) if exponent is Num(2):
            return base * base
    return Op(value.name, *args)


