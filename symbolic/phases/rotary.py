"""Rotary positions: each pair of channels is turned by the angle ``(start+p)·ω_i``, ``ω_i = base^(−i/h)``, h = d/2.

Source: Su et al., arXiv:2104.09864. Layout ``halves`` pairs channel i with h+i (GPT-NeoX, ONNX), ``interleaved`` pairs 2i with
2i+1. Kernel form: the definition.
"""

from __future__ import annotations

from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.definitions import define, unfolding
from kernelproof.symbolic.core.logic import symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.functions import Clause, Definition, Parameter
from kernelproof.symbolic.phase import Clausal, Derivation, Options, Phase, VariantOption
from kernelproof.symbolic.tactics.rewriting import Chain, by_arithmetic, everywhere, first, in_order, inside, is_operation, rewriting, use
from kernelproof.symbolic.terms import Call, Entry, Lambda, Op, Term, exp, log, size, total, variables

n, h = size("n"), size("h")
p, q, i, base, start = variables("p q i base start")
LAYOUT = VariantOption("layout", "halves", ("halves", "interleaved"), "channel i turns with h+i, or 2i with 2i+1")


def frequency(index: Term) -> Term:
    """ω_i = base^(−i/h), written with exp and log."""
    return exp(-(index / h) * log(base))


def pair(layout: str, index: Term) -> tuple[Term, Term]:
    """The two channels that turn together."""
    return (2 * index, 2 * index + 1) if layout == "interleaved" else (index, h + index)


def _definition(layout: str) -> Definition:
    angle = (start + p) * frequency(i)
    one, two = pair(layout, i)
    x1, x2 = Entry("x", p, one), Entry("x", p, two)
    ranges = ((p, n), (i, h))
    return define(
        Definition(
            f"rotary_{layout}",
            (
                Parameter("n", kind="size", meaning="positions"), Parameter("h", kind="size", meaning="pairs, d/2"),
                Parameter("x", (n, 2 * h), meaning="queries or keys"), Parameter("base", meaning="10000 in the paper"),
                Parameter("start", meaning="first position"),
            ),
            (
                Clause((p, one), ranges, x1 * Op("cos", angle) - x2 * Op("sin", angle)),
                Clause((p, two), ranges, x1 * Op("sin", angle) + x2 * Op("cos", angle)),
            ),
            meaning="pairs of channels turned by an angle proportional to the position",
            result=(n, 2 * h),
        )
    )


DEFINITIONS = {layout: _definition(layout) for layout in ("halves", "interleaved")}


def _by_clause(value: Term) -> Theorem:
    """Unfold a call by the clause its channel has the form of."""
    if not isinstance(value, Call):
        raise ProofError("not a call")
    return unfolding((), value, int(is_operation(value.indices[1], "add")))


UNFOLD = everywhere(_by_clause)


def norm_kept(layout: str) -> Theorem:
    """⊢ the norm of each pair is kept."""
    one, two = pair(layout, i)
    call = DEFINITIONS[layout].call
    x1, x2 = Entry("x", p, one), Entry("x", p, two)
    start_term = call({}, p, one) ** 2 + call({}, p, two) ** 2
    circle = use("unit_circle", a=(start + p) * frequency(i))
    target = x1**2 + x2**2
    return in_order(UNFOLD, by_arithmetic(target, circle, cofactors=(target,)))(start_term)


def offset_only(layout: str) -> Theorem:
    """⊢ ⟨R[p]x_p, R[q]y_q⟩ = Σ_i (x·y)_i cos((p−q)ω_i) + (x∧y)_i sin((p−q)ω_i), whatever ``start`` is."""
    one, two = pair(layout, i)
    call = DEFINITIONS[layout].call
    other: dict[str, Lambda | Term] = {"x": Lambda((p, i), Entry("y", p, i))}
    x1, x2, y1, y2 = Entry("x", p, one), Entry("x", p, two), Entry("y", q, one), Entry("y", q, two)
    a, b = (start + p) * frequency(i), (start + q) * frequency(i)
    product = call({}, p, one) * call(other, q, one) + call({}, p, two) * call(other, q, two)
    dot, wedge = x1 * y1 + x2 * y2, x2 * y1 - x1 * y2
    cosine, sine = use("cosine_of_difference", a=a, b=b), use("sine_of_difference", a=a, b=b)
    expanded = dot * cosine.right - wedge * sine.right
    gap = arithmetic((), a - b, (p - q) * frequency(i))
    body = in_order(
        UNFOLD, by_arithmetic(expanded), first(rewriting(symmetry((cosine,)))), first(rewriting(symmetry((sine,)))),
        everywhere(rewriting(gap)),
    )
    return inside((2,), body)(total(i, h, product))


def build(variant: Options) -> Derivation:
    """Derivation and theorems."""
    from kernelproof.symbolic.theorems.rotary import statements  # it speaks of the definitions above

    layout = str(variant["layout"])
    definition = DEFINITIONS[layout]
    clauses = []
    for which, channel in enumerate(pair(layout, i)):
        chain = Chain(definition.call({}, p, channel)).step(f"unfold the {('first', 'second')[which]} channel of a pair", UNFOLD)
        clauses.append(Clausal(definition.clauses[which], tuple(chain.lines)))
    return Derivation(
        phase="rotary",
        title=PHASE.title,
        variant=dict(variant),
        definition=definition,
        clauses=tuple(clauses),
        statements=statements(layout),
        licences=(),
    )


PHASE = Phase(
    name="rotary",
    title="Rotary positional encoding",
    summary="pairs of channels turned by an angle proportional to the position",
    signature="f(x, *, base=10000.0, start=0)",
    build=build,
    definitions={definition.name: {"layout": name} for name, definition in DEFINITIONS.items()},
    variants={"layout": LAYOUT},
)
