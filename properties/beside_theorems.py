"""The properties that compare calls of a target with each other, by phase; each file has its own reasons."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kernelproof.properties.cache import cache_properties
from kernelproof.properties.decoding import decoding_properties
from kernelproof.properties.model import Property
from kernelproof.properties.neighbours import neighbour_properties
from kernelproof.properties.one_input_changed import changed_input_properties
from kernelproof.properties.out_of_range import range_properties
from kernelproof.properties.paths import path_properties
from kernelproof.properties.weights import weight_properties
from kernelproof.properties.whole_range import range_of_the_format

FAMILIES: tuple[Callable[[str, Mapping[str, object]], list[Property]], ...] = (
    weight_properties,
    decoding_properties,
    cache_properties,
    path_properties,
    neighbour_properties,
    range_properties,
    changed_input_properties,
    range_of_the_format,
)


def compared_calls(phase: str, variant: Mapping[str, object]) -> list[Property]:
    """All of them for a phase under a variant."""
    return [found for family in FAMILIES for found in family(phase, variant)]
