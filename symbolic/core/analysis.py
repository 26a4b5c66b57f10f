"""Named axioms: what is taken from analysis without proof. Each theorem lists those it used.

exp(a+b) = exp(a)·exp(b) and exp > 0 are part of ``arithmetic`` and ``positivity``; the others are here, one rule each.
"""

from __future__ import annotations

from kernelproof.symbolic.binding import alpha_equal
from kernelproof.symbolic.core.equality import RESERVED, Premises
from kernelproof.symbolic.core.theorem import Made, gathered, rule, stated
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import equation, integer
from kernelproof.symbolic.terms import ONE, PI, ZERO, Entry, Op, Term

(TURNS,) = RESERVED


@rule("sine_of_sum", axiom="trigonometric addition")
def sine_of_sum(premises: Premises, a: Term, b: Term) -> Made:
    """sin(a+b) = sin a cos b + cos a sin b."""
    return (), equation(Op("sin", a + b), Op("sin", a) * Op("cos", b) + Op("cos", a) * Op("sin", b))


@rule("cosine_of_sum", axiom="trigonometric addition")
def cosine_of_sum(premises: Premises, a: Term, b: Term) -> Made:
    """cos(a+b) = cos a cos b − sin a sin b."""
    return (), equation(Op("cos", a + b), Op("cos", a) * Op("cos", b) - Op("sin", a) * Op("sin", b))


@rule("cosine_of_difference", axiom="trigonometric addition")
def cosine_of_difference(premises: Premises, a: Term, b: Term) -> Made:
    """cos(a−b) = cos a cos b + sin a sin b."""
    return (), equation(Op("cos", a - b), Op("cos", a) * Op("cos", b) + Op("sin", a) * Op("sin", b))


@rule("sine_of_difference", axiom="trigonometric addition")
def sine_of_difference(premises: Premises, a: Term, b: Term) -> Made:
    """sin(a−b) = sin a cos b − cos a sin b."""
    return (), equation(Op("sin", a - b), Op("sin", a) * Op("cos", b) - Op("cos", a) * Op("sin", b))


@rule("unit_circle", axiom="unit circle")
def unit_circle(premises: Premises, a: Term) -> Made:
    """sin² a + cos² a = 1."""
    return (), equation(Op("sin", a) ** 2 + Op("cos", a) ** 2, ONE)


@rule("whole_turns", premises=2, axiom="period of sine and cosine")
def whole_turns(premises: Premises, a: Term, b: Term) -> Made:
    """From sin a = sin b and cos a = cos b: a − b = 2π·turns[a, b]."""
    for premise, name in zip(premises, ("sin", "cos"), strict=True):
        if not alpha_equal(premise.conclusion, equation(Op(name, a), Op(name, b))):
            raise ProofError("whole_turns: the premises must be sin a = sin b and cos a = cos b")
    return gathered(premises), equation(a - b, 2 * PI * Entry(TURNS, a, b))


@rule("turns_are_whole", axiom="period of sine and cosine")
def turns_are_whole(premises: Premises, a: Term, b: Term) -> Made:
    """turns[a, b] is an integer."""
    return (), integer(Entry(TURNS, a, b))


@rule("pi_irrational", premises=3, axiom="π is irrational")
def pi_irrational(premises: Premises) -> Made:
    """From x = 2π·z with x and z integers: x = 0."""
    equal, whole, turns = premises
    x, z = stated(whole, "integer"), stated(turns, "integer")
    if not alpha_equal(equal.conclusion, equation(x, 2 * PI * z)):
        raise ProofError("pi_irrational: the premises must be x = 2·π·z, x an integer, z an integer")
    return gathered(premises), equation(x, ZERO)


@rule("root_squared", premises=1, axiom="square root")
def root_squared(premises: Premises) -> Made:
    """From t > 0: √t·√t = t."""
    value = stated(premises[0], "positive")
    return gathered(premises), equation(Op("sqrt", value) * Op("sqrt", value), value)


@rule("root_scaled", premises=1, axiom="square root")
def root_scaled(premises: Premises, a: Term) -> Made:
    """From c > 0: √(c²·a) = c·√a."""
    c = stated(premises[0], "positive")
    return gathered(premises), equation(Op("sqrt", c**2 * a), c * Op("sqrt", a))


@rule("odd_function", axiom="erf and tanh are odd")
def odd_function(premises: Premises, name: str, a: Term) -> Made:
    """f(−a) = −f(a) for erf, tanh."""
    if name not in ("erf", "tanh"):
        raise ProofError(f"odd_function: {name!r} is neither erf nor tanh")
    return (), equation(Op(name, -a), -Op(name, a))


@rule("maximum_reflected", axiom="order of the reals")
def maximum_reflected(premises: Premises, a: Term) -> Made:
    """max(0, a) − max(0, −a) = a."""
    return (), equation(Op("max", ZERO, a) - Op("max", ZERO, -a), a)


@rule("maximum_scaled", premises=1, axiom="order of the reals")
def maximum_scaled(premises: Premises, a: Term) -> Made:
    """From c > 0: max(0, c·a) = c·max(0, a)."""
    c = stated(premises[0], "positive")
    return gathered(premises), equation(Op("max", ZERO, c * a), c * Op("max", ZERO, a))


@rule("logarithm_of_exp", axiom="log inverts exp")
def logarithm_of_exp(premises: Premises, a: Term) -> Made:
    """log(exp(a)) = a."""
    return (), equation(Op("log", Op("exp", a)), a)
