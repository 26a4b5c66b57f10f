"""Kernel forms by function name, and the programs of whole phases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from itertools import product

from kernelproof.numeric.lower import Frame, Lowering
from kernelproof.numeric.program import Program
from kernelproof.symbolic.functions import Definition
from kernelproof.symbolic.phase import Derivation, Options
from kernelproof.symbolic.registry import derive, kernel_form_of, phases
from kernelproof.symbolic.terms import Term


@cache
def derivation_of(function: str) -> Derivation:
    """The derivation whose definition has this name."""
    found = _form_of(function)
    return found if function in _functions() else derive(found.phase, **dict(found.variant))


@cache
def _form_of(function: str) -> Derivation:
    """The same, perhaps without theorems that stand in files of their own."""
    if function in _functions():
        return _functions()[function]()
    phase, variant = _defined()[function]
    return kernel_form_of(phase, **variant)


@cache
def _functions() -> dict[str, Callable[[], Derivation]]:
    return {name: make for phase in phases().values() for name, make in phase.functions.items()}


@cache
def _defined() -> dict[str, tuple[str, Options]]:
    return {name: (phase.name, variant) for phase in phases().values() for name, variant in phase.definitions.items()}


@cache
def phase_functions() -> frozenset[str]:
    """Names of the functions that are whole phases, in all their forms."""
    return frozenset(_functions()) | frozenset(_defined())


def _all() -> Iterator[Derivation]:
    for phase in phases().values():
        names = tuple(phase.variants)
        for values in product(*(phase.variants[name].choices for name in names)):
            yield kernel_form_of(phase.name, **dict(zip(names, values, strict=True)))


def kernel_form(function: str, which: int) -> tuple[Definition, Term]:
    """The definition and the kernel form of one of its clauses."""
    derivation = _form_of(function)
    return derivation.definition, derivation.clauses[which].kernel


@cache
def program_of(function: str) -> Program:
    """The array program of a phase, from the last lines of its derivation: one output for each clause."""
    derivation = _form_of(function)
    lowering = Lowering(kernel_form)
    scope = lowering.scope(derivation.definition.parameters)
    for clausal in derivation.clauses:
        frame: Frame = {var: lowering.axis(var.name, length) for var, length in clausal.clause.ranges}
        lowering.program.outputs.append(lowering.lower(clausal.kernel, scope, frame))
        lowering.program.frames.append(tuple(axis.name for axis in frame.values()))
    return lowering.program


@cache
def free_shifts() -> frozenset[Term]:
    """Terms of kernel forms whose value does not matter, because shift invariance was instantiated with them."""
    return frozenset(term for derivation in _all() for term in derivation.free_shifts).union(*(phase.shifts for phase in phases().values()))
