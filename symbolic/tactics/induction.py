"""Induction on a size, for equations between sums.

What it does: shows ``left = right`` for every size n by peeling the last term off every sum over n+1, and using the claim for n.
Guarantees: nothing beyond the core's rules.
"""

from __future__ import annotations

from kernelproof.symbolic.binding import substitute
from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.logic import assumption, induction, symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import equation
from kernelproof.symbolic.tactics.rewriting import Conversion, everywhere, in_order, shown_as, then, tried, use
from kernelproof.symbolic.terms import ZERO, Fold, Lambda, Num, Op, Term, Var, is_size


def peel(value: Term) -> Theorem:
    """Σ_{j<0} f = 0, and Σ_{j<n+1} f = Σ_{j<n} f + f[n], at the root."""
    if not (isinstance(value, Fold) and value.kind == "sum" and value.guard is Num(1)):
        raise ProofError("not a sum")
    body = Lambda((value.var,), value.body)
    if value.size is ZERO:
        return shown_as(use("sum_empty", f=body), value)
    if isinstance(value.size, Op) and value.size.name == "add" and value.size.args[1] is Num(1):
        length = value.size.args[0]
        if not is_size(length):
            raise ProofError("the range is not a natural number + 1")
        last = substitute(value.body, {value.var: length})
        return shown_as(use("sum_last", n=length, f=body), value, Fold("sum", value.var, length, value.body) + last)
    raise ProofError("the range is neither empty nor n + 1")


def by_induction(var: Var, left: Term, right: Term, *prepare: Conversion) -> Theorem:
    """left = right for every natural ``var``; ``prepare`` brings either side of the step into a form whose sums can be peeled."""
    claim = equation(left, right)
    given = assumption((), claim)
    steps = in_order(*(tried(conversion) for conversion in prepare), tried(everywhere(peel)))
    proved = []
    for value, known in ((ZERO, ()), (var + 1, (given,))):
        sides = [steps(substitute(side, {var: value})) for side in (left, right)]
        middle = arithmetic(known, sides[0].right, sides[1].right, (Num(1),) * len(known))
        proved.append(then(sides[0], middle, symmetry((sides[1],))))
    return induction(proved, var, claim)
