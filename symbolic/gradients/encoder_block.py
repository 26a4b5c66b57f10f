"""Gradient of the encoder block: attention and feed-forward pulled back through residuals and layer norms.

Post-norm, with a = x + MHA(x), y = LN₁(a), b = y + FFN(y), out = LN₂(b): ``db = LN₂ᵀ(G)``, ``dy = db + FFNᵀ(db)``, ``da = LN₁ᵀ(dy)``,
``dx = da + MHAᵀ(da)``. Pre-norm, with y = x + MHA(LN₁(x)), out = y + FFN(LN₂(y)): ``dy = G + LN₂ᵀ(FFNᵀ(G))``,
``dx = dy + LN₁ᵀ(MHAᵀ(dy))``. ᵀ is the pullback of the part's own gradient; its other inputs get theirs on the way.
"""

from __future__ import annotations

from functools import cache

from kernelproof.symbolic.core.logic import replacement, symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.functions import Definition
from kernelproof.symbolic.gradients.directions import added, curves, opened, straightened
from kernelproof.symbolic.gradients.encoder_block_parts import GRAD, INPUTS, ROWS, Stages, Use, there
from kernelproof.symbolic.phase import Extra, Gradient, Options, Statement
from kernelproof.symbolic.phases.encoder_block import D, c, i, n
from kernelproof.symbolic.tactics.calculus import Ranges, T, differentiate, slope_of
from kernelproof.symbolic.tactics.collect import by_sums
from kernelproof.symbolic.tactics.gradients import contracted, valued
from kernelproof.symbolic.tactics.rewriting import Line, first, rewriting, then, unfold
from kernelproof.symbolic.terms import ZERO, Entry, Lambda, Term, total


def pair(one: Term, two: Term) -> Term:
    """Σ_i Σ_c one·two."""
    return total(i, n, total(c, D, one * two))


class Backward:
    """The pullback of one variant, stage by stage, from Σ grad·(slope of the result)."""

    def __init__(self, stages: Stages) -> None:
        self.stages = stages
        self.uses = stages.chain()
        self.slopes = self._forward()
        self.loss = contracted(Lambda((i, c), GRAD), ROWS, self.slopes[-1])
        self.definitions: list[Definition] = []
        self.results: dict[str, Definition] = {}
        self.lines: list[tuple[str, Theorem]] = []
        self.rest: list[Term] = []
        self.current = slope_of(self.loss)

    def _forward(self) -> list[Theorem]:
        """How what each part gives, with its residual, moves; first of all the tokens."""
        moves = [differentiate(Lambda((T,), there(Entry("x", i, c), T)), 0, *curves(INPUTS), over=ROWS)]
        self.parts: list[Theorem] = []
        for use, value, residual in self.uses:
            moves_in_part = use.slope(moves[-1])
            self.parts.append(moves_in_part)
            if residual is None:
                moves.append(moves_in_part)
            else:
                whole = Lambda((T,), there(residual + value, T))
                moves.append(differentiate(whole, 0, *curves(INPUTS), moves_in_part, *moves, over=ROWS))
        block = unfold(self.stages.block.name)(there(self.stages.block.call({}, i, c), T))
        moves[-1] = replacement((moves[-1], symmetry((block,))), (0, 0))
        return moves

    def define(self, name: str, axes: Ranges, body: Term, meaning: str) -> Definition:
        """One more named intermediate."""
        made = self.stages.stage(name, axes, body, meaning)
        self.definitions.append(made)
        return made

    def weights_of(self, use: Use, pulled: Term) -> list[Term]:
        """Gradients of a part's weights as named results; Σ direction·gradient for each."""
        made = []
        for name, plain in use.weights.items():
            back = use.back[name]
            body = use.pullback(name, pulled)
            stage = self.define(f"d{plain}", back.axes, total(i, n, body) if use.one_row else body, f"gradient of {plain}")
            self.results[plain] = stage
            value: Term = Entry(f"U_{plain}", *back.entry) * there(stage.call({}, *(var for var, _ in back.axes)), ZERO)
            for var, length in reversed(back.axes):
                value = total(var, length, value)
            made.append(value)
        return made

    def pull(self, place: int, pulled: Term, kept: Term | None, name: str, meaning: str, passing: int | None = None) -> Term:
        """Through part ``place``: ``pulled`` becomes the gradient of what it reads; ``kept`` is added to that. Returns the new stage.

        ``passing`` names the slope of a residual that goes past this part and its norm: it keeps ``pulled`` as its gradient for now.
        """
        use = self.uses[place][0]
        read = slope_of(self.slopes[place])
        adjoint = use.adjoint(read, there(pulled, ZERO))
        whole = total(i, n, adjoint.left) if use.one_row else adjoint.left
        aside = [pair(there(kept, ZERO), read)] if kept is not None else []
        past = [pair(there(pulled, ZERO), slope_of(self.slopes[passing]))] if passing is not None else []
        exposed = added([*aside, whole, *past, *self.rest])
        turned = first(rewriting(adjoint))(exposed)
        body = use.pullback("x", pulled)
        stage = self.define(name, ROWS, body if kept is None else kept + body, meaning)
        new = stage.call({}, i, c)
        self.rest = [*self.weights_of(use, pulled), *self.rest]
        target = added([pair(there(new, ZERO), read), *past, *self.rest])
        shown = opened(stage, *(self.results[plain] for plain in use.weights.values()))(target)
        line = then(by_sums(self.current, exposed), turned, by_sums(turned.right, shown.right), symmetry((shown,)))
        self.lines.append((f"through the {place + 1}. part: {meaning}", line))
        self.current = line.right
        return new


