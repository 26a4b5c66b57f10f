"""A derivation for people and programs: text, Markdown, LaTeX, JSON, all from the same lines and theorems."""

from __future__ import annotations

import json
from typing import Any

from kernelproof.symbolic.core.theorem import Theorem, steps
from kernelproof.symbolic.errors import InputError
from kernelproof.symbolic.formulas import Formula, equation
from kernelproof.symbolic.phase import Derivation
from kernelproof.symbolic.printing.render import latex, latex_text, text
from kernelproof.symbolic.serialise import fingerprint, log, to_json

FORMATS = ("text", "markdown", "latex", "json")


def render(derivation: Derivation, form: str) -> str:
    """The derivation in one of :data:`FORMATS`."""
    writers = {"text": _text, "markdown": _markdown, "latex": _latex, "json": _json}
    if form not in writers:
        raise InputError(f"format {form!r}: expected one of {', '.join(FORMATS)}")
    return writers[form](derivation)


def principal_rules(theorem: Theorem) -> list[str]:
    """The rules that carry the proof, without the bookkeeping of equations."""
    plumbing = ("reflexivity", "symmetry", "transitivity", "congruence", "assumption", "cut", "instantiation", "positive_is_nonzero")
    used = [step.rule for step in steps(theorem) if step.rule not in plumbing]
    return list(dict.fromkeys(used)) or ["reflexivity"]


def derivation_fingerprint(derivation: Derivation) -> str:
    """SHA-256 over the definition, every line's log and every theorem's log."""
    return fingerprint(as_json(derivation))


def as_json(derivation: Derivation) -> dict[str, Any]:
    """Definition, lines, theorems with complete logs."""
    definition = derivation.definition
    return {
        "phase": derivation.phase,
        "variant": dict(derivation.variant),
        "definition": {
            "name": definition.name,
            "parameters": [
                {"name": p.name, "kind": p.kind, "axes": [to_json(axis) for axis in p.axes], "meaning": p.meaning}
                for p in definition.parameters
            ],
            "clauses": [
                {
                    "pattern": [to_json(part) for part in clause.pattern],
                    "ranges": [[to_json(var), to_json(length)] for var, length in clause.ranges],
                    "body": to_json(clause.body),
                }
                for clause in definition.clauses
            ],
        },
        "kernel_form": [
            {
                "lines": [
                    {
                        "title": line.title, "text": text(line.theorem.conclusion), "rules": principal_rules(line.theorem),
                        "log": log(line.theorem),
                    }
                    for line in clausal.lines
                ],
                "last": to_json(clausal.kernel),
            }
            for clausal in derivation.clauses
        ],
        "theorems": [
            {
                "id": found.id, "title": found.title, "status": found.status, "statement": text(found.theorem.conclusion),
                "hypotheses": [text(formula) for formula in found.theorem.hypotheses], "axioms": sorted(found.theorem.axioms),
                "rules": principal_rules(found.theorem), "log": log(found.theorem),
            }
            for found in derivation.statements
        ],
        "licences": list(derivation.licences),
    }


def definition_equations(derivation: Derivation) -> list[Formula]:
    """The defining equations, as formulas."""
    return [equation(derivation.definition.call({}, *clause.pattern), clause.body) for clause in derivation.definition.clauses]


def variant_text(derivation: Derivation) -> str:
    """``activation=gelu, layout=halves``, or nothing."""
    return ", ".join(f"{key}={value}" for key, value in derivation.variant.items())


def _heading(derivation: Derivation) -> str:
    variant = variant_text(derivation)
    return f"{derivation.title} ({variant})" if variant else derivation.title


