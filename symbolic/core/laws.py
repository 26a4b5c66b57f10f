"""The laws: what is taken from arithmetic, order and analysis without proof, as a table of statements; and the rule that uses one.

What it does: a law is ``hypotheses ⊢ conclusion`` in real variables (``a``, ``b``, ``c``, ``p``, ``u``, ``v``), sizes (``m``, ``n``) and
tensors (``f``, ``g``, ``s``), all of which may be instantiated. ``axiom`` names what a theorem that uses the law rests on; laws of finite
sums, of order and of 0-or-1 values have none: they are facts of ordered fields that this core does not take apart further.

Guarantees: nothing but the rows below. Each is tried at random instances by the tests. Cannot see: whether a row is true; read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from kernelproof.symbolic.binding import alpha_equal
from kernelproof.symbolic.core.logic import Premises, instances
from kernelproof.symbolic.core.theorem import Made, rule
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import (
    Formula,
    derivative,
    equation,
    every,
    integer,
    nonnegative,
    nonzero,
    permutation,
    positive,
    within,
)
from kernelproof.symbolic.terms import (
    PI,
    ZERO,
    Entry,
    Lambda,
    Op,
    Term,
    TermLike,
    Var,
    delta,
    exp,
    less,
    log,
    maximum_of,
    size,
    sqrt,
    total,
    variables,
)


class Law(NamedTuple):
    """A row of the table; hypotheses may be left to the theorem or discharged by premises."""

    name: str
    subject: str
    hypotheses: tuple[Formula, ...]
    conclusion: Formula
    axiom: str | None = None


m, n = size("m"), size("n")
a, b, c, p, t, u, v, j, i = variables("a b c p t u v j i")


def f(index: TermLike) -> Term:
    """An entry of any tensor."""
    return Entry("f", index)


def g(index: TermLike) -> Term:
    """An entry of another."""
    return Entry("g", index)


def s(index: TermLike) -> Term:
    """An entry of a permutation."""
    return Entry("s", index)


def maximum(left: TermLike, right: TermLike) -> Term:
    """The larger of two."""
    return Op("max", left, right)


def slope(body: TermLike, value: TermLike) -> Formula:
    """λt. body has this derivative at p."""
    return derivative(Lambda((t,), body), p, value)


def some(length: TermLike, shift: TermLike = 0) -> Term:
    """1 where some g[shift + j], j below the length, is not 0."""
    index = j if shift == 0 else shift + j
    return less(0, total(j, length, g(index) * g(index)))


def _merged() -> Term:
    """The maximum of two guarded blocks of which one or both may be empty."""
    one, two = maximum_of(j, m, f(j), g(j)), maximum_of(j, n, f(m + j), g(m + j))
    in_one, in_two = some(m), some(n, m)
    return in_one * in_two * maximum(one, two) + in_one * (1 - in_two) * one + (1 - in_one) * in_two * two


TRIG, CIRCLE, TURNS = "trigonometric addition", "unit circle", "period of sine and cosine"
ROOT, ORDER, CALCULUS, LOGARITHM = "square root", "order of the reals", "derivatives of elementary functions", "log inverts exp"
SIN_A, COS_A, SIN_B, COS_B = Op("sin", a), Op("cos", a), Op("sin", b), Op("cos", b)
WHOLE = Entry("turns", a, b)
DIFFERENTIABLE = (slope(f(t), u), slope(g(t), v))
ALONG_F = DIFFERENTIABLE[:1]

_TABLE = (
    # finite sums and maxima: Σ and max run over 0 ≤ j < n; an empty one is 0
    Law("sum_empty", "folds", (), equation(total(j, 0, f(j)), 0)),
    Law("sum_last", "folds", (), equation(total(j, n + 1, f(j)), total(j, n, f(j)) + f(n))),
    Law("sum_delta", "folds", (within(p, n),), equation(total(j, n, delta(j, p) * f(j)), f(p))),
    Law("sum_reindexed", "folds", (permutation("s", n),), equation(total(j, n, f(j)), total(j, n, f(s(j))))),
    Law("maximum_reindexed", "folds", (permutation("s", n),), equation(maximum_of(j, n, f(j), g(j)), maximum_of(j, n, f(s(j)), g(s(j))))),
    Law("maximum_split", "folds", (), equation(maximum_of(j, m + n, f(j), g(j)), _merged())),
    Law("maximum_is_bound", "folds", (within(p, n), nonzero(g(p))), nonnegative(maximum_of(j, n, f(j), g(j)) - f(p))),
    # order
    Law("maximum_associative", "order", (), equation(maximum(maximum(a, b), c), maximum(a, maximum(b, c)))),
    Law("maximum_reflected", "order", (), equation(maximum(0, a) - maximum(0, -a), a), ORDER),
    Law("maximum_scaled", "order", (positive(c),), equation(maximum(0, c * a), c * maximum(0, a)), ORDER),
    Law("maximum_by_step", "order", (), equation(maximum(0, a), less(0, a) * a), ORDER),
    Law("less_is_indicator", "order", (), equation(less(a, b) * less(a, b), less(a, b))),
    Law("less_holds", "order", (positive(b - a),), equation(less(a, b), 1)),
    Law("less_fails", "order", (nonnegative(a - b),), equation(less(a, b), 0)),
    Law("less_means", "order", (equation(less(a, b), 1),), positive(b - a)),
    Law("not_less_means", "order", (equation(less(a, b), 0),), nonnegative(a - b)),
    Law("delta_is_indicator", "order", (), equation(delta(a, b) * delta(a, b), delta(a, b))),
    Law("delta_symmetric", "order", (), equation(delta(a, b), delta(b, a))),
    Law("delta_same", "order", (), equation(delta(a, a), 1)),
    Law("delta_differs", "order", (nonzero(a - b),), equation(delta(a, b), 0)),
    Law("delta_means", "order", (equation(delta(a, b), 1),), equation(a, b)),
    Law("delta_not_means", "order", (equation(delta(a, b), 0),), nonzero(a - b)),
    Law("delta_permuted", "order", (permutation("s", n), within(a, n), within(b, n)), equation(delta(s(a), s(b)), delta(a, b))),
    # signs
    Law("one_positive", "signs", (), positive(1)),
    Law("pi_positive", "signs", (), positive(PI), "π > 0"),
    Law("exp_positive", "signs", (), positive(exp(a)), "exp(a+b) = exp(a)·exp(b), exp > 0"),
    Law("root_positive", "signs", (positive(a),), positive(sqrt(a)), ROOT),
    Law("sum_positive", "signs", (positive(a), positive(b)), positive(a + b)),
    Law("sum_with_nonnegative", "signs", (positive(a), nonnegative(b)), positive(a + b)),
    Law("product_positive", "signs", (positive(a), positive(b)), positive(a * b)),
    Law("quotient_positive", "signs", (positive(a), positive(b)), positive(a / b)),
    Law("total_positive", "signs", (positive(n), every(((j, n),), positive(f(j)))), positive(total(j, n, f(j)))),
    Law("positive_is_nonzero", "signs", (positive(a),), nonzero(a)),
    Law("positive_is_nonnegative", "signs", (positive(a),), nonnegative(a)),
    Law("zero_nonnegative", "signs", (), nonnegative(0)),
    Law("size_nonnegative", "signs", (), nonnegative(n)),
    Law("square_nonnegative", "signs", (), nonnegative(a * a)),
    Law("sum_nonnegative", "signs", (nonnegative(a), nonnegative(b)), nonnegative(a + b)),
    Law("product_nonnegative", "signs", (nonnegative(a), nonnegative(b)), nonnegative(a * b)),
    Law("quotient_nonnegative", "signs", (nonnegative(a), nonnegative(b)), nonnegative(a / b)),
    Law("total_nonnegative", "signs", (every(((j, n),), nonnegative(f(j))),), nonnegative(total(j, n, f(j)))),
    # integers and ranges
    Law("index_is_integer", "ranges", (within(a, n),), integer(a)),
    Law("index_nonnegative", "ranges", (within(a, n),), nonnegative(a)),
    Law("index_at_most", "ranges", (within(a, n + 1),), nonnegative(n - a)),
    Law("index_below", "ranges", (within(a, n),), positive(n - a)),
    Law("integer_difference", "ranges", (integer(a), integer(b)), integer(a - b)),
    Law("first_in_range", "ranges", (positive(n),), within(0, n)),
    Law("range_widened", "ranges", (within(a, m),), within(a, m + n)),
    Law("range_shifted", "ranges", (within(a, n),), within(m + a, m + n)),
    Law("range_tiled", "ranges", (within(a, m), within(b, n)), within(a * n + b, m * n)),
    Law("permutation_stays", "ranges", (permutation("s", n), within(a, n)), within(s(a), n)),
    # sine, cosine, π
    Law("sine_of_sum", "trigonometry", (), equation(Op("sin", a + b), SIN_A * COS_B + COS_A * SIN_B), TRIG),
    Law("cosine_of_sum", "trigonometry", (), equation(Op("cos", a + b), COS_A * COS_B - SIN_A * SIN_B), TRIG),
    Law("sine_of_difference", "trigonometry", (), equation(Op("sin", a - b), SIN_A * COS_B - COS_A * SIN_B), TRIG),
    Law("cosine_of_difference", "trigonometry", (), equation(Op("cos", a - b), COS_A * COS_B + SIN_A * SIN_B), TRIG),
    Law("unit_circle", "trigonometry", (), equation(SIN_A**2 + COS_A**2, 1), CIRCLE),
    Law("cosine_at_zero", "trigonometry", (), equation(Op("cos", ZERO), 1), CIRCLE),
    Law("whole_turns", "trigonometry", (equation(SIN_A, SIN_B), equation(COS_A, COS_B)), equation(a - b, 2 * PI * WHOLE), TURNS),
    Law("turns_are_whole", "trigonometry", (), integer(WHOLE), TURNS),
    Law("pi_irrational", "trigonometry", (equation(a, 2 * PI * b), integer(a), integer(b)), equation(a, 0), "π is irrational"),
    # roots, logarithms, odd functions
    Law("root_squared", "roots", (positive(a),), equation(sqrt(a) * sqrt(a), a), ROOT),
    Law("root_scaled", "roots", (positive(c),), equation(sqrt(c**2 * a), c * sqrt(a)), ROOT),
    Law("logarithm_of_exp", "logarithm", (), equation(log(exp(a)), a), LOGARITHM),
    Law("exp_of_logarithm", "logarithm", (positive(a),), equation(exp(log(a)), a), LOGARITHM),
    Law("erf_odd", "odd functions", (), equation(Op("erf", -a), -Op("erf", a)), "erf and tanh are odd"),
    Law("tanh_odd", "odd functions", (), equation(Op("tanh", -a), -Op("tanh", a)), "erf and tanh are odd"),
    Law("tanh_below_one", "odd functions", (), positive(1 - Op("tanh", a)), "|tanh| < 1"),
    # derivatives, of functions of t at p; f and g are differentiable there
    Law("derivative_unique", "calculus", (slope(f(t), u), slope(f(t), v)), equation(u, v), CALCULUS),
    Law("derivative_of_constant", "calculus", (), slope(c, 0), CALCULUS),
    Law("derivative_of_variable", "calculus", (), slope(t, 1), CALCULUS),
    Law("derivative_of_sum", "calculus", DIFFERENTIABLE, slope(f(t) + g(t), u + v), CALCULUS),
    Law("derivative_of_difference", "calculus", DIFFERENTIABLE, slope(f(t) - g(t), u - v), CALCULUS),
    Law("derivative_of_negative", "calculus", ALONG_F, slope(-f(t), -u), CALCULUS),
    Law("derivative_of_product", "calculus", DIFFERENTIABLE, slope(f(t) * g(t), u * g(p) + f(p) * v), CALCULUS),
    Law("derivative_of_quotient", "calculus", (*DIFFERENTIABLE, nonzero(g(p))), slope(f(t) / g(t), (u - f(p) / g(p) * v) / g(p)), CALCULUS),
    Law("derivative_of_total", "calculus", (every(((j, n),), slope(Entry("f", t, j), Entry("g", j))),),
        slope(total(j, n, Entry("f", t, j)), total(j, n, Entry("g", j))), CALCULUS),
    Law("derivative_of_exp", "calculus", ALONG_F, slope(exp(f(t)), exp(f(p)) * u), CALCULUS),
    Law("derivative_of_log", "calculus", (*ALONG_F, positive(f(p))), slope(log(f(t)), u / f(p)), CALCULUS),
    Law("derivative_of_root", "calculus", (*ALONG_F, positive(f(p))), slope(sqrt(f(t)), u / (2 * sqrt(f(p)))), CALCULUS),
    Law("derivative_of_tanh", "calculus", ALONG_F, slope(Op("tanh", f(t)), (1 - Op("tanh", f(p)) ** 2) * u), CALCULUS),
    Law("derivative_of_erf", "calculus", ALONG_F, slope(Op("erf", f(t)), 2 / sqrt(PI) * exp(-(f(p) ** 2)) * u), CALCULUS),
    Law("derivative_of_step", "calculus", (*ALONG_F, nonzero(f(p))), slope(less(0, f(t)), 0), CALCULUS),
)
LAWS: Mapping[str, Law] = MappingProxyType({row.name: row for row in _TABLE})
assert len(LAWS) == len(_TABLE)


def _rests_on(name: str) -> frozenset[str]:
    axiom = LAWS[name].axiom
    return frozenset() if axiom is None else frozenset((axiom,))


@rule("law", premises=None, axiom=_rests_on)
def law(premises: Premises, name: str, values: Mapping[Var, Term], functions: Mapping[str, Lambda]) -> Made:
    """A law of the table with terms for its variables and lambdas for its tensors; its hypotheses stay, or are what premises say."""
    if name not in LAWS:
        raise ProofError(f"law {name!r}: there is no such law")
    hypotheses, conclusion = instances((*LAWS[name].hypotheses, LAWS[name].conclusion), values, functions)
    left, known = list[Formula](), list[Formula]()
    for formula in hypotheses:
        found = [premise for premise in premises if alpha_equal(premise.conclusion, formula)]
        known += [kept for premise in found for kept in premise.hypotheses]
        left += [] if found else [formula]
    if any(not any(alpha_equal(premise.conclusion, formula) for formula in hypotheses) for premise in premises):
        raise ProofError(f"law {name!r}: a premise is none of its hypotheses {hypotheses!r}")
    return [*known, *left], conclusion
