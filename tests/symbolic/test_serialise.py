"""Proofs as JSON: the same bytes in every process, everything that a checker needs, nothing of a term lost."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from generators import formulas, lambdas, terms
from hypothesis import given

from kernelproof.symbolic.core.definitions import definition_of
from kernelproof.symbolic.core.logic import assumption, instantiation, reflexivity, replacement
from kernelproof.symbolic.core.theorem import RULES, Theorem
from kernelproof.symbolic.formulas import Every, Formula, equation, permutation
from kernelproof.symbolic.printing.derivation import as_json, named_theorems
from kernelproof.symbolic.registry import derive, phases
from kernelproof.symbolic.serialise import FORMAT, fingerprint, proofs
from kernelproof.symbolic.terms import Call, Entry, Fold, Lambda, Node, Num, Op, Term, Var, size, total, variables

ROOT = Path(__file__).parents[2]
PRINT_ALL = """
import hashlib
from kernelproof.symbolic.registry import derive, phases
for name in phases():
    print(name, hashlib.sha256(derive(name).render("json").encode()).hexdigest())
"""
a, i, j = variables("a i j")
n = size("n")


def test_the_same_bytes_whatever_the_hash_seed() -> None:
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PRINT_ALL], stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        )
        for seed in ("1", "2")
    ]
    one, two = (process.communicate(timeout=300)[0] for process in running)
    assert all(process.returncode == 0 for process in running)
    assert one == two and len(one.splitlines()) == len(phases())
    assert one.split()[1] == hashlib.sha256(derive("embedding").render("json").encode()).hexdigest()


def read_back(written: list[list[Any]]) -> list[Node]:
    """The nodes that were written down, by the few lines that a second checker would have; each stands after what it refers to."""
    found: list[Any] = []
    for kind, *rest in written:
        match kind:
            case "num":
                made: Node = Num(Fraction(rest[0]))
            case "var":
                made = Var(*rest)
            case "entry":
                made = Entry(rest[0], *(found[place] for place in rest[1]))
            case "op":
                made = Op(rest[0], *(found[place] for place in rest[1]))
            case "fold":
                made = Fold(rest[0], *(found[place] for place in rest[1:]))
            case "lambda":
                made = Lambda(tuple(found[place] for place in rest[0]), found[rest[1]])
            case "call":
                arguments = tuple((name, found[place]) for name, place in rest[1])
                made = Call(rest[0], arguments, tuple(found[place] for place in rest[2]))
            case "formula":
                made = Formula(rest[0], *(found[place] for place in rest[2]), tensor=rest[1])
            case "every":
                made = Every(tuple((found[var], found[length]) for var, length in rest[0]), found[rest[1]])
            case _:
                raise AssertionError(kind)
        found.append(made)
    return found


def conclusion_back(theorem: Theorem) -> Node:
    """The conclusion of a theorem, through JSON and back."""
    document = json.loads(json.dumps(proofs({"t": theorem})))
    return read_back(document["nodes"])[document["steps"][document["theorems"]["t"]]["conclusion"]]


@given(terms(3), lambdas(2, terms(1)))
def test_nothing_of_a_term_is_lost(value: Term, given: Lambda) -> None:
    assert conclusion_back(reflexivity((), value)) is equation(value, value)
    put = instantiation((reflexivity((), Entry("f", i, j)),), {}, {"f": given})
    assert conclusion_back(put) is put.conclusion


@given(formulas(2))
def test_nothing_of_a_formula_is_lost(said: Formula) -> None:
    assert conclusion_back(assumption((), said)) is said


def test_a_document_says_each_thing_once() -> None:
    """Nodes and steps of two theorems that share a premise stand there once, premises and parts before what they support."""
    shared = reflexivity((), total(j, n, Entry("x", j)))
    one = replacement((shared, reflexivity((), Entry("x", j))), (1, 2))
    document = proofs({"one": one, "shared": shared})
    assert document["format"] == FORMAT and set(document) == {"format", "nodes", "definitions", "steps", "theorems"}
    assert len(document["steps"]) == 3 and document["theorems"]["shared"] == 0
    assert len({json.dumps(node) for node in document["nodes"]}) == len(document["nodes"])
    assert document["steps"][2]["arguments"] == [{"list": [1, 2]}]
    for place, step in enumerate(document["steps"]):
        assert set(step) == {"rule", "premises", "arguments", "hypotheses", "conclusion", "axioms"}
        assert step["rule"] in RULES and all(premise < place for premise in step["premises"])


def test_arguments_of_every_sort() -> None:
    values, functions = {n: n + 1, a: i}, {"x": Lambda((i,), i), "b": Lambda((), a)}
    made = instantiation((reflexivity((), total(j, n, Entry("x", j) + a)),), values, functions)
    terms_given, lambdas_given = proofs({"t": made})["steps"][-1]["arguments"]
    nodes = read_back(proofs({"t": made})["nodes"])
    assert [nodes[key["node"]] for key, _ in terms_given["map"]] == [a, n]
    assert [key for key, _ in lambdas_given["map"]] == ["b", "x"]
    assert proofs({"t": reflexivity((), a, None)})["steps"][0]["arguments"][1] is None
    assert ["formula", "permutation", "s", [0]] in proofs({"t": assumption((), permutation("s", n))})["nodes"]


@pytest.mark.parametrize("name", list(phases()))
def test_the_definitions_come_with_the_theorems_called_ones_first(name: str) -> None:
    document = proofs(named_theorems(derive(name)))
    names = [definition["name"] for definition in document["definitions"]]
    assert len(set(names)) == len(names) and derive(name).definition.name in names
    nodes = read_back(document["nodes"])
    for place, written in enumerate(document["definitions"]):
        definition = definition_of(written["name"])
        assert [(p["name"], p["kind"]) for p in written["parameters"]] == [(p.name, p.kind) for p in definition.parameters]
        for clause, made in zip(written["clauses"], definition.clauses, strict=True):
            assert nodes[clause["body"]] is made.body and [nodes[part] for part in clause["pattern"]] == list(made.pattern)
            assert [(nodes[var], nodes[length]) for var, length in clause["ranges"]] == list(made.ranges)
            called = {node.function for node in reachable(made.body)}
            assert called <= set(names[:place])


def reachable(node: Any) -> list[Call]:
    """The calls in a term."""
    parts = node if isinstance(node, tuple) else node.fields if isinstance(node, Node) else ()
    return [*([node] if isinstance(node, Call) else []), *(call for part in parts for call in reachable(part))]


def test_a_fingerprint_sees_every_part() -> None:
    data = as_json(derive("softmax"))
    reference = fingerprint(data)
    assert reference == derive("softmax").fingerprint() and len(reference) == 64
    assert fingerprint({**data, "licences": []}) != reference
    one, two = (proofs({"t": assumption((), said)}) for said in (equation(a, i), equation(i, a)))
    assert fingerprint(one) != fingerprint(two)


def test_what_is_no_node_has_no_form() -> None:
    with pytest.raises(AttributeError):
        proofs({"t": object()})  # type: ignore[dict-item]
