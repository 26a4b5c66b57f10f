"""Documents that are no documents: whatever stands in them, the answer is a CheckError."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest
from forging import got, put
from replays import derived, handmade_document

from kernelproof.symbolic.checker import CheckError, check, render

ODD: list[Any] = [
    None, True, False, -1, 0, 1, 10**30, 1.5, float("nan"), float("inf"), "", "x", "#1", "1/0", [], [[]], {}, {"node": 0}, (), object,
]


def small() -> dict[str, Any]:
    """A document with a definition and some steps, to be spoilt."""
    return copy.deepcopy(derived()["activation[activation=relu]"][1])


def ways(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Ways to all values inside a JSON value."""
    inside = list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    return [way] + [further for key, part in inside for further in ways(part, (*way, key))]


def test_any_value_anywhere_is_an_error_or_changes_nothing() -> None:
    document, dice = small(), random.Random(0)
    original = check(document)
    refused = kept = 0
    for way in ways(document):
        for value in dice.sample(ODD, 2):
            edited = put(document, way, value)
            try:
                report = check(edited)
            except CheckError:
                refused += 1
                continue
            kept += 1
            if way[0] == "steps":
                assert report == original, (way, value)
            else:
                # a name that is another one everywhere, an axis or range without force, a theorem that points to another step
                assert way[0] in ("nodes", "definitions", "theorems") and report.steps == original.steps, (way, value)
    assert refused > 800 and kept < refused / 10, (refused, kept)


def test_a_missing_or_additional_field_is_an_error() -> None:
    document = small()
    objects = [way for way in ways(document) if way and way[0] != "theorems" and isinstance(got(document, way), dict)]
    for way in [(), *objects]:
        for key in list(got(document, way))[:: 1 if way == () else 3]:
            fewer = {name: part for name, part in got(document, way).items() if name != key}
            more = {**got(document, way), "more": 0}
            for changed in (fewer, more):
                with pytest.raises(CheckError):
                    check(put(document, way, changed))


@pytest.mark.parametrize(
    "node",
    [
        ["num", "nan"], ["num", "inf"], ["num", "1/0"], ["num", "0/1"], ["num", "2/4"], ["num", "1.5"], ["num", "-0"], ["num", " 1"],
        ["num", "01"], ["num", "+1"], ["num", "1_0"], ["num", "١"], ["num", "1e3"], ["num", 1], ["num", True], ["num", "9" * 5000],
        ["num"], ["num", "1", "2"], ["var", "x"], ["var", "x", "index"], ["var", "#1", "real"], ["var", 1, "real"],
        ["entry", "x", [10**6]], ["entry", "x", [-1]], ["entry", "x", [True]], ["entry", 1, []], ["entry", "x", 0], ["op", "foo", []],
        ["op", "add", [0]], ["op", "pi", [0]], ["op", ["add"], [0, 0]], ["op", "pow", [0, 0]], ["fold", "sum", 0, 0, 0],
        ["fold", "min", 0, 0, 0, 0], ["fold", "sum", [0], 0, 0, 0], ["lambda", [0, 0], 0], ["lambda", 0, 0], ["lambda", [], 10**6],
        ["call", "nothing", [], []], ["call", "activation_relu", [], []], ["call", "nothing", {}, []], ["formula", "eq", None, [0]],
        ["formula", "eq", "s", [0, 0]], ["formula", "permutation", None, [0]], ["formula", "every", None, []],
        ["formula", "derivative", None, [0, 0, 0]], ["every", [], 0], ["every", [[0, 0]], 0], ["every", [[0]], 0], ["bound", 0],
        ["nothing"], [], "num", None, {"num": "1"}, [["num"], "1"],
    ],
)
def test_a_malformed_node_is_an_error_that_names_it(node: Any) -> None:
    whole, bare = small(), {**small(), "nodes": [["var", "x", "real"], ["num", "1"]], "definitions": [], "steps": [], "theorems": {}}
    for document in (whole, bare):
        assert check(document).steps == len(document["steps"])
        document["nodes"].append(node)
        with pytest.raises(CheckError, match=f"^node {len(document['nodes']) - 1}: "):
            check(document)


