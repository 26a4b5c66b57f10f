"""The stages of the feed-forward's gradient, as definitions: hidden units before (z) and after (a) the activation, then back.

``da = g·w2ᵀ``, ``dz = da·act′(z)``, ``dx = dz·w1ᵀ``, ``dw1 = xᵀ·dz``, ``db1 = Σ dz``, ``dw2 = aᵀ·g``, ``db2 = Σ g``, sums over the tokens.
Gated, with y = x·w_gate and a = act(y)·z: ``dz = da·act(y)``, ``dy = da·z·act′(y)``, ``dx = dz·w1ᵀ + dy·w_gateᵀ``, ``dw_gate = xᵀ·dy``.
What does not depend on the activation is defined once.
"""

from __future__ import annotations

from kernelproof.symbolic.core.definitions import define
from kernelproof.symbolic.functions import Clause, Definition, Parameter
from kernelproof.symbolic.gradients.activation import SLOPES
from kernelproof.symbolic.phases.activation import FORMULAS
from kernelproof.symbolic.phases.feed_forward import DEFINITIONS, GATED, c, d, h, k, n, u
from kernelproof.symbolic.tactics.calculus import Ranges
from kernelproof.symbolic.terms import Entry, Term, total, variables

(i,) = variables("i")
INPUTS: dict[str, Ranges] = {
    "x": ((i, n), (k, d)), "w1": ((k, d), (u, h)), "b1": ((u, h),), "w2": ((u, h), (c, d)), "b2": ((c, d),),
}
#: with gates, in the contract's order
GATED_INPUTS: dict[str, Ranges] = {
    name: INPUTS.get(name, INPUTS["w1"]) for name in ("x", "w1", "b1", "w_gate", "w2", "b2")
}
UNITS: Ranges = ((i, n), (u, h))
OUT: Ranges = ((i, n), (c, d))
PARAMETERS = {parameter.name: parameter for parameter in GATED["relu"].parameters}
PARAMETERS["g"] = Parameter("g", (n, d), meaning="gradient of the result")


def _stage(name: str, takes: str, axes: Ranges, body: Term, meaning: str) -> Definition:
    pattern = tuple(var for var, _ in axes)
    parameters = tuple(PARAMETERS[parameter] for parameter in takes.split())
    return define(Definition(f"feed_forward_{name}", parameters, (Clause(pattern, axes, body),), meaning=meaning))


Z = _stage(
    "z", "n d h x w1 b1", UNITS, total(k, d, Entry("x", i, k) * Entry("w1", k, u)) + Entry("b1", u), "hidden units before the activation"
)
DA = _stage("da", "n d h w2 g", UNITS, total(c, d, Entry("g", i, c) * Entry("w2", u, c)), "gradient of the activated hidden units")
GATE = _stage("gate", "n d h x w_gate", UNITS, total(k, d, Entry("x", i, k) * Entry("w_gate", k, u)), "gates before the activation")
DB2 = _stage("db2", "n d g", ((c, d),), total(i, n, Entry("g", i, c)), "gradient of the bias of the narrowing map")


class Stages:
    """The stages that depend on the activation, with or without gates. ``hidden`` are those that the activated units are made of."""

    def __init__(self, name: str, gated: bool = False) -> None:
        self.name, self.gated = name, gated
        self.prefix, taken = ("gated_", " w_gate") if gated else ("", "")
        self.phase = (GATED if gated else DEFINITIONS)[name]
        self.inputs = GATED_INPUTS if gated else INPUTS
        self._of_units, self._of_gradients = f"n d h x w1 b1{taken}", f"n d h x w1 b1{taken} w2 g"
        z, da = Z.call({}, i, u), DA.call({}, i, u)
        self.p: Definition | None = None
        self.dgate: Definition | None = None
        if gated:
            gate = GATE.call({}, i, u)
            self.p = self._define("p", "n d h x w_gate", UNITS, FORMULAS[name](gate), "activated gates")
            p = self.p.call({}, i, u)
            self.a = self._define("a", self._of_units, UNITS, p * z, "activated hidden units")
            self.dz = self._define("dz", "n d h x w_gate w2 g", UNITS, da * p, "gradient of z")
            self.dgate = self._define("dgate", self._of_gradients, UNITS, da * z * SLOPES[name](gate), "gradient of the gates")
        else:
            self.a = self._define("a", self._of_units, UNITS, FORMULAS[name](z), "activated hidden units")
            self.dz = self._define("dz", self._of_gradients, UNITS, da * SLOPES[name](z), "gradient of z")
        self._results(self.dz.call({}, i, u))

    def _define(self, name: str, takes: str, axes: Ranges, body: Term, meaning: str) -> Definition:
        return _stage(f"{self.prefix}{self.name}_{name}", takes, axes, body, meaning)

    def _results(self, dz: Term) -> None:
        inputs, back = self._of_gradients, dz * Entry("w1", k, u)
        if self.dgate is not None:
            back = back + self.dgate.call({}, i, u) * Entry("w_gate", k, u)
        self.dx = self._define("dx", inputs, INPUTS["x"], total(u, h, back), "gradient of the tokens")
        through_z = "n d h x w_gate w2 g" if self.gated else inputs
        self.dw1 = self._define("dw1", through_z, INPUTS["w1"], total(i, n, Entry("x", i, k) * dz), "gradient of the widening map")
        self.db1 = self._define("db1", through_z, INPUTS["b1"], total(i, n, dz), "gradient of its bias")
        self.dw2 = self._define(
            "dw2", f"{self._of_units} g", INPUTS["w2"], total(i, n, self.a.call({}, i, u) * Entry("g", i, c)),
            "gradient of the narrowing map",
        )
        self.results = {"x": self.dx, "w1": self.dw1, "b1": self.db1, "w2": self.dw2, "b2": DB2}
        if self.dgate is not None:
            body = total(i, n, Entry("x", i, k) * self.dgate.call({}, i, u))
            gates = self._define("dw_gate", inputs, INPUTS["w1"], body, "gradient of the map to the gates")
            self.results = {name: {**self.results, "w_gate": gates}[name] for name in GATED_INPUTS}

    @property
    def hidden(self) -> tuple[Definition, ...]:
        """The activated units and what they are made of, in the order in which they unfold."""
        return (self.a, Z) if self.p is None else (self.a, self.p, GATE, Z)

    @property
    def back(self) -> tuple[Definition, ...]:
        """The gradients of the hidden units, in the order in which they unfold."""
        return (self.dz, DA) if self.dgate is None else (self.dz, self.dgate, DA)

    @property
    def all(self) -> tuple[Definition, ...]:
        """In the order in which they are computed."""
        gates = () if self.p is None else (GATE, self.p)
        of_gates = () if self.dgate is None else (self.dgate,)
        return Z, *gates, self.a, DA, self.dz, *of_gates, *self.results.values()


STAGES = {name: Stages(name) for name in FORMULAS}
GATED_STAGES = {name: Stages(name, True) for name in FORMULAS}