def _text(derivation: Derivation) -> str:
    lines = [_heading(derivation), "=" * len(_heading(derivation)), "", "Definition"]
    lines += [f"  {text(formula)}" for formula in definition_equations(derivation)]
    lines += ["", "Parameters"]
    for parameter in derivation.definition.parameters:
        axes = f"[{', '.join(text(axis) for axis in parameter.axes)}]" if parameter.axes else ""
        lines.append(f"  {parameter.name}{axes}: {parameter.meaning or parameter.kind}")
    lines += ["", "Derivation of the kernel form"]
    for clausal in derivation.clauses:
        lines.append(f"  {text(clausal.lines[0].theorem.left)}")
        for line in clausal.lines:
            lines.append(f"    = {text(line.theorem.right)}")
            lines.append(f"        [{line.title}; rules: {', '.join(principal_rules(line.theorem))}; proved]")
    lines += ["", f"Licensed by: {', '.join(derivation.licences) or 'the definition itself'}", "", "Theorems"]
    for found in derivation.statements:
        assumed = "; ".join(text(formula) for formula in found.theorem.hypotheses)
        lines.append(f"  {found.id}: {found.title}  [{found.status}, {found.theorem.size()} rule applications]")
        lines.append(f"    {assumed + ' ' if assumed else ''}⊢ {text(found.theorem.conclusion)}")
        lines.append(f"    rules: {', '.join(principal_rules(found.theorem))}; axioms: {', '.join(sorted(found.theorem.axioms)) or 'none'}")
    lines += ["", f"Fingerprint {derivation_fingerprint(derivation)}"]
    return "\n".join(lines)


def _markdown(derivation: Derivation) -> str:
    lines = [f"# {_heading(derivation)}", "", "## Definition", ""]
    lines += [f"$${latex(formula)}$$\n" for formula in definition_equations(derivation)]
    lines += ["## Derivation of the kernel form", ""]
    for clausal in derivation.clauses:
        lines.append(f"$${latex(clausal.lines[0].theorem.left)}$$\n")
        for number, line in enumerate(clausal.lines, 1):
            rules = ", ".join(f"`{name}`" for name in principal_rules(line.theorem))
            lines.append(f"{number}. {line.title} ({rules}; proved)\n\n   $$= {latex(line.theorem.right)}$$\n")
    lines += [f"Licensed by: {', '.join(f'`{name}`' for name in derivation.licences) or 'the definition itself'}.", "", "## Theorems", ""]
    for found in derivation.statements:
        assumed = r",\; ".join(latex(formula) for formula in found.theorem.hypotheses)
        lines.append(f"### `{found.id}`: {found.title}\n")
        lines.append(f"$${assumed} \\vdash {latex(found.theorem.conclusion)}$$\n")
        axioms = ", ".join(sorted(found.theorem.axioms)) or "none"
        rules = ", ".join(f"`{name}`" for name in principal_rules(found.theorem))
        lines.append(f"{found.status.capitalize()} by {rules}; axioms: {axioms}; {found.theorem.size()} rule applications.\n")
    lines.append(f"Fingerprint `{derivation_fingerprint(derivation)}`")
    return "\n".join(lines)


def _latex(derivation: Derivation) -> str:
    lines = [f"\\section*{{{latex_text(_heading(derivation))}}}", "\\subsection*{Definition}"]
    lines += [f"\\[ {latex(formula)} \\]" for formula in definition_equations(derivation)]
    lines.append("\\subsection*{Derivation of the kernel form}")
    for clausal in derivation.clauses:
        lines.append("\\begin{align*}")
        lines.append(f"  {latex(clausal.lines[0].theorem.left)}")
        for line in clausal.lines:
            lines.append(f"  &= {latex(line.theorem.right)} && \\text{{{latex_text(line.title)}}} \\\\")
        lines.append("\\end{align*}")
    lines.append("\\subsection*{Theorems}")
    for found in derivation.statements:
        assumed = r",\; ".join(latex(formula) for formula in found.theorem.hypotheses)
        lines.append(f"\\paragraph{{{latex_text(found.title)}}} ({found.status})")
        lines.append(f"\\[ {assumed} \\vdash {latex(found.theorem.conclusion)} \\]")
    return "\n".join(lines)


def _json(derivation: Derivation) -> str:
    data = {**as_json(derivation), "fingerprint": derivation_fingerprint(derivation)}
    return json.dumps(data, indent=1, ensure_ascii=False)

