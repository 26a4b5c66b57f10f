"""Exponentials as powers of two: ``exp2(y) = exp(y·log 2)``, so ``exp(x) = exp2(x/log 2)``.

A kernel puts ``1/log 2`` on the scale of the scores and takes powers of two, which many processors compute faster. That log 2 is not 0
follows from exp(log 2) = 2, and is proved here; over the real numbers nothing else is needed.
"""

from __future__ import annotations

from functools import cache

from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.definitions import define
from kernelproof.symbolic.core.logic import assumption, cases, symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.formulas import equation
from kernelproof.symbolic.functions import Clause, Definition, Parameter
from kernelproof.symbolic.phase import Options, Statement
from kernelproof.symbolic.tactics.rewriting import by_arithmetic, in_order, inside, replaced, rewriting, then, unfold, use
from kernelproof.symbolic.terms import ONE, ZERO, Num, exp, log, variables

x, y = variables("x y")
TWO = Num(2)
EXP2 = define(Definition("exp2", (Parameter("y", meaning="an exponent"),), (Clause((), (), exp(y * log(TWO))),), meaning="2^y"))
NUMBERS = "an identity of the real numbers; kernels that use it are tried as such"


@cache
def power_of_two() -> Theorem:
    """⊢ exp(x) = exp2(y := x/log 2)."""
    length = log(TWO)
    opened = unfold("exp2")(EXP2.call({"y": x / length}))
    indicator = use("delta_is_indicator", a=length, b=ZERO)
    # log 2 ≠ 0: it cancels
    differs = use("delta_not_means", assumption((), equation(indicator.right, ZERO)), a=length, b=ZERO)
    differs = replaced(differs, arithmetic((), length - ZERO, length))
    plain = inside((0,), by_arithmetic(x, differs))(opened.right)
    # log 2 = 0: then 2 = exp(log 2) = 1, and so any two numbers are equal
    none = use("delta_means", assumption((), equation(indicator.right, ONE)), a=length, b=ZERO)
    above = replaced(use("sum_positive", use("one_positive"), use("one_positive"), a=ONE, b=ONE), arithmetic((), ONE + ONE, TWO))
    is_two = use("exp_of_logarithm", above, a=TWO)
    gap = opened.right - exp(x)
    mixed = opened.right - gap * (exp(length) - 1)
    to_power = in_order(inside((1, 1, 0), rewriting(is_two)), by_arithmetic(exp(x)))(mixed)
    to_opened = in_order(inside((1, 1, 0, 0), rewriting(none)), by_arithmetic(opened.right))(mixed)
    any_two = then(symmetry((to_opened,)), to_power)
    return symmetry((then(opened, cases((indicator, plain, any_two))),))


def statements(variant: Options) -> tuple[Statement, ...]:
    """The theorem about powers of two."""
    title = "Exponentials are powers of two of the exponent over log 2"
    return (Statement("attention.power_of_two", title, power_of_two(), untested=NUMBERS),)
