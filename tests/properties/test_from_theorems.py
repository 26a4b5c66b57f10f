"""The bridge from theorems to properties: none is forgotten, hypotheses count, and a failure names the call that is off."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from kernelproof.numeric.kernel import generate
from kernelproof.numeric.statements import is_testable, statement_program
from kernelproof.properties import from_theorems
from kernelproof.properties.call import Call
from kernelproof.properties.capabilities import everything
from kernelproof.properties.from_theorems import nests_calls, theorem_properties
from kernelproof.properties.masking import masking_properties
from kernelproof.properties.model import Case, Extra, Finding, MaskRecipe, Property, Recipe, Setting, build
from kernelproof.properties.mutants import parts
from kernelproof.properties.profiles import PROFILES
from kernelproof.properties.runner import run_property
from kernelproof.properties.shapes import phase_shape
from kernelproof.properties.telling import with_padding
from kernelproof.properties.verify import verify
from kernelproof.symbolic.printing.render import text
from kernelproof.symbolic.registry import derive, phases

NORMAL = Recipe("normal")


@pytest.fixture(autouse=True)
def toy_tolerance() -> None:
    """The derived bounds instead of the toy ones of this folder."""


def variants() -> Iterator[tuple[str, dict[str, object]]]:
    for phase in phases().values():
        for values in itertools.product(*(option.choices for option in phase.variants.values())):
            yield phase.name, dict(zip(phase.variants, values, strict=True))


VARIANTS = list(variants())


def of(name: str, **variant: object) -> Property:
    """The property of an id."""
    phase = name.partition(".")[0]
    return next(found for found in theorem_properties(phase, derive(phase, **variant).variant) if found.id == name)


def setting_of(phase: str, dtype: str = "float32") -> Setting:
    variant = derive(phase).variant
    return Setting(phase, variant, dtype, everything(phase_shape(phase, variant)), PROFILES["quick"])


def case_of(phase: str, sizes: dict[str, int], *, recipes: dict[str, Recipe] | None = None, **rest: Any) -> Case:
    """A case of plain numbers."""
    shape = phase_shape(phase, derive(phase).variant)
    chosen = tuple((tensor.name, (recipes or {}).get(tensor.name, NORMAL)) for tensor in shape.tensors)
    variant = tuple(sorted(derive(phase).variant.items()))
    return Case(phase, tuple(sizes.items()), recipes=chosen, lead=shape.lead, variant=variant, picks=(("padding", False),), **rest)


def check(name: str, function: Callable[..., Any], case: Case) -> Finding:
    return of(name).check(Call(function, case.shape), case, setting_of(case.phase, case.dtype))


class EveryOther:
    """A kernel that is off by one in its calls number ``first``, ``first`` + 2, …; it keeps what it was given."""

    def __init__(self, function: Callable[..., Any], first: int) -> None:
        self._function, self._number, self._first = function, 0, first
        self.given: list[tuple[Any, ...]] = []

    def __call__(self, *arrays: Any, **options: Any) -> Any:
        self.given.append(arrays)
        result = self._function(*arrays, **options) + (self._number % 2 == self._first)
        self._number += 1
        return result.astype(np.float32)


# -- which properties there are -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("phase", "variant"), VARIANTS, ids=str)
def test_the_properties_are_the_statements_the_definition_and_the_masks(phase: str, variant: dict[str, object]) -> None:
    derivation = derive(phase, **variant)
    ids = [found.id for found in theorem_properties(phase, variant)]
    masked = [f"{phase}.{name}" for name in ("later_tokens_do_not_matter", "masked_tokens_do_not_matter", "mask_forms_agree")]
    assert len(ids) == len(set(ids))
    assert set(ids) == {
        f"{phase}.matches_definition",
        *(statement.id for statement in derivation.statements if not statement.untested),
        *((f"{phase}.uniqueness",) if phase == "positional" else ()),
        *(masked if "mask" in phase_shape(phase, variant).options else ()),
    }
    # what is not tried as an equation says why
    assert all(is_testable(statement) != bool(statement.untested) for statement in derivation.statements)


@pytest.mark.parametrize(("phase", "variant"), [(name, dict(derive(name).variant)) for name in phases()])
def test_a_property_shows_its_theorem(phase: str, variant: dict[str, object]) -> None:
    found = {subject.id: subject for subject in theorem_properties(phase, variant)}
    for statement in derive(phase).statements:
        if statement.id not in found:
            assert statement.untested
            continue
        subject = found[statement.id]
        assert subject.theorem.endswith(f"⊢ {text(statement.theorem.conclusion)}")
        assert all(text(formula) in subject.theorem for formula in statement.theorem.hypotheses)
        assert subject.title == statement.title
        assert subject.needs == frozenset(statement.needs)
        assert subject.kind == "theorem"
    assert all(subject.kind == "harness" for subject in masking_properties(phase, variant))


# -- hypotheses -----------------------------------------------------------------------------------------------------------------------


def test_a_row_that_may_attend_to_nothing_does_not_convict_the_row_sum() -> None:
    right = parts.attention()

    def seven(q: Any, k: Any, v: Any, *, mask: Any = None, **options: Any) -> Any:
        return np.where(mask.any(-1, keepdims=True), right(q, k, v, mask=mask, **options), np.float32(7))

    case = case_of("attention", {"n": 5, "d": 3, "m": 4, "e": 2}, options=(("mask", MaskRecipe("bool_row")),))
    assert not build(case).options["mask"].any(-1).all()  # type: ignore[attr-defined]
    assert check("attention.row_sum_one", seven, case).ok
    # the hypothesis excuses that row alone
    assert not check("attention.row_sum_one", lambda *a, **o: seven(*a, **o) * np.float32(1.01), case).ok
    assert not check("attention.matches_definition", seven, case).ok


def test_without_keys_the_row_sum_says_nothing() -> None:
    case = case_of("attention", {"n": 2, "d": 3, "m": 0, "e": 2})
    found = check("attention.row_sum_one", parts.attention(), case)
    assert found.ok and found.vacuous


def test_statements_about_pairs_leave_out_a_column_that_has_no_partner() -> None:
    case = case_of("positional", {"n": 4, "d": 5})
    table = parts.positional()
    assert check("positional.offset_only", table, case).ok
    assert not check("positional.offset_only", lambda n, d, **options: table(n, d, **options) * np.float32(1.01), case).ok


# -- both sides -----------------------------------------------------------------------------------------------------------------------

SIDES = (
    ("attention.permutation_equivariance", {"n": 4, "d": 3, "m": 4, "e": 2}, Extra("s", "permutation", ("n",), batched=False)),
    ("attention.key_shift", {"n": 4, "d": 3, "m": 5, "e": 2}, Extra("u", "real", ("d",), batched=False)),
    ("softmax.permutation_equivariance", {"n": 6}, Extra("s", "permutation", ("n",), batched=False)),
    ("layer_norm.shift_invariance", {"n": 3, "d": 5}, Extra("a", "real", (), batched=False)),
)
KERNELS = {
    "attention": parts.attention(),
    "softmax": parts.softmax(lambda x: parts.weights(x, np.True_)),
    "layer_norm": parts.layer_norm(),
}


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize(("name", "sizes", "extra"), SIDES)
def test_a_fault_on_one_side_is_noticed_and_its_call_is_shown(name: str, sizes: dict[str, int], extra: Extra, side: int) -> None:
    phase = name.partition(".")[0]
    kernel = EveryOther(KERNELS[phase], side)
    found = check(name, kernel, case_of(phase, sizes, extras=(extra,)))
    assert len(kernel.given) == 2
    assert not found.ok
    assert found.message.startswith(f"{name}: the left side at ")
    assert "; there the result at " in found.message
    assert found.inputs is not None
    for shown, given in zip(found.inputs.tensors.values(), kernel.given[side], strict=True):
        assert shown.tobytes() == given.tobytes()
    error = np.abs(np.asarray(found.observed, dtype=np.float64) - np.asarray(found.expected, dtype=np.float64))
    assert (error > np.asarray(found.bound)).any()


def test_a_disagreement_of_right_calls_is_our_own_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """If every call is within its bound and the sides differ, the bound of the statement is wrong, not the kernel."""
    within = from_theorems.within

    def strict(observed: Any, expected: Any, bound: Any, inputs: Any = None, what: str = "the result") -> Finding:
        found = within(observed, expected, bound, inputs, what)
        return replace(found, ok=False) if what.endswith("the left side") else found

    monkeypatch.setattr(from_theorems, "within", strict)
    subject, setting = of("softmax.row_sum_one"), setting_of("softmax")
    verdict, _ = run_property(
        subject, Call(KERNELS["softmax"], phase_shape("softmax")), setting, seed=0, seconds=30, reproduce=lambda *_: ""
    )
    assert verdict.verdict == "error"
    assert "the bound of the statement is too small" in verdict.message


# -- bounds that say nothing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["feed_forward.matches_definition", "feed_forward.hidden_permutation"])
def test_beyond_the_range_nothing_is_concluded(name: str) -> None:
    huge = Recipe("constant", 1e38)
    recipes = {"x": huge, "w1": huge, "b1": huge, "w2": huge, "b2": huge}
    extras = (Extra("s", "permutation", ("h",), batched=False),)
    case = case_of("feed_forward", {"n": 2, "d": 3, "h": 4}, recipes=recipes, extras=extras)
    kernel = parts.feed_forward()
    found = check(name, kernel, case)
    assert found.ok and found.vacuous and found.ratio is None
    # a search that met nothing else has not tried the kernel
    subject = replace(of(name), draw=lambda draw, setting: case)
    verdict, _ = run_property(subject, Call(kernel, case.shape), setting_of("feed_forward"), seed=0, seconds=30, reproduce=lambda *_: "")
    assert verdict.verdict == "inconclusive"
    assert "vacuous" in verdict.message


def test_a_wrong_shape_is_convicted_by_the_definition_and_by_a_statement() -> None:
    case = case_of("softmax", {"n": 4}, batch=(2,))
    for name in ("softmax.matches_definition", "softmax.row_sum_one"):
        found = check(name, lambda x: KERNELS["softmax"](x)[..., :-1], case)
        assert not found.ok
        assert found.message == "the result has shape [2, 3], expected [2, 4]"


def test_padding_is_zeros_in_the_last_token_alone() -> None:
    case = case_of("attention", {"n": 4, "d": 3, "m": 5, "e": 2}, batch=(2,))
    plain = build(case).tensors
    padded = with_padding(replace(case, picks=(("padding", True),)), build(case)).tensors
    for name in "qkv":
        assert not padded[name][..., -1, :].any()
        assert np.array_equal(padded[name][..., :-1, :], plain[name][..., :-1, :])
    weights = case_of("multi_head_attention", {"n": 2, "heads": 1, "f": 2, "d": 2}, batch=())
    assert with_padding(replace(weights, picks=(("padding", True),)), build(weights)).tensors["w_o"].all()


def test_a_single_column_does_not_become_none() -> None:
    """Theorems for even widths are tried at two columns where one was drawn: a table that divides by its width is right."""

    def table(n_positions: int, d_model: int, *, base: float = 10000.0, start: int = 0) -> np.ndarray:
        angles = (start + np.arange(n_positions))[:, None] * base ** (-(2 / d_model) * np.arange((d_model + 1) // 2)[None, :])
        out = np.zeros((n_positions, d_model))
        out[:, 0::2], out[:, 1::2] = np.sin(angles), np.cos(angles)[:, : d_model // 2]
        return out.astype(np.float32)

    found = verify(table, phase="positional", profile="quick", seed=4)
    assert {row.id for row in found.properties if row.verdict == "fail"} == set(), str(found)


# -- a call inside a call -------------------------------------------------------------------------------------------------------------


def test_only_the_group_law_of_rotations_puts_a_result_into_another_call() -> None:
    found = [
        statement.id
        for phase in phases()
        for statement in derive(phase).statements
        if is_testable(statement) and nests_calls(statement_program(derive(phase).definition.name, statement.id).equation)
    ]
    assert found == ["rotary.group"]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_rounding_of_an_inner_result_is_carried_into_the_bound(dtype: str) -> None:
    pytest.importorskip("ml_dtypes")

    def turned(x: Any, *, base: float = 10000.0, start: float = 0) -> Any:
        (wide,) = parts.wide(x)
        angle = np.tile(parts.angles(x.shape[-2], x.shape[-1], base, start), 2)
        one, two = parts.halves(wide)
        other = np.concatenate([-two, one], -1)
        return (wide * np.cos(angle).astype(wide.dtype) + other * np.sin(angle).astype(wide.dtype)).astype(x.dtype)

    # an entry far below its partner: what the partner's storage lost shows in it
    turns = tuple(Extra(name, "offset", recipe=Recipe("constant", by)) for name, by in (("a", 1), ("b", 2)))
    case = case_of("rotary", {"n": 3, "h": 2, "d": 4}, dtype=dtype, extras=turns)
    assert all(check("rotary.group", turned, replace(case, seed=seed)).ok for seed in range(200))
    wrong = EveryOther(generate("rotary", dtype=dtype), 1)
    assert not check("rotary.group", lambda *given, **options: wrong(*given, **options).astype(given[0].dtype), case).ok
