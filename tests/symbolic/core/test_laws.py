"""The rule ``law``: exact conclusions, which hypotheses premises discharge, and what is no instance of a law."""

from __future__ import annotations

import pytest

from kernelproof.symbolic.binding import alpha_equal
from kernelproof.symbolic.core.laws import LAWS, law
from kernelproof.symbolic.core.logic import assumption, cut, generalisation
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import Formula, derivative, equation, every, integer, nonnegative, nonzero, permutation, positive, within
from kernelproof.symbolic.tactics.rewriting import use
from kernelproof.symbolic.terms import ONE, PI, ZERO, Entry, Lambda, Op, Term, delta, exp, maximum_of, size, sqrt, total, variables

a, b, c, i, j, k, p, t = variables("a b c i j k p t")
n, m = size("n"), size("m")
x, y = Entry("x", j), Entry("y", j)


def given(formula: Formula) -> Theorem:
    return assumption((), formula)


@pytest.mark.parametrize(
    ("made", "conclusion", "hypotheses"),
    [
        (use("sum_delta", n=n, p=a, f=Lambda((j,), x)), equation(total(j, n, delta(j, a) * x), Entry("x", a)), (within(a, n),)),
        (use("sum_reindexed", n=n, f=Lambda((j,), x), s=Lambda((j,), Entry("s", j))),
         equation(total(j, n, x), total(j, n, Entry("x", Entry("s", j)))), (permutation("s", n),)),
        (use("maximum_reindexed", n=n, f=Lambda((j,), x), g=Lambda((j,), y), s=Lambda((j,), Entry("r", j))),
         equation(maximum_of(j, n, x, y), maximum_of(j, n, Entry("x", Entry("r", j)), Entry("y", Entry("r", j)))), (permutation("r", n),)),
        (use("root_scaled", given(positive(c))), equation(sqrt(c**2 * a), c * sqrt(a)), (positive(c),)),
        (use("maximum_scaled"), equation(Op("max", ZERO, c * a), c * Op("max", ZERO, a)), (positive(c),)),
        (use("total_positive", n=n, f=Lambda((j,), exp(x))), positive(total(j, n, exp(x))),
         (positive(n), every(((j, n),), positive(exp(x))))),
        (use("derivative_of_exp", f=Lambda((t,), t * a), p=ZERO, u=a),
         derivative(Lambda((t,), exp(t * a)), ZERO, exp(ZERO * a) * a),
         (derivative(Lambda((t,), t * a), ZERO, a),)),
    ],
    ids=lambda value: value.licence if isinstance(value, Theorem) else "",
)
def test_conclusions(made: Theorem, conclusion: Formula, hypotheses: tuple[Formula, ...]) -> None:
    assert alpha_equal(made.conclusion, conclusion)
    assert len(made.hypotheses) == len(hypotheses) and all(map(alpha_equal, made.hypotheses, hypotheses))


def test_what_a_law_binds_does_not_capture() -> None:
    """Σ_j δ(j, k)·Σ_k f[j, k]: the k put in for the point is not the k of the inner sum, and j is not the index of the law."""
    inner = Lambda((j,), total(k, n, Entry("f", j, k)))
    assert alpha_equal(use("sum_delta", n=n, p=k, f=inner).conclusion.right, total(i, n, Entry("f", k, i)))
    outside = use("sum_delta", n=n, p=j, f=Lambda((i,), Entry("f", i, j)))
    assert alpha_equal(outside.left, total(k, n, delta(k, j) * Entry("f", k, j)))
    split = use("maximum_split", m=m, n=n, f=Lambda((i,), Entry("f", i, j)), g=Lambda((i,), ONE))
    assert alpha_equal(split.left, maximum_of(k, m + n, Entry("f", k, j), ONE))
    slopes = use("derivative_of_total", n=n, p=j, f=Lambda((t, i), Entry("f", i, j) * t), g=Lambda((i,), Entry("f", i, j)))
    assert alpha_equal(slopes.conclusion, derivative(Lambda((a,), total(k, n, Entry("f", k, j) * a)), j, total(k, n, Entry("f", k, j))))


