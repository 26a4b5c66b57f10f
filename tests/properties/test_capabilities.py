"""What a function can take is read from its signature, or from what its user declares."""

from __future__ import annotations

from typing import Any

import pytest

from kernelproof.properties.capabilities import ASSUMED, MASKS, capabilities_of, everything
from kernelproof.properties.shapes import phase_shape
from kernelproof.symbolic.errors import InputError

ATTENTION = phase_shape("attention")


def plain(q: Any, k: Any, v: Any) -> Any: ...
def causal_only(q: Any, k: Any, v: Any, causal: bool = False) -> Any: ...
def masked(q: Any, k: Any, v: Any, *, mask: Any = None) -> Any: ...
def open_ended(*args: Any, **kwargs: Any) -> Any: ...
def positional_only(q: Any, k: Any, v: Any, /, scale: float = 1.0) -> Any: ...


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (plain, set()),
        (causal_only, {"causal"}),
        (masked, {"mask", *MASKS}),
        (open_ended, {"causal", "mask", "scale", *MASKS}),
        (positional_only, {"scale"}),
    ],
)
def test_read_from_the_signature(function: Any, expected: set[str]) -> None:
    assert capabilities_of("f", function, ATTENTION) == ASSUMED | expected


def test_a_builtin_without_signature_takes_the_required_arguments() -> None:
    assert capabilities_of("f", min, ATTENTION) == ASSUMED
    assert capabilities_of("f", min, ATTENTION, ["causal"]) == ASSUMED | {"causal"}


def test_declared() -> None:
    assert capabilities_of("f", open_ended, ATTENTION, ["causal"]) == ASSUMED | {"causal"}
    assert capabilities_of("f", open_ended, ATTENTION, ["mask"]) == ASSUMED | {"mask", *MASKS}
    assert capabilities_of("f", open_ended, ATTENTION, ["mask_bool"]) == ASSUMED | {"mask", "mask_bool"}
    assert capabilities_of("f", open_ended, ATTENTION, ["empty", "-no_rows"]) == ASSUMED - {"no_rows"} | {"empty"}


def test_declaring_what_there_is_not() -> None:
    with pytest.raises(InputError, match=r"'dropout' is not a feature of attention; choose from .*causal"):
        capabilities_of("f", plain, ATTENTION, ["dropout"])
    with pytest.raises(InputError, match="'mask' is not a feature of softmax"):
        capabilities_of("f", lambda x: x, phase_shape("softmax"), ["mask"])


@pytest.mark.parametrize(
    ("phase", "function"),
    [
        ("attention", lambda q, k: None),
        ("attention", lambda q, k, v, lengths: None),
        ("softmax", lambda x, *, axis: None),
        ("softmax", lambda: None),
        ("multi_head_attention", lambda x, w_q, w_k, w_v, w_o: None),
    ],
)
def test_a_signature_that_does_not_fit_shows_the_one_that_does(phase: str, function: Any) -> None:
    with pytest.raises(InputError) as caught:
        capabilities_of("mine.py:f", function, phase_shape(phase))
    assert phase_shape(phase).signature in str(caught.value)
    assert "mine.py:f" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_required_options_by_position_or_keyword() -> None:
    shape = phase_shape("multi_head_attention")
    assert "causal" not in capabilities_of("f", lambda x, w_q, w_k, w_v, w_o, n_heads: None, shape)
    assert "causal" in capabilities_of("f", lambda x, w_q, w_k, w_v, w_o, n_heads, causal=False: None, shape)


def test_not_a_function() -> None:
    with pytest.raises(InputError, match=r"it is float, not a function; expected f\(x\)"):
        capabilities_of("m:pi", 3.14, phase_shape("softmax"))


def test_everything_of_a_phase() -> None:
    assert everything(phase_shape("softmax")) == ASSUMED | {"empty"}
    assert everything(ATTENTION) >= {"causal", "mask", "scale", "empty", *MASKS}


def test_an_option_that_is_already_an_argument_is_not_offered_again() -> None:
    assert "mask" not in capabilities_of("f", lambda q, k, mask: None, ATTENTION)
