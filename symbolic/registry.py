"""The registry of phases: everything that lists, derives, generates, verifies or reports reads it.

A new phase is one file in ``symbolic/phases`` and one line here. Derivations are cached: a phase and a variant are derived once in a
process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from itertools import product

from kernelproof.symbolic.errors import InputError
from kernelproof.symbolic.gradients import activation as activation_gradient
from kernelproof.symbolic.gradients import attention as attention_gradient
from kernelproof.symbolic.gradients import embedding as embedding_gradient
from kernelproof.symbolic.gradients import encoder_block as encoder_block_gradient
from kernelproof.symbolic.gradients import feed_forward as feed_forward_gradient
from kernelproof.symbolic.gradients import layer_norm as layer_norm_gradient
from kernelproof.symbolic.gradients import multi_head_attention as multi_head_attention_gradient
from kernelproof.symbolic.gradients import rms_norm as rms_norm_gradient
from kernelproof.symbolic.gradients import rotary as rotary_gradient
from kernelproof.symbolic.gradients import softmax as softmax_gradient
from kernelproof.symbolic.phase import Derivation, Gradient, Options, Phase, Statement
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
from kernelproof.symbolic.theorems import (
    attention_lengths,
    attention_masks,
    attention_merge,
    attention_online,
    attention_powers,
    attention_variants,
)
from kernelproof.symbolic.theorems import encoder_block as block_theorems
from kernelproof.symbolic.theorems import multi_head_attention as multi_head_theorems

_PHASES = tuple(
    module.PHASE
    for module in (
        embedding, positional, rotary, softmax, attention, multi_head_attention, feed_forward, activation,
        layer_norm, rms_norm, encoder_block,
    )
)
#: gradients by phase; positional has no input to differentiate
_GRADIENTS: dict[str, Callable[[Options], Gradient]] = {
    "embedding": embedding_gradient.build,
    "rotary": rotary_gradient.build,
    "softmax": softmax_gradient.build,
    "attention": attention_gradient.build,
    "feed_forward": feed_forward_gradient.build,
    "activation": activation_gradient.build,
    "layer_norm": layer_norm_gradient.build,
    "rms_norm": rms_norm_gradient.build,
    "multi_head_attention": multi_head_attention_gradient.build,
    "encoder_block": encoder_block_gradient.build,
}
#: theorems that stand in files of their own, by phase; each file is told the variant
_MORE: dict[str, tuple[Callable[[Options], tuple[Statement, ...]], ...]] = {
    "attention": (
        *(attention.of_plain_form(part.statements) for part in (attention_masks, attention_lengths, attention_merge, attention_online)),
        attention_variants.statements, attention_powers.statements,
    ),
    "multi_head_attention": (multi_head_theorems.statements,),
    "encoder_block": (block_theorems.statements,),
}
#: variants that the contract names and this version does not have yet
PLANNED = {
    "multi_head_attention": ("grouped_query", "window", "alibi", "rotary", "softcap", "sinks"),
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
    """The variant with defaults filled in, options of open range left out at their defaults; InputError for an unknown name or value."""
    found = phase(name)
    options, full = {**found.variants, **found.opened}, {key: option.default for key, option in found.variants.items()}
    for key, value in variant.items():
        if key in PLANNED.get(name, ()):
            raise InputError(f"variant {key}={value} of {name}: not built yet in this version; leave it out")
        if key not in options:
            expected = f"expected one of {', '.join(options)}" if options else "this phase has no variants"
            raise InputError(f"variant {key}={value} of {name}: there is no variant {key!r}; {expected}")
        more = options[key].more
        if more is not None:
            try:
                chosen = more.read(value)
            except ValueError:
                raise InputError(f"variant {key}={value} of {name}: expected {key} to be {more.words}") from None
            if chosen != options[key].default:
                full |= {key: chosen} | {name: implied for name, implied in options[key].implies.items() if name not in variant}
            continue
        if value not in options[key].choices:
            choices = ", ".join(str(choice) for choice in options[key].choices)
            raise InputError(f"variant {key}={value} of {name}: expected {key} to be one of {choices}")
        full[key] = value
    for one, other in found.excluded:
        if one in full and other in full:
            raise InputError(f"variant {one}={full[one]} and {other}={full[other]} of {name}: not built together; leave one of them out")
    return full


def variants_of(name: str) -> list[dict[str, object]]:
    """The variants of a phase that tests and tables go through: all combinations of its choices, then its samples."""
    options = phase(name).variants
    combinations = product(*(option.choices for option in options.values()))
    made = [check_variant(name, dict(zip(options, chosen, strict=True))) for chosen in combinations]
    return [*made, *(check_variant(name, sample) for sample in phase(name).samples)]


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


def kernel_form_of(name: str, /, **variant: object) -> Derivation:
    """The derivation without the theorems that stand in files of their own: all that lowering reads, and sooner there."""
    return _built(name, tuple(sorted(check_variant(name, variant).items())))


@cache
def _built(name: str, variant: tuple[tuple[str, object], ...]) -> Derivation:
    return phase(name).build(dict(variant))


@cache
def _derived(name: str, variant: tuple[tuple[str, object], ...]) -> Derivation:
    made = _built(name, variant)
    more = tuple(found for statements in _MORE.get(name, ()) for found in statements(dict(variant)))
    return replace(made, statements=(*made.statements, *more))


def has_gradient(name: str) -> bool:
    """Whether a phase has inputs to differentiate; if so, every variant of it has a gradient."""
    return name in _GRADIENTS


def gradient(name: str, /, **variant: object) -> Gradient:
    """The gradient of a phase: named intermediates, derivation, theorems.

    Raises InputError for an unknown phase or variant, and for a phase without differentiable inputs.
    """
    full = check_variant(name, variant)
    if not has_gradient(name):
        raise InputError(f"gradient of {name}: it has no differentiable input; leave --vjp out")
    return _pulled_back(name, tuple(sorted(full.items())))


@cache
def _pulled_back(name: str, variant: tuple[tuple[str, object], ...]) -> Gradient:
    return _GRADIENTS[name](dict(variant))
