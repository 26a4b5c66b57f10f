"""The stages of the feed-forward's gradient, as definitions: hidden units before (z) and after (a) the activation, then back.

``da = g·w2ᵀ``, ``dz = da·act′(z)``, ``dx = dz·w1ᵀ``, ``dw1 = xᵀ·dz``, ``db1 = Σ dz``, ``dw2 = aᵀ·g``, ``db2 = Σ g``, sums over the tokens.
What does not depend on the activation is defined once.
"""

from __future__ import annotations

from kernelproof.symbolic.core.definitions import define
from kernelproof.symbolic.functions import Clause, Definition, Parameter
from kernelproof.symbolic.gradients.activation import SLOPES
from kernelproof.symbolic.phases.activation import FORMULAS
from kernelproof.symbolic.phases.feed_forward import DEFINITIONS, c, d, h, k, n, u
from kernelproof.symbolic.tactics.calculus import Ranges
from kernelproof.symbolic.terms import Entry, Term, total, variables

(i,) = variables("i")
INPUTS: dict[str, Ranges] = {
    "x": ((i, n), (k, d)), "w1": ((k, d), (u, h)), "b1": ((u, h),), "w2": ((u, h), (c, d)), "b2": ((c, d),),
}
UNITS: Ranges = ((i, n), (u, h))
OUT: Ranges = ((i, n), (c, d))
PARAMETERS = {parameter.name: parameter for parameter in DEFINITIONS["relu"].parameters}
PARAMETERS["g"] = Parameter("g", (n, d), meaning="gradient of the result")


def _stage(name: str, takes: str, axes: Ranges, body: Term, meaning: str) -> Definition:
    pattern = tuple(var for var, _ in axes)
    parameters = tuple(PARAMETERS[parameter] for parameter in takes.split())
    return define(Definition(f"feed_forward_{name}", parameters, (Clause(pattern, axes, body),), meaning=meaning))


Z = _stage(
    "z", "n d h x w1 b1", UNITS, total(k, d, Entry("x", i, k) * Entry("w1", k, u)) + Entry("b1", u), "hidden units before the activation"
)
DA = _stage("da", "n d h w2 g", UNITS, total(c, d, Entry("g", i, c) * Entry("w2", u, c)), "gradient of the activated hidden units")
DB2 = _stage("db2", "n d g", ((c, d),), total(i, n, Entry("g", i, c)), "gradient of the bias of the narrowing map")


class Stages:
    """The stages that depend on the activation."""

    def __init__(self, name: str) -> None:
        inputs, z = "n d h x w1 b1 w2 g", Z.call({}, i, u)
        self.phase = DEFINITIONS[name]
        self.a = _stage(f"{name}_a", "n d h x w1 b1", UNITS, FORMULAS[name](z), "activated hidden units")
        self.dz = _stage(f"{name}_dz", inputs, UNITS, DA.call({}, i, u) * SLOPES[name](z), "gradient of z")
        dz = self.dz.call({}, i, u)
        self.dx = _stage(f"{name}_dx", inputs, INPUTS["x"], total(u, h, dz * Entry("w1", k, u)), "gradient of the tokens")
        self.dw1 = _stage(f"{name}_dw1", inputs, INPUTS["w1"], total(i, n, Entry("x", i, k) * dz), "gradient of the widening map")
        self.db1 = _stage(f"{name}_db1", inputs, INPUTS["b1"], total(i, n, dz), "gradient of its bias")
        self.dw2 = _stage(
            f"{name}_dw2", "n d h x w1 b1 g", INPUTS["w2"], total(i, n, self.a.call({}, i, u) * Entry("g", i, c)),
            "gradient of the narrowing map",
        )
        self.results = {"x": self.dx, "w1": self.dw1, "b1": self.db1, "w2": self.dw2, "b2": DB2}

    @property
    def all(self) -> tuple[Definition, ...]:
        """In the order in which they are computed."""
        return Z, self.a, DA, self.dz, *self.results.values()


STAGES = {name: Stages(name) for name in FORMULAS}
