"""The forms of attention that differ by definition: what the score of a key is, and what the weights are divided by.

``S[i, j] = s[i, j] + bias[i, j]`` with ``s[i, j] = scale·Σ_c q[i, c]·k[j, c]``, or ``cap·tanh(s/cap)`` with a soft-cap (Gemma 2,
arXiv:2408.00118), which comes before the bias and the mask. With a sink the divisor has one more exponential, ``exp(sink)``, a logit
without a value (arXiv:2309.17453). With ``mean`` a row that may attend to nothing gives the mean of all values: ``C/C`` is 1 where the
number C of allowed keys is not 0, and 0 where it is. With rotary positions the channels of query i and key j are turned in pairs by
their positions, past + i and j, before they meet; :func:`similarity_turned` sums over first and over second channels.

Guarantees: a form is data; the plain one is the default. Cannot see: who may attend to whom and what is added to scores (causality,
windows, ALiBi): these are values of ``allow`` and ``bias``, not forms.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from kernelproof.symbolic.core.definitions import define
from kernelproof.symbolic.functions import Clause, Definition, Parameter
from kernelproof.symbolic.phases import rotary
from kernelproof.symbolic.terms import Call, Entry, Lambda, Op, Term, exp, maximum_of, size, total, variables

n, m, d, e = size("n"), size("m"), size("d"), size("e")
i, j, l, c, f, scale, shift, a, b = variables("i j l c f scale z a b")
cap, sink, past = variables("cap sink past")
h = rotary.h
WIDTH = Parameter("d", kind="size", meaning="width of queries and keys")


def allow(query: Term, key: Term) -> Term:
    """1 where the key may be attended to, else 0."""
    return Entry("allow", query, key)


def turned_pair(layout: str, tensor: str, row: Term, position: Term) -> tuple[Term, Term]:
    """The two channels c of a row after their turn."""
    one, two = (Entry(tensor, row, channel) for channel in rotary.pair(layout, c))
    angle = position * rotary.frequency(c)
    return one * Op("cos", angle) - two * Op("sin", angle), one * Op("sin", angle) + two * Op("cos", angle)


def similarity_turned(layout: str, query: Term, key: Term) -> Term:
    """The product of a turned query and a turned key: over first channels of pairs, and over second ones."""
    pairs = zip(turned_pair(layout, "q", query, past + query), turned_pair(layout, "k", key, key), strict=True)
    first, second = (total(c, h, of_query * of_key) for of_query, of_key in pairs)
    return first + second


@dataclass(frozen=True)
class Form:
    """Which of soft-cap, sink, mean of a fully masked row and rotary positions (their layout) the definition has."""

    capped: bool = False
    sink: bool = False
    mean: bool = False
    turned: str = ""

    @property
    def name(self) -> str:
        """The name of the definition."""
        turned = f"_rotary_{self.turned}" if self.turned else ""
        return "attention" + "_softcap" * self.capped + "_sinks" * self.sink + "_mean" * self.mean + turned

    def score(self, query: Term, key: Term) -> Term:
        """S[i, j]."""
        channels = total(c, d, Entry("q", query, c) * Entry("k", key, c))
        similarity = scale * (similarity_turned(self.turned, query, key) if self.turned else channels)
        if self.capped:
            similarity = cap * Op("tanh", similarity / cap)
        return similarity + Entry("bias", query, key)

    def weight(self, query: Term, key: Term) -> Term:
        """The weight before division."""
        return allow(query, key) * exp(self.score(query, key))

    @property
    def whole(self) -> Term:
        """What the weights of row i are divided by."""
        keys = total(l, m, self.weight(i, l))
        return keys + exp(sink) if self.sink else keys

    @property
    def highest(self) -> Term:
        """The largest allowed score of row i, or the sink where that is larger: the shift of the kernel form."""
        scores = maximum_of(l, m, self.score(i, l), allow(i, l))
        return Op("max", scores, sink) if self.sink else scores

    @property
    def count(self) -> Term:
        """How many keys row i may attend to."""
        return total(l, m, allow(i, l))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The formal parameters."""
        width, names = (2 * h, Parameter("h", kind="size", meaning="pairs, d/2")) if self.turned else (d, WIDTH)
        more: tuple[Parameter, ...] = ()
        if self.turned:
            more = (Parameter("base", meaning="10000"), Parameter("past", meaning="position of the first query"))
        more += (Parameter("cap", meaning="soft-cap of the scores"),) * self.capped
        more += (Parameter("sink", meaning="a logit without a value"),) * self.sink
        return (
            Parameter("n", kind="size", meaning="queries"), Parameter("m", kind="size", meaning="keys"),
            names, Parameter("e", kind="size", meaning="width of values"),
            Parameter("q", (n, width), meaning="queries"), Parameter("k", (m, width), meaning="keys"),
            Parameter("v", (m, e), meaning="values"),
            Parameter("scale", meaning="1/√d unless given"),
            Parameter("allow", (n, m), "indicator", meaning="1 = may attend, 0 = may not"),
            Parameter("bias", (n, m), meaning="added to the scores"), *more,
        )

    @property
    def meaning(self) -> str:
        """The definition in words."""
        kind = "soft-capped scores" if self.capped else "scaled scores"
        sunk = ", with one more logit that has no value" if self.sink else ""
        masked = ", a row without keys with equal weights" if self.mean else ""
        return f"values averaged with the softmax of the {kind}{sunk}{masked}"

    @property
    def definition(self) -> Definition:
        """The definition, in force."""
        return _definition(self)

    def call(self, arguments: dict[str, Lambda | Term], *indices: Term) -> Call:
        """A call of the definition."""
        return self.definition.call(arguments, *indices)


@cache
def _definition(form: Form) -> Definition:
    body: Term = total(j, m, form.weight(i, j) / form.whole * Entry("v", j, f))
    if form.mean:
        body = replace(form, mean=False).call({}, i, f) + (1 - form.count / form.count) * (total(j, m, Entry("v", j, f)) / m)
    return define(Definition(form.name, form.parameters, (Clause((i, f), ((i, n), (f, e)), body),), meaning=form.meaning))


LAYOUTS = ("", *rotary.DEFINITIONS)
FORMS = tuple(
    Form(capped, sunk, mean, turned)
    for turned in LAYOUTS for mean in (False, True) for sunk in (False, True) for capped in (False, True) if not (mean and sunk)
)
