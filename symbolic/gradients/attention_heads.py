"""Gradient of attention with its axis of heads in the definition: grouped queries, ALiBi, and a sink of each head.

Each head is attention in one of its forms, so its gradient is that of the form with the head's rows put in, and the sum over the heads of
the theorem for one is the theorem for all. ``dq[kv·group + member]`` is the head's own; the heads of a group read the same keys and
values, so dk and dv of head kv are sums over its members; ``dsinks[head] = −Σ_i P₀[i]·Δ[i]``.
Query heads are given by the pair (kv, member). Guarantees: nothing is proved here that the core does not check.
"""

from __future__ import annotations

from functools import cache

from kernelproof.symbolic.core.definitions import define
from kernelproof.symbolic.core.logic import assumption, generalisation, instantiation, replacement, specialisation, symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.formulas import Every, every
from kernelproof.symbolic.functions import Clause, Definition, Parameter
from kernelproof.symbolic.gradients import attention as of_form
from kernelproof.symbolic.gradients.attention_stages import stages, turned_back, u_sink
from kernelproof.symbolic.phase import Extra, Gradient, Options, Statement
from kernelproof.symbolic.phases.attention import c, e, f, i, j, m, n
from kernelproof.symbolic.phases.attention_forms import h, past
from kernelproof.symbolic.phases.attention_heads import Heads, group, heads, kv, member
from kernelproof.symbolic.tactics.calculus import Ranges, T, curve, in_ranges, slope_of
from kernelproof.symbolic.tactics.collect import by_sums
from kernelproof.symbolic.tactics.gradients import straight, summed, valued
from kernelproof.symbolic.tactics.rewriting import Conversion, Line, discharged, everywhere, first, in_order, rewriting, then, tried, unfold
from kernelproof.symbolic.terms import ZERO, Entry, Lambda, Term, TermLike, total, variables

(hq,) = variables("hq")


class HeadStages:
    """The gradients of attention with heads, from the stages of one head."""

    def __init__(self, kind: Heads) -> None:
        self.kind, self.one = kind, stages(kind.form)
        self.count: Term = heads * group if kind.grouped else heads
        self.query, self.shared = kind.query, kind.shared
        self._with_g = (*kind.definition.parameters, Parameter("g", (self.count, n, e), meaning="gradient of the result"))
        self.of_head = {**kind.of_head, "g": Lambda((i, f), Entry("g", self.query, i, f))}
        self.q_lead, self.k_lead = kind.over, kind.over[:1]
        self.dq, self.dk = self._gradient("q"), self._gradient("k")
        values = self.members(self._in_head(self.one.dv, j, f))
        self.dv = self._define("dv", (*self.k_lead, (j, m), (f, e)), values, "gradient of the values")
        self.results = {"q": self.dq, "k": self.dk, "v": self.dv}
        if self.one.sink_weight is not None:
            given_weight = -total(i, n, self._in_head(self.one.sink_weight, i) * self._in_head(self.one.delta, i))
            self.results["sinks"] = self._define("dsinks", kind.over, given_weight, "gradient of the sinks")

    def _define(self, name: str, axes: Ranges, body: Term, meaning: str) -> Definition:
        pattern = tuple(var for var, _ in axes)
        return define(Definition(f"{self.kind.name}_{name}", self._with_g, (Clause(pattern, axes, body),), meaning=meaning))

    def _in_head(self, stage: Definition, *indices: Term) -> Term:
        """A stage of one head, in this head."""
        names = {parameter.name for parameter in stage.parameters}
        return stage.call({name: given for name, given in self.of_head.items() if name in names}, *indices)

    def members(self, value: Term) -> Term:
        """Summed over the query heads that read these keys and values."""
        return total(member, group, value) if self.kind.grouped else value

    def _gradient(self, name: str) -> Definition:
        queries = name == "q"
        row, rows, lead = (i, n, self.q_lead) if queries else (j, m, self.k_lead)

        def of_heads(stage: Definition) -> Term:
            value = self._in_head(stage, row, c)
            return value if queries else self.members(value)

        meaning = f"gradient of the {'queries' if queries else 'keys'}"
        if not self.one.turned:
            own = self.one.dq if queries else self.one.dk
            return self._define(f"d{name}", (*lead, (row, rows), (c, self.one.width)), of_heads(own), meaning)
        one, two = (of_heads(stage) for stage in (self.one.turned[:2] if queries else self.one.turned[2:]))
        axes, at = ((row, rows), (c, h)), past + i if queries else j
        return turned_back(self.kind.form, f"{self.kind.name}_d{name}", self._with_g, axes, one, two, at, lead)

    @property
    def lines(self) -> dict[str, tuple[str, str, str, Ranges]]:
        """Curve -> its derivative, the input, its direction, its axes."""
        keys: Ranges = ((kv, heads),)
        found: dict[str, tuple[str, str, str, Ranges]] = {
            "Q": ("U", "q", "u_q", ((hq, self.count), *self.one.q_axes)), "K": ("W", "k", "u_k", (*keys, *self.one.k_axes)),
            "V": ("Z", "v", "u_v", (*keys, (j, m), (f, e))),
        }
        return found | ({"SINKS": ("US", "sinks", "u_sinks", ((hq, self.count),))} if self.kind.form.sink else {})

    def along(self, at: TermLike) -> dict[str, Lambda | Term]:
        """The inputs of the curves at a time."""
        made: dict[str, Lambda | Term] = {}
        for tensor, (_, name, _, axes) in self.lines.items():
            indices = tuple(var for var, _ in axes)
            made[name] = Lambda(indices, Entry(tensor, at, *indices))
        return made

    def opened(self) -> Conversion:
        """The gradients of all heads become those of one head, by pairs of channels where these are turned."""
        named = [tried(everywhere(unfold(stage.name))) for name, stage in self.results.items() if name in ("v", "sinks")]
        if not self.one.turned:
            return in_order(*named, *(tried(everywhere(unfold(stage.name))) for stage in (self.dq, self.dk)))
        turned = (self.dq, self.dk, self.one.dq, self.one.dk)
        return in_order(*named, of_form.by_pairs(self.kind.form.turned, *(stage.name for stage in turned)))


