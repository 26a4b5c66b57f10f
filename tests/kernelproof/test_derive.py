"""``kernelproof derive`` with ``--vjp`` and ``--check``: what is printed is what was proved, and each look says what it is."""

from __future__ import annotations

import json

import pytest

import kernelproof
from kernelproof.__main__ import main
from kernelproof.numeric.rechecking import KINDS
from kernelproof.symbolic.checker import check


def printed(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(words) == 0
    return capsys.readouterr().out


def test_a_gradient_is_printed_step_by_step(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(["derive", "softmax", "--vjp"], capsys)
    assert "softmax_dx[j] = softmax[j]·(g[j] − Σ_{k < n} softmax[k]·g[k])" in out
    assert "d/dt(Σ_{j < n} g[j]·softmax(x := λj. x[j] + t·u[j])[j])|[t = 0]" in out
    assert "= Σ_{j < n} u[j]·softmax_dx[j]" in out and "Gradients: dx is softmax_dx" in out
    assert "proved; where n > 0]" in out
    assert kernelproof.gradient("softmax").render("text") == out.rstrip("\n")


@pytest.mark.parametrize("form", ["markdown", "latex"])
def test_every_form_says_rules_hypotheses_and_status(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(["derive", "softmax", "--vjp", "--format", form], capsys)
    name = "derivative\\_of\\_quotient" if form == "latex" else "`derivative_of_quotient`"
    assert name in out and "proved; where $n > 0$" in out and "\\frac{d}{dt}" in out


def test_the_printed_json_is_all_that_the_second_checker_needs(capsys: pytest.CaptureFixture[str]) -> None:
    data = json.loads(printed(["derive", "attention", "--vjp", "--format", "json"], capsys))
    report = check(data["proofs"])
    assert {found["id"] for found in data["theorems"]} <= set(report.theorems)
    assert data["results"] == {"q": "attention_dq", "k": "attention_dk", "v": "attention_dv"}
    data["proofs"]["steps"][-1]["conclusion"] = data["proofs"]["steps"][0]["conclusion"]
    with pytest.raises(Exception, match="step"):
        check(data["proofs"])


@pytest.mark.parametrize("words", [["softmax"], ["softmax", "--vjp"], ["embedding"], ["positional"]], ids=" ".join)
def test_check_replays_and_looks(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(["derive", *words, "--check"], capsys)
    for look in ("replay", "instance", "modular"):
        assert f"{look}: {KINDS[look]}" in out
    assert "ground: " not in out
    table = out[out.index("theorem "):]
    assert f"{words[0]}.uniqueness" not in table or "not applicable" in table
    assert " fail" not in table


def test_full_adds_z3(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("z3", reason="z3 is not installed: pip install kernelproof[check]")
    out = printed(["derive", "--check", "full", "softmax", "--vjp"], capsys)
    assert f"ground: {KINDS['ground']}" in out


def test_check_in_json_stands_beside_the_derivation(capsys: pytest.CaptureFixture[str]) -> None:
    data = json.loads(printed(["derive", "softmax", "--format", "json", "--check"], capsys))
    assert set(data["check"]["looks"]) == {"replay", "instance", "modular"}
    replayed = [row for row in data["check"]["results"] if row["look"] == "replay"]
    assert {row["theorem"] for row in replayed} >= {found["id"] for found in data["theorems"]}
    assert {row["verdict"] for row in replayed} == {"pass"}
    # the detail is the statement that the second checker verified, in its own words
    assert any("softmax" in row["detail"] for row in replayed)
