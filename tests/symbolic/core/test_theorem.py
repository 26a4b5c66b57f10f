"""The seal, the log and its replay: what can be made without a rule, and what can be changed afterwards."""

from __future__ import annotations

import ast
import copy
import dataclasses
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

import kernelproof.symbolic.core
from kernelproof.symbolic.core import theorem as module
from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.laws import LAWS, law
from kernelproof.symbolic.core.logic import assumption, instantiation, reflexivity, replacement, symmetry, transitivity
from kernelproof.symbolic.core.theorem import RULES, Theorem, rule
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import Formula, equation
from kernelproof.symbolic.logs import replay, steps
from kernelproof.symbolic.logs import size as size_of
from kernelproof.symbolic.serialise import proofs
from kernelproof.symbolic.tactics.rewriting import use
from kernelproof.symbolic.terms import Entry, Lambda, Num, Var, exp, size, variables

a, b, j, v = variables("a b j v")
n = size("n")
CORE = Path(kernelproof.symbolic.core.__file__).parent


def altered(theorem: Theorem, **fields: object) -> Theorem:
    """A forgery by force: past every constructor, which Python cannot prevent."""
    forged = object.__new__(Theorem)
    for name in ("hypotheses", "conclusion", "rule", "premises", "arguments", "axioms"):
        object.__setattr__(forged, name, fields.get(name, getattr(theorem, name)))
    return forged


def at_point() -> Theorem:
    """a < n ⊢ Σ_{v<n} δ(v, a)·x[v] = x[a]."""
    return use("sum_delta", n=n, p=a, f=Lambda((v,), Entry("x", v)))


def test_only_rules_make_theorems() -> None:
    with pytest.raises(ProofError, match="only be made by a rule"):
        Theorem((), equation(0, 1), "arithmetic", (), (), frozenset(), object())
    with pytest.raises((TypeError, ValueError)):
        dataclasses.replace(reflexivity((), a), conclusion=equation(0, 1))
    with pytest.raises(TypeError):
        copy.copy(reflexivity((), a))
    with pytest.raises(TypeError):
        copy.deepcopy(reflexivity((), a))
    with pytest.raises(TypeError):
        pickle.dumps(reflexivity((), a))
    assert not hasattr(reflexivity((), a), "seal") and not hasattr(reflexivity((), a), "__dict__")


def test_a_theorem_of_another_class_is_no_premise() -> None:
    class Loose(Theorem):
        def __post_init__(self, seal: object) -> None:
            pass

    loose = Loose((), equation(0, 1), "arithmetic", (), (), frozenset(), None)
    for premise in (loose, equation(0, 1), None):
        with pytest.raises(ProofError, match="every premise must be a theorem"):
            symmetry((premise,))  # type: ignore[arg-type]