def test_nodes_refer_to_earlier_ones_only() -> None:
    document = handmade_document()
    for place in random.Random(0).sample(range(len(document["nodes"])), 100):
        node = document["nodes"][place]
        for way in ways(node):
            if type(got(node, way)) is int:
                for later in (place, place + 1):
                    edited = {**document, "nodes": [*document["nodes"][:place], put(node, way, later)]}
                    with pytest.raises(CheckError, match=f"^node {place}: "):
                        check(edited)


def test_a_negative_number_of_a_node_is_not_the_last_one() -> None:
    for node in (["op", "neg", [-1]], ["fold", "sum", 0, -1, 0, 0], ["lambda", [-1], 0], ["entry", "x", [-2]]):
        with pytest.raises(CheckError, match=r"^node 1: there is no node -"):
            check({**small(), "nodes": [["var", "x", "real"], node], "definitions": [], "steps": [], "theorems": {}})


def test_a_size_is_not_bound() -> None:
    nodes = [["var", "n", "size"], ["num", "1"]]
    for binder in (["fold", "sum", 0, 1, 1, 1], ["lambda", [0], 1]):
        with pytest.raises(CheckError, match="other than a size"):
            check({**small(), "nodes": [*nodes, binder], "definitions": [], "steps": [], "theorems": {}})


def deep(count: int) -> dict[str, Any]:
    """A document with a node nested so deep."""
    nodes = [["num", "1"]] + [["op", "neg", [place]] for place in range(count)]
    return {**small(), "nodes": nodes, "definitions": [], "steps": [], "theorems": {}}


def test_deep_nesting_is_an_error() -> None:
    assert check(deep(100)).steps == 0
    with pytest.raises(CheckError, match="deeper"):
        check(deep(100_000))
    with pytest.raises(CheckError):
        check("[" * 1_000_000)


def test_a_tree_that_is_shared_a_lot_is_no_burden() -> None:
    """2^100 leaves, 100 nodes: instantiated and compared in no time, and not shown."""
    nodes: list[Any] = [["var", "a", "real"]] + [["op", "delta", [place, place]] for place in range(100)]
    nodes += [["formula", "eq", None, [100, 100]], ["num", "2"]]
    nodes += [["op", "delta", [102, 102]]] + [["op", "delta", [103 + place, 103 + place]] for place in range(99)]
    nodes += [["formula", "eq", None, [202, 202]]]
    steps = [
        {"rule": "reflexivity", "premises": [], "arguments": [{"node": 100}], "hypotheses": [], "conclusion": 101, "axioms": []},
        {"rule": "instantiation", "premises": [0], "arguments": [{"map": [[{"node": 0}, {"node": 102}]]}, {"map": []}], "hypotheses": [],
         "conclusion": 203, "axioms": []},
    ]
    report = check({**small(), "nodes": nodes, "definitions": [], "steps": steps, "theorems": {"it": 1}})
    assert report.theorems["it"].conclusion.weight > 2**100
    with pytest.raises(CheckError, match="too long to be shown"):
        render(report.theorems["it"])


def test_json_with_a_key_twice_or_a_float_is_an_error() -> None:
    text = json.dumps(small())
    assert check(text).steps
    for spoiled in (
        text.replace('"format"', '"format": "kernelproof proofs 1", "format"', 1), text.replace("[0]", "[0.0]", 1),
        text.replace("[0]", "[NaN]", 1), text.replace("[0]", "[-0]", 1).replace('"format"', '"other"', 1), text[:-1],
        text + "1", "", "\ufeff" + text, "1" * 10_000,
    ):
        assert spoiled != text
        with pytest.raises(CheckError):
            check(spoiled)


@pytest.mark.parametrize("value", [None, 1, [], b"{}", object()])
def test_what_is_neither_a_text_nor_an_object_is_an_error(value: Any) -> None:
    with pytest.raises(CheckError):
        check(value)


def test_maps_and_hypotheses_say_a_thing_once() -> None:
    document = copy.deepcopy(handmade_document())
    place = next(place for place, step in enumerate(document["steps"]) if step["rule"] == "instantiation")
    pairs = document["steps"][place]["arguments"][0]["map"]
    pairs.append(pairs[0])
    with pytest.raises(CheckError, match=f"step {place}, .*twice"):
        check(document)
    document = copy.deepcopy(handmade_document())
    place = next(place for place, step in enumerate(document["steps"]) if step["hypotheses"])
    document["steps"][place]["hypotheses"] *= 2
    with pytest.raises(CheckError, match=f"step {place}, .*other hypotheses"):
        check(document)
