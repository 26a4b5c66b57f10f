"""Activations, elementwise: relu, gelu (exact), gelu_tanh, silu. Sources: Hendrycks and Gimpel, arXiv:1606.08415 (GELU, its tanh
form, SiLU).

Every one satisfies f(x) − f(−x) = x, which needs no reference and no tolerance beyond rounding. Kernel form: the definition.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from kernelproof.symbolic.binding import at, positions, replace_at
from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.definitions import define
from kernelproof.symbolic.core.logic import assumption, cases, symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import equation, positive
from kernelproof.symbolic.functions import Clause, Definition, Parameter
from kernelproof.symbolic.phase import Clausal, Derivation, Extra, Options, Phase, Statement, VariantOption
from kernelproof.symbolic.tactics.rewriting import (
    Chain,
    Conversion,
    by_arithmetic,
    by_only,
    everywhere,
    first,
    in_order,
    is_operation,
    replaced,
    rewriting,
    tried,
    unfold,
    use,
)
from kernelproof.symbolic.tactics.signs import positivity
from kernelproof.symbolic.terms import ONE, PI, ZERO, Entry, Lambda, Num, Op, Term, exp, less, size, sqrt, variables

n = size("n")
i, a = variables("i c")
HALF = Num(Fraction(1, 2))
CUBIC = Num(Fraction(44715, 1000000))


def relu(z: Term) -> Term:
    """max(0, z)."""
    return Op("max", ZERO, z)


def gelu(z: Term) -> Term:
    """z/2·(1 + erf(z/√2))."""
    return HALF * z * (1 + Op("erf", z / sqrt(Num(2))))


def gelu_tanh(z: Term) -> Term:
    """z/2·(1 + tanh(√(2/π)·(z + 0.044715·z³)))."""
    return HALF * z * (1 + Op("tanh", sqrt(2 / PI) * (z + CUBIC * z**3)))


def silu(z: Term) -> Term:
    """z / (1 + exp(−z))."""
    return z / (1 + exp(-z))


FORMULAS: dict[str, Callable[[Term], Term]] = {"relu": relu, "gelu": gelu, "gelu_tanh": gelu_tanh, "silu": silu}
OPTION = VariantOption("activation", "relu", tuple(FORMULAS), "which elementwise function")


def _definition(name: str) -> Definition:
    x = Entry("x", i)
    return define(
        Definition(
            f"activation_{name}",
            (Parameter("n", kind="size", meaning="entries"), Parameter("x", (n,), meaning="input")),
            (Clause((i,), ((i, n),), FORMULAS[name](x)),),
            meaning=f"{name}, elementwise",
        )
    )


DEFINITIONS = {name: _definition(name) for name in FORMULAS}


def odd(function: str) -> Conversion:
    """f(c·(−z)…) = −f(…) for odd f, where the argument is minus something by arithmetic."""

    def convert(value: Term) -> Theorem:
        if not is_operation(value, function):
            raise ProofError(f"not {function}")
        (argument,) = value.args
        flipped = _flip(argument)
        there = first(by_only(argument, arithmetic((), argument, -flipped)))(value)
        odd = use(f"{function}_odd", a=flipped)
        return in_order(lambda _: there, rewriting(odd))(value)

    return convert


def _flip(value: Term) -> Term:
    """The term with −x[i] replaced by x[i]."""
    for path, part in positions(value):
        if is_operation(part, "neg"):
            return _flip(replace_at(value, path, part.args[0]))
    return value


def reflection(name: str) -> Theorem:
    """⊢ f(x)[i] − f(−x)[i] = x[i]."""
    definition = DEFINITIONS[name]
    x = Entry("x", i)
    start = definition.call({}, i) - definition.call({"x": Lambda((i,), -x)}, i)
    unfolded = everywhere(unfold(definition.name))
    if name == "relu":
        return in_order(unfolded, rewriting(use("maximum_reflected", a=x)))(start)
    if name == "silu":
        minus = -x
        divisors = tuple(positivity(1 + exp(part)) for part in (minus, -minus))
        return in_order(unfolded, by_arithmetic(x, *divisors))(start)
    function = "erf" if name == "gelu" else "tanh"
    body = unfolded(start)
    reflected = next(part for _, part in positions(at(body.right, (1,))) if is_operation(part, function))
    return in_order(lambda _: body, first(by_only(reflected, odd(function)(reflected))), by_arithmetic(x))(start)


def homogeneity() -> Theorem:
    """0 < c ⊢ relu(c·x)[i] = c·relu(x)[i]."""
    definition = DEFINITIONS["relu"]
    x = Entry("x", i)
    scaled = definition.call({"x": Lambda((i,), a * x)}, i)
    rule = use("maximum_scaled", assumption((), positive(a)), c=a, a=x)
    back = first(rewriting(_folded(definition)))
    return in_order(unfold(definition.name), rewriting(rule), back)(scaled)


def at_zero(name: str) -> Theorem:
    """⊢ f(0)[i] = 0."""
    definition = DEFINITIONS[name]
    by_step = tried(rewriting(use("maximum_by_step", a=ZERO)))
    return in_order(unfold(definition.name), by_step, by_arithmetic(ZERO))(definition.call({"x": Lambda((i,), ZERO)}, i))


def relu_nonnegative() -> Theorem:
    """⊢ 0 ≤ relu(x)[i]: relu(x) = [0 < x]·x, and the step is 0 or 1."""
    x = Entry("x", i)
    step = less(ZERO, x)
    positive_there = replaced(use("less_means", a=ZERO, b=x), arithmetic((), x - ZERO, x))
    one = use("positive_is_nonnegative", positive_there, a=x)
    ends = []
    for value, factor, sign in ((ZERO, ZERO, use("zero_nonnegative")), (ONE, x, one)):
        known = assumption((), equation(step, value))
        product = arithmetic((known,), step * x, factor, (x,))
        ends.append(replaced(sign, symmetry((product,))))
    whole = cases((use("less_is_indicator", a=ZERO, b=x), *ends))
    return replaced(whole, symmetry((use("maximum_by_step", a=x),)), _folded(DEFINITIONS["relu"]))


def _folded(definition: Definition) -> Theorem:
    return symmetry((unfold(definition.name)(definition.call({}, i)),))


def build(variant: Options) -> Derivation:
    """Derivation and theorems."""
    name = str(variant["activation"])
    definition = DEFINITIONS[name]
    chain = Chain(definition.call({}, i)).step(f"unfold {name}", unfold(definition.name))
    over = ((i, n),)
    statements = [
        Statement("activation.reflection", "f(x) − f(−x) = x", reflection(name), over),
        Statement("activation.at_zero", "f(0) = 0", at_zero(name), over),
    ]
    if name == "relu":
        statements += [
            Statement("activation.homogeneity", "relu(c·x) = c·relu(x) for c > 0", homogeneity(), over, (Extra("c", "positive"),)),
            Statement(
                "activation.nonnegative", "relu is never negative", relu_nonnegative(), over,
                untested="an inequality; equations are tried on kernels",
            ),
        ]
    return Derivation(
        phase="activation",
        title=PHASE.title,
        variant=dict(variant),
        definition=definition,
        clauses=(Clausal(definition.clauses[0], tuple(chain.lines)),),
        statements=tuple(statements),
        licences=(),
    )


PHASE = Phase(
    name="activation",
    title="Activation",
    summary="relu, gelu, gelu_tanh or silu, elementwise",
    signature="f(x)",
    build=build,
    definitions={definition.name: {"activation": name} for name, definition in DEFINITIONS.items()},
    variants={"activation": OPTION},
)
