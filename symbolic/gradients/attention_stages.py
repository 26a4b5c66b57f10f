"""The stages of attention's gradient in each of its forms, as definitions: weights, dP, Δ, dS, and back to queries, keys and values.

``P`` weights, ``dP[i, j] = Σ_f g[i, f]·v[j, f]``, ``Δ[i] = Σ_j P·dP``, ``dS = P·(dP − Δ)``. With a soft-cap
``dR = dS·(1 − tanh²(s/cap))`` is the gradient of the scores before it. With a sink ``P₀[i] = exp(sink)/divisor`` is its weight. With
rotary positions the gradients of the turned queries and keys are turned back, R(−θ). Where a fully masked row gives the mean of C = 0
keys, each value gets ``(1 − C/C)·g/m`` of it too.
Guarantees: what does not depend on the form is defined once. Cannot see: heads; they are in :mod:`attention_heads`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from kernelproof.symbolic.core.definitions import define
from kernelproof.symbolic.functions import Clause, Definition, Parameter
from kernelproof.symbolic.phases.attention import WEIGHTS, c, d, e, f, i, j, l, m, n, scale
from kernelproof.symbolic.phases.attention_forms import Form, cap, h, past, sink, turned_pair
from kernelproof.symbolic.phases.rotary import frequency, pair
from kernelproof.symbolic.tactics.calculus import Ranges
from kernelproof.symbolic.tactics.rewriting import part
from kernelproof.symbolic.terms import ONE, Entry, Op, Term, Var, exp, total, variables

#: how a sink moves: the derivative of its curve
(u_sink,) = variables("u_sink")
ENTRIES: Ranges = ((i, n), (j, m))
G = Parameter("g", (n, e), meaning="gradient of the result")
V_AXES: Ranges = ((j, m), (f, e))


def _stage(name: str, parameters: tuple[Parameter, ...], axes: Ranges, body: Term, meaning: str) -> Definition:
    pattern = tuple(var for var, _ in axes)
    return define(Definition(name, parameters, (Clause(pattern, axes, body),), meaning=meaning))


def _dp() -> Definition:
    """dP, which no form changes."""
    known = {parameter.name: parameter for parameter in Form().definition.parameters}
    parameters = (*(known[name] for name in ("n", "m", "e", "v")), G)
    return _stage("attention_dp", parameters, ENTRIES, total(f, e, Entry("g", i, f) * Entry("v", j, f)), "gradient of the weights")


DP = _dp()


class Stages:
    """The stages of one form. ``width`` is that of queries and keys; ``results`` are the gradients by input, the sink's not among them."""

    def __init__(self, form: Form) -> None:
        self.form, self.base = form, replace(form, mean=False)
        self.width: Term = 2 * h if form.turned else d
        self.q_axes: Ranges = ((i, n), (c, self.width))
        self.k_axes: Ranges = ((j, m), (c, self.width))
        self._with_g = (*form.definition.parameters, G)
        self.sink_weight: Definition | None
        self.score_jvp: Definition | None
        if form.mean:
            self._mean(stages(self.base))
        else:
            self._of_form()
        self.results = {"q": self.dq, "k": self.dk, "v": self.dv}

    def _define(self, name: str, axes: Ranges, body: Term, meaning: str) -> Definition:
        return _stage(f"{self.form.name}_{name}", self._with_g, axes, body, meaning)

    # -- weights and scores ---------------------------------------------------------------------------------------------------------------

    def p(self, query: Term, key: Term) -> Term:
        """P[i, j], the weight of a key."""
        return self.weights.call({}, query, key)

    def similarity_slope(self, query: Term, key: Term) -> Term:
        """How scale·⟨q, k⟩ moves in a direction, before a soft-cap."""
        if not self.form.turned:
            moves = Entry("u_q", query, c) * Entry("k", key, c) + Entry("q", query, c) * Entry("u_k", key, c)
            return scale * total(c, d, moves)
        (q, u_q), (k, u_k) = (
            (turned_pair(self.form.turned, name, row, at), turned_pair(self.form.turned, f"u_{name}", row, at))
            for name, row, at in (("q", query, past + query), ("k", key, key))
        )
        one, two = (total(c, h, u_q[place] * k[place] + q[place] * u_k[place]) for place in (0, 1))
        return scale * (one + two)

    def cap_slope(self, query: Term, key: Term) -> Term:
        """1 − tanh² of a score over its cap; 1 without one."""
        if not self.form.capped:
            return ONE
        return 1 - Op("tanh", part(replace(self.base, capped=False).score(query, key), 0) / cap) ** 2

    def score_slope(self, query: Term, key: Term) -> Term:
        """dS/dt in a direction; by name where it is long, so that nothing grows."""
        return self.score_jvp.call({}, query, key) if self.score_jvp is not None else self.similarity_slope(query, key)

    # -- definitions ----------------------------------------------------------------------------------------------------------------------

    def _of_form(self) -> None:
        form = self.form
        kept = tuple(parameter for parameter in form.definition.parameters if parameter.name not in ("e", "v"))
        self.weights = WEIGHTS if form == Form() else _stage(
            f"{form.name}_weights", kept, ENTRIES, form.weight(i, j) / form.whole, "softmax of the scores of the allowed keys",
        )
        self.sink_weight = None
        if form.sink:
            self.sink_weight = _stage(f"{form.name}_sink_weight", kept, ((i, n),), exp(sink) / form.whole, "weight of the sink")
        p, dp = self.p(i, j), DP.call({}, i, j)
        self.delta = self._define("delta", ((i, n),), total(j, m, p * dp), "Σ P·dP of each row")
        self.ds = self._define("ds", ENTRIES, p * (dp - self.delta.call({}, i)), "gradient of the scores, and of the bias")
        self.dr = self.ds
        if form.capped:
            capped = self.ds.call({}, i, j) * self.cap_slope(i, j)
            self.dr = self._define("dr", ENTRIES, capped, "gradient of the scores before the soft-cap")
        self.turned: tuple[Definition, ...] = ()
        if form.turned:
            self.dq, self.dk = self._turned("q", i, past + i, j, j, m, n), self._turned("k", j, j, i, past + i, n, m)
        else:
            dr = self.dr.call({}, i, j)
            self.dq = self._define("dq", self.q_axes, scale * total(j, m, dr * Entry("k", j, c)), "gradient of the queries")
            self.dk = self._define("dk", self.k_axes, scale * total(i, n, dr * Entry("q", i, c)), "gradient of the keys")
        self.dv = self._define("dv", V_AXES, total(i, n, p * Entry("g", i, f)), "gradient of the values")
        self.score_jvp, self.jvp = self._jvps()

    def _turned(self, name: str, row: Var, at: Term, other: Var, there: Term, others: Term, rows: Term) -> Definition:
        """dq or dk: the gradient of the turned rows, one stage for each channel of a pair, and that turned back."""
        layout, what = self.form.turned, {"q": "queries", "k": "keys"}[name]
        partner = turned_pair(layout, {"q": "k", "k": "q"}[name], other, there)
        dr, axes = self.dr.call({}, i, j), ((row, rows), (c, h))
        one, two = (
            self._define(f"d{name}_turned_{number}", axes, scale * total(other, others, dr * channel), f"gradient of the turned {what}")
            for number, channel in zip(("one", "two"), partner, strict=True)
        )
        self.turned += (one, two)
        return turned_back(self.form, f"{self.form.name}_d{name}", self._with_g, axes, one.call({}, row, c), two.call({}, row, c), at)

    def _jvps(self) -> tuple[Definition | None, Definition]:
        """The derivatives of a score, where it is more than a product, and of the result."""
        form, known = self.form, self.form.definition.parameters
        u_q, u_k, u_v = (
            Parameter(f"u_{name}", axes, meaning=f"direction of the {what}")
            for name, axes, what in (("q", (n, self.width), "queries"), ("k", (m, self.width), "keys"), ("v", (m, e), "values"))
        )
        self.score_jvp = None
        if form.capped or form.turned:
            slope = self.similarity_slope(i, j)
            of_score = tuple(parameter for parameter in known if parameter.name not in ("e", "v", "allow", "bias", "sink"))
            self.score_jvp = _stage(
                f"{form.name}_score_jvp", (*of_score, u_q, u_k), ENTRIES, self.cap_slope(i, j) * slope if form.capped else slope,
                "derivative of a score in a direction",
            )
        p = self.p(i, j)
        row: Term = total(l, m, self.p(i, l) * self.score_slope(i, l))
        if self.sink_weight is not None:
            row = row + self.sink_weight.call({}, i) * u_sink
        more = (Parameter("u_sink", meaning="direction of the sink"),) if form.sink else ()
        return self.score_jvp, _stage(
            f"{form.name}_jvp", (*known, u_q, u_k, u_v, *more), ((i, n), (f, e)),
            total(j, m, p * (self.score_slope(i, j) - row) * Entry("v", j, f) + p * Entry("u_v", j, f)),
            "derivative of the result in a direction",
        )

    def _mean(self, base: Stages) -> None:
        """Those of the form without a mean; a value also gets its share of each row that may attend to nothing."""
        self.weights, self.sink_weight, self.delta, self.ds, self.dr = base.weights, base.sink_weight, base.delta, base.ds, base.dr
        self.dq, self.dk, self.turned, self.score_jvp, self.jvp = base.dq, base.dk, base.turned, base.score_jvp, base.jvp
        share = (1 - self.form.count / self.form.count) * (Entry("g", i, f) / m)
        self.dv = self._define("dv", V_AXES, base.dv.call({}, j, f) + total(i, n, share), "gradient of the values")

    @property
    def opened(self) -> tuple[Definition, ...]:
        """From the gradient of the scores back to the weights, in the order in which they unfold."""
        return (*((self.dr,) if self.form.capped else ()), self.ds, self.delta, DP)

    @property
    def jvps(self) -> tuple[Definition, ...]:
        """Derivatives in a direction, which a derivation speaks of on its way."""
        return (self.jvp,) if self.score_jvp is None else (self.score_jvp, self.jvp)

    @property
    def all(self) -> tuple[Definition, ...]:
        """In the order in which they are computed."""
        sunk = (self.sink_weight,) if self.sink_weight is not None else ()
        values = (stages(self.base).dv, self.dv) if self.form.mean else (self.dv,)
        return (self.weights, *sunk, *reversed(self.opened), *self.turned, self.dq, self.dk, *values)


def turned_back(
    form: Form, name: str, parameters: tuple[Parameter, ...], axes: Ranges, one: Term, two: Term, at: Term, lead: Ranges = ()
) -> Definition:
    """A gradient of queries or keys by pairs of channels: R(−θ) of that of the turned ones, θ = position·ω."""
    angle, (row, rows), whole = at * frequency(c), axes[0], (*lead, *axes)
    first = tuple(var for var, _ in (*lead, (row, rows)))
    patterns = ((*first, channel) for channel in pair(form.turned, c))
    bodies = one * Op("cos", angle) + two * Op("sin", angle), two * Op("cos", angle) - one * Op("sin", angle)
    clauses = tuple(Clause(pattern, whole, body) for pattern, body in zip(patterns, bodies, strict=True))
    result = (*(length for _, length in lead), rows, 2 * h)
    return define(Definition(name, parameters, clauses, meaning="gradient of the turned rows, turned back", result=result))


@cache
def stages(form: Form) -> Stages:
    """The stages of a form."""
    return Stages(form)
