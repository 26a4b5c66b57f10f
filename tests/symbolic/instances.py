"""All phases with all variants and all gradients, with worlds in which their theorems' hypotheses hold."""

from __future__ import annotations

from itertools import islice

from kernelproof.symbolic.phase import Derivation, Gradient
from kernelproof.symbolic.soundness.evaluator import World
from kernelproof.symbolic.soundness.worlds import Setting, worlds
from kernelproof.symbolic.trust import derivations, gradients

VARIANTS = [(found, "-".join((found.phase, *map(str, found.variant.values())))) for found in derivations()]
GRADIENTS = [(found, "-".join((found.phase, *map(str, found.variant.values())))) for found in gradients()]
OWNERS: list[tuple[Derivation | Gradient, str]] = [*VARIANTS, *((found, f"gradient-{name}") for found, name in GRADIENTS)]


def worlds_for(about: Setting, count: int) -> list[World]:
    """Up to ``count`` worlds from sixty seeds."""
    return list(islice(worlds(about), count))
