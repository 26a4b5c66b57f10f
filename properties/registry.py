"""Which properties a phase has: its theorems first, then what algebra does not show."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from kernelproof.properties.harness import harness_properties
from kernelproof.properties.model import Property
from kernelproof.properties.shapes import is_vjp, vjp_of


def properties_of(phase: str, variant: Mapping[str, object] | None = None, vjp: bool = False) -> list[Property]:
    """All properties of a phase under a variant, in the order in which they run; with ``vjp`` those of its gradient kernels.

    ``PHASE.vjp`` means the same as ``vjp``.
    """
    if vjp and not is_vjp(phase):
        phase = vjp_of(phase)
    # late: the bridge from theorems loads SymPy
    if is_vjp(phase):
        gradients = importlib.import_module("kernelproof.properties.gradients")
        harness = importlib.import_module("kernelproof.properties.gradient_harness")
        found: list[Property] = gradients.gradient_theorem_properties(phase, dict(variant or {}))
        return [*found, *harness.gradient_harness_properties(phase, variant)]
    bridge = importlib.import_module("kernelproof.properties.from_theorems")
    theorems: list[Property] = bridge.theorem_properties(phase, dict(variant or {}))
    compared: list[Property] = importlib.import_module("kernelproof.properties.beside_theorems").compared_calls(phase, dict(variant or {}))
    exhaustive: list[Property] = importlib.import_module("kernelproof.properties.exhaustive").exhaustive_properties(phase, variant or {})
    return [*theorems, *compared, *harness_properties(phase, variant), *exhaustive]


def property_table(phase: str, variant: Mapping[str, object] | None = None) -> list[tuple[str, str]]:
    """(id, statement) of every property of a phase."""
    return [(found.id, found.theorem) for found in properties_of(phase, variant)]
