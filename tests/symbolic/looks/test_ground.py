"""The ground look: true and false claims, spurious models, contradictions, what is too large, and a missing z3."""

from __future__ import annotations

import sys

import pytest
from claims import SOFTMAX, claim

from kernelproof.symbolic.errors import InputError
from kernelproof.symbolic.formulas import Formula, derivative, equation, every, integer, nonnegative, nonzero, positive, within
from kernelproof.symbolic.looks import ground
from kernelproof.symbolic.looks.model import LOOKS, Look
from kernelproof.symbolic.looks.nodes import MAKE, Ground
from kernelproof.symbolic.looks.problem import Claim, Problem
from kernelproof.symbolic.looks.real import refutation
from kernelproof.symbolic.looks.setting import Setting
from kernelproof.symbolic.terms import Entry, Lambda, Num, Op, exp, log, maximum_of, size, sqrt, total, variables

n = size("n")
a, b, c, j, p, t, u = variables("a b c j p t u")
f, g = Entry("f", j), Entry("g", j)


def look(conclusion: Formula, *hypotheses: Formula) -> Look:
    return LOOKS["ground"](SOFTMAX, claim(conclusion, *hypotheses), 0)


TRUE: list[tuple[Formula, ...]] = [
    (equation(exp(a + b) / exp(b), exp(a)),), (nonnegative(a * a + b * b - 2 * a * b),), (positive(exp(a) + b * b),),
    (equation(a / b * b, a), nonzero(b)), (equation(Num(1) / (a - a), 0),), (nonnegative(maximum_of(j, n, f) - Entry("f", 1)),),
    (nonnegative(total(j, n, f)), every(((j, n),), nonnegative(f))), (positive(1 - Op("tanh", a)),),
    (equation(exp(log(a)), a), positive(a)),
    (equation(log(exp(a) / exp(b)), a - b),), (equation(sqrt(a * a), a), nonnegative(a)), (within(1, n),), (integer(n * n),),
    (equation(Op("sin", a + b), Op("sin", a) * Op("cos", b) + Op("cos", a) * Op("sin", b)),),
    (equation(exp(Op("max", a, b)), Op("max", exp(a), exp(b))), nonnegative(a - b), positive(exp(a) - exp(b))),
]
FALSE: list[tuple[Formula, ...]] = [
    (equation(exp(a + b), exp(a) + exp(b)),), (nonnegative(a * a - b),), (positive(a * b),), (equation(a / b * b, a),),
    (nonnegative(f - maximum_of(j, n, f)),), (equation(sqrt(a * a), a),), (within(n, n),), (equation(Op("erf", a), a),),
    (equation(total(j, n, f), total(j, n - 1, f)),), (equation(a, b), equation(a * a, b * b)), (equation(Op("max", a, b), a), positive(a)),
]


@pytest.mark.parametrize("number", range(len(TRUE)))
def test_true(number: int) -> None:
    found = look(*TRUE[number])
    assert found.verdict == "pass" and "sizes 2, 2/3, 3, 4" in found.detail


@pytest.mark.parametrize("number", range(len(FALSE)))
def test_false(number: int) -> None:
    found = look(*FALSE[number])
    assert found.verdict == "fail" and ("counterexample" in found.detail)


def test_derivatives() -> None:
    along = derivative(Lambda((t,), Entry("f", t)), p, u)
    right = exp(Entry("f", p)) * (1 + Entry("f", p)) * u
    inside = Entry("f", t) * exp(Entry("f", t))
    assert look(derivative(Lambda((t,), inside), p, right), along).verdict == "pass"
    assert look(derivative(Lambda((t,), inside), p, right + u), along).verdict == "fail"
    assert look(derivative(Lambda((t,), inside), p, right)).verdict == "not_applicable"


def test_a_model_that_50_digits_do_not_confirm_is_no_counterexample() -> None:
    assert look(positive(exp(a) - a)).verdict == "unknown"  # true, and needs more than the laws
    assert look(positive(a * a)).verdict == "unknown"  # false at 0 only, by less than the margin
    assert look(equation(a, b), equation(Op("sin", a), Op("sin", b)), equation(exp(a), exp(b))).verdict in ("unknown", "not_applicable")
    assert look(positive(2 - Op("erf", a))).verdict == "not_applicable"


def test_hypotheses_that_contradict_one_another_are_no_pass() -> None:
    found = look(equation(a, b), positive(a), positive(-a))
    assert found.verdict == "not_applicable" and "contradict" in found.detail


def test_what_is_too_large_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ground, "LARGEST", 3)
    found = look(equation(total(j, n, f * g), total(j, n, g * f)))
    assert found.verdict == "unknown" and "not tried" in found.detail


def test_a_counterexample_needs_a_margin() -> None:
    x = Ground("atom", "x")
    tiny = Problem(Setting(), [], [Claim("eq", (MAKE["add"](x, MAKE["exp"](MAKE["mul"](Ground("const", 1 * -200), Ground("pi")))), x))])
    assert refutation(tiny, 0) is None
    assert refutation(Problem(Setting(), [], [Claim("eq", (MAKE["exp"](x), x))]), 0) is not None


def test_without_z3_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    ground.solver_module.cache_clear()
    monkeypatch.setitem(sys.modules, "z3", None)
    with pytest.raises(InputError, match=r"pip install kernelproof\[check\]"):
        look(equation(a, a))
    ground.solver_module.cache_clear()
