"""The parts of an encoder block in place: what each reads, how its result moves, how a gradient is pulled back through it.

A :class:`Use` is a part (``parts.py``) with the inputs of the block put in; :class:`Stages` are the four uses of a variant, from the tokens
to the result, and make its named intermediates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from kernelproof.symbolic.binding import substitute
from kernelproof.symbolic.core.definitions import define
from kernelproof.symbolic.core.logic import assumption, instantiation, specialisation
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.formulas import every
from kernelproof.symbolic.functions import Clause, Definition, Parameter
from kernelproof.symbolic.gradients import feed_forward, layer_norm
from kernelproof.symbolic.gradients import multi_head_attention as heads_gradient
from kernelproof.symbolic.gradients.directions import curves, on_curves
from kernelproof.symbolic.gradients.feed_forward_stages import GATED_STAGES
from kernelproof.symbolic.gradients.feed_forward_stages import OUT as FFN_OUT
from kernelproof.symbolic.gradients.feed_forward_stages import STAGES as FFN_STAGES
from kernelproof.symbolic.gradients.feed_forward_stages import Stages as FeedForward
from kernelproof.symbolic.gradients.parts import Moving, Part, part
from kernelproof.symbolic.phases.encoder_block import DEFINITIONS, GATED, D, attended, c, fed, h, heads, i, n, normed
from kernelproof.symbolic.phases.feed_forward import d as ffn_width
from kernelproof.symbolic.phases.layer_norm import DEFINITION as NORM_DEFINITION
from kernelproof.symbolic.phases.layer_norm import d as norm_width
from kernelproof.symbolic.phases.multi_head_attention import DEFINITION as HEADS_DEFINITION
from kernelproof.symbolic.phases.multi_head_attention import a, f, g, hd
from kernelproof.symbolic.tactics.calculus import Ranges, T, differentiate
from kernelproof.symbolic.tactics.gradients import moved
from kernelproof.symbolic.tactics.rewriting import discharged, then
from kernelproof.symbolic.terms import ZERO, Entry, Lambda, Term, TermLike, Var, variables

k, u = variables("k u")
ROWS: Ranges = ((i, n), (c, D))
SQUARE: Ranges = ((a, D), (c, D))
#: all differentiable inputs in the contract's order, the map to the gates among them, with indices for their axes
INPUTS: dict[str, Ranges] = {
    "x": ROWS, **dict.fromkeys(("w_q", "w_k", "w_v", "w_o"), SQUARE), "w1": ((k, D), (u, h)), "b1": ((u, h),), "w_gate": ((k, D), (u, h)),
    "w2": ((u, h), (c, D)), "b2": ((c, D),), **dict.fromkeys(("gain1", "bias1", "gain2", "bias2"), ((c, D),)),
}
COLUMN: Ranges = ((a, D), (hd, heads), (g, f))
ROW: Ranges = ((hd, heads), (g, f), (c, D))
GRAD = Entry("grad", i, c)


def _named(inputs: Mapping[str, Ranges]) -> Moving:
    return {name: (name.upper(), f"U_{name}", axes) for name, axes in inputs.items()}


@cache
def norm_part() -> Part:
    """Layer norm of one row."""
    back = then(*layer_norm.lines_along_curves()[1:])
    return part(NORM_DEFINITION, _named(layer_norm.INPUTS), layer_norm.AXES, layer_norm.slope(), back)


@cache
def heads_part() -> Part:
    """Multi-head attention."""
    moving = {plain: (tensor, slope, axes) for tensor, slope, plain, _, axes in heads_gradient.MOVING}
    return part(HEADS_DEFINITION, moving, heads_gradient.OUT_AXES, heads_gradient.slope(), heads_gradient.adjoint())


@cache
def ffn_part(stages: FeedForward) -> Part:
    """The feed-forward."""
    back = then(*feed_forward.lines_along_curves(stages)[1:])
    return part(stages.phase, _named(stages.inputs), FFN_OUT, feed_forward.slope(stages), back)


def there(value: Term, at: TermLike) -> Term:
    """A term with the inputs of the block replaced by their curves at a time."""
    return substitute(value, {}, {name: given for name, given in on_curves(INPUTS, at).items() if isinstance(given, Lambda)})


def direction(name: str) -> Term:
    """The derivative of an input's curve."""
    return Entry(f"U_{name}", *(var for var, _ in INPUTS[name]))


@dataclass(frozen=True)
class Back:
    """The gradient of an input of a part: its definition, the axes of that, and which entry of the direction it goes with."""

    stage: Definition
    axes: Ranges
    entry: tuple[Term, ...]


def _back(stages: Mapping[str, Definition], inputs: Mapping[str, Ranges]) -> dict[str, Back]:
    return {name: Back(stage, inputs[name], tuple(var for var, _ in inputs[name])) for name, stage in stages.items()}


NORM_BACK = _back(layer_norm.RESULTS, {"x": ROWS[1:], "gain": ROWS[1:], "bias": ROWS[1:]})
HEADS_BACK = {
    "x": Back(heads_gradient.DX, ROWS, (i, c)), "w_o": Back(heads_gradient.DWO, ROW, (hd * f + g, c)),
    **{
        name: Back(stage, COLUMN, (a, hd * f + g))
        for name, stage in (("w_q", heads_gradient.DWQ), ("w_k", heads_gradient.DWK), ("w_v", heads_gradient.DWV))
    },
}


