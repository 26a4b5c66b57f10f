"""Sinusoidal positions: ``PE[p, sine i] = sin((start+p)·ω_i)``, ``PE[p, cosine i] = cos((start+p)·ω_i)``, ``ω_i = base^(−i/steps)``.

Source: Vaswani et al., arXiv:1706.03762, section 3.5. ``steps`` is d/2 under the paper's denominator and max(⌊d/2⌋−1, 1) under
tensor2tensor's; with the layout ``interleaved`` sine i is column 2i and cosine i column 2i+1, with ``halves`` they are columns i
and h+i. Kernel form: the definition.
"""

from __future__ import annotations

from kernelproof.symbolic.core.definitions import define, unfolding
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.functions import Clause, Definition, Parameter
from kernelproof.symbolic.phase import Clausal, Derivation, Options, Phase, VariantOption
from kernelproof.symbolic.tactics.rewriting import (
    Chain,
    everywhere,
    is_operation,
)
from kernelproof.symbolic.terms import Call, Op, Term, exp, log, size, variables

n, sines, cosines, h = size("n"), size("sines"), size("cosines"), size("h")
p, q, i, shift, base, steps, start = variables("p q i k base steps start")
LAYOUT = VariantOption("layout", "interleaved", ("interleaved", "halves"), "sine and cosine columns alternate, or sines first")
DENOMINATOR = VariantOption("denominator", "paper", ("paper", "half_minus_one"), "exponent 2i/d, or i/max(⌊d/2⌋−1, 1) as tensor2tensor")


def frequency(index: Term) -> Term:
    """ω_i = base^(−i/steps), written with exp and log."""
    return exp(-(index / steps) * log(base))


def columns(layout: str, index: Term, width: Term = sines) -> tuple[Term, Term]:
    """The columns of sine and cosine i; ``width`` is the number of sines."""
    return (2 * index, 2 * index + 1) if layout == "interleaved" else (index, width + index)


def _definition(layout: str) -> Definition:
    angle = (start + p) * frequency(i)
    sine, cosine = columns(layout, i)
    return define(
        Definition(
            f"positional_{layout}",
            (
                Parameter("n", kind="size", meaning="positions"), Parameter("sines", kind="size", meaning="sine columns, ⌈d/2⌉"),
                Parameter("cosines", kind="size", meaning="cosine columns, ⌊d/2⌋"), Parameter("base", meaning="10000 in the paper"),
                Parameter("steps", meaning="d/2, or max(⌊d/2⌋−1, 1)"), Parameter("start", meaning="first position"),
            ),
            (
                Clause((p, sine), ((p, n), (i, sines)), Op("sin", angle)),
                Clause((p, cosine), ((p, n), (i, cosines)), Op("cos", angle)),
            ),
            meaning="sines and cosines of the position at geometric frequencies",
            result=(n, sines + cosines),
        )
    )


DEFINITIONS = {str(layout): _definition(str(layout)) for layout in LAYOUT.choices}


class Encoding:
    """Entries of the encoding in one layout; ``fixed`` gives sizes that differ from their names, such as sines = cosines = h."""

    def __init__(self, layout: str, **fixed: Term) -> None:
        self.layout, self.definition, self.fixed = layout, DEFINITIONS[layout], fixed

    def at(self, position: Term, index: Term, **arguments: Term) -> tuple[Term, Term]:
        """Sine and cosine entry."""
        values = {**self.fixed, **arguments}
        sine, cosine = columns(self.layout, index, values.get("sines", sines))
        return self.definition.call(values, position, sine), self.definition.call(values, position, cosine)

    def unfolded(self, value: Term) -> Theorem:
        """Both clauses unfolded wherever they stand, sine before cosine as the layout says."""
        return everywhere(_by_clause)(value)


def _by_clause(value: Term) -> Theorem:
    """Unfold a call by the clause its column has the form of."""
    if not isinstance(value, Call):
        raise ProofError("not a call")
    return unfolding((), value, int(is_operation(value.indices[1], "add")))


def build(variant: Options) -> Derivation:
    """Derivation and theorems."""
    from kernelproof.symbolic.theorems.positional import statements  # it speaks of the definitions above

    layout = str(variant["layout"])
    encoding, definition = Encoding(layout), DEFINITIONS[layout]
    clauses = []
    for which, value in enumerate(encoding.at(p, i)):
        name = ("sine", "cosine")[which]
        chain = Chain(value).step(f"unfold the {name} columns", encoding.unfolded)
        clauses.append(Clausal(definition.clauses[which], tuple(chain.lines)))
    return Derivation(
        phase="positional",
        title=PHASE.title,
        variant=dict(variant),
        definition=definition,
        clauses=tuple(clauses),
        statements=statements(layout),
        licences=(),
    )


PHASE = Phase(
    name="positional",
    title="Sinusoidal positional encoding",
    summary="sines and cosines of the position at geometric frequencies",
    signature="f(n_positions, d_model, *, base=10000.0, start=0)",
    build=build,
    definitions={definition.name: {"layout": name} for name, definition in DEFINITIONS.items()},
    variants={"layout": LAYOUT, "denominator": DENOMINATOR},
)
