"""Unrolled terms have the value of the term, by the evaluator that the tests of the core use; derivatives are those of calculus."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

import pytest
from claims import claim, theorems
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelproof.symbolic.formulas import derivative, equation, every, nonzero, within
from kernelproof.symbolic.looks.nodes import MAKE, ONE, ZERO, Ground, NotSeen, atoms, const
from kernelproof.symbolic.looks.problem import Claim, problem
from kernelproof.symbolic.looks.real import Reals
from kernelproof.symbolic.looks.setting import Rejected, Setting, draw
from kernelproof.symbolic.looks.slope import Slope
from kernelproof.symbolic.looks.unrolled import Scope
from kernelproof.symbolic.soundness.evaluator import MP, World, real
from kernelproof.symbolic.terms import Entry, Lambda, Num, Op, Term, Var, delta, exp, less, log, maximum_of, size, sqrt, total, variables

n, m = size("n"), size("m")
j, t, p, x = variables("j t p x")
EQUATIONS = [pair for pair in theorems() if pair[1].theorem.conclusion.name == "eq" and not pair[1].id.startswith("encoder")]


def amount(name: str, indices: tuple[Any, ...]) -> Fraction:
    """A value of an atom, from its name and indices."""
    return Fraction(random.Random(f"{name} {[str(index) for index in indices]}").randint(-2000, 2000), 1000)


def known(tree: Ground) -> dict[Ground, Fraction] | None:
    """Values of the atoms of a tree; None where an index of one is no number."""
    found = {}
    for atom in atoms(tree):
        if any(index.op != "const" for index in atom.args[1:]):
            return None
        found[atom] = amount(atom.args[0], tuple(index.args[0] for index in atom.args[1:]))
    return found


class Same(World):
    """The evaluator's world with the same values."""

    def entry(self, tensor: str, indices: tuple[Any, ...]) -> Any:
        return self.tensors[tensor](*indices) if tensor in self.tensors else amount(tensor, indices)


def test_both_sides_of_every_theorem_have_the_values_of_the_evaluator() -> None:
    compared = 0
    for derivation, statement in EQUATIONS:
        try:
            setting = draw(derivation, statement, random.Random(statement.id), (1, 2))
            trees = [Scope.of(setting).unroll(side) for side in statement.theorem.conclusion.terms]
        except (NotSeen, Rejected):
            continue
        free = {var for side in statement.theorem.conclusion.terms for var in _variables(side)}
        values = {var: Fraction(setting.values[var]) if var in setting.values else amount(var.name, ()) for var in free}
        tables = {name: lambda *at, table=table: Fraction(table(*map(int, at))) for name, table in setting.tables.items()}
        for side, tree in zip(statement.theorem.conclusion.terms, trees, strict=True):
            given = known(tree)
            if given is not None:
                expected = real(Same({**values}, {**tables}).value(side))
                assert abs(Reals(given).value(tree) - expected) <= MP.mpf(10) ** -35 * (1 + abs(expected)), statement.id
                compared += 1
    assert compared >= 150


def _variables(side: Term) -> set[Var]:
    from kernelproof.symbolic.binding import free_variables

    return set(free_variables(side))


def unrolled(value: Term, tables: Any = None, **sizes: int) -> Ground:
    return Scope.of(Setting({size(name): number for name, number in sizes.items()}, tables or {})).unroll(value)


def test_terms_have_their_total_meaning() -> None:
    for zero in (1 / (x - x), sqrt(Num(-4)), log(Num(0)), total(j, 0, Entry("f", j)), maximum_of(j, n, Entry("f", j), 0), less(x, x)):
        assert unrolled(zero, n=3) is ZERO
    for one in ((x - x) ** 0, exp(x - x), delta(x, x), Op("cos", x - x), log(Num(1)) + 1):
        assert unrolled(one) is ONE
    assert unrolled(total(j, n, j), n=4) is const(6) and unrolled(sqrt(Num(Fraction(9, 4)))) is const(Fraction(3, 2))
    assert unrolled(maximum_of(j, n, -j, delta(j, 1) + delta(j, 2)), n=4) is const(-1)
    assert unrolled(Entry("s", 1), {"s": lambda at: at + 5}) is const(6)
    assert unrolled(Entry("f", j + x)) is unrolled(Entry("f", j + x)) is not unrolled(Entry("f", x + j))


