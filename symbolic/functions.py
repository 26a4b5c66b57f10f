"""Named functions of tensors, as data: parameters, clauses, calls.

What it does: a definition gives the entries of a result, by one equation for all indices or by two for disjoint patterns of the last
index (even and odd columns, first and second part). Guarantees: nothing; that a definition makes sense is checked where it gets its
force, in :mod:`kernelproof.symbolic.core.definitions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.terms import Call, Entry, Lambda, Term, Var


@dataclass(frozen=True)
class Parameter:
    """A parameter: a tensor with ``axes`` (their sizes), or a scalar or size without axes."""

    name: str
    axes: tuple[Term, ...] = ()
    kind: str = "real"
    meaning: str = ""

    @property
    def var(self) -> Var:
        """The variable of a scalar or size."""
        return Var(self.name, "size" if self.kind == "size" else "real")


@dataclass(frozen=True)
class Clause:
    """``function[pattern] = body`` for pattern variables within their ranges, one for each place of the pattern."""

    pattern: tuple[Term, ...]
    ranges: tuple[tuple[Var, Term], ...]
    body: Term


@dataclass(frozen=True)
class Definition:
    """A function of named tensors: its parameters, and the clauses that give the entries of its result."""

    name: str
    parameters: tuple[Parameter, ...]
    clauses: tuple[Clause, ...]
    meaning: str = ""
    result: tuple[Term, ...] = ()

    @property
    def result_axes(self) -> tuple[Term, ...]:
        """Sizes of the axes of the result."""
        return self.result or tuple(length for _, length in self.clauses[0].ranges)

    def parameter(self, name: str) -> Parameter:
        """The parameter of a name."""
        for found in self.parameters:
            if found.name == name:
                return found
        raise ProofError(f"definition {self.name!r} has no parameter {name!r}")

    def call(self, arguments: Mapping[str, Lambda | Term], *indices: Term | int) -> Call:
        """A call; what is left out is passed under its own name."""
        values = []
        for parameter in self.parameters:
            given = arguments.get(parameter.name)
            if given is None:
                given = _itself(parameter)
            values.append((parameter.name, given if isinstance(given, Lambda) else Lambda((), given)))
        unknown = set(arguments) - {name for name, _ in values}
        if unknown:
            raise ProofError(f"definition {self.name!r} has no parameters {sorted(unknown)}")
        return Call(self.name, tuple(values), indices)


def _itself(parameter: Parameter) -> Lambda:
    if not parameter.axes:
        return Lambda((), parameter.var)
    params = tuple(Var(f"i{place}") for place in range(len(parameter.axes)))
    return Lambda(params, Entry(parameter.name, *params))