def test_premises_discharge_what_they_say_and_bring_what_they_assume() -> None:
    both = use("product_positive", given(positive(exp(a))), a=exp(a), b=exp(a))
    assert both.hypotheses == (positive(exp(a)),)
    shown = cut((use("exp_positive", a=a), given(positive(exp(a)))))
    assert use("product_positive", shown, a=exp(a), b=exp(a)).hypotheses == ()
    half = use("product_positive", given(positive(b)), a=a, b=b)
    assert half.hypotheses == (positive(b), positive(a))
    under = use("positive_is_nonzero", cut((given(nonzero(b)), given(positive(a)))), a=a)
    assert under.hypotheses == (nonzero(b), positive(a))
    twice = use("product_positive", shown, under_another(positive(exp(a))), a=exp(a), b=exp(a))
    assert set(twice.hypotheses) == {positive(c), positive(exp(a))}


def under_another(formula: Formula) -> Theorem:
    """The formula under itself and something else."""
    return cut((given(positive(c)), given(formula)))


def test_a_premise_that_says_something_else_is_refused() -> None:
    for premise in (given(nonnegative(a)), given(positive(b)), given(positive(a + 0)), given(every(((j, n),), positive(a)))):
        with pytest.raises(ProofError, match="none of its hypotheses"):
            use("positive_is_nonzero", premise, a=a)
    wrong_range = generalisation((given(positive(ONE)),), ((j, m),))
    with pytest.raises(ProofError, match="none of its hypotheses"):
        use("total_positive", wrong_range, n=n, f=Lambda((j,), ONE))
    free_index = given(positive(x))
    with pytest.raises(ProofError, match="none of its hypotheses"):
        use("total_positive", free_index, n=n, f=Lambda((j,), x))


@pytest.mark.parametrize(
    ("name", "hypothesis"),
    [(name, place) for name, row in LAWS.items() for place in range(len(row.hypotheses))],
)
def test_no_hypothesis_is_lost(name: str, hypothesis: int) -> None:
    """With all others shown by premises, the one that is not stays; with all shown, those of the premises stay."""
    row = LAWS[name]
    premises = [given(formula) for place, formula in enumerate(row.hypotheses) if place != hypothesis]
    for shown in (premises, [given(formula) for formula in row.hypotheses], []):
        assert set(law(shown, name, {}, {}).hypotheses) == set(row.hypotheses)


def test_there_is_no_other_law() -> None:
    for name in ("", "sum_scaled", "Sum_empty"):
        with pytest.raises(ProofError, match="no such law"):
            law((), name, {}, {})
        with pytest.raises(ProofError, match="no such law"):
            use(name)
    with pytest.raises(ProofError, match="it has"):
        use("sum_empty", n=n)
    with pytest.raises(TypeError):
        LAWS["wish"] = LAWS["sum_empty"]  # type: ignore[index]


@pytest.mark.parametrize("value", [Lambda((i, j), a), Lambda((), a)])
def test_a_lambda_of_another_number_of_parameters_is_refused(value: Lambda) -> None:
    with pytest.raises(TypeError, match="indices"):
        use("sum_empty", f=value)


def test_uniqueness_of_an_angle() -> None:
    """The road of the axioms: equal sine and cosine, whole turns, π is irrational; each is listed."""
    agree = tuple(given(equation(Op(name, i), Op(name, j))) for name in ("sin", "cos"))
    turns = use("whole_turns", *agree, a=i, b=j)
    made = use("pi_irrational", turns, given(integer(i - j)), use("turns_are_whole", a=i, b=j), a=i - j, b=Entry("turns", i, j))
    assert made.conclusion is equation(i - j, ZERO) and len(made.hypotheses) == 3
    assert made.axioms == {"period of sine and cosine", "π is irrational"}
    assert turns.right is 2 * PI * Entry("turns", i, j)


def test_every_law_speaks_of_what_can_be_put_in() -> None:
    """Variables and tensors of the laws are few, none of them is bound and free at once in a way that a reader must untangle."""
    for name, row in LAWS.items():
        assert law((), name, {}, {}).conclusion is row.conclusion
        assert isinstance(row.conclusion, Formula) and not isinstance(row.conclusion, Term)
