"""A row that may attend to nothing gives the mean of all values (``fully_masked=mean``, as in JAX): derivation and theorems.

The definition is that of attention, plus ``(1 − C/C)·Σ_j v[j, f]/m`` with the number C of allowed keys: C/C is 1, or 0 where C is 0.
"""

from __future__ import annotations

from dataclasses import replace

from kernelproof.symbolic.core.logic import assumption
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.formulas import positive
from kernelproof.symbolic.phase import Clausal, Derivation, Statement
from kernelproof.symbolic.phases.attention import derivation, row_sum_one
from kernelproof.symbolic.phases.attention_forms import Form, e, f, i, j, m, n
from kernelproof.symbolic.tactics.rewriting import Chain, by_arithmetic, in_order, inside, then, unfold
from kernelproof.symbolic.tactics.sums import sum_constant
from kernelproof.symbolic.terms import ONE, ZERO, Entry, Lambda, Term, total

MASKED = "tried on kernels by the comparison with the definition, whose masks have such rows"


def with_mean(form: Form) -> Derivation:
    """The derivation of a form that gives a fully masked row the mean: the definition, with the kernel form of the others inside."""
    core, definition, over = derivation(replace(form, mean=False)), form.definition, ((i, n), (f, e))
    chain = Chain(form.call({}, i, f)).step("unfold: attention, and the mean of the values where no key is allowed", unfold(form.name))
    masked = "A row that may attend to nothing gives the mean of all values"
    return replace(
        core, definition=definition, clauses=(Clausal(definition.clauses[0], tuple(chain.lines)),),
        statements=(
            Statement("attention.row_sum_one", "The weights of a row sum to one", mean_row_sum_one(form), over),
            Statement("attention.fully_masked_mean", masked, fully_masked_mean(form), over, untested=MASKED),
        ),
    )


def mean_row_sum_one(form: Form) -> Theorem:
    """row i may attend to some key ⊢ attention(v := 1)[i, f] = 1, also where fully masked rows give the mean."""
    some = assumption((), positive(form.count))
    opened = unfold(form.name)(form.call({"v": Lambda((j, f), ONE)}, i, f))
    plain = row_sum_one(replace(form, mean=False))
    rest = in_order(inside((1,), by_arithmetic(ZERO, some)), inside((0,), lambda _: plain), by_arithmetic(ONE))
    return then(opened, rest(opened.right))


def fully_masked_mean(form: Form) -> Theorem:
    """⊢ attention(allow := 0)[i, f] = Σ_j v[j, f]/m."""
    nothing: dict[str, Lambda | Term] = {"allow": Lambda((i, j), ZERO)}
    plain = in_order(unfold(replace(form, mean=False).name), inside((2,), by_arithmetic(ZERO)), sum_constant, by_arithmetic(ZERO))
    none = in_order(sum_constant, by_arithmetic(ZERO))
    return in_order(
        unfold(form.name), inside((0,), plain), inside((1, 0, 1, 0), none), by_arithmetic(total(j, m, Entry("v", j, f)) / m),
    )(form.call(nothing, i, f))
