"""The rows agree with the contract's signatures."""

from __future__ import annotations

import inspect

import pytest

from kernelproof.properties.shapes import PHASES, ROLES, phase_shape
from kernelproof.symbolic.errors import InputError

KEYWORD = inspect.Parameter.KEYWORD_ONLY


def signature(text: str) -> inspect.Signature:
    space: dict[str, object] = {}
    exec(f"def {text}: ...", space)
    return inspect.signature(space["f"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("phase", "variant"),
    [*((phase, {}) for phase in PHASES), ("feed_forward", {"gated": True}), ("attention", {"sinks": True})],
)
def test_arguments_and_options_are_those_of_the_signature(phase: str, variant: dict[str, object]) -> None:
    shape = phase_shape(phase, variant)
    parameters = signature(shape.signature).parameters.values()
    assert shape.arguments == tuple(p.name for p in parameters if p.kind is not KEYWORD)
    keywords = {p.name for p in parameters if p.kind is KEYWORD}
    assert {*shape.options, *shape.required} == keywords
    assert set(shape.required) == {
        p.name for p in parameters if p.kind is KEYWORD and p.default is inspect.Parameter.empty
    }


def test_phases_and_signatures_are_those_of_the_registry() -> None:
    from kernelproof.symbolic.registry import phases

    assert set(PHASES) == set(phases())
    for name, phase in phases().items():
        assert phase_shape(name).signature == phase.signature


@pytest.mark.parametrize("phase", PHASES)
def test_every_axis_is_drawn_or_derived(phase: str) -> None:
    shape = phase_shape(phase)
    known = {*shape.sizes, *dict(shape.derived), "..."}
    for tensor in shape.tensors:
        assert set(tensor.axes) <= known
        assert tensor.role in ROLES
    assert set(shape.output) <= known
    assert shape.reduced <= known
    assert not set(shape.sizes) & set(dict(shape.derived))


def test_grouped_heads_have_axes_of_their_own() -> None:
    shape = phase_shape("attention", {"grouped_query": True})
    assert shape.tensor("q").axes == ("...", "query_heads", "n", "d")
    assert shape.tensor("k").axes == ("...", "heads", "m", "d")
    assert dict(shape.derived)["query_heads"] == ("heads", "group")
    assert not shape.batched_mask


def test_halves_are_even() -> None:
    assert phase_shape("positional", {"layout": "halves"}).derived == (("d", ("h", 2)),)
    assert phase_shape("positional", {"layout": "interleaved"}).derived == ()


def test_unknown_phase_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'atention'.*softmax"):
        phase_shape("atention")