@cache
def head_stages(kind: Heads) -> HeadStages:
    """The stages of a kind of heads."""
    return HeadStages(kind)


@cache
def in_head(kind: Heads) -> Theorem:
    """The gradient of one head along its rows of the curves: d/dt Σ_i Σ_f g·attention in the head."""
    of = head_stages(kind)
    functions = {
        name: given for name, given in of.of_head.items() if isinstance(given, Lambda) and name in ("allow", "bias", "g")
    }
    lines, terms, lemmas = of_form.straight_lines(kind.form), {}, []
    for tensor, (slope, _, _, axes) in lines.items():
        at, indices = (of.query if tensor == "Q" else of.shared), tuple(var for var, _ in axes)
        functions[tensor] = Lambda((T, *indices), Entry(tensor, T, at, *indices))
        functions[slope] = Lambda(indices, Entry(slope, at, *indices))
        there = in_ranges(specialisation((curve(tensor, slope, of.lines[tensor][3]),), (at, *indices)))
        lemmas.append(generalisation((there,), axes))
    if kind.form.sink:
        functions["SINK"] = Lambda((T,), Entry("SINKS", T, of.query))
        terms[u_sink] = Entry("US", of.query)
        lemmas.append(in_ranges(specialisation((curve("SINKS", "US", of.lines["SINKS"][3]),), (of.query,))))
    made = discharged(instantiation((of_form.along_curves(kind.form),), terms, functions), *lemmas)
    return discharged(made, *_some_key(made, kind))


def _some_key(made: Theorem, kind: Heads) -> tuple[Theorem, ...]:
    """∀ i: the divisor of this head is positive, from the same for all heads."""
    found = []
    for formula in made.hypotheses:
        if isinstance(formula, Every) and formula.body.name == "positive":
            claim = assumption((), every((*kind.over, *formula.over), formula.body))
            indices = tuple(var for var, _ in (*kind.over, *formula.over))
            found.append(generalisation((specialisation((claim,), indices),), formula.over))
    return tuple(found)


@cache
def lines_along_curves(kind: Heads) -> tuple[Theorem, Theorem]:
    """The derivative of Σ g·attention over all heads, in the gradients of each head; what multiplies each direction."""
    of, one = head_stages(kind), in_head(kind)
    opened = unfold(kind.name)(kind.definition.call(of.along(T), *(var for var, _ in kind.over), i, f))
    body = one.conclusion.terms[0].body
    named = first(rewriting(symmetry((opened,))))(body)
    loss = summed(replacement((one, named), (0, 0)), kind.over)
    target: Term | None = None
    for name, stage in of.results.items():
        value = _pairing(of, name, stage)
        target = value if target is None else target + value
    assert target is not None
    wanted = of.opened()(target)
    shown = of.opened()(slope_of(loss)) if of.one.turned else None
    begun = slope_of(loss) if shown is None else shown.right
    last = then(by_sums(begun, wanted.right), symmetry((wanted,)))
    return loss, last if shown is None else then(shown, last)


