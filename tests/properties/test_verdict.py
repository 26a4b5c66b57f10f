"""Verdicts count honestly, and their JSON and XML are what readers of them expect."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from kernelproof.properties.model import Case, Finding, Inputs, Recipe
from kernelproof.properties.render import MOST_ELEMENTS, jsonable
from kernelproof.properties.verdict import Counterexample, Outcome, PropertyVerdict, Verdict

CASE = Case("softmax", (("n", 2),), recipes=(("x", Recipe("normal")),))


def found(verdict: Outcome, name: str = "softmax.row_sum_one", **rest: Any) -> PropertyVerdict:
    return PropertyVerdict(name, "row sum one", "Σ_j softmax(x)[j] = 1", verdict, **rest)


def failed(x: Any = None, observed: Any = None, **rest: Any) -> PropertyVerdict:
    x = np.array([1.0, np.inf], dtype=np.float32) if x is None else x
    observed = np.array([np.nan, 0.5]) if observed is None else observed
    finding = Finding(False, math.inf, False, observed, np.ones(2), "off by a half", Inputs({"x": x}, {"causal": True}))
    shown = Counterexample(CASE, finding, "assert False\n")
    return found("fail", examples=3, worst=math.inf, seconds=0.5, message="off by a half", counterexample=shown, **rest)


def verdict(*properties: PropertyVerdict, **rest: Any) -> Verdict:
    return Verdict("m:f", "softmax", {}, "quick", 0, "float32", {"numpy": "2"}, properties, **rest)


@pytest.mark.parametrize(
    ("outcomes", "overall", "code", "strict"),
    [
        (["pass", "pass"], "pass", 0, 0),
        (["pass", "not_applicable"], "pass", 0, 0),
        (["pass", "inconclusive"], "pass", 0, 1),
        (["pass", "fail", "error"], "fail", 1, 1),
        (["pass", "error", "inconclusive"], "error", 1, 1),
        (["inconclusive", "not_applicable"], "inconclusive", 1, 1),
        (["not_applicable"], "inconclusive", 1, 1),
        ([], "inconclusive", 1, 1),
    ],
)
def test_overall_verdict_and_exit_codes(outcomes: list[Outcome], overall: str, code: int, strict: int) -> None:
    whole = verdict(*(found(outcome) for outcome in outcomes))
    assert whole.verdict == overall
    assert bool(whole) is (overall == "pass")
    assert whole.exit_code() == code
    assert whole.exit_code(strict=True) == strict


def test_an_interrupted_run_did_not_hold() -> None:
    whole = verdict(found("pass"), found("inconclusive"), interrupted=True)
    assert whole.exit_code() == 130
    assert "interrupted" in str(whole)
    assert verdict(failed(), interrupted=True).exit_code() == 1


def test_the_json_object_is_the_contracts() -> None:
    whole = json.loads(
        verdict(found("pass", examples=25, worst=0.25), failed()).json_text(), parse_constant=pytest.fail
    )
    assert list(whole) == ["target", "phase", "variant", "verdict", "profile", "seed", "versions", "properties"]
    passed, bad = whole["properties"]
    keys = ["id", "theorem", "verdict", "examples", "worst_error_over_bound", "counterexample", "seconds"]
    assert list(passed) == list(bad) == keys
    assert passed["worst_error_over_bound"] == 0.25
    assert passed["counterexample"] is None
    assert bad["worst_error_over_bound"] == "inf"
    shown = bad["counterexample"]
    assert list(shown) == ["inputs", "observed", "expected", "reproducer"]
    assert shown["inputs"]["x"] == [1.0, "inf"]
    assert shown["inputs"]["causal"] is True
    assert shown["inputs"]["dtype"] == "float32"
    assert shown["inputs"]["recipe"]["phase"] == "softmax"
    assert shown["observed"] == ["nan", 0.5]
    assert shown["expected"] == [1.0, 1.0]
    assert shown["reproducer"] == "assert False\n"


def test_the_text_of_our_own_fault_reaches_the_reader() -> None:
    whole = verdict(found("error", message="KeyError: 'bound'"))
    assert whole.to_json()["properties"][0]["counterexample"]["observed"] == "KeyError: 'bound'"
    assert "KeyError: 'bound'" in str(whole)
    assert "KeyError" in whole.junit()


def test_large_arrays_are_summarised() -> None:
    large = np.arange(MOST_ELEMENTS + 1, dtype=np.float32)
    shown = failed(large).to_json()["counterexample"]["inputs"]["x"]
    assert shown["shape"] == [MOST_ELEMENTS + 1]
    assert shown["max"] == MOST_ELEMENTS
    assert failed(large[:-1]).to_json()["counterexample"]["inputs"]["x"] == large[:-1].tolist()


def test_jsonable() -> None:
    value = {"a": np.float32(0.5), "b": (np.int64(3), True, None), "c": -math.inf, "d": np.array([[True]]), 1: {2}}
    assert jsonable(value) == {"a": 0.5, "b": [3, True, None], "c": "-inf", "d": [[True]], "1": "{2}"}


def test_text_names_what_failed_and_counts_what_did_not_pass() -> None:
    text = str(verdict(found("pass", worst=0.123456), failed(), found("inconclusive", message="bound vacuous")))
    assert "0.123" in text
    assert "FAILED softmax.row_sum_one" in text
    assert "off by a half" in text
    assert "assert False" in text
    assert "softmax.row_sum_one: bound vacuous" in text
    assert text.endswith("m:f as softmax, float32: fail (1 of 3 properties passed; 1 failed; 1 inconclusive)")


def test_a_search_that_the_time_cut_short_says_so() -> None:
    whole = verdict(found("pass", examples=25), found("pass", examples=2, cut=True), found("pass", examples=9, cut=True))
    told = "; 2 properties were cut short by the time (fewest examples: 2): give --max-seconds more"
    assert whole.summary() == f"m:f as softmax, float32: pass (3 of 3 properties passed){told}"
    assert "; 1 property was cut short by the time (fewest examples: 1)" in verdict(found("pass", examples=1, cut=True)).summary()


def test_junit_counts_and_survives_control_characters() -> None:
    odd = failed(observed="\x1b[31mred\x00")
    whole = verdict(
        found("pass"), odd, found("inconclusive"), found("not_applicable"), found("error", message="bad \x1b[0m")
    )
    top = ElementTree.fromstring(whole.junit().split("?>", 1)[1])
    assert {name: top.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "5",
        "failures": "1",
        "errors": "1",
        "skipped": "2",
    }
    told = {found.get("name"): found.get("value") for found in top.iter("property")}
    assert told == {"profile": "quick", "seed": "0", "dtype": "float32", "numpy": "2"}
    cases = list(top.iter("testcase"))
    children = [[child.tag for child in case] for case in cases]
    assert children == [[], ["failure"], ["skipped"], ["skipped"], ["error"]]
    assert cases[1][0].text == "assert False\n"
    assert cases[0].get("classname") == "softmax"


#: elements of Jenkins' junit-10.xsd with their attributes (those that it requires first) and what may stand inside
SCHEMA: dict[str, tuple[set[str], set[str], set[str]]] = {
    "testsuite": (
        {"name", "tests", "failures", "errors", "time"},
        {"skipped", "disabled", "timestamp", "hostname", "id", "package"},
        {"properties", "testcase", "system-out", "system-err"},
    ),
    "properties": (set(), set(), {"property"}),
    "property": ({"name", "value"}, set(), set()),
    "testcase": ({"name", "classname", "time"}, {"status", "assertions"}, {"skipped", "error", "failure", "system-out", "system-err"}),
    "failure": (set(), {"type", "message"}, set()),
    "error": (set(), {"type", "message"}, set()),
    "skipped": (set(), {"type", "message"}, set()),
}


def test_junit_fits_the_schema_that_jenkins_reads() -> None:
    odd = replace(failed(observed="\x1b[31mred\x00"), message="\x00 <&> \ud800 \ufffe", seconds=1.25)
    whole = verdict(found("pass", seconds=0.5), odd, found("inconclusive"), found("error", message="\x07"))
    text = whole.junit()
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]", text)
    top = ElementTree.fromstring(text.encode())
    for element in top.iter():
        required, allowed, inside = SCHEMA[element.tag]
        assert required <= set(element.attrib) <= required | allowed, element.tag
        assert {child.tag for child in element} <= inside
    times = [float(str(case.get("time"))) for case in top.iter("testcase")]
    assert times == [0.5, 1.25, 0.0, 0.0]
    assert float(str(top.get("time"))) == sum(times)
    (message,) = [str(found.get("message")) for found in top.iter("failure")]
    assert message == "fail: \ufffd <&> \ufffd \ufffd"
