"""What a target can take: read from its signature, or declared by its user.

A capability is the name of an option (of attention also ``past_k`` and ``past_v``), or one of nine that no signature shows:

- ``mask_bool``, ``mask_float``: kinds of mask; ``mask`` alone means both;
- ``empty``: axes of length 0 under a reduction (no keys, no features). Off unless the kernel is generated or it is
  declared;
- ``narrow_ids``: ids of 8 and 16 bits, which PyTorch and ONNX do not take. Off unless the kernel is generated or it is declared;
- ``zero_scale``: a scale of exactly 0 in attention, which PyTorch's fused kernel multiplies by −∞ and ONNX Runtime refuses. Off likewise;
- ``no_rows``: no queries, tokens or batch entries; ``value_width``: e ≠ d in attention; ``layouts``: arrays that are
  not contiguous. On unless declared away, as ``-no_rows``.

Guarantees: a function that cannot be called in the contract's signature is an :class:`InputError` that shows both
signatures.
Cannot see: a function written in C without a signature is taken to have the required arguments alone.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet

from kernelproof.properties.call import CACHE
from kernelproof.properties.shapes import PhaseShape
from kernelproof.symbolic.errors import InputError

ASSUMED = frozenset({"no_rows", "value_width", "layouts"})
MASKS = frozenset({"mask_bool", "mask_float"})


def everything(shape: PhaseShape) -> frozenset[str]:
    """All that a target of the phase may be able to do, but for a cache."""
    more = {"narrow_ids"} if any(tensor.below for tensor in shape.tensors) else set()
    more |= {"zero_scale"} if "scale" in shape.options else set()
    return frozenset({*shape.options, "empty", *more, *ASSUMED, *(MASKS if "mask" in shape.options else ())})


def capabilities_of(
    name: str, function: object, shape: PhaseShape, supports: Sequence[str] | None = None
) -> frozenset[str]:
    """What the function can take, after checking that it can be called at all."""
    if not callable(function):
        raise InputError(
            f"loading the target {name!r}: it is {type(function).__name__}, not a function; expected {shape.signature}"
        )
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return ASSUMED if supports is None else declared(name, supports, shape)
    kinds = inspect.Parameter
    by_position = [p for p in parameters if p.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)]
    any_position = any(p.kind is kinds.VAR_POSITIONAL for p in parameters)
    any_keyword = any(p.kind is kinds.VAR_KEYWORD for p in parameters)
    keywords = {p.name for p in parameters if p.kind in (kinds.KEYWORD_ONLY, kinds.POSITIONAL_OR_KEYWORD)}
    wanted = len(shape.arguments)
    ours = {*shape.options, *shape.required}
    surplus = [p.name for p in by_position[wanted:] if p.default is kinds.empty and p.name not in ours]
    surplus += [
        p.name for p in parameters if p.kind is kinds.KEYWORD_ONLY and p.default is kinds.empty and p.name not in ours
    ]
    missing = [option for option in shape.required if option not in keywords and not any_keyword]
    if (len(by_position) < wanted and not any_position) or surplus or missing:
        raise InputError(
            f"reading the signature of the target {name!r}: {_called(function)} cannot be called as the {shape.phase} "
            f"{shape.signature}; write a small wrapper with that signature"
        )
    if supports is not None:
        return declared(name, supports, shape)
    # an option that is one of the leading positional arguments is taken already
    free = keywords - {p.name for p in by_position[:wanted]}
    # a function that takes any keyword may well know nothing of a cache
    named = {option for option in shape.options if any_keyword or option in free} | (set(cache_of(shape)) & free)
    return _with_mask_kinds(named | ASSUMED)


def cache_of(shape: PhaseShape, function: Callable[..., object] | None = None) -> tuple[str, ...]:
    """The options for earlier keys and values that kernels of the phase may have; with a function, if its signature has them."""
    if shape.phase != "attention" or (function is not None and not set(CACHE) <= set(inspect.signature(function).parameters)):
        return ()
    return CACHE


def declared(name: str, supports: Sequence[str], shape: PhaseShape) -> frozenset[str]:
    known = everything(shape) | set(cache_of(shape))
    for word in supports:
        if word.removeprefix("-") not in known:
            raise InputError(
                f"reading what the target {name!r} supports: {word!r} is not a feature of {shape.phase}; "
                f"choose from {', '.join(sorted(known))}"
            )
    added = {word for word in supports if not word.startswith("-")}
    removed = {word[1:] for word in supports if word.startswith("-")}
    return frozenset(_with_mask_kinds(added | ASSUMED) - removed)


def _with_mask_kinds(names: AbstractSet[str]) -> frozenset[str]:
    if "mask" in names and not names & MASKS:
        return frozenset(names | MASKS)
    return frozenset(names | {"mask"}) if names & MASKS else frozenset(names)


def _called(function: object) -> str:
    try:
        return f"{getattr(function, '__name__', 'it')}{inspect.signature(function)}"  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return "it"
