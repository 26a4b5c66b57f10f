"""Definitions that would make a contradiction are refused, and leave nothing behind; unfolding asks for the right form."""

from __future__ import annotations

import pytest
from generators import JOINED, PAIRED, PROBE

from kernelproof.symbolic.binding import alpha_equal
from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.definitions import define, definition_of, unfolding
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import within
from kernelproof.symbolic.functions import Clause, Definition, Parameter
from kernelproof.symbolic.phases import positional
from kernelproof.symbolic.tactics.rewriting import congruence
from kernelproof.symbolic.terms import ONE, ZERO, Call, Entry, Lambda, Num, Term, Var, delta, size, total, variables

i, j, k, a, p, q = variables("i j k a p q")
n, m = size("n"), size("m")
N = Parameter("n", kind="size")
X = Parameter("x", (n,))


def one(name: str, body: Term, *, pattern: Term = i, parameters: tuple[Parameter, ...] = (N, X)) -> Definition:
    return Definition(name, parameters, (Clause((pattern,), ((i, n),), body),))


def two(name: str, first: Clause, second: Clause) -> Definition:
    return Definition(name, (N, Parameter("m", kind="size"), X), (first, second))


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (one("t_self", Call("t_self", (("n", Lambda((), n)), ("x", Lambda((j,), Entry("x", j)))), (i,)) + 1), "not defined yet"),
        (one("t_later", Call("t_much_later", (), (i,))), "not defined yet"),
        (one("t_loose", k), "speaks of more"),
        (one("t_global", Entry("y", i)), "speaks of more"),
        (one("t_turns", Entry("turns", i, i)), "speaks of more"),
        (one("t_other_size", total(j, m, Entry("x", j))), "speaks of more"),
        (one("t_twice", i, pattern=i + i), "patterns"),
        (one("t_constant", i, pattern=0 * i), "patterns"),
        (one("t_place", ONE, pattern=ZERO), "patterns"),
        (one("t_named_twice", i, parameters=(N, X, Parameter("x"))), "twice"),
        (one("t_shadow", i, parameters=(N, X, Parameter("i"))), "differ"),
        (Definition("t_nonlinear", (N,), (Clause((i, i), ((i, n), (i, n)), i),)), "differ"),
        (Definition("t_missing_range", (N,), (Clause((i, j), ((i, n),), i),)), "patterns"),
        (Definition("t_length", (N, X), (Clause((i,), ((i, Entry("x", ZERO)),), i),)), "speaks of more"),
        (Definition("t_free_length", (N, X), (Clause((i,), ((i, a),), i),)), "speaks of more"),
        (Definition("t_nothing", (N, X), ()), "patterns"),
        (two("t_overlap", Clause((i,), ((i, n),), ZERO), Clause((i,), ((i, n),), ONE)), "patterns"),
        (two("t_shifted", Clause((i,), ((i, n),), ZERO), Clause((m + i,), ((i, m),), ONE)), "patterns"),
        (two("t_even_even", Clause((2 * i,), ((i, n),), ZERO), Clause((2 * j,), ((j, n),), ONE)), "patterns"),
        (two("t_even_any", Clause((2 * i,), ((i, n),), ZERO), Clause((j,), ((j, n),), ONE)), "patterns"),
        (
            two("t_leading", Clause((2 * i, j), ((i, n), (j, m)), ZERO), Clause((2 * i, m + j), ((i, n), (j, m)), ONE)),
            "patterns",
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Definition) else "",
)
def test_what_would_make_a_contradiction_is_refused(wrong: Definition, reason: str) -> None:
    with pytest.raises(ProofError, match=reason):
        define(wrong)
    with pytest.raises(ProofError, match="is not defined"):  # and it leaves nothing behind
        definition_of(wrong.name)


def self_reference(name: str) -> Definition:
    """Two clauses for i < L and L + k with L = 1 − δ(f[0], 0), f the function itself."""
    length = 1 - delta(Call(name, (), (ZERO,)), 0)
    return Definition(name, (), (Clause((i,), ((i, length),), ZERO), Clause((length + k,), ((k, ONE),), ONE)))


@pytest.mark.parametrize(
    "wrong",
    [
        self_reference("t_paradox"),
        Definition("t_own_range", (), (Clause((i,), ((i, Call("t_own_range", (), (ZERO,))),), ZERO),)),
        Definition("t_unknown_range", (N, X), (Clause((i,), ((i, Call("t_nowhere", (), (ZERO,))),), ZERO),)),
    ],
    ids=lambda wrong: wrong.name,
)
def test_a_range_that_calls_the_function_itself_is_refused(wrong: Definition) -> None:
    """f[0] = 0 where f[0] ≠ 0, and f[0] = 1 where f[0] = 0: such a definition would prove 0 = 1. Found by attacking the core."""
    with pytest.raises(ProofError, match="not defined yet"):
        define(wrong)


