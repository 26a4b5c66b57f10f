"""What masks mean, told by two calls: leaks are named with the row they reach, other forms of a mask are compared."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernelproof.properties.call import Call
from kernelproof.properties.capabilities import everything
from kernelproof.properties.masking import masking_properties
from kernelproof.properties.model import Case, Finding, MaskRecipe, Property, Recipe, Setting
from kernelproof.properties.mutants import parts
from kernelproof.properties.mutants.registry import WRONG
from kernelproof.properties.profiles import PROFILES
from kernelproof.properties.reproducer import reproducer
from kernelproof.properties.runner import run_property
from kernelproof.properties.shapes import phase_shape
from kernelproof.properties.targets import load_target
from kernelproof.properties.verdict import PropertyVerdict

NAMES = ("later_tokens_do_not_matter", "masked_tokens_do_not_matter", "mask_forms_agree")
RIGHT = {"attention": parts.attention(), "multi_head_attention": parts.multi_head(), "encoder_block": parts.encoder_block()}
NORMAL = Recipe("normal")
SIZES = (("n", 4), ("d", 3), ("m", 5), ("e", 2))
LEAKING = """\
import numpy as np
def f(q, k, v, *, causal=False, mask=None, scale=None):
    n, m = q.shape[-2], k.shape[-2]
    s = (q @ np.swapaxes(k, -1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)).astype(q.dtype)
    allow = np.tri(n, m, SHIFT, dtype=bool) if causal else np.ones((n, m), dtype=bool)
    if mask is not None:
        allow = allow & (mask if mask.dtype == bool else ~np.isneginf(mask))
        s = s if mask.dtype == bool else s + np.where(np.isneginf(mask), 0, mask)
    s = np.where(allow, s, np.float32(-np.inf))
    top = s.max(-1, keepdims=True, initial=-np.inf)
    e = np.exp(s - np.where(np.isfinite(top), top, 0))
    total = e.sum(-1, keepdims=True)
    return (e / np.where(total == 0, 1, total) @ v).astype(v.dtype)
"""


@pytest.fixture(autouse=True)
def toy_tolerance() -> None:
    """The derived bounds instead of the toy ones of this folder."""


def of(phase: str, name: str) -> Property:
    return next(found for found in masking_properties(phase, {}) if found.id == f"{phase}.{name}")


def setting_of(phase: str, dtype: str = "float32", without: frozenset[str] = frozenset()) -> Setting:
    return Setting(phase, {}, dtype, everything(phase_shape(phase, {})) - without, PROFILES["quick"])


def judge(
    function: Callable[..., Any], phase: str, name: str, dtype: str = "float32", without: frozenset[str] = frozenset()
) -> PropertyVerdict:
    call = Call(function, phase_shape(phase, {}))
    setting = setting_of(phase, dtype, without)
    return run_property(of(phase, name), call, setting, seed=1, seconds=60, reproduce=lambda *_: "")[0]


def check(name: str, function: Callable[..., Any], options: dict[str, object], picks: dict[str, object]) -> Finding:
    case = Case(
        "attention", SIZES, recipes=tuple((tensor, NORMAL) for tensor in "qkv"), options=tuple(options.items()), picks=tuple(picks.items())
    )
    return of("attention", name).check(Call(function, case.shape), case, setting_of("attention"))


def wrong(phase: str, name: str) -> Callable[..., Any]:
    return next(kernel.function for kernel in WRONG if (kernel.phase, kernel.id) == (phase, name))


def test_only_phases_with_masks_have_them() -> None:
    assert [found.id for found in masking_properties("encoder_block", {})] == [f"encoder_block.{name}" for name in NAMES]
    assert masking_properties("softmax", {}) == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("phase", "dtype"), [*((phase, "float32") for phase in RIGHT), ("attention", "float16"), ("attention", "float64")])
def test_right_kernels_pass(phase: str, dtype: str, name: str) -> None:
    found = judge(RIGHT[phase], phase, name, dtype)
    assert (found.verdict, found.message) == ("pass", "")


@pytest.mark.parametrize(
    ("phase", "kernel", "name"),
    [
        ("attention", "causal ignored", NAMES[0]),
        ("attention", "causal sees the next key", NAMES[0]),
        ("attention", "causal bottom right", NAMES[0]),
        ("attention", "mask inverted", NAMES[1]),
        ("attention", "mask multiplied into scores", NAMES[1]),
        ("attention", "finite sentinel", NAMES[1]),
        ("attention", "mask inverted", NAMES[2]),
        ("attention", "mask read as if whole", NAMES[2]),
        ("attention", "causal hides the own key", NAMES[2]),
        ("multi_head_attention", "causal ignored", NAMES[0]),
        ("multi_head_attention", "mask inverted", NAMES[1]),
        ("encoder_block", "causal ignored", NAMES[0]),
    ],
)
def test_leaks_and_slips_are_convicted(phase: str, kernel: str, name: str) -> None:
    assert judge(wrong(phase, kernel), phase, name).verdict == "fail"


def test_a_leak_names_its_row_and_shows_both_inputs() -> None:
    found = check(NAMES[0], wrong("attention", "causal sees the next key"), {"causal": True}, {"row": 2, "factor": 1.0})
    assert not found.ok
    assert found.message.startswith("row 2 changes with what it may not attend to: row 2 at [")
    assert found.inputs is not None
    for name, first_changed in (("q", 4), ("k", 3), ("v", 3)):
        before, after = found.inputs.tensors[name], found.inputs.extras[f"{name}_changed"]
        assert np.array_equal(before[:first_changed], after[:first_changed])
        assert np.isfinite(after).all()
        assert (before[first_changed:] != after[first_changed:]).all()


def test_a_row_whose_keys_are_all_allowed_is_left_alone() -> None:
    seen = []

    def recording(q: Any, k: Any, v: Any, **options: Any) -> Any:
        seen.append((k.copy(), v.copy()))
        return RIGHT["attention"](q, k, v, **options)

    assert check(NAMES[1], recording, {"mask": MaskRecipe("bool_all")}, {"row": 1, "factor": 100.0}).ok
    (first, second) = seen
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_token_still_asks_when_it_may_not_see_itself() -> None:
    """In self-attention the row's own token is kept: it is the query."""
    found = judge(RIGHT["multi_head_attention"], "multi_head_attention", NAMES[1])
    assert found.verdict == "pass" and found.examples == PROFILES["quick"].examples


