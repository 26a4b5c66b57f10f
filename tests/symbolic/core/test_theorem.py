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
from kernelproof.symbolic.core.analysis import unit_circle
from kernelproof.symbolic.core.equality import arithmetic, assumption, congruence, instantiation, reflexivity, symmetry, transitivity
from kernelproof.symbolic.core.folds import sum_delta
from kernelproof.symbolic.core.theorem import RULES, Theorem, replay, rule, steps
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import Formula, equation
from kernelproof.symbolic.serialise import log
from kernelproof.symbolic.terms import Entry, Lambda, Num, delta, exp, size, total, variables

a, b, j, v = variables("a b j v")
n = size("n")
CORE = Path(kernelproof.symbolic.core.__file__).parent


def altered(theorem: Theorem, **fields: object) -> Theorem:
    """A forgery by force: past every constructor, which Python cannot prevent."""
    forged = object.__new__(Theorem)
    for name in ("hypotheses", "conclusion", "rule", "premises", "arguments", "axioms"):
        object.__setattr__(forged, name, fields.get(name, getattr(theorem, name)))
    return forged


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
            module._apply(name, (reflexivity((), a),) * count, ())


def test_the_callers_mapping_and_path_are_not_kept() -> None:
    """A mapping changed afterwards would make the log say something else than was proved."""
    values, functions, path = {a: Num(1)}, {"x": Lambda((j,), j)}, [1]
    instance = instantiation((reflexivity((), a + Entry("x", a)),), values, functions)
    inside = congruence((reflexivity((), b),), a + b, path)
    values[a], path[0] = Num(2), 0
    functions.clear()
    replay(instance)
    replay(inside)
    with pytest.raises(TypeError):
        instance.arguments[0][a] = Num(3)
    with pytest.raises(TypeError, match="cannot be an argument"):
        congruence((reflexivity((), b),), a + b, iter((1,)))
    with pytest.raises(TypeError, match="cannot be an argument"):
        reflexivity((), {a})


def test_arguments_have_one_order() -> None:
    there = instantiation((reflexivity((), a + b),), {a: Num(1), b: Num(2)}, {})
    back = instantiation((reflexivity((), a + b),), {b: Num(2), a: Num(1)}, {})
    assert log(there) == log(back) and list(there.arguments[0]) == list(back.arguments[0])


def test_hypotheses_and_axioms_are_kept_once() -> None:
    one = assumption((), equation(a, b))
    two = assumption((), equation(b, a))
    both = transitivity((one, two))
    assert both.hypotheses == (equation(a, b), equation(b, a))
    assert transitivity((both, one)).hypotheses == both.hypotheses
    assert symmetry((unit_circle((), a),)).axioms == {"unit circle"}


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
    assert len(order) == 4 == made.size() and order[0] is shared and order[-1] is made
    for place, step in enumerate(order):
        assert all(premise in order[:place] for premise in step.premises)


def test_a_long_proof_does_not_exhaust_the_stack() -> None:
    made = reflexivity((), a)
    for _ in range(3000):
        made = symmetry((made,))
    assert replay(made).size() == 3001


def forgeries() -> Iterator[Theorem]:
    point = sum_delta((), total(v, n, delta(v, a) * Entry("x", v)))
    yield altered(point, hypotheses=())
    yield altered(point, conclusion=equation(point.left, Entry("x", b)))
    yield altered(point, rule="no_such_rule")
    yield altered(point, arguments=(total(v, n, delta(v, b) * Entry("x", v)),))
    yield altered(point, hypotheses=(*point.hypotheses, equation(a, b)))
    yield altered(unit_circle((), a), axioms=frozenset())
    yield symmetry((altered(reflexivity((), a), conclusion=equation(a, b)),))
    yield transitivity((reflexivity((), a), altered(reflexivity((), a), conclusion=equation(a, b))))


@pytest.mark.parametrize("forged", list(forgeries()), ids=lambda forged: forged.rule)
def test_replay_rejects_what_the_log_does_not_give(forged: Theorem) -> None:
    with pytest.raises(ProofError):
        replay(forged)


def test_replay_gives_the_same_theorem() -> None:
    made = sum_delta((), total(v, n, delta(v, a) * Entry("x", v)))
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


def test_the_core_stays_readable_in_an_hour() -> None:
    """Lines but for blank ones and docstrings."""
    count = 0
    for path in CORE.glob("*.py"):
        source = path.read_text(encoding="utf-8")
        documented: set[int] = set()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
                documented |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
        count += sum(bool(line.strip()) and number not in documented for number, line in enumerate(source.splitlines(), 1))
    assert count < 500


def test_formulas_in_messages_are_short() -> None:
    text = repr(symmetry((assumption((), equation(a, b)),)))
    assert "premises" not in text and isinstance(equation(a, b), Formula)
