"""A phase as a part of a larger one: how its result moves, and what pulls a gradient back through it, each as one call.

From a phase's gradient a :class:`Part` takes the derivative of an entry, as a call of a function ``phase_jvp`` of inputs and directions,
and the adjoint ``Σ g·jvp = Σ direction·gradient``. Both are opaque to what is composed of them, so that nothing grows.
Guarantees: nothing beyond the core's rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kernelproof.symbolic.binding import substitute
from kernelproof.symbolic.core.definitions import define
from kernelproof.symbolic.core.logic import instantiation, symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.functions import Clause, Definition, Parameter
from kernelproof.symbolic.tactics.calculus import Ranges, slope_of
from kernelproof.symbolic.tactics.gradients import valued
from kernelproof.symbolic.tactics.rewriting import first, rewriting, then, unfold
from kernelproof.symbolic.terms import ZERO, Entry, Lambda, Term, Var

#: an input -> its curve, the derivative of the curve, its axes
Moving = Mapping[str, tuple[str, str, Ranges]]
T = Var("t")


@dataclass(frozen=True)
class Part:
    """``slope``: along curves, d/dt of an entry is a call of ``jvp``; ``adjoint``: Σ g·jvp = Σ u·gradient, in plain inputs."""

    jvp: Definition
    moving: Moving
    slope: Theorem
    adjoint: Theorem


def part(phase: Definition, moving: Moving, axes: Ranges, slope: Theorem, back: Theorem) -> Part:
    """A phase as a part; ``back`` is the equation from Σ g·slope to Σ direction·gradient."""
    plain = {
        **{curve: Lambda((T, *_indices(over)), Entry(name, *_indices(over))) for name, (curve, _, over) in moving.items()},
        **{moved: Lambda(_indices(over), Entry(f"u_{name}", *_indices(over))) for name, (_, moved, over) in moving.items()},
    }
    directions = tuple(
        Parameter(f"u_{name}", tuple(length for _, length in over), meaning=f"direction of {name}") for name, (_, _, over) in moving.items()
    )
    body = substitute(slope_of(slope), {}, plain)
    jvp = define(
        Definition(
            f"{phase.name}_jvp", (*phase.parameters, *directions), (Clause(_indices(axes), axes, body),),
            meaning="derivative of the result in a direction",
        )
    )
    on_curves: dict[str, Lambda | Term] = {
        **{name: Lambda(_indices(over), Entry(curve, ZERO, *_indices(over))) for name, (curve, _, over) in moving.items()},
        **{f"u_{name}": Lambda(_indices(over), Entry(moved, *_indices(over))) for name, (_, moved, over) in moving.items()},
    }
    folded = symmetry((unfold(jvp.name)(jvp.call(on_curves, *_indices(axes))),))
    turned = first(rewriting(folded))(back.left)
    adjoint = instantiation((then(symmetry((turned,)), back),), {}, plain)
    return Part(jvp, moving, valued(slope, folded), adjoint)


def _indices(axes: Ranges) -> tuple[Var, ...]:
    return tuple(var for var, _ in axes)
