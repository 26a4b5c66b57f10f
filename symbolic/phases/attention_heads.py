"""Attention with its axis of heads in the definition: grouped queries, and what each head has of its own.

Query head ``kv·group + member`` reads key and value head ``kv`` (Ainslie et al., arXiv:2305.13245): head h reads ``h // group``. Without
grouping (sinks, ALiBi) head h reads head h. Each head is a call of attention in one of its forms, so a theorem about one head is one about
all: :meth:`Heads.lifted` puts the heads' rows into it and folds the calls. Guarantees: nothing is proved here that the core does not check.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from kernelproof.symbolic.binding import children, positions, rebuild
from kernelproof.symbolic.core.definitions import define
from kernelproof.symbolic.core.logic import instantiation, symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.functions import Clause, Definition, Parameter
from kernelproof.symbolic.phase import Clausal, Derivation, Statement
from kernelproof.symbolic.phases.attention_forms import FORMS, Form, c, e, f, i, j, n, sink
from kernelproof.symbolic.tactics.rewriting import Chain, replaced, unfold
from kernelproof.symbolic.terms import Call, Entry, Lambda, Node, Term, Var, size, variables

heads, group = size("heads"), size("group")
kv, member, hd = variables("kv member hd")
#: parameters of one head that all query heads have a row of; keys and values have one for each key/value head
QUERIES, KEYS = ("q", "allow", "bias"), ("k", "v")


@dataclass(frozen=True)
class Heads:
    """Attention in a form, head by head; grouped or not."""

    form: Form
    grouped: bool

    @property
    def name(self) -> str:
        """The name of the definition."""
        return ("grouped_query_" if self.grouped else "headed_") + self.form.name

    @property
    def over(self) -> tuple[tuple[Var, Term], ...]:
        """The indices of a head with their ranges."""
        return ((kv, heads), (member, group)) if self.grouped else ((hd, heads),)

    @property
    def query(self) -> Term:
        """The number of a query head."""
        return kv * group + member if self.grouped else hd

    @property
    def shared(self) -> Var:
        """The number of the key/value head that it reads."""
        return kv if self.grouped else hd

    @property
    def of_head(self) -> dict[str, Lambda | Term]:
        """What stands for each parameter of one head."""
        rows: dict[str, Lambda | Term] = {}
        rows |= {name: _row(name, self.query, (i, second)) for name, second in zip(QUERIES, (c, j, j), strict=True)}
        rows |= {name: _row(name, self.shared, (j, second)) for name, second in zip(KEYS, (c, f), strict=True)}
        return rows | ({"sink": Entry("sinks", self.query)} if self.form.sink else {})

    @property
    def definition(self) -> Definition:
        """The definition, in force."""
        return _definition(self)

    def lifted(self, theorem: Theorem) -> Theorem:
        """A theorem about the form, said of every head."""
        of_head = self.of_head
        terms = {sink: Entry("sinks", self.query)} if self.form.sink else {}
        lambdas = {name: value for name, value in of_head.items() if isinstance(value, Lambda)}
        made = instantiation((theorem,), terms, lambdas)
        for _, part in positions(made.conclusion):
            if isinstance(part, Call) and part.function == self.form.name:
                made = replaced(made, symmetry((unfold(self.name)(self._whole(part)),)))
        return made

    def _whole(self, one: Call) -> Call:
        """The call for all heads of which this is the call for one."""
        arguments: dict[str, Lambda | Term] = {}
        for name, value in one.arguments:
            if name in QUERIES or name in KEYS:
                at = self.query if name in QUERIES else self.shared
                arguments[name] = Lambda((HEAD, *value.params), _abstracted(value.body, at))
            elif name == "sink":
                arguments["sinks"] = Lambda((HEAD,), _abstracted(value.body, self.query))
            else:
                arguments[name] = value
        return self.definition.call(arguments, *(var for var, _ in self.over), *one.indices)

    def statement(self, found: Statement) -> Statement:
        """A statement about the form, said of every head."""
        return replace(found, theorem=self.lifted(found.theorem), over=(*self.over, *found.over))

    def derivation(self, core: Derivation) -> Derivation:
        """The derivation, from that of one head: the definition, with the kernel form of the head inside."""
        definition = self.definition
        start = definition.call({}, *definition.clauses[0].pattern)
        chain = Chain(start).step("unfold: each head attends alone, in the kernel form of one head", unfold(self.name))
        return replace(
            core, definition=definition, clauses=(Clausal(definition.clauses[0], tuple(chain.lines)),),
            statements=tuple(self.statement(found) for found in core.statements),
        )


@cache
def _definition(kind: Heads) -> Definition:
    count = heads * group if kind.grouped else heads
    made = [Parameter("heads", kind="size", meaning="key/value heads" if kind.grouped else "heads")]
    made += [Parameter("group", kind="size", meaning="query heads of each")] * kind.grouped
    for parameter in kind.form.parameters:
        if parameter.name == "sink":
            made.append(Parameter("sinks", (count,), meaning="a logit without a value for each head"))
        else:
            lead = (count,) if parameter.name in QUERIES else (heads,) if parameter.name in KEYS else ()
            made.append(replace(parameter, axes=(*lead, *parameter.axes)))
    indices = tuple(var for var, _ in kind.over)
    clause = Clause((*indices, i, f), (*kind.over, (i, n), (f, e)), kind.form.call(kind.of_head, i, f))
    meaning = "query heads kv·group, …, kv·group + group − 1 read key/value head kv" if kind.grouped else "each head attends alone"
    return define(Definition(kind.name, tuple(made), (clause,), meaning=f"{meaning}: {kind.form.meaning}"))


HEAD = Var("head")


def _row(name: str, head: Term, indices: tuple[Var, ...]) -> Lambda:
    return Lambda(indices, Entry(name, head, *indices))


def _abstracted(value: Term, wanted: Term) -> Term:
    """The value with the variable ``head`` in the place of the number of a head."""

    def visit(node: Node) -> Node:
        if node is wanted:
            return HEAD
        return rebuild(node, [visit(part) for part, _ in children(node)])

    made = visit(value)
    assert isinstance(made, Term)
    return made


HEADS = tuple(Heads(form, grouped) for grouped in (True, False) for form in FORMS)
