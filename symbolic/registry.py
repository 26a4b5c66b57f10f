"""The registry of phases: everything that lists, derives, generates, verifies or reports reads it.

A new phase is one file in ``symbolic/phases`` and one line here. Derivations are cached: a phase and a variant are derived once in a
process.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from kernelproof.symbolic.errors import InputError
from kernelproof.symbolic.phase import Derivation, Phase
from kernelproof.symbolic.phases import (
    activation,
    attention,
    embedding,
    encoder_block,
    feed_forward,
    layer_norm,
    multi_head_attention,
    positional,
    rms_norm,
    rotary,
    softmax,
)

_PHASES = tuple(
    module.PHASE
    for module in (
        embedding, positional, rotary, softmax, attention, multi_head_attention, feed_forward, activation,
        layer_norm, rms_norm, encoder_block,
    )
)
#: variants that the contract names and this version does not have yet
PLANNED = {
    "attention": ("grouped_query", "window", "alibi", "rotary", "softcap", "sinks"),
    "multi_head_attention": ("grouped_query", "window", "alibi", "rotary", "softcap", "sinks"),
    "encoder_block": ("gated",),
    "feed_forward": ("gated",),
}


def phases() -> dict[str, Phase]:
    """All phases by name, in the order of a Transformer."""
    return {phase.name: phase for phase in _PHASES}


def phase(name: str) -> Phase:
    """The phase of a name; InputError if there is none."""
    known = phases()
    if name not in known:
        raise InputError(f"phase {name!r}: there is no such phase; expected one of {', '.join(known)}")
    return known[name]


def check_variant(name: str, variant: Mapping[str, object]) -> dict[str, object]:
    """The variant with defaults filled in; InputError for an unknown name or value."""
    options = phase(name).variants
    full = {key: option.default for key, option in options.items()}
    for key, value in variant.items():
        if key in PLANNED.get(name, ()):
            raise InputError(f"variant {key}={value} of {name}: not built yet in this version; leave it out")
        if key not in options:
            expected = f"expected one of {', '.join(options)}" if options else "this phase has no variants"
            raise InputError(f"variant {key}={value} of {name}: there is no variant {key!r}; {expected}")
        if value not in options[key].choices:
            choices = ", ".join(str(choice) for choice in options[key].choices)
            raise InputError(f"variant {key}={value} of {name}: expected {key} to be one of {choices}")
        full[key] = value
    return full


def parse_variant(name: str, pairs: list[str]) -> dict[str, object]:
    """A variant from ``NAME=VALUE`` texts."""
    given: dict[str, object] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise InputError(f"variant {pair!r} of {name}: expected NAME=VALUE, for example activation=gelu")
        if key in given:
            raise InputError(f"variant {pair!r} of {name}: {key} is given twice; give it once")
        given[key] = value
    return check_variant(name, given)


def derive(name: str, /, **variant: object) -> Derivation:
    """The derivation of a phase: definition, lines to the kernel form, theorems.

    Raises InputError for an unknown phase or variant.
    """
    return _derived(name, tuple(sorted(check_variant(name, variant).items())))


@cache
def _derived(name: str, variant: tuple[tuple[str, object], ...]) -> Derivation:
    return phase(name).build(dict(variant))