def test_a_fold_over_real_values_is_not_seen() -> None:
    with pytest.raises(NotSeen, match="depends on real values"):
        unrolled(total(j, x, Entry("f", j)))


SMOOTH = st.recursive(
    st.sampled_from([Ground("atom", "t"), Ground("atom", "c"), const(Fraction(3, 2))]),
    lambda below: st.one_of(
        st.builds(lambda name, one: MAKE[name](one), st.sampled_from(["sin", "cos", "tanh", "erf", "neg"]), below),
        st.builds(lambda one: MAKE["exp"](MAKE["sin"](one)), below),
        st.builds(lambda one: MAKE["div"](ONE, MAKE["add"](const(2), MAKE["cos"](one))), below),
        st.builds(lambda name, one: MAKE[name](MAKE["add"](const(3), MAKE["sin"](one))), st.sampled_from(["log", "sqrt"]), below),
        st.builds(lambda name, one, two: MAKE[name](one, two), st.sampled_from(["add", "sub", "mul"]), below, below),
        st.builds(lambda one: MAKE["pow"](one, const(3)), below),
    ),
    max_leaves=8,
)


@given(SMOOTH, st.fractions(-1, 1), st.fractions(-1, 1))
@settings(max_examples=60, deadline=None)
def test_derivatives_are_limits_of_quotients(tree: Ground, at: Fraction, c: Fraction) -> None:
    along, step = Ground("atom", "t"), Fraction(1, 10**12)
    slope = Slope(along, {}).of(tree)
    low, high, here = ({along: at + side * step, Ground("atom", "c"): c} for side in (-1, 1, 0))
    quotient = (Reals(high).value(tree) - Reals(low).value(tree)) / (2 * MP.mpf(10) ** -12)
    found = Reals(here).value(slope)
    assert abs(quotient - found) <= MP.mpf(10) ** -12 * (1 + abs(found)) ** 4


def test_what_a_derivative_is_said_to_be_is_used_and_where_a_rule_holds_is_collected() -> None:
    f, u = Entry("f", t), Entry("u", Num(0))
    given_slope = derivative(Lambda((t,), f), p, u)
    found = problem(claim(derivative(Lambda((t,), 1 / f), p, -u / Entry("f", p) ** 2), given_slope), Setting())
    assert [one.name for one in found.assumed] == ["nonzero"] and found.goals[0].name == "eq"
    with pytest.raises(NotSeen, match="nothing is known of the derivative of f"):
        problem(claim(derivative(Lambda((t,), f), p, u)), Setting())
    with pytest.raises(NotSeen, match="not one entry"):
        problem(claim(equation(p, p), derivative(Lambda((t,), f * f), p, u)), Setting())


def test_hypotheses_are_decided_written_out_or_met() -> None:
    bounded = every(((j, n),), equation(Entry("f", j), Entry("g", j) + x))
    found = problem(claim(equation(total(j, n, Entry("f", j)), x), bounded, nonzero(n)), Setting({n: 2}))
    assert [one.name for one in found.assumed] == ["eq", "eq"]
    solved = found.solved()
    assert solved.assumed == [] and {atom.args[0] for atom in atoms(solved.goals[0].terms[0])} == {"g", "x"}
    with pytest.raises(Rejected):
        problem(claim(equation(x, x), nonzero(n)), Setting({n: 0}))
    with pytest.raises(NotSeen, match="no draw meets"):
        problem(claim(equation(x, p), equation(x * x, p * p)), Setting()).solved()
    with pytest.raises(NotSeen, match="integers are fixed"):
        problem(claim(equation(n, m), equation(exp(n * x), exp(m * x))), Setting({n: 1, m: 2}))
    assert problem(claim(within(0, n)), Setting({n: 2})).goals == [Claim("in", (const(0), const(2)))]
