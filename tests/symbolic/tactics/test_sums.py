"""Laws of sums proved by induction, the conversions that use them, and sums of products brought to one form."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kernelproof.symbolic.binding import alpha_equal
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import equation, permutation, within
from kernelproof.symbolic.logs import replay, steps
from kernelproof.symbolic.logs import size as size_of
from kernelproof.symbolic.tactics import sums
from kernelproof.symbolic.tactics.collect import by_sums, collected
from kernelproof.symbolic.tactics.induction import by_induction, peel
from kernelproof.symbolic.terms import ONE, ZERO, Entry, Fold, Num, Term, delta, exp, maximum_of, size, total, variables

a, b, c, i, j, k, t = variables("a b c i j k t")
n, m = size("n"), size("m")
x, y = Entry("x", j), Entry("y", j)
f = Entry("f", i, j)
masked = Fold("sum", j, n, x + y, Entry("allow", j))


@pytest.mark.parametrize("name", list(sums.LEMMAS))
def test_laws_of_sums_are_proved_without_hypotheses(name: str) -> None:
    made = sums.lemma(name)
    assert made.rule == "induction" and made.hypotheses == () and made.axioms == frozenset()
    assert replay(made).conclusion is made.conclusion
    assert {step.licence for step in steps(made) if step.rule == "law"} <= {"sum_empty", "sum_last"}


@pytest.mark.parametrize(
    ("made", "right", "hypotheses"),
    [
        (sums.sum_of_sums(total(j, n, x - y)), total(j, n, x) - total(j, n, y), ()),
        (sums.sum_scaled(total(j, n, a * x)), a * total(j, n, x), ()),
        (sums.sum_scaled(total(j, n, x * a)), total(j, n, x) * a, ()),
        (sums.sum_scaled(total(j, n, x / a)), total(j, n, x) / a, ()),
        (sums.sum_scaled(total(j, n, -x)), -total(j, n, x), ()),
        (sums.sum_constant(total(j, n * m, a)), n * m * a, ()),
        (sums.sum_exchange(total(i, n, total(j, m, f))), total(j, m, total(i, n, f)), ()),
        (sums.sum_split(total(j, n + m, x)), total(j, n, x) + total(j, m, Entry("x", n + j)), ()),
        (sums.sum_tiled(total(j, n * m, x), i), total(i, n, total(j, m, Entry("x", i * m + j))), ()),
        (sums.sum_delta(total(j, n, delta(j, a) * x)), Entry("x", a), (within(a, n),)),
        (sums.sum_delta(total(j, n, x * delta(a, j))), Entry("x", a), (within(a, n),)),
        (sums.sum_delta(total(j, n, delta(j, k) * total(k, n, Entry("f", j, k)))), total(i, n, Entry("f", k, i)), (within(k, n),)),
        (sums.reindexed("s")(maximum_of(j, n, x, y)), maximum_of(j, n, Entry("x", Entry("s", j)), Entry("y", Entry("s", j))),
         (permutation("s", n),)),
        (sums.sum_split(total(k, m + n, Entry("f", k, j) * m)),
         total(k, m, Entry("f", k, j) * m) + total(i, n, Entry("f", m + i, j) * m), ()),
    ],
)
def test_conversions(made: Theorem, right: Term, hypotheses: tuple[object, ...]) -> None:
    assert alpha_equal(made.right, right) and made.hypotheses == hypotheses


@pytest.mark.parametrize(
    "refused",
    [
        lambda: sums.sum_of_sums(total(j, n, x * y)),
        lambda: sums.sum_of_sums(maximum_of(j, n, x + y)),
        lambda: sums.sum_of_sums(masked),
        lambda: sums.sum_of_sums(x),
        lambda: sums.sum_scaled(total(j, n, x * y)),
        lambda: sums.sum_scaled(total(j, n, a / x)),
        lambda: sums.sum_scaled(total(j, n, x + a)),
        lambda: sums.sum_scaled(Fold("sum", j, n, a * x, ZERO)),
        lambda: sums.sum_constant(total(j, n, x)),
        lambda: sums.sum_constant(total(j, n - 1, a)),
        lambda: sums.sum_constant(total(j, Entry("len", ZERO), a)),
        lambda: sums.sum_constant(Fold("sum", j, n, a, Entry("allow", j))),
        lambda: sums.sum_exchange(total(i, n, total(j, i, a))),
        lambda: sums.sum_exchange(total(i, n, total(i, m, Entry("x", i)))),
        lambda: sums.sum_exchange(total(i, j, total(j, n, a))),
        lambda: sums.sum_exchange(total(i, n, Fold("sum", j, n, x, Entry("allow", i)))),
        lambda: sums.sum_split(total(j, n, x)),
        lambda: sums.sum_split(total(j, n + a, x)),
        lambda: sums.sum_split(total(j, n + Num(-1), x)),
        lambda: sums.sum_tiled(total(j, n + m, x), i),
        lambda: sums.sum_tiled(total(j, n * a, x), i),
        lambda: sums.sum_delta(total(j, n, delta(j, j) * x)),
        lambda: sums.sum_delta(total(j, n, delta(j, j + 1) * x)),
        lambda: sums.sum_delta(total(j, n, delta(i, a) * x)),
        lambda: sums.sum_delta(total(j, n, delta(2 * j, a) * x)),
        lambda: sums.sum_delta(Fold("sum", j, n, delta(j, a) * x, Entry("allow", j))),
        lambda: sums.reindexed("s")(x),
        lambda: sums.reindexed("s")(masked),
    ],
)
def test_where_they_refuse(refused: Callable[[], Theorem]) -> None:
    with pytest.raises(ProofError):
        refused()


def test_induction_finds_no_proof_of_what_is_false() -> None:
    false = (
        (total(j, n, a), n * a + 1), (total(j, n, x), ZERO), (total(j, n, x * y), total(j, n, x) * total(j, n, y)), (total(j, n, n), n * n),
        (total(j, n, j), n * n / 2),
    )
    for left, right in false:
        with pytest.raises(ProofError):
            by_induction(n, left, right)
    assert by_induction(n, total(j, n, j), n * (n - 1) / 2).hypotheses == ()
    with pytest.raises(ProofError):
        peel(total(j, a + 1, x))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (total(i, n, a * total(j, m, f * x) + 3), a * total(j, m, total(i, n, f) * x) + 3 * n),
        (total(i, n, Entry("x", i)) * total(i, n, Entry("y", i)), total(j, n, total(i, n, Entry("x", i) * y))),
        (total(i, n, total(j, m, f)) ** 2, total(i, n, total(j, m, total(k, n, total(t, m, f * Entry("f", k, t)))))),
        (total(j, n, (x - y) ** 2), total(j, n, x**2) - 2 * total(j, n, x * y) + total(j, n, y * y)),
        (total(j, n, x / a), total(k, n, Entry("x", k)) / a),
        (total(j, n, exp(x) * a) - a * total(i, n, exp(Entry("x", i))), ZERO),
        (total(j, n, x - x), ZERO),
    ],
)
def test_sums_of_products_meet_in_one_form(left: Term, right: Term) -> None:
    made = by_sums(left, right)
    assert made.conclusion is equation(left, right) and made.hypotheses == () and size_of(replay(made)) == size_of(made)


def test_a_delta_is_contracted_under_its_range() -> None:
    assert collected(total(i, n, delta(i, k) * Entry("x", i))).hypotheses == (within(k, n),)
    inner = total(k, n, total(i, n, delta(i, k) * Entry("f", i, k)))
    assert by_sums(inner, total(j, n, Entry("f", j, j))).hypotheses == ()
    with pytest.raises(ProofError):  # another range: the hypothesis would speak of a bound index
        by_sums(total(k, m, total(i, n, delta(i, k) * Entry("f", i, k))), total(j, m, Entry("f", j, j)))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (total(j, n, x * y), total(j, n, x) * total(j, n, y)),
        (total(j, n, x), total(j, m, x)),
        (total(i, n, total(j, m, f)), total(i, n, total(j, m, Entry("f", j, i)))),
        (total(j, n, x / y), total(j, n, x) / y),
        (total(j, n, ONE), ONE),
        (total(j, n, x / x), n * ONE),
        (masked, total(j, n, x + y)),
        (maximum_of(j, n, 2 * x), 2 * maximum_of(j, n, x)),
        (total(j, n, x), -total(j, n, x)),
    ],
)
def test_false_equations_of_sums_are_not_proved(left: Term, right: Term) -> None:
    with pytest.raises(ProofError):
        by_sums(left, right)
