"""Terms, formulas and logs of theorems as plain JSON, and the fingerprint of a derivation.

Guarantees: equal objects give equal bytes; nothing depends on memory addresses, hash seeds or dates. A log lists every rule
application once, premises by number, so that a checker can replay it without this code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from kernelproof.symbolic.core.theorem import Theorem, steps
from kernelproof.symbolic.formulas import Formula
from kernelproof.symbolic.terms import Call, Entry, Fold, Lambda, Num, Op, Var


def to_json(value: Any) -> Any:
    """Nested lists: a node is [its class, its fields …]."""
    if isinstance(value, Num):
        return ["num", str(value.value)]
    if isinstance(value, Var):
        return ["var", value.name, value.kind]
    if isinstance(value, Entry):
        return ["entry", value.tensor, [to_json(index) for index in value.indices]]
    if isinstance(value, Op):
        return ["op", value.name, [to_json(arg) for arg in value.args]]
    if isinstance(value, Fold):
        return ["fold", value.kind, *(to_json(part) for part in (value.var, value.size, value.body, value.guard))]
    if isinstance(value, Lambda):
        return ["lambda", [to_json(param) for param in value.params], to_json(value.body)]
    if isinstance(value, Call):
        arguments = [[name, to_json(given)] for name, given in value.arguments]
        return ["call", value.function, arguments, [to_json(index) for index in value.indices]]
    if isinstance(value, Formula):
        named = [] if value.tensor is None else [value.tensor]
        return ["formula", value.name, [*named, *(to_json(part) for part in value.terms)]]
    if isinstance(value, Mapping):
        pairs = [[to_json(key), to_json(item)] for key, item in value.items()]
        return ["map", sorted(pairs, key=lambda pair: json.dumps(pair[0], ensure_ascii=False))]
    if isinstance(value, (tuple, list)):
        return ["list", *(to_json(item) for item in value)]
    if value is None or isinstance(value, (str, int)):
        return value
    raise TypeError(f"{value!r} has no JSON form")


def log(theorem: Theorem) -> list[dict[str, Any]]:
    """Every rule application of the proof, premises before what they support."""
    ordered = steps(theorem)
    number = {id(step): place for place, step in enumerate(ordered)}
    return [
        {
            "rule": step.rule,
            "premises": [number[id(premise)] for premise in step.premises],
            "arguments": [to_json(argument) for argument in step.arguments],
            "hypotheses": [to_json(formula) for formula in step.hypotheses],
            "conclusion": to_json(step.conclusion),
            "axioms": sorted(step.axioms),
        }
        for step in ordered
    ]


def fingerprint(value: Any) -> str:
    """SHA-256 of the canonical JSON text of anything :func:`json.dumps` takes."""
    data = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(data.encode()).hexdigest()
