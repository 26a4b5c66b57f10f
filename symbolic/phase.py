"""What a phase is: definition, derivation of its kernel form, theorems, variants. Data only.

A :class:`Statement` is a theorem together with what a reader or a test must know to instantiate it: over which indices it holds,
and which tensors in it are not inputs of the phase (a shift, a permutation).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.functions import Clause, Definition
from kernelproof.symbolic.tactics.rewriting import Line, then
from kernelproof.symbolic.terms import Term, Var

EXTRA_KINDS = ("real", "positive", "permutation", "index_map", "indicator", "offset")
Options = Mapping[str, object]


@dataclass(frozen=True)
class Values:
    """What an option may be beside its default: ``read`` gives the value for what was typed or passed, ValueError if it is none."""

    words: str
    shown: str
    read: Callable[[object], object]


def flag(value: object) -> bool:
    """True or false, typed or passed; ValueError for another value."""
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if isinstance(value, bool):
        return value
    raise ValueError


@dataclass(frozen=True)
class VariantOption:
    """A choice within a phase: its name, default, what it may be, and what it means.

    ``choices`` are few and tried in every combination. An option with ``more``, one of :attr:`Phase.opened`, may be any of those values;
    a variant names it only where it is not its default, and :attr:`Phase.samples` says which are tried. ``implies`` are the defaults of
    other options once it is named.
    """

    name: str
    default: object
    choices: tuple[object, ...]
    meaning: str
    more: Values | None = None
    implies: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Extra:
    """A variable or tensor of a statement that is no input of the phase: its kind (:data:`EXTRA_KINDS`) and the sizes of its axes.

    ``bound`` is the size of the range of a permutation or an index map.
    """

    name: str
    kind: str
    axes: tuple[Term, ...] = ()
    bound: Term | None = None


@dataclass(frozen=True)
class Statement:
    """A theorem of a phase, with the ranges of its free indices and its extra tensors.

    ``needs`` names features of a kernel (``mask``, ``scale``, …) without which the theorem cannot be tried on it. ``untested`` says why a
    theorem is not tried on kernels as a property of its own; empty: it is tried.
    """

    id: str
    title: str
    theorem: Theorem
    over: tuple[tuple[Var, Term], ...] = ()
    extras: tuple[Extra, ...] = ()
    needs: tuple[str, ...] = ()
    status: str = "proved"
    untested: str = ""


@dataclass(frozen=True)
class Clausal:
    """One clause of the result: the lines from the definition to the kernel form."""

    clause: Clause
    lines: tuple[Line, ...]

    @property
    def theorem(self) -> Theorem:
        """The lines together: the definition's call equals the kernel form."""
        return then(*(line.theorem for line in self.lines))

    @property
    def kernel(self) -> Term:
        """The last line: what the kernel computes."""
        last: Term = self.lines[-1].theorem.right
        return last


@dataclass(frozen=True)
class Derivation:
    """From the definition of a phase to its kernel form, and the theorems beside it.

    ``free_shifts`` are terms of the kernel form whose value does not matter (shift invariance was instantiated with them), so their
    rounding error does not either. ``licences`` are the ids of the theorems that license the kernel form.
    """

    phase: str
    title: str
    variant: Options
    definition: Definition
    clauses: tuple[Clausal, ...]
    statements: tuple[Statement, ...]
    licences: tuple[str, ...]
    free_shifts: tuple[Term, ...] = ()

    def render(self, form: str = "text") -> str:
        """The derivation as text, markdown, latex or json."""
        from kernelproof.symbolic.printing.derivation import render

        return render(self, form)

    def sympy(self) -> tuple[Any, ...]:
        """The definition and the lines to the kernel form as SymPy equations, for going on in SymPy."""
        from kernelproof.symbolic.printing.derivation import definition_equations
        from kernelproof.symbolic.to_sympy import Bridge

        lines = [line.theorem.conclusion for clausal in self.clauses for line in clausal.lines]
        return tuple(Bridge().equation(formula) for formula in (*definition_equations(self), *lines))

    def fingerprint(self) -> str:
        """SHA-256 of definition, lines and proofs."""
        from kernelproof.symbolic.printing.derivation import derivation_fingerprint

        return derivation_fingerprint(self)

    def statement(self, name: str) -> Statement:
        """The statement of an id."""
        return next(found for found in self.statements if found.id == name)


@dataclass(frozen=True)
class Gradient:
    """What a gradient kernel of a phase computes, and why: the pullback of a gradient g of the result.

    ``definitions`` are the named intermediates and the results, in the order in which they are computed; ``results`` gives for each
    differentiable input the name of its gradient's definition. ``lines`` go from the derivative of ``Σ g·f`` in any direction to
    ``Σ direction·gradient``; ``along_curves`` is the same for every curve of inputs, the form in which gradients compose.
    """

    phase: str
    title: str
    variant: Options
    definitions: tuple[Definition, ...]
    results: Mapping[str, str]
    lines: tuple[Line, ...]
    statements: tuple[Statement, ...]
    along_curves: Theorem

    def render(self, form: str = "text") -> str:
        """The gradient's derivation as text, markdown, latex or json."""
        from kernelproof.symbolic.printing.derivation import render

        return render(self, form)

    def sympy(self) -> tuple[Any, ...]:
        """The definitions of the stages and the lines that are equations as SymPy equations, for going on in SymPy."""
        from kernelproof.symbolic.printing.derivation import equations_of
        from kernelproof.symbolic.to_sympy import Bridge

        stages = [formula for definition in self.definitions for formula in equations_of(definition)]
        lines = [line.theorem.conclusion for line in self.lines if line.theorem.conclusion.name == "eq"]
        return tuple(Bridge().equation(formula) for formula in (*stages, *lines))

    def fingerprint(self) -> str:
        """SHA-256 of definitions, lines and proofs."""
        from kernelproof.symbolic.printing.derivation import derivation_fingerprint

        return derivation_fingerprint(self)

    def statement(self, name: str) -> Statement:
        """The statement of an id."""
        return next(found for found in self.statements if found.id == name)


@dataclass(frozen=True)
class Phase:
    """A phase of the contract.

    ``variants`` are options with few choices, ``opened`` those that a variant names only where they are not at their default. ``samples``
    are variants beyond the combinations of choices that tests and tables go through; ``excluded`` are pairs of options that are not built
    together. ``definitions`` are the names of the definitions, each with the variant that it defines; ``functions`` are the derivations of
    further ones, by name, and ``shifts`` their terms whose value does not matter.
    """

    name: str
    title: str
    summary: str
    signature: str
    build: Callable[[Options], Derivation]
    variants: Mapping[str, VariantOption]
    opened: Mapping[str, VariantOption] = field(default_factory=dict)
    samples: tuple[Options, ...] = ()
    excluded: tuple[tuple[str, str], ...] = ()
    definitions: Mapping[str, Options] = field(default_factory=dict)
    functions: Mapping[str, Callable[[], Derivation]] = field(default_factory=dict)
    shifts: tuple[Term, ...] = ()

    @property
    def theorem_titles(self) -> dict[str, str]:
        """Ids and titles of the theorems of the default variant."""
        from kernelproof.symbolic.registry import derive

        return {found.id: found.title for found in derive(self.name).statements}
