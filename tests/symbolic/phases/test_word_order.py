"""“cat before dog”: with positions the block sees word order, at chosen numbers and in 60 digits (*instance*); without, it does not.

The theorems say the rest: without positions the block is equivariant (proved), and for pre-norm a witness is proved for all sizes.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from kernelproof.symbolic.phases import positional
from kernelproof.symbolic.phases.encoder_block import DEFINITIONS, c, i
from kernelproof.symbolic.soundness.evaluator import MP, World, real
from kernelproof.symbolic.terms import Entry, Lambda, Term, Var, size

CAT = (Fraction(3, 2), Fraction(-1, 2), Fraction(0), Fraction(2))
DOG = (Fraction(-2), Fraction(1, 3), Fraction(1), Fraction(-1, 2))
WEIGHTS = {"eps": Fraction(1, 100000), "base": Fraction(10000), "steps": Fraction(2), "start": Fraction(0)}


def entry(norm: str, row: int, column: int, words: tuple[tuple[Fraction, ...], ...], positions: bool) -> Any:
    """An entry of the block's result for two words of width four, one head."""
    tokens: Term = Entry("e", i, c)
    if positions:
        tokens = tokens + positional.DEFINITIONS["interleaved"].call({"n": size("n")}, i, c)
    world = World(seed=5, denominators=(2, 3))
    sizes = {"n": 2, "heads": 1, "f": 4, "h": 2, "sines": 2, "cosines": 2}
    world.variables = {size(name): Fraction(value) for name, value in sizes.items()}
    world.variables |= {Var(name): value for name, value in WEIGHTS.items()} | {i: Fraction(row), c: Fraction(column)}
    world.tensors = {
        "e": lambda at, place: words[int(at)][int(place)], "allow": lambda *_: Fraction(1), "bias": lambda *_: Fraction(0),
    }
    block = DEFINITIONS[norm, "relu"].call({"x": Lambda((i, c), tokens)}, i, c)
    return real(world.value(block))


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_cat_before_dog(norm: str) -> None:
    for positions in (False, True):
        there = [[entry(norm, row, column, (CAT, DOG), positions) for column in range(0, 4, 3)] for row in range(2)]
        back = [[entry(norm, row, column, (DOG, CAT), positions) for column in range(0, 4, 3)] for row in range(2)]
        off = max(abs(there[row][place] - back[1 - row][place]) for row in range(2) for place in range(2))
        assert off > 0.001 if positions else off < MP.mpf(10) ** -40, (norm, positions, off)