def test_a_list_could_be_changed_later() -> None:
    clauses = [Clause((i,), ((i, n),), i)]
    with pytest.raises(TypeError):
        define(Definition("t_list", (N,), clauses))  # type: ignore[arg-type]
    with pytest.raises(ProofError):
        definition_of("t_list")


def test_a_name_is_defined_once() -> None:
    first = define(one("t_once", Entry("x", i)))
    assert define(one("t_once", Entry("x", i))) == first
    with pytest.raises(ProofError, match="already defined"):
        define(one("t_once", Entry("x", i) + 1))
    assert definition_of("t_once") is first


def test_a_single_clause_holds_for_every_index() -> None:
    made = unfolding((), PROBE.call({"t": a}, k))
    assert made.hypotheses == ()
    bound = total(j, n, a * Entry("x", j))
    assert alpha_equal(made.right.args[0], bound)


def test_what_is_passed_is_not_captured() -> None:
    """The body of the function binds k, and so does nothing of what is passed."""
    made = unfolding((), PROBE.call({"t": k, "x": Lambda((j,), Entry("f", j, k))}, k))
    assert alpha_equal(made.right.args[0], total(j, n, k * Entry("f", j, k)))


def test_clauses_ask_for_their_ranges() -> None:
    even, odd = unfolding((), PAIRED.call({}, 2 * a), 0), unfolding((), PAIRED.call({}, 2 * a + 1), 1)
    assert even.hypotheses == (within(a, n),) == odd.hypotheses
    assert even.right is Entry("x", a)
    front, back = unfolding((), JOINED.call({}, a), 0), unfolding((), JOINED.call({}, n + a), 1)
    assert front.hypotheses == (within(a, n),) and back.hypotheses == (within(a, m),)


@pytest.mark.parametrize(
    ("call", "which"),
    [
        (PAIRED.call({}, a), 0),
        (PAIRED.call({}, 2 * a), 1),
        (PAIRED.call({}, 3 * a), 0),
        (PAIRED.call({}, a * 2), 0),
        (PAIRED.call({}, 2 * a + 2), 1),
        (JOINED.call({}, m + a), 1),
        (JOINED.call({"n": m}, n + a), 1),
        (PAIRED.call({}, 2 * a), 2),
        (PAIRED.call({}, 2 * a), -1),
        (PAIRED.call({}, 2 * a, a), 0),
        (Call("t_unknown", (), (a,)), 0),
        (Call("test_paired", (("n", Lambda((), n)),), (2 * a,)), 0),
        (Call("test_paired", (("x", Lambda((j,), j)), ("n", Lambda((), n))), (2 * a,)), 0),
        (Call("test_paired", (("n", Lambda((), n)), ("x", Lambda((), a))), (2 * a,)), 0),
        (Call("test_paired", (("n", Lambda((), n)), ("x", Lambda((j,), j)), ("x", Lambda((j,), j))), (2 * a,)), 0),
        (Entry("test_paired", a), 0),
    ],
)
def test_unfolding_refuses_another_form(call: Term, which: int) -> None:
    with pytest.raises(ProofError):
        unfolding((), call, which)


def test_a_scalar_named_like_the_index_is_not_part_of_the_pattern() -> None:
    """With sines := i the pattern sines + i was i + i, and 0+1 and 1+0 matched with i = 1 and i = 0: cos 1 = cos 0."""
    index = positional.i
    arguments = {"sines": index, "cosines": Num(5), "base": ONE, "steps": ONE, "start": ZERO}
    call = positional.DEFINITIONS["halves"].call
    for column in (ZERO + ONE, ONE + ZERO):
        with pytest.raises(ProofError, match="form of the clause"):
            unfolding((), call(arguments, ZERO, column), 1)
    made = unfolding((), call(arguments, ZERO, index + ONE), 1)
    assert made.hypotheses[-1] is within(ONE, Num(5))


def test_indices_that_are_equal_may_be_rewritten() -> None:
    """The sound way from 2·a + 1 to another form of the column is an equation."""
    call = PAIRED.call({}, 1 + a * 2)
    moved = congruence(arithmetic((), 1 + a * 2, 2 * a + 1), call, (2,))
    assert unfolding((), moved.right, 1).right is -Entry("x", a) * 2


def test_a_call_names_its_parameters() -> None:
    with pytest.raises(ProofError, match="no parameters"):
        PROBE.call({"y": a}, i)
    with pytest.raises(ProofError, match="no parameter"):
        PROBE.parameter("y")
    assert PROBE.call({}, i).arguments[0] == ("n", Lambda((), n))
    assert PAIRED.result_axes == (n,) and Parameter("y").var is Var("y")
