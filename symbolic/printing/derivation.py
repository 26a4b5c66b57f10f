"""A derivation for people and programs: text, Markdown, LaTeX, JSON, all from the same lines and theorems.

What it does: a :class:`Page` is what there is to print of a derivation or of a gradient; four writers print pages. Guarantees: every
line says its rules, hypotheses and status, as the theorem has them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.errors import InputError
from kernelproof.symbolic.formulas import Formula, equation
from kernelproof.symbolic.functions import Definition, Parameter
from kernelproof.symbolic.logs import size as size_of
from kernelproof.symbolic.names import name_of
from kernelproof.symbolic.phase import Derivation, Gradient, Statement
from kernelproof.symbolic.printing.render import latex, latex_of_start, latex_text, text, text_of_start
from kernelproof.symbolic.serialise import fingerprint, proofs
from kernelproof.symbolic.tactics.rewriting import Line
from kernelproof.symbolic.terms import Term

PLUMBING = frozenset(
    ("reflexivity", "symmetry", "transitivity", "replacement", "assumption", "cut", "instantiation", "generalisation", "specialisation")
)
FORMATS = ("text", "markdown", "latex", "json")


@dataclass(frozen=True)
class Page:
    """What there is to print: ``chains`` are lines that start from one term or derivative, with their names."""

    phase: str
    heading: str
    subject: str
    variant: Mapping[str, object]
    definitions: tuple[Definition, ...]
    parameters: tuple[Parameter, ...]
    chains: tuple[tuple[tuple[str, Line], ...], ...]
    statements: tuple[Statement, ...]
    licences: tuple[str, ...]
    results: Mapping[str, str]

    def theorems(self) -> dict[str, Theorem]:
        """Every line and every theorem, by name."""
        lines = {name: line.theorem for chain in self.chains for name, line in chain}
        return lines | {found.id: found.theorem for found in self.statements}


def page(source: Derivation | Gradient) -> Page:
    """The page of a derivation or a gradient."""
    variant = variant_text(source)
    heading = f"{source.title} ({variant})" if variant else source.title
    if isinstance(source, Gradient):
        chain = tuple((f"{source.phase}.gradient.line{place}", line) for place, line in enumerate(source.lines, 1))
        names = dict.fromkeys(parameter for definition in source.definitions for parameter in definition.parameters)
        return Page(
            source.phase, heading, "Derivation of the gradient", source.variant, source.definitions, tuple(names), (chain,),
            source.statements, (), source.results,
        )
    chains = tuple(
        tuple((f"{source.phase}.kernel_form[{number}].line{place}", line) for place, line in enumerate(clausal.lines, 1))
        for number, clausal in enumerate(source.clauses)
    )
    return Page(
        source.phase, heading, "Derivation of the kernel form", source.variant, (source.definition,), source.definition.parameters, chains,
        source.statements, source.licences, {},
    )


def render(source: Derivation | Gradient, form: str) -> str:
    """The derivation or gradient in one of :data:`FORMATS`."""
    writers = {"text": _text, "markdown": _markdown, "latex": _latex, "json": _json}
    if form not in writers:
        raise InputError(f"format {form!r}: expected one of {', '.join(FORMATS)}")
    return writers[form](page(source))


def reached(theorem: Theorem) -> Term:
    """What a line arrives at: the right side of an equation, the value of a derivative."""
    last: Term = theorem.conclusion.terms[-1]
    return last


def principal_rules(theorem: Theorem) -> list[str]:
    """The rules that carry the proof, without the bookkeeping of equations."""
    used = [name for name in _licences(theorem) if name not in PLUMBING]
    return list(dict.fromkeys(used)) or ["reflexivity"]


def _licences(theorem: Theorem) -> list[str]:
    """What licenses the steps, in their order; a theorem that has a name of its own stands for its whole proof."""
    found: dict[str, None] = {}
    seen: set[int] = set()

    def visit(step: Theorem, root: bool) -> None:
        if id(step) in seen:
            return
        seen.add(id(step))
        name = name_of(step)
        if name is not None and not root:
            found[name] = None
            return
        for premise in step.premises:
            visit(premise, False)
        found[step.licence] = None

    visit(theorem, True)
    return list(found)


def derivation_fingerprint(source: Derivation | Gradient) -> str:
    """SHA-256 over the definitions, every line's log and every theorem's log."""
    return fingerprint(as_json(source))


def named_theorems(source: Derivation | Gradient) -> dict[str, Theorem]:
    """Every line of the derivation and every theorem, by name."""
    return page(source).theorems()


def as_json(source: Derivation | Gradient) -> dict[str, Any]:
    """Lines, theorems, and the proofs of both in the format of :mod:`kernelproof.symbolic.serialise`."""
    return _page_json(page(source))


def _page_json(made: Page) -> dict[str, Any]:
    return {
        "phase": made.phase,
        "subject": made.subject,
        "variant": dict(made.variant),
        "definitions": [text(formula) for definition in made.definitions for formula in equations_of(definition)],
        "parameters": [
            {"name": p.name, "kind": p.kind, "axes": [text(axis) for axis in p.axes], "meaning": p.meaning} for p in made.parameters
        ],
        "lines": [
            [
                {"name": name, "title": line.title, **_said(line.theorem), "status": "proved"}
                for name, line in chain
            ]
            for chain in made.chains
        ],
        "theorems": [
            {"id": found.id, "title": found.title, "status": found.status, **_said(found.theorem)} for found in made.statements
        ],
        "licences": list(made.licences),
        "results": dict(made.results),
        "proofs": proofs(made.theorems()),
    }


def _said(theorem: Theorem) -> dict[str, Any]:
    return {
        "statement": text(theorem.conclusion), "hypotheses": [text(formula) for formula in theorem.hypotheses],
        "axioms": sorted(theorem.axioms), "rules": principal_rules(theorem),
    }


def definition_equations(derivation: Derivation) -> list[Formula]:
    """The defining equations of a phase, as formulas."""
    return equations_of(derivation.definition)


def equations_of(definition: Definition) -> list[Formula]:
    """The defining equations, as formulas."""
    return [equation(definition.call({}, *clause.pattern), clause.body) for clause in definition.clauses]


def variant_text(source: Derivation | Gradient) -> str:
    """``activation=gelu, layout=halves``, or nothing."""
    return ", ".join(f"{key}={value}" for key, value in source.variant.items())


def _assumed(theorem: Theorem) -> str:
    return "; ".join(text(formula) for formula in theorem.hypotheses)


def _text(made: Page) -> str:
    lines = [made.heading, "=" * len(made.heading), "", "Definition" if len(made.definitions) == 1 else "Definitions"]
    lines += [f"  {text(formula)}" for definition in made.definitions for formula in equations_of(definition)]
    lines += ["", "Parameters"]
    for parameter in made.parameters:
        axes = f"[{', '.join(text(axis) for axis in parameter.axes)}]" if parameter.axes else ""
        lines.append(f"  {parameter.name}{axes}: {parameter.meaning or parameter.kind}")
    lines += ["", made.subject]
    for chain in made.chains:
        lines.append(f"  {text_of_start(chain[0][1].theorem.conclusion)}")
        for _, line in chain:
            lines.append(f"    = {text(reached(line.theorem))}")
            given = _assumed(line.theorem)
            where = f"; where {given}" if given else ""
            lines.append(f"        [{line.title}; rules: {', '.join(principal_rules(line.theorem))}; proved{where}]")
    if made.results:
        lines += ["", "Gradients: " + ", ".join(f"d{name} is {function}" for name, function in made.results.items())]
    else:
        lines += ["", f"Licensed by: {', '.join(made.licences) or 'the definition itself'}"]
    lines += ["", "Theorems"]
    for found in made.statements:
        given = _assumed(found.theorem)
        lines.append(f"  {found.id}: {found.title}  [{found.status}, {size_of(found.theorem)} rule applications]")
        lines.append(f"    {given + ' ' if given else ''}⊢ {text(found.theorem.conclusion)}")
        lines.append(f"    rules: {', '.join(principal_rules(found.theorem))}; axioms: {', '.join(sorted(found.theorem.axioms)) or 'none'}")
    lines += ["", f"Fingerprint {_fingerprint(made)}"]
    return "\n".join(lines)


def _fingerprint(made: Page) -> str:
    return fingerprint(_page_json(made))


def _markdown(made: Page) -> str:
    lines = [f"# {made.heading}", "", "## Definition" if len(made.definitions) == 1 else "## Definitions", ""]
    lines += [f"$${latex(formula)}$$\n" for definition in made.definitions for formula in equations_of(definition)]
    lines += [f"## {made.subject}", ""]
    for chain in made.chains:
        lines.append(f"$${latex_of_start(chain[0][1].theorem.conclusion)}$$\n")
        for number, (_, line) in enumerate(chain, 1):
            rules = ", ".join(f"`{name}`" for name in principal_rules(line.theorem))
            given = ", ".join(f"${latex(formula)}$" for formula in line.theorem.hypotheses)
            where = f"; where {given}" if given else ""
            lines.append(f"{number}. {line.title} ({rules}; proved{where})\n\n   $$= {latex(reached(line.theorem))}$$\n")
    if made.results:
        lines += ["Gradients: " + ", ".join(f"of `{name}`, `{function}`" for name, function in made.results.items()) + ".", ""]
    else:
        lines += [f"Licensed by: {', '.join(f'`{name}`' for name in made.licences) or 'the definition itself'}.", ""]
    lines += ["## Theorems", ""]
    for found in made.statements:
        assumed = r",\; ".join(latex(formula) for formula in found.theorem.hypotheses)
        lines.append(f"### `{found.id}`: {found.title}\n")
        lines.append(f"$${assumed} \\vdash {latex(found.theorem.conclusion)}$$\n")
        axioms = ", ".join(sorted(found.theorem.axioms)) or "none"
        rules = ", ".join(f"`{name}`" for name in principal_rules(found.theorem))
        lines.append(f"{found.status.capitalize()} by {rules}; axioms: {axioms}; {size_of(found.theorem)} rule applications.\n")
    lines.append(f"Fingerprint `{_fingerprint(made)}`")
    return "\n".join(lines)


def _latex(made: Page) -> str:
    lines = [f"\\section*{{{latex_text(made.heading)}}}", "\\subsection*{Definition}"]
    lines += [f"\\[ {latex(formula)} \\]" for definition in made.definitions for formula in equations_of(definition)]
    lines.append(f"\\subsection*{{{made.subject}}}")
    for chain in made.chains:
        lines.append("\\begin{align*}")
        lines.append(f"  {latex_of_start(chain[0][1].theorem.conclusion)}")
        for number, (_, line) in enumerate(chain, 1):
            lines.append(f"  &= {latex(reached(line.theorem))} && \\text{{({number})}} \\\\")
        lines.append("\\end{align*}")
        lines.append("\\begin{enumerate}")
        for _, line in chain:
            rules = ", ".join(rf"\texttt{{{latex_text(name)}}}" for name in principal_rules(line.theorem))
            given = ", ".join(f"${latex(formula)}$" for formula in line.theorem.hypotheses)
            where = f"; where {given}" if given else ""
            lines.append(f"  \\item {latex_text(line.title)} ({rules}; proved{where})")
        lines.append("\\end{enumerate}")
    lines.append("\\subsection*{Theorems}")
    for found in made.statements:
        assumed = r",\; ".join(latex(formula) for formula in found.theorem.hypotheses)
        lines.append(f"\\paragraph{{{latex_text(found.title)}}} ({found.status})")
        lines.append(f"\\[ {assumed} \\vdash {latex(found.theorem.conclusion)} \\]")
    return "\n".join(lines)


def _json(made: Page) -> str:
    data = _page_json(made)
    return json.dumps({**data, "fingerprint": fingerprint(data)}, indent=1, ensure_ascii=False)