@pytest.mark.parametrize("form", ["whole", "added", "triangle"])
def test_the_other_form_means_the_same(form: str) -> None:
    given = []

    def recording(q: Any, k: Any, v: Any, *, causal: bool = False, mask: Any = None, scale: Any = None) -> Any:
        given.append((causal, mask))
        return RIGHT["attention"](q, k, v, causal=causal, mask=mask, scale=scale)

    options: dict[str, object] = {"causal": True} if form == "triangle" else {"mask": MaskRecipe("bool", "m")}
    assert check(NAMES[2], recording, options, {"form": form}).ok
    (causal, mask), (other_causal, other) = given
    assert other.shape == (4, 5)
    assert not other_causal
    expected = np.tri(4, 5, dtype=bool) if causal else np.broadcast_to(mask, (4, 5))
    assert np.array_equal(other if other.dtype == bool else ~np.isneginf(other), expected)
    assert (other.dtype == np.float32) == (form == "added")


@pytest.mark.parametrize(
    ("lacking", "forms"),
    [(frozenset({"mask_float"}), {"whole"}), (frozenset({"causal"}), {"whole", "added"}), (frozenset({"mask_bool"}), {"whole"})],
)
def test_only_forms_that_the_target_takes_are_tried(lacking: frozenset[str], forms: set[str]) -> None:
    subject, tried = of("attention", NAMES[2]), set()

    def noting(call: Call, case: Case, setting: Setting) -> Finding:
        tried.add(case.pick("form"))
        return subject.check(call, case, setting)

    call, setting = Call(RIGHT["attention"], phase_shape("attention")), setting_of("attention", without=lacking)
    run_property(replace(subject, check=noting), call, setting, seed=0, seconds=60, reproduce=lambda *_: "")
    assert tried == forms


def test_without_the_options_nothing_is_claimed() -> None:
    for name, needs in zip(NAMES, ("causal", "mask", "mask"), strict=True):
        found = judge(RIGHT["attention"], "attention", name, without=frozenset({"causal", "mask", "mask_bool", "mask_float"}))
        assert found.verdict == "not_applicable"
        assert found.message == f"the target does not take {needs}"


def test_a_wrong_shape_is_left_to_another_property() -> None:
    for name, options, picks in (
        (NAMES[0], {"causal": True}, {"row": 0, "factor": 1.0}),
        (NAMES[2], {"causal": True}, {"form": "triangle"}),
    ):
        found = check(name, lambda *arrays, **rest: RIGHT["attention"](*arrays, **rest)[..., :1], options, picks)
        assert found.ok and found.vacuous


@pytest.mark.parametrize(("name", "slip"), [(NAMES[0], "SHIFT:1"), (NAMES[1], "~np.isneginf(mask):True"), (NAMES[2], "SHIFT:-1")])
def test_the_reproducer_fails_on_the_leak_and_passes_without(tmp_path: Path, name: str, slip: str) -> None:
    path = tmp_path / "kernels.py"
    path.write_text(LEAKING.replace(*slip.split(":")).replace("SHIFT", "0"))
    target = load_target(f"{path}:f", phase="attention", variant={})
    subject = of("attention", name)
    setting = Setting("attention", {}, "float32", target.capabilities, PROFILES["quick"])
    verdict, _ = run_property(
        subject, target.call, setting, seed=0, seconds=60,
        reproduce=lambda found, case, finding: reproducer(target, found.id, found.theorem, case, finding),
    )
    assert verdict.counterexample is not None, verdict.message
    command = [sys.executable, "-I", "-c", verdict.counterexample.reproducer]
    before = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert before.returncode == 1 and "AssertionError" in before.stderr, before.stderr
    # of another length, or Python would take the compiled file of before
    path.write_text(LEAKING.replace("SHIFT", "0") + "# mended\n")
    after = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert after.returncode == 0, after.stderr
