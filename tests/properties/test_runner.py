"""Hypothesis at work: small counterexamples, honest verdicts, time that is kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from kernelproof.properties.call import Call
from kernelproof.properties.model import Case, Finding, Property, Setting, build
from kernelproof.properties.profiles import ENDLESS, PROFILES
from kernelproof.properties.runner import overtime, run_properties
from kernelproof.properties.shapes import phase_shape
from kernelproof.properties.strategies import draw_case
from kernelproof.properties.verdict import PropertyVerdict

Judge = Callable[..., PropertyVerdict]


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def row_sum(call: Call, case: Case, setting: Setting) -> Finding:
    inputs = build(case)
    result = call(inputs.tensors, inputs.options).astype(np.float64)
    error = np.abs(result.sum(-1) - 1).max(initial=0.0)
    ratio = float(error / 1e-4)
    return Finding(
        ok=ratio <= 1,
        ratio=ratio,
        observed=result.sum(-1),
        expected=np.ones(result.shape[:-1]),
        bound=1e-4,
        message=f"a row sums to one up to {error:.1e}",
        inputs=inputs,
        script="observed = np.asarray(target(x)).astype(np.float64).sum(-1)",
    )


def subject(
    check: Callable[[Call, Case, Setting], Finding] = row_sum,
    draw: Callable[[DrawFn, Setting], Case] = lambda draw, setting: draw_case(draw, setting),
    name: str = "softmax.row_sum_one",
    **rest: Any,
) -> Property:
    return Property(name, "rows sum to one", "Σ_j softmax(x)[j] = 1", "softmax", draw, check, **rest)


def test_a_right_kernel_passes_with_its_worst_ratio(judge: Judge) -> None:
    found = judge(softmax, subject())
    assert (found.verdict, found.examples) == ("pass", 60)
    assert found.worst is not None
    assert 0 < found.worst < 1
    assert found.counterexample is None
    assert found.seconds > 0


def test_shrinking_yields_the_smallest_size(judge: Judge) -> None:
    found = judge(lambda x: softmax(x) * (0.5 if x.shape[-1] >= 7 else 1), subject())
    assert found.verdict == "fail"
    assert found.counterexample is not None
    case = found.counterexample.case
    assert (case.size("n"), case.batch, case.seed) == (7, (), 0)
    assert dict(case.recipes)["x"].style == "integers"
    assert found.worst == pytest.approx(0.5 / 1e-4)
    assert found.examples < 60


def test_an_exception_of_the_target_is_a_failure(judge: Judge) -> None:
    def raises(x: Any) -> Any:
        if x.shape[-1] == 3:
            raise IndexError("tile out of range")
        return softmax(x)

    found = judge(raises, subject())
    assert found.verdict == "fail"
    assert found.message == "the target raised IndexError: tile out of range"
    assert found.counterexample is not None
    assert found.counterexample.finding.inputs is not None
    assert found.counterexample.finding.inputs.tensors["x"].shape == (3,)


@pytest.mark.parametrize("where", ["check", "draw"])
def test_an_exception_of_ours_is_an_error_not_a_failure(judge: Judge, where: str) -> None:
    def broken(*arguments: Any) -> Any:
        raise ZeroDivisionError("our own fault")

    found = judge(softmax, subject(**{where: broken}))
    assert (found.verdict, found.message) == ("error", "ZeroDivisionError: our own fault")
    assert found.counterexample is None


def test_a_bad_strategy_is_an_error(judge: Judge) -> None:
    def broken(draw: DrawFn, setting: Setting) -> Any:
        return draw(st.integers(5, 1))

    assert judge(softmax, subject(draw=broken)).verdict == "error"


def test_an_error_of_ours_on_a_smaller_input_does_not_hide_the_failure(judge: Judge) -> None:
    def fragile(call: Call, case: Case, setting: Setting) -> Finding:
        if case.size("n") < 5:
            raise ZeroDivisionError
        return replace(row_sum(call, case, setting), ok=False)

    first_large = subject(check=fragile, draw=lambda draw, setting: draw_case(draw, setting, minimum={"n": 8}))
    assert judge(softmax, first_large).verdict == "fail"


def test_vacuous_bounds_are_inconclusive_only_if_all_are(judge: Judge) -> None:
    def vacuous(call: Call, case: Case, setting: Setting) -> Finding:
        return replace(row_sum(call, case, setting), vacuous=True, ratio=None)

    def often(call: Call, case: Case, setting: Setting) -> Finding:
        return vacuous(call, case, setting) if case.size("n") < 3 else row_sum(call, case, setting)

    found = judge(softmax, subject(check=vacuous))
    assert (found.verdict, found.examples, found.worst) == ("inconclusive", 60, None)
    assert judge(softmax, subject(check=often)).verdict == "pass"


def test_premises_that_nothing_meets_are_inconclusive(judge: Judge) -> None:
    def never(call: Call, case: Case, setting: Setting) -> Finding:
        assume(False)
        raise AssertionError

    found = judge(softmax, subject(check=never))
    assert (found.verdict, found.examples) == ("inconclusive", 0)


def test_what_the_target_cannot_do_is_not_applicable(judge: Judge) -> None:
    found = judge(softmax, subject(needs=frozenset({"temperature"})))
    assert (found.verdict, found.examples) == ("not_applicable", 0)
    assert "temperature" in found.message


def test_no_time_is_inconclusive(judge: Judge) -> None:
    assert judge(softmax, subject(), seconds=0.0).verdict == "inconclusive"


def test_time_that_runs_out_keeps_the_examples_so_far(judge: Judge) -> None:
    def slow(x: Any) -> Any:
        time.sleep(0.01)
        return softmax(x)

    started = time.perf_counter()
    found = judge(slow, subject(), examples=100_000, seconds=0.5)
    assert time.perf_counter() - started < 3
    assert found.verdict == "pass" and found.cut
    assert 5 < found.examples < 60
    assert not judge(slow, subject(), examples=5).cut
    assert not judge(slow, subject(), examples=ENDLESS, seconds=0.2).cut


def test_shrinking_is_bounded_in_time(judge: Judge) -> None:
    def shrink_for(seconds: float) -> tuple[PropertyVerdict, int]:
        calls = [0]

        def slow_and_wrong(x: Any) -> Any:
            calls[0] += x.size > 30
            time.sleep(0.05 if x.size > 30 else 0.0)
            return softmax(x) * (2 if x.size > 30 else 1)

        return judge(slow_and_wrong, subject(), shrink_seconds=seconds, seconds=60.0), calls[0]

    short, few = shrink_for(0.1)
    long, many = shrink_for(20.0)
    assert short.verdict == long.verdict == "fail"
    assert few < 8
    assert many > 10, "the bound was not what ended the search"


def test_examples_differ_and_a_small_space_ends(judge: Judge) -> None:
    seen: list[Case] = []

    def note(call: Call, case: Case, setting: Setting) -> Finding:
        seen.append(case)
        return Finding(ok=True, ratio=0.0)

    assert judge(softmax, subject(check=note), examples=80).examples == len(seen) == len(set(seen)) == 80
    seen.clear()

    def four(draw: DrawFn, setting: Setting) -> Case:
        return Case("softmax", (("n", draw(st.integers(1, 4))),))

    found = judge(softmax, subject(check=note, draw=four), examples=80)
    assert (found.verdict, found.examples, len(seen)) == ("pass", 4, 4)


def test_a_target_that_does_not_repeat_itself_fails_and_is_told_so(judge: Judge) -> None:
    wrong = [False] * 9 + [True]

    def sometimes(x: Any) -> Any:
        return softmax(x) * (2 if x.size and wrong and wrong.pop(0) else 1)

    found = judge(sometimes, subject())
    assert found.verdict == "fail"
    assert "does not repeat itself" in found.message


def test_a_seed_repeats_a_run_and_another_does_not(judge: Judge) -> None:
    def seen_with(seed: int) -> list[Any]:
        seen: list[Any] = []

        def note(call: Call, case: Case, setting: Setting) -> Finding:
            seen.append(case)
            return Finding(ok=True, ratio=0.0)

        judge(softmax, subject(check=note), seed=seed)
        return seen

    assert seen_with(3) == seen_with(3)
    assert seen_with(3) != seen_with(4)


def run_all(
    properties: list[Property], function: Any = softmax, **rest: Any
) -> tuple[tuple[PropertyVerdict, ...], bool]:
    setting = Setting("softmax", {}, "float32", frozenset(), replace(PROFILES["quick"], examples=10))
    call = Call(function, phase_shape("softmax"))
    return run_properties(properties, call, setting, **({"seed": 0, "reproduce": lambda *found: "program"} | rest))


def test_ctrl_c_keeps_what_is_there() -> None:
    def stop(call: Call, case: Case, setting: Setting) -> Finding:
        raise KeyboardInterrupt

    names = ("softmax.a", "softmax.b", "softmax.c")
    checks = (row_sum, stop, row_sum)
    verdicts, interrupted = run_all([subject(check, name=name) for check, name in zip(checks, names, strict=True)])
    assert interrupted
    assert [found.verdict for found in verdicts] == ["pass", "inconclusive", "inconclusive"]
    assert [found.examples for found in verdicts] == [1, 0, 0], "the first of all come before the rest of any"
    assert "interrupted" in verdicts[1].message
    assert "interrupted" in verdicts[2].message


def test_ctrl_c_while_shrinking_keeps_the_failure() -> None:
    calls = [0]

    def wrong_then_stopped(x: Any) -> Any:
        wrong = x.shape[-1] > 6
        calls[0] += wrong
        if calls[0] > 2:
            raise KeyboardInterrupt
        return softmax(x) * (2 if wrong else 1)

    larger = subject(draw=lambda draw, setting: draw_case(draw, setting, minimum={"n": 7}))
    verdicts, interrupted = run_all([larger], wrong_then_stopped)
    assert interrupted
    assert verdicts[0].verdict == "fail"
    assert calls[0] == 3, "an interrupted target is not called again"


def test_time_is_shared_and_what_is_left_goes_on() -> None:
    def slow(call: Call, case: Case, setting: Setting) -> Finding:
        time.sleep(0.02)
        return Finding(ok=True, ratio=0.0)

    properties = [subject(slow, name=f"softmax.p{number}") for number in range(4)]
    setting = Setting("softmax", profile=replace(PROFILES["quick"], examples=100_000))
    call = Call(softmax, phase_shape("softmax"))
    started = time.perf_counter()
    verdicts, _ = run_properties(properties, call, setting, seed=0, reproduce=lambda *found: "", max_seconds=2.0)
    assert 1.5 < time.perf_counter() - started < 6
    assert all(found.verdict == "pass" and found.seconds > 0.3 for found in verdicts)


def test_a_program_that_cannot_be_written_does_not_hide_the_failure() -> None:
    def broken(*found: Any) -> str:
        raise RuntimeError("no words")

    verdicts, _ = run_all([subject()], lambda x: x * 0, reproduce=broken)
    assert verdicts[0].verdict == "fail"
    assert verdicts[0].counterexample is not None
    assert "no words" in verdicts[0].counterexample.reproducer


def test_nan_never_passes(judge: Judge) -> None:
    def sum_of_nan(call: Call, case: Case, setting: Setting) -> Finding:
        found = row_sum(call, case, setting)
        return replace(found, ok=bool(found.ratio is not None and found.ratio <= 1))

    found = judge(lambda x: x * np.nan, subject(check=sum_of_nan))
    assert found.verdict == "fail"
    assert found.worst is not None
    assert math.isnan(found.worst)


def test_no_progress_where_stderr_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    run_all([subject()], progress=True)
    assert capsys.readouterr().err == ""


def test_progress_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import sys

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    run_all([subject()], progress=True)
    captured = capsys.readouterr()
    assert "softmax.row_sum_one" in captured.err
    assert captured.out == ""


def test_a_slow_property_leaves_every_other_its_first_example() -> None:
    clock = [0.0]

    def slow(call: Call, case: Case, setting: Setting) -> Finding:
        clock[0] += 1.0
        return Finding(ok=True, ratio=0.0)

    def quick(call: Call, case: Case, setting: Setting) -> Finding:
        return Finding(ok=True, ratio=0.0)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(time, "perf_counter", lambda: clock[0])
        names = [subject(slow, name=f"softmax.slow{number}") for number in range(4)] + [subject(quick, name="softmax.quick")]
        verdicts, _ = run_all(names, max_seconds=8.5)
    counts = [found.examples for found in verdicts]
    assert counts[-1] == 10
    assert min(counts) >= 2 and sum(counts[:4]) == 9, "and what is left goes round"


def test_no_more_than_the_overtime_is_given_back_for_workers() -> None:
    clock, lost = [0.0], [0.0]

    class Dying(Call):
        @property
        def lost(self) -> float:
            return lost[0]

        def limit(self, ends: float, seconds: float) -> None:
            self.limits.append((ends, seconds))

        limits: ClassVar[list[tuple[float, float]]] = []

    def dies(call: Call, case: Case, setting: Setting) -> Finding:
        clock[0] += 2.0
        lost[0] += 2.0
        return Finding(ok=True, ratio=0.0)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(time, "perf_counter", lambda: clock[0])
        setting = Setting("softmax", profile=replace(PROFILES["quick"], examples=100_000))
        call = Dying(softmax, phase_shape("softmax"))
        run_properties([subject(dies)], call, setting, seed=0, reproduce=lambda *found: "", max_seconds=100.0)
    assert overtime(100.0) == 25.0
    assert Dying.limits == [(125.0, 30.0)]
    assert 120.0 < clock[0] <= 125.0 + 2.0