@dataclass(frozen=True)
class Use:
    """A part in the block: what it reads at i, c; which inputs of the block are its weights; how sizes are called there."""

    part: Part
    reads: Term
    weights: Mapping[str, str]
    sizes: Mapping[Var, Term]
    back: Mapping[str, Back]
    one_row: bool = False
    gradient: str = "g"

    def axes(self, name: str) -> Ranges:
        """Axes of an input, with the block's sizes."""
        return tuple((var, substitute(length, self.sizes)) for var, length in self.part.moving[name][2])

    def slope(self, read: Theorem) -> Theorem:
        """How the part's result moves, from how what it reads moves at i, c."""
        given = {}
        for name, (tensor, slope, _) in self.part.moving.items():
            axes = self.axes(name)
            if name == "x":
                moves = instantiation((read,), {c: axes[-1][0]}, {})
            else:
                indices = tuple(var for var, _ in axes)
                moves = differentiate(Lambda((T,), there(Entry(self.weights[name], *indices), T)), 0, *curves(INPUTS))
            given[tensor] = (slope, axes, moves)
        made = moved(instantiation((self.part.slope,), dict(self.sizes), {}), given)
        rows = [formula for formula in made.hypotheses if formula.name == "positive"]
        return discharged(made, *(specialisation((assumption((), every(((i, n),), formula)),), (i,)) for formula in rows))

    def adjoint(self, read: Term, pulled: Term) -> Theorem:
        """Σ pulled·jvp = Σ directions·gradients, at the start of the curves; ``pulled`` stands at i, c."""
        at = tuple(var for var, _ in self.axes("x"))
        given = {
            "x": Lambda(at, substitute(there(self.reads, ZERO), {c: at[-1]})), "u_x": Lambda(at, substitute(read, {c: at[-1]})),
            self.gradient: Lambda((c,) if self.one_row else (i, c), pulled),
        }
        for name, plain in self.weights.items():
            indices = tuple(var for var, _ in self.axes(name))
            given[name] = Lambda(indices, there(Entry(plain, *indices), ZERO))
            given[f"u_{name}"] = Lambda(indices, Entry(f"U_{plain}", *indices))
        return instantiation((self.part.adjoint,), dict(self.sizes), given)

    def pullback(self, name: str, pulled: Term) -> Term:
        """The gradient of an input of the part, in the block's plain inputs, at the indices of its axes."""
        stage = self.back[name].stage
        indices = tuple(var for var, _ in self.back[name].axes)
        at = tuple(var for var, _ in self.axes("x"))
        names = {parameter.name for parameter in stage.parameters}
        given: dict[str, Lambda | Term] = {
            "x": Lambda(at, substitute(self.reads, {c: at[-1]})), self.gradient: Lambda((c,) if self.one_row else (i, c), pulled),
            **{var.name: value for var, value in self.sizes.items()},
        }
        for weight, plain in self.weights.items():
            params = tuple(var for var, _ in self.axes(weight))
            given[weight] = Lambda(params, Entry(plain, *params))
        return stage.call({key: value for key, value in given.items() if key in names}, *indices)


@dataclass(frozen=True)
class Stages:
    """The named intermediates of one variant and what they stand for, with the theorem along curves."""

    norm: str
    function: str
    gated: bool = False

    @property
    def block(self) -> Definition:
        """The block's definition."""
        return (GATED if self.gated else DEFINITIONS)[self.norm, self.function]

    @property
    def inputs(self) -> dict[str, Ranges]:
        """The differentiable inputs of this variant."""
        return {name: axes for name, axes in INPUTS.items() if self.gated or name != "w_gate"}

    def stage(self, name: str, axes: Ranges, body: Term, meaning: str) -> Definition:
        """A named intermediate: all of the block's inputs and the gradient of its result."""
        parameters = (*self.block.parameters, Parameter("grad", (n, D), meaning="gradient of the result"))
        pattern = tuple(var for var, _ in axes)
        return define(Definition(f"{self.block.name}_{name}", parameters, (Clause(pattern, axes, body),), meaning=meaning))

    def normed_use(self, reads: Term, which: int) -> Use:
        """Layer norm number ``which``."""
        sizes: dict[Var, Term] = {norm_width: D}
        return Use(norm_part(), reads, {"gain": f"gain{which}", "bias": f"bias{which}"}, sizes, NORM_BACK, one_row=True)

    def heads_use(self, reads: Term) -> Use:
        """Multi-head attention."""
        names = ("w_q", "w_k", "w_v", "w_o")
        return Use(heads_part(), reads, {name: name for name in names}, {}, HEADS_BACK, gradient="grad")

    def ffn_use(self, reads: Term) -> Use:
        """The feed-forward."""
        sizes: dict[Var, Term] = {ffn_width: D}
        stages = (GATED_STAGES if self.gated else FFN_STAGES)[self.function]
        names = (name for name in stages.inputs if name != "x")
        return Use(ffn_part(stages), reads, {name: name for name in names}, sizes, _back(stages.results, {**INPUTS, "x": ROWS}))

    def chain(self) -> tuple[tuple[Use, Term, Term | None], ...]:
        """The parts from input to result: the part, what it gives at i, c, and the residual that is added to that."""
        x = Entry("x", i, c)
        if self.norm == "post":
            y_in = x + attended(x)
            y = normed(y_in, 1)
            out_in = y + fed(y, self.function, self.gated)
            return (
                (self.heads_use(x), attended(x), x), (self.normed_use(y_in, 1), y, None),
                (self.ffn_use(y), fed(y, self.function, self.gated), y), (self.normed_use(out_in, 2), normed(out_in, 2), None),
            )
        seen = normed(x, 1)
        y = x + attended(seen)
        fed_with = normed(y, 2)
        return (
            (self.normed_use(x, 1), seen, None), (self.heads_use(seen), attended(seen), x),
            (self.normed_use(y, 2), fed_with, None), (self.ffn_use(fed_with), fed(fed_with, self.function, self.gated), y),
        )