def _pairing(of: HeadStages, name: str, stage: Definition) -> Term:
    """Σ direction·gradient of an input, query heads by the pair (kv, member)."""
    slope, _, _, axes = next(given for given in of.lines.values() if given[1] == name)
    by_query = name in ("q", "sinks")
    lead, at = (of.q_lead, of.query) if by_query else (of.k_lead, of.shared)
    rest = axes[1:]
    indices = tuple(var for var, _ in rest)
    value: Term = Entry(slope, at, *indices) * stage.call(of.along(ZERO), *(var for var, _ in lead), *indices)
    for var, length in reversed((*lead, *rest)):
        value = total(var, length, value)
    return value


@cache
def along_curves(kind: Heads) -> Theorem:
    """In every head every row has a key ⊢ d/dt Σ g·attention = Σ direction·gradient over all inputs and heads."""
    loss, last = lines_along_curves(kind)
    return valued(loss, last)


def queries_and_keys(kind: Heads) -> Theorem:
    """⊢ Σ_i Σ_c dQ·Q = Σ_j Σ_c dK·K of each head of keys, summed over the queries that read it."""
    of = head_stages(kind)
    before = tuple(var for var, _ in kind.over)
    row = of.dq.call({}, *before, i, c) * Entry("q", of.query, i, c)
    left = of.members(total(i, n, total(c, of.one.width, row)))
    right = total(j, m, total(c, of.one.width, of.dk.call({}, of.shared, j, c) * Entry("k", of.shared, j, c)))
    return _same(of, left, right)


def values_and_output(kind: Heads) -> Theorem:
    """⊢ Σ_j Σ_f dV·V = Σ_i Σ_f g·attention of each head of values, summed over the queries that read it."""
    of = head_stages(kind)
    out = kind.definition.call({}, *(var for var, _ in kind.over), i, f)
    left = total(j, m, total(f, e, of.dv.call({}, of.shared, j, f) * Entry("v", of.shared, j, f)))
    return _same(of, left, of.members(total(i, n, total(f, e, Entry("g", of.query, i, f) * out))))


def _same(of: HeadStages, left: Term, right: Term) -> Theorem:
    """left = right with everything opened down to the weights, and those to exponentials."""
    form = of.kind.form
    named = (of.kind.name, form.name, of.one.base.name, of.one.weights.name)
    last = (tried(everywhere(unfold(name))) for name in dict.fromkeys(named))
    steps = in_order(of.opened(), of_form.to_results(form), *last)
    one, two = steps(left), steps(right)
    return then(one, by_sums(one.right, two.right), symmetry((two,)))


def with_heads(kind: Heads, variant: Options) -> Gradient:
    """Gradient of attention with heads."""
    of = head_stages(kind)
    loss, last = lines_along_curves(kind)
    extras = (Extra("g", "real", (of.count, n, e)),)
    moves = {name: Extra(direction, "real", tuple(length for _, length in axes)) for _, name, direction, axes in of.lines.values()}
    names = ", ".join(f"d{name}" for name in moves)
    return Gradient(
        phase="attention",
        title="Gradient of attention",
        variant=dict(variant),
        definitions=(*of.one.all, *of.one.jvps, *of.results.values()),
        results={name: stage.name for name, stage in of.results.items()},
        lines=(
            Line("differentiate along straight lines of all inputs: the gradients of each head, summed", straight(loss, of.lines)),
            Line("heads of a group read the same keys and values: what multiplies each direction", straight(last, of.lines)),
        ),
        statements=(
            Statement(
                "attention.vjp", f"{names} are the gradients of Σ g·attention", straight(along_curves(kind), of.lines), (),
                (*extras, *moves.values()),
            ),
            *(
                Statement(
                    f"attention.vjp_{name}", f"d{name} is the gradient in {name} alone",
                    of_form.of_one(along_curves(kind), of.lines, name), (), (*extras, move),
                )
                for name, move in moves.items()
            ),
            Statement("attention.queries_and_keys", "⟨dQ, Q⟩ = ⟨dK, K⟩ of each head of keys", queries_and_keys(kind), of.k_lead, extras),
            Statement("attention.values_and_output", "⟨dV, V⟩ = ⟨g, O⟩ of each head of values", values_and_output(kind), of.k_lead, extras),
        ),
        along_curves=along_curves(kind),
    )
