"""Sections of a report from the objects that did the work: derivation, kernels, verdicts.

Guarantees: nothing is restated: equations, steps and statements are printed from the derivation, verdict rows from the verdict. Same
derivation and same verdict, same section. Cannot see: anything outside the objects it is given.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from threadpoolctl import threadpool_limits

from kernelproof import __version__
from kernelproof.numeric.devices import gpu_name
from kernelproof.numeric.kernel import Kernel, generate
from kernelproof.properties.verdict import Verdict
from kernelproof.properties.verify import verify_target
from kernelproof.reports.figures import error_over_bound_image
from kernelproof.reports.model import ArrayShape, Equation, Figure, PhaseSection, PropertyRow, Report, SourceFile, Step, TheoremEntry
from kernelproof.reports.progress import Steps
from kernelproof.reports.write import check_destination, write_report
from kernelproof.symbolic.formulas import Formula
from kernelproof.symbolic.logs import size as size_of
from kernelproof.symbolic.phase import Derivation, Gradient
from kernelproof.symbolic.printing.derivation import definition_equations, equations_of, principal_rules, reached, variant_text
from kernelproof.symbolic.printing.render import latex, mathml, text
from kernelproof.symbolic.registry import gradient, has_gradient
from kernelproof.symbolic.registry import phase as phase_of
from kernelproof.symbolic.registry import phases as all_phases
from kernelproof.symbolic.tactics.rewriting import Line
from kernelproof.symbolic.terms import Term

#: one: the products are small, and the order of their sums must not depend on the machine
THREADS = 1
PACKAGES = ("numpy", "scipy", "sympy", "mpmath", "hypothesis", "tokenizers", "matplotlib")


@dataclass(frozen=True)
class Written:
    """A written report: its path, whether every property held, and whether it was cut short."""

    path: Path
    ok: bool
    interrupted: bool = False

    def __str__(self) -> str:
        return str(self.path)

    def __fspath__(self) -> str:
        return str(self.path)


def shown(value: Term | Formula) -> Equation:
    """A term or formula in three notations."""
    return Equation(text(value), latex(value), mathml(value))


def derivation_steps(derivation: Derivation) -> tuple[Step, ...]:
    """The lines of a derivation; after the first of a clause only the new right side."""
    return tuple(step for clausal in derivation.clauses for step in chain_steps(clausal.lines))


def chain_steps(lines: Sequence[Line]) -> tuple[Step, ...]:
    """The lines of a chain: the first whole, then only what is arrived at."""
    return tuple(
        Step(
            line.title, shown(line.theorem.conclusion) if place == 0 else _continued(reached(line.theorem)),
            ", ".join(principal_rules(line.theorem)), _formulas(line.theorem.hypotheses), "proved",
        )
        for place, line in enumerate(lines)
    )


def _continued(value: Term) -> Equation:
    """``= right side``."""
    inner = mathml(value)
    start, end = inner.index(">") + 1, inner.rindex("<")
    return Equation(f"= {text(value)}", f"= {latex(value)}", f"{inner[:start]}<mrow><mo>=</mo>{inner[start:end]}</mrow></math>")


def _formulas(formulas: Iterable[Formula]) -> tuple[Equation, ...]:
    return tuple(shown(formula) for formula in formulas)


def theorem_entries(derivation: Derivation | Gradient) -> tuple[TheoremEntry, ...]:
    """The theorems of a phase or of its gradient."""
    return tuple(
        TheoremEntry(
            found.id, found.title, shown(found.theorem.conclusion), _formulas(found.theorem.hypotheses),
            tuple(sorted(found.theorem.axioms)), found.status, size_of(found.theorem),
        )
        for found in derivation.statements
    )


def property_rows(verdict: Verdict, backend: str) -> tuple[PropertyRow, ...]:
    """The rows of a verdict."""
    return tuple(
        PropertyRow(row.id, row.id, row.verdict, row.examples, row.worst, row.seconds, backend) for row in verdict.properties
    )


def sources(kernels: Sequence[Kernel]) -> tuple[SourceFile, ...]:
    """Kernel files and their certificates."""
    files = []
    for kernel in kernels:
        name = f"{kernel.phase}_{kernel.backend}.py"
        files.append(SourceFile(name, "python", kernel.source, f"{kernel.backend} kernel, {kernel.dtype}"))
        certificate = kernel.certificate_text(name)
        files.append(SourceFile(f"{kernel.phase}_{kernel.backend}.certificate.json", "json", certificate, "for kernelproof check"))
    return tuple(files)


def phase_section(
    kernels: Sequence[Kernel],
    verdicts: Sequence[tuple[str, Verdict]],
    shapes: Sequence[ArrayShape] = (),
    figures: Sequence[Figure] = (),
) -> PhaseSection:
    """The section of the phase that the kernels compute."""
    derivation = kernels[0].derivation
    phase = phase_of(derivation.phase)
    pulled = gradient(phase.name, **derivation.variant) if has_gradient(phase.name) else None
    variant = variant_text(derivation)
    rows = tuple(row for backend, verdict in verdicts for row in property_rows(verdict, backend))
    measured = (error_over_bound_image(rows, f"{phase.title}: error over bound", f"{phase.name}-error-over-bound"),) if rows else ()
    return PhaseSection(
        phase=phase.name,
        title=phase.title,
        summary=f"{phase.summary[:1].upper()}{phase.summary[1:]}{f' ({variant})' if variant else ''}.",
        definitions=_formulas(definition_equations(derivation)),
        steps=derivation_steps(derivation),
        gradient_definitions=_formulas(formula for stage in pulled.definitions for formula in equations_of(stage)) if pulled else (),
        gradient_steps=chain_steps(pulled.lines) if pulled else (),
        theorems=(*theorem_entries(derivation), *(theorem_entries(pulled) if pulled else ())),
        licences=derivation.licences,
        properties=rows,
        counterexamples=tuple(verdict.counterexamples_text() for _, verdict in verdicts if verdict.verdict in ("fail", "error")),
        shapes=tuple(shapes),
        figures=(*figures, *measured),
        sources=sources(kernels),
    )


def verified(phase: str, seed: int | None, profile: str) -> tuple[list[Kernel], list[tuple[str, Verdict]]]:
    """Kernels of a phase for both backends, and the verdicts on those that can run here; Ctrl-C goes on as such."""
    kernels = [generate(phase, backend=backend) for backend in ("numpy", "cupy")]
    backends = ["numpy", "cupy"] if gpu_name() else ["numpy"]
    verdicts = [
        (
            backend,
            verify_target(
                f"generated:{phase}", phase=phase, backend=backend, variant={}, supports=None, dtype=None, profile=profile,
                max_seconds=None, seed=seed, progress=False,
            ),
        )
        for backend in backends
    ]
    if any(verdict.interrupted for _, verdict in verdicts):
        # the search keeps what it has; a report shows whole phases only
        raise KeyboardInterrupt
    return kernels, verdicts


def gpu_note() -> str:
    """What was done with the CuPy kernels."""
    name = gpu_name()
    if name:
        return f"The CuPy kernels were verified on {name}."
    return "The CuPy kernels were generated from the same derivations and not run: no GPU is present here."


def versions() -> tuple[tuple[str, str], ...]:
    """Versions of what took part."""
    found = [("kernelproof", __version__), ("python", platform.python_version())]
    for package in PACKAGES:
        try:
            found.append((package, version(package)))
        except PackageNotFoundError:
            continue
    return tuple(found)


def report(phases: Sequence[str] | None = None, directory: str | Path = "kernelproof-report", progress: bool = True) -> Written:
    """Write a report of some or all phases: derivations, theorems, generated kernels, verdicts.

    Raises InputError for an unknown phase or a directory that is not a report's.
    """
    names = list(dict.fromkeys(phases)) if phases else list(all_phases())
    for name in names:
        phase_of(name)
    target = check_destination(Path(directory))
    sections, ok, interrupted = [], True, False
    with threadpool_limits(THREADS), Steps(len(names), progress) as steps:
        try:
            for name in names:
                steps.start(f"{name}: derive, generate, verify")
                kernels, verdicts = verified(name, None, "quick")
                ok = ok and all(verdict.verdict == "pass" for _, verdict in verdicts)
                sections.append(phase_section(kernels, verdicts))
        except KeyboardInterrupt:
            steps.interrupt()
            interrupted = True
    notes = [gpu_note()] + (["Interrupted: the phases above are those that were finished."] if interrupted else [])
    content = Report(
        title="kernelproof report",
        subtitle="Derivations, theorems, generated kernels and verdicts",
        overview=tuple((section.title, _count(section)) for section in sections),
        sections=tuple(sections),
        reproduction=f"kernelproof report {' '.join(names)} -o {target.name}",
        versions=versions(),
        notes=tuple(notes),
    )
    return Written(write_report(content, target), ok and not interrupted, interrupted)


def proved(section: PhaseSection) -> int:
    """How many of its theorems are proved."""
    return sum(theorem.status == "proved" for theorem in section.theorems)


def _count(section: PhaseSection) -> str:
    held = sum(row.verdict == "pass" for row in section.properties)
    return f"{proved(section)} theorems proved, {held} of {len(section.properties)} properties passed"