@cache
def backward(stages: Stages) -> Backward:
    """The whole pullback of one variant."""
    made = Backward(stages)
    if stages.norm == "post":
        summed = made.pull(3, GRAD, None, "db", "gradient before the second norm")
        normed_in = made.pull(2, summed, summed, "dy", "gradient before the feed-forward and its residual")
        attended_in = made.pull(1, normed_in, None, "da", "gradient before the first norm")
        made.results["x"] = _named_stage(made, made.pull(0, attended_in, attended_in, "dx", "gradient of the tokens"))
    else:
        fed_with = made.pull(3, GRAD, None, "dn2", "gradient of what the feed-forward reads", passing=2)
        summed = made.pull(2, fed_with, GRAD, "dy", "gradient before the second norm and the residual past it")
        seen = made.pull(1, summed, None, "dn1", "gradient of what attention reads", passing=0)
        made.results["x"] = _named_stage(made, made.pull(0, seen, summed, "dx", "gradient of the tokens"))
    return made


def _named_stage(made: Backward, call: Term) -> Definition:
    return next(stage for stage in made.definitions if stage.call({}, i, c) is call)


@cache
def along_curves(stages: Stages) -> Theorem:
    """Hypotheses of the parts ⊢ d/dt Σ grad·block = Σ direction·gradient, over all inputs."""
    made = backward(stages)
    return valued(made.loss, *(line for _, line in made.lines))


def build(variant: Options) -> Gradient:
    """Gradient of the encoder block."""
    stages = Stages(str(variant["norm"]), str(variant["activation"]), bool(variant.get("gated")))
    made, along, inputs = backward(stages), along_curves(stages), stages.inputs
    extras = (
        Extra("grad", "real", (n, D)), *(Extra(f"u_{name}", "real", tuple(length for _, length in axes)) for name, axes in inputs.items())
    )
    results = {name: made.results[name].name for name in inputs}
    return Gradient(
        phase="encoder_block",
        title="Gradient of the encoder block",
        variant=dict(variant),
        definitions=tuple(made.definitions),
        results=results,
        lines=(
            Line("differentiate along straight lines of all inputs", straightened(made.loss, inputs)),
            *(Line(title, straightened(line, inputs)) for title, line in made.lines),
        ),
        statements=(
            Statement(
                "encoder_block.vjp", "The gradients of tokens and weights pull the gradient of the result back",
                straightened(along, inputs), (), extras,
            ),
        ),
        along_curves=along,
    )
