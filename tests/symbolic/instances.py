"""All phases with all variants and all gradients, with worlds in which their theorems' hypotheses hold."""

from __future__ import annotations

from itertools import islice

from kernelproof.symbolic.phase import Derivation, Gradient
from kernelproof.symbolic.soundness.evaluator import World
from kernelproof.symbolic.soundness.worlds import Setting, worlds
from kernelproof.symbolic.trust import derivations, gradients


def named(found: Derivation | Gradient) -> str:
    """The phase and the values of its variant; a flag or a number with its name."""
    values = (value if isinstance(value, str) else f"{name}_{value}" for name, value in found.variant.items())
    return "-".join((found.phase, *values))


VARIANTS = [(found, named(found)) for found in derivations()]
GRADIENTS = [(found, named(found)) for found in gradients()]
OWNERS: list[tuple[Derivation | Gradient, str]] = [*VARIANTS, *((found, f"gradient-{name}") for found, name in GRADIENTS)]


def worlds_for(about: Setting, count: int) -> list[World]:
    """Up to ``count`` worlds from sixty seeds."""
    return list(islice(worlds(about), count))
