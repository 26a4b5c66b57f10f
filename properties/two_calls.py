"""Telling a difference between calls of one target: the finding, and the lines that show it without us.

Guarantees: the reproducer compares calls of the target with each other, never with a stored result, so that a mended kernel passes it;
arrays that differ between the calls have names of their own, numbers stand in the text. Cannot see: which of the calls is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kernelproof.properties.call import arrays_of
from kernelproof.properties.literals import literal, wrapped
from kernelproof.properties.model import Finding, Inputs
from kernelproof.properties.shapes import PhaseShape
from kernelproof.properties.values import Array

#: a result of another shape is the finding of ``shape_and_dtype``
WRONG_SHAPE = Finding(ok=True, vacuous=True, message="the result has another shape than the contract's")
NAMES = ("other", "third", "fourth")


def spelled(shape: PhaseShape, inputs: Inputs, named: dict[str, str]) -> str:
    """The call as Python source: arrays by the names given for them, all else written out."""
    known = arrays_of(inputs)
    options = dict(inputs.options)

    def word(name: str, value: object) -> str:
        return named.get(name, name) if name in known else repr(value)

    words = []
    for name in shape.arguments:
        if shape.packed and name == shape.packed[0]:
            words.append("{" + ", ".join(f"{member!r}: {named.get(member, member)}" for member in shape.packed[1]) + "}")
        else:
            words.append(word(name, options.pop(name, None)))
    words += [f"{name}={word(name, value)}" for name, value in options.items()]
    return f"target({', '.join(words)})"


def calls_differ(
    finding: Finding, shape: PhaseShape, one: Inputs, first: str, others: Sequence[Inputs], second: str, message: str
) -> Finding:
    """``finding`` of ``within`` with its inputs and script. ``first`` and ``second`` are Python with ``{0}``, ``{1}`` … for the calls: of
    ``one``, and of ``others`` in order.
    """
    own = arrays_of(one)
    more: dict[str, Array] = {}
    texts = []
    for number, inputs in enumerate(others):
        named: dict[str, str] = {}
        for name, array in arrays_of(inputs).items():
            if name in own and own[name].dtype == array.dtype and own[name].shape == array.shape and own[name].tobytes() == array.tobytes():
                continue
            named[name] = f"{name}_{NAMES[number]}"
            more[named[name]] = array
        texts.append(spelled(shape, inputs, named))
    bound = wrapped(literal(np.asarray(finding.bound).astype(np.float64)))
    lines = [
        f"kept = np.asarray({first.format(spelled(shape, one, {}))})",
        f"observed = np.asarray({second.format(*texts)})",
        f"bound = {bound}",
    ]
    return replace(
        finding,
        message=message,
        inputs=Inputs(one.tensors, one.options, more),
        script="\n".join(lines),
        assertion="(~np.isfinite(bound) | (abs(observed.astype(np.float64) - kept) <= bound)).all()",
    )
