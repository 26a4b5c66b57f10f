"""Terms, formulas and logs as JSON: the same bytes in every process, and everything a checker needs."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from generators import lambdas, terms
from hypothesis import given

from kernelproof.symbolic.core.equality import assumption, instantiation, reflexivity
from kernelproof.symbolic.core.theorem import RULES
from kernelproof.symbolic.formulas import equation, permutation, positive
from kernelproof.symbolic.printing.derivation import as_json
from kernelproof.symbolic.registry import derive, phases
from kernelproof.symbolic.serialise import fingerprint, log, to_json
from kernelproof.symbolic.terms import Call, Entry, Fold, Lambda, Num, Op, Term, Var, size, total, variables

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
    one, two = (process.communicate(timeout=120)[0] for process in running)
    assert all(process.returncode == 0 for process in running)
    assert one == two and len(one.splitlines()) == len(phases())
    assert one.split()[1] == hashlib.sha256(derive("embedding").render("json").encode()).hexdigest()


def from_json(data: object) -> object:
    """The term that was written down, read back by the few lines that a second checker would have."""
    assert isinstance(data, list)
    kind, *rest = data
    match kind:
        case "num":
            return Num(Fraction(rest[0]))
        case "var":
            return Var(*rest)
        case "entry":
            return Entry(rest[0], *map(from_json, rest[1]))
        case "op":
            return Op(rest[0], *map(from_json, rest[1]))
        case "fold":
            return Fold(rest[0], *map(from_json, rest[1:]))
        case "lambda":
            return Lambda(tuple(map(from_json, rest[0])), from_json(rest[1]))
        case "call":
            arguments = tuple((name, from_json(value)) for name, value in rest[1])
            return Call(rest[0], arguments, tuple(map(from_json, rest[2])))
    raise AssertionError(kind)


@given(terms(3), lambdas(2, terms(1)))
def test_nothing_of_a_term_is_lost(value: Term, given: Lambda) -> None:
    for node in (value, given):
        assert from_json(json.loads(json.dumps(to_json(node)))) is node


def test_formulas_and_collections() -> None:
    assert to_json(permutation("s", n)) == ["formula", "permutation", ["s", ["var", "n", "size"]]]
    assert to_json(positive(a)) == ["formula", "positive", [["var", "a", "real"]]]
    assert to_json({"x": (1, None)}) == ["map", [["x", ["list", 1, None]]]]
    assert to_json({"b": 1, "a": 2}) == to_json({"a": 2, "b": 1}) == ["map", [["a", 2], ["b", 1]]]
    with pytest.raises(TypeError):
        to_json(object())


def test_a_log_can_be_followed_by_number() -> None:
    for found in derive("softmax").statements:
        written = json.loads(json.dumps(log(found.theorem)))
        assert len(written) == found.theorem.size()
        for place, step in enumerate(written):
            assert set(step) == {"rule", "premises", "arguments", "hypotheses", "conclusion", "axioms"}
            assert step["rule"] in RULES and all(premise < place for premise in step["premises"])
        assert written[-1]["conclusion"] == to_json(found.theorem.conclusion)


def test_a_mapping_in_a_log_has_one_order() -> None:
    made = instantiation((reflexivity((), total(j, n, Entry("x", j) + a)),), {n: n + 1, a: i}, {"x": Lambda((i,), i), "b": Lambda((), a)})
    mapping = log(made)[-1]["arguments"][0]
    assert mapping[0] == "map" and [pair[0][1] for pair in mapping[1]] == ["a", "n"]


def test_a_fingerprint_sees_every_part() -> None:
    data = as_json(derive("softmax"))
    reference = fingerprint(data)
    assert reference == derive("softmax").fingerprint() and len(reference) == 64
    assert fingerprint({**data, "licences": []}) != reference
    assert fingerprint(log(assumption((), equation(a, i)))) != fingerprint(log(assumption((), equation(i, a))))
