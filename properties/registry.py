"""Which properties a phase has: its theorems first, then what algebra does not show."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from kernelproof.properties.harness import harness_properties
from kernelproof.properties.model import Property


def properties_of(phase: str, variant: Mapping[str, object] | None = None) -> list[Property]:
    """All properties of a phase under a variant, in the order in which they run."""
    # late: the bridge from theorems loads SymPy
    bridge = importlib.import_module("kernelproof.properties.from_theorems")
    theorems: list[Property] = bridge.theorem_properties(phase, dict(variant or {}))
    return [*theorems, *harness_properties(phase, variant)]


def property_table(phase: str, variant: Mapping[str, object] | None = None) -> list[tuple[str, str]]:
    """(id, statement) of every property of a phase."""
    return [(found.id, found.theorem) for found in properties_of(phase, variant)]