def test_a_theorem_cannot_be_changed() -> None:
    made = reflexivity((), a)
    for name in ("conclusion", "hypotheses", "premises", "arguments", "rule", "axioms"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(made, name, None)


def test_rules_cannot_be_put_in_or_replaced() -> None:
    with pytest.raises(TypeError):
        RULES["wish"] = RULES["reflexivity"]  # type: ignore[index]
    with pytest.raises(ProofError, match="twice"):
        rule("reflexivity")(lambda premises: ((), equation(0, 1)))


@pytest.mark.parametrize("count", range(4))
@pytest.mark.parametrize("name", sorted(RULES))
def test_the_number_of_premises_is_checked(name: str, count: int) -> None:
    expected = RULES[name].premises
    if expected is not None and expected != count:
        with pytest.raises(ProofError, match="premises"):
            module.apply_rule(name, (reflexivity((), a),) * count, ())


def test_the_callers_mapping_and_path_are_not_kept() -> None:
    """A mapping changed afterwards would make the log say something else than was proved."""
    values, functions, path = {a: Num(1)}, {"x": Lambda((j,), j)}, [1]
    instance = instantiation((reflexivity((), a + Entry("x", a)),), values, functions)
    inside = replacement((reflexivity((), a + b), reflexivity((), b)), [1, *path])
    given = law((), "unit_circle", values, {})
    values[a], path[0] = Num(2), 0
    functions.clear()
    replay(instance)
    replay(inside)
    replay(given)
    with pytest.raises(TypeError):
        instance.arguments[0][a] = Num(3)
    with pytest.raises(TypeError, match="cannot be an argument"):
        replacement((reflexivity((), a + b), reflexivity((), b)), iter((1, 1)))
    with pytest.raises(TypeError, match="cannot be an argument"):
        reflexivity((), {a})


def test_arguments_have_one_order() -> None:
    there = instantiation((reflexivity((), a + b),), {a: Num(1), b: Num(2)}, {})
    back = instantiation((reflexivity((), a + b),), {b: Num(2), a: Num(1)}, {})
    assert proofs({"t": there}) == proofs({"t": back}) and list(there.arguments[0]) == list(back.arguments[0])


def test_hypotheses_and_axioms_are_kept_once() -> None:
    one = assumption((), equation(a, b))
    two = assumption((), equation(b, a))
    both = transitivity((one, two))
    assert both.hypotheses == (equation(a, b), equation(b, a))
    assert transitivity((both, one)).hypotheses == both.hypotheses
    assert symmetry((use("unit_circle", a=a),)).axioms == {"unit circle"}


def test_the_law_of_exponentials_is_always_listed() -> None:
    """Also where the exponentials stand in a premise or a cofactor only, and the conclusion shows none."""
    fact = assumption((), equation(exp(a) * exp(-a) * a, b))
    used = arithmetic((fact,), a, b, (Num(1),))
    assert used.conclusion is equation(a, b) and any("exp" in axiom for axiom in used.axioms)
    cofactor = arithmetic((assumption((), equation(a, b)),), a, b, (exp(j) * exp(-j),))
    assert any("exp" in axiom for axiom in cofactor.axioms)
    assert not arithmetic((), a + b, b + a).axioms


def test_the_log_lists_premises_first_and_once() -> None:
    shared = assumption((), equation(a, b))
    made = transitivity((transitivity((shared, symmetry((shared,)))), shared))
    order = steps(made)
    assert len(order) == 4 == size_of(made) and order[0] is shared and order[-1] is made
    for place, step in enumerate(order):
        assert all(premise in order[:place] for premise in step.premises)


def test_a_long_proof_does_not_exhaust_the_stack() -> None:
    made = reflexivity((), a)
    for _ in range(3000):
        made = symmetry((made,))
    assert size_of(replay(made)) == 3001


def forgeries() -> Iterator[Theorem]:
    point = at_point()
    yield altered(point, hypotheses=())
    yield altered(point, conclusion=equation(point.left, Entry("x", b)))
    yield altered(point, rule="no_such_rule")
    yield altered(point, arguments=("sum_delta", {**point.arguments[1], Var("p"): b}, point.arguments[2]))
    yield altered(point, arguments=("sum_last", *point.arguments[1:]))
    yield altered(point, premises=(reflexivity((), a),))
    yield altered(point, hypotheses=(*point.hypotheses, equation(a, b)))
    yield altered(use("unit_circle", a=a), axioms=frozenset())
    yield symmetry((altered(reflexivity((), a), conclusion=equation(a, b)),))
    yield transitivity((reflexivity((), a), altered(reflexivity((), a), conclusion=equation(a, b))))


@pytest.mark.parametrize("forged", list(forgeries()), ids=lambda forged: forged.rule)
def test_replay_rejects_what_the_log_does_not_give(forged: Theorem) -> None:
    with pytest.raises(ProofError):
        replay(forged)


def test_replay_gives_the_same_theorem() -> None:
    made = at_point()
    again = replay(made)
    assert again is not made and again.conclusion is made.conclusion and again.hypotheses == made.hypotheses


def test_nothing_but_the_core_registers_rules() -> None:
    """Only files of the core import the decorator, nobody imports what is behind it, and every rule comes from the core."""
    package = CORE.parent
    imported = {
        (path.relative_to(package).parts[0], name.name)
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module == "kernelproof.symbolic.core.theorem"
        for name in node.names
    }
    assert {folder for folder, name in imported if name == "rule"} == {"core"}
    assert not any(name.startswith("_") for _, name in imported)
    assert {found.apply.__module__.rpartition(".")[0] for found in RULES.values()} == {"kernelproof.symbolic.core"}


#: at most so many lines, blank ones and docstrings too: the rules and what makes theorems; the table of laws with the rule that uses it
LINES = {("theorem", "logic", "algebra", "definitions"): 500, ("laws",): 240}


@pytest.mark.parametrize(("names", "most"), LINES.items(), ids=["rules", "laws"])
def test_the_core_stays_readable_in_an_hour(names: tuple[str, ...], most: int) -> None:
    count = sum(len((CORE / f"{name}.py").read_text(encoding="utf-8").splitlines()) for name in names)
    assert count <= most, f"{', '.join(names)}: {count} lines"
    assert {path.stem for path in CORE.glob("*.py")} - {"__init__"} == {name for group in LINES for name in group}


def test_no_law_is_stated_twice() -> None:
    statements = [(row.hypotheses, row.conclusion) for row in LAWS.values()]
    assert len(set(statements)) == len(statements) and all(name == row.name for name, row in LAWS.items())


def test_formulas_in_messages_are_short() -> None:
    text = repr(symmetry((assumption((), equation(a, b)),)))
    assert "premises" not in text and isinstance(equation(a, b), Formula)
