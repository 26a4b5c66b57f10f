"""Binding: from names to indices and back, and substitution of terms and functions.

What it does: :func:`close` turns free variables into bound ones, :func:`opened` puts terms for the variables that a binder would bind,
:func:`substitute` puts terms for free variables and functions for tensors, all at once. Values that are substituted have no indices
that point outside, so nothing is shifted on the way down and nothing can be captured; only the indices of an entry can have such, and
:func:`opened` lifts them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .errors import CheckError
from .nodes import Node, binders, make


def close(node: Node, variables: Sequence[Node]) -> Node:
    """The body of a binder of these variables, the last one the innermost; it must not point outside yet."""
    if node.loose:
        raise CheckError("a term with unbound indices was to be closed")
    count = len(variables)
    places = {variable: count - 1 - place for place, variable in enumerate(variables)}
    wanted = frozenset(variables)
    done: dict[tuple[Node, int], Node] = {}

    def walk(part: Node, depth: int) -> Node:
        if not wanted & part.free:
            return part
        key = (part, depth)
        if key not in done:
            done[key] = make(("bound", places[part] + depth)) if part in places else _rebuilt(part, depth)
        return done[key]

    def _rebuilt(part: Node, depth: int) -> Node:
        return make(part.head, [walk(below, depth + more) for below, more in zip(part.parts, _bound(part), strict=True)])

    return walk(node, 0)


def opened(body: Node, values: Sequence[Node]) -> Node:
    """The body of a binder with terms for what it binds. The terms may point outside; the body points to this binder only."""
    count = len(values)
    if body.loose > count:
        raise CheckError("a body with indices that point outside was to be opened")
    done: dict[tuple[Node, int], Node] = {}

    def walk(part: Node, depth: int) -> Node:
        if part.loose <= depth:
            return part
        key = (part, depth)
        if key not in done:
            if part.kind == "bound":
                done[key] = lifted(values[count - 1 - (part.head[1] - depth)], depth)
            else:
                done[key] = make(part.head, [walk(below, depth + more) for below, more in zip(part.parts, _bound(part), strict=True)])
        return done[key]

    return walk(body, 0)


def lifted(node: Node, by: int) -> Node:
    """The node below more binders: what points outside points further."""
    done: dict[tuple[Node, int], Node] = {}

    def walk(part: Node, depth: int) -> Node:
        if part.loose <= depth:
            return part
        key = (part, depth)
        if key not in done:
            if part.kind == "bound":
                done[key] = make(("bound", part.head[1] + by))
            else:
                done[key] = make(part.head, [walk(below, depth + more) for below, more in zip(part.parts, _bound(part), strict=True)])
        return done[key]

    return walk(node, 0) if by else node


def substitute(node: Node, values: Mapping[Node, Node], functions: Mapping[str, Node] | None = None) -> Node:
    """Terms for free variables and lambdas for tensors, at once. The tensor that a permutation names is not an entry: it stays."""
    tensors = functions or {}
    if any(value.loose for value in (*values.values(), *tensors.values())):
        raise CheckError("a value with unbound indices was to be substituted")
    wanted = frozenset(values)
    done: dict[Node, Node] = {}

    def walk(part: Node) -> Node:
        if not wanted & part.free and not any(name in tensors for name, _ in part.tensors):
            return part
        if part not in done:
            done[part] = _changed(part)
        return done[part]

    def _changed(part: Node) -> Node:
        if part in values:
            return values[part]
        below = [walk(inner) for inner in part.parts]
        if part.kind == "entry" and part.head[1] in tensors:
            function = tensors[part.head[1]]
            if function.head != ("lambda", len(below)):
                raise CheckError(f"tensor {part.head[1]!r} has {len(below)} indices, its value is a {function.head}")
            return opened(function.parts[0], below)
        return make(part.head, below)

    return walk(node)


def _bound(node: Node) -> tuple[int, ...]:
    return binders(node.head, len(node.parts))
