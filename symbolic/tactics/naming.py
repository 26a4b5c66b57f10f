"""Names of bound variables: chosen for readers, where the proof does not care."""

from __future__ import annotations

from collections.abc import Mapping

from kernelproof.symbolic.binding import children, free_variables, rebuild, substitute
from kernelproof.symbolic.core.logic import reflexivity, replacement
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.terms import Fold, Lambda, Node, Term, Var, term


def with_names(theorem: Theorem, names: Mapping[Var, Var]) -> Theorem:
    """The equation or derivative with bound variables renamed, where nothing is captured."""
    for place, side in enumerate(theorem.conclusion.terms):
        body = side.body if isinstance(side, Lambda) else side
        new = term(_renamed(body, names))
        path = (place, 0) if isinstance(side, Lambda) else (place,)
        theorem = theorem if new is body else replacement((theorem, reflexivity((), body, new)), path)
    return theorem


def _renamed(node: Node, names: Mapping[Var, Var]) -> Node:
    """Bound variables renamed, except where the new name is free below."""
    node = rebuild(node, [_renamed(part, names) for part, _ in children(node)])
    if isinstance(node, Fold) and node.var in names and names[node.var] not in free_variables(node.body) | free_variables(node.guard):
        put: dict[Var, Term] = {node.var: names[node.var]}
        return Fold(node.kind, names[node.var], node.size, substitute(node.body, put), substitute(node.guard, put))
    if isinstance(node, Lambda) and any(param in names for param in node.params):
        params = tuple(names.get(param, param) for param in node.params)
        new_ones = set(params) - set(node.params)
        if len(set(params)) == len(params) and not new_ones & free_variables(node.body):
            return Lambda(params, substitute(node.body, dict(zip(node.params, params, strict=True))))
    return node
