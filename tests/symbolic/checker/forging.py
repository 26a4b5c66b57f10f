"""Edits of documents: a node deep in a formula, or a field of a step, changed; and what a formula of a table means, read a third way.

Edits of nodes copy: the changed nodes are appended to the table, and only the place that is to be forged points to them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

Document = dict[str, Any]
Table = list[Any]

_PAIRS = ("add sub", "mul div", "exp neg", "sin cos", "sqrt log", "tanh erf", "delta less", "positive nonzero", "eq in")
_OTHER = {one: other for pair in _PAIRS for one, other in (pair.split(), pair.split()[::-1])} | {
    "max": "add", "nonnegative": "positive", "integer": "positive",
}


def places(node: Any) -> list[tuple[Any, ...]]:
    """Where a node of the table refers to others: ways into its JSON, bound variables included."""
    match node:
        case ["num" | "var", *_]:
            return []
        case ["entry" | "op", _, parts]:
            return [(2, place) for place in range(len(parts))]
        case ["fold", *_]:
            return [(2,), (3,), (4,), (5,)]
        case ["lambda", variables, _]:
            return [*((1, place) for place in range(len(variables))), (2,)]
        case ["call", _, arguments, indices]:
            return [*((2, place, 1) for place in range(len(arguments))), *((3, place) for place in range(len(indices)))]
        case ["formula", _, _, parts]:
            return [(3, place) for place in range(len(parts))]
        case ["every", over, _]:
            return [*((1, place, side) for place in range(len(over)) for side in (0, 1)), (2,)]
    raise ValueError(f"{node!r} is no node")


def got(value: Any, way: tuple[Any, ...]) -> Any:
    """What stands at the end of a way."""
    for step in way:
        value = value[step]
    return value


def put(value: Any, way: tuple[Any, ...], new: Any) -> Any:
    """A copy with something else at the end of a way."""
    if not way:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[way[0]] = put(copy[way[0]], way[1:], new)
    return copy


def changes(node: Any) -> list[tuple[str, Any]]:
    """Nodes that differ from one in one thing."""
    match node:
        case ["num", value]:
            negated = value.removeprefix("-") if value[0] == "-" else f"-{value}"
            return [("number", ["num", "7" if value != "7" else "8"]), ("sign", ["num", negated])]
        case ["var", name, kind]:
            known, other = "j" if name != "j" else "i", "size" if kind == "real" else "real"
            return [("name", ["var", name + "'", kind]), ("name", ["var", known, kind]), ("kind", ["var", name, other])]
        case ["entry", tensor, indices]:
            return [("tensor", ["entry", tensor + "'", indices]), ("order", ["entry", tensor, indices[::-1]]),
                    ("arity", ["entry", tensor, [*indices, indices[0]]])]
        case ["op", name, parts]:
            return [("operation", ["op", _OTHER.get(name, "pi"), parts]), ("order", ["op", name, parts[::-1]])]
        case ["fold", kind, var, size, body, guard]:
            return [("fold", ["fold", "max" if kind == "sum" else "sum", var, size, body, guard]),
                    ("size", ["fold", kind, var, guard, body, guard]), ("guard", ["fold", kind, var, size, body, body]),
                    ("body", ["fold", kind, var, size, size, guard])]
        case ["lambda", variables, body]:
            return [("order", ["lambda", variables[::-1], body]), ("arity", ["lambda", variables[1:], body])]
        case ["call", function, arguments, indices]:
            values = [value for _, value in arguments][::-1]
            swapped = [[name, value] for (name, _), value in zip(arguments, values, strict=True)]
            return [("function", ["call", function + "'", arguments, indices]), ("order", ["call", function, swapped, indices]),
                    ("order", ["call", function, arguments, indices[::-1]])]
        case ["formula", name, tensor, parts]:
            return [("predicate", ["formula", _OTHER.get(name, "eq"), tensor, parts]), ("order", ["formula", name, tensor, parts[::-1]]),
                    ("tensor", ["formula", name, None if tensor else "s", parts])]
        case ["every", over, body]:
            return [("size", ["every", [[var, body] for var, _ in over], body]), ("order", ["every", over[::-1], body])]
    raise ValueError(f"{node!r} is no node")


def ways_below(table: Table, root: int) -> Iterator[tuple[tuple[Any, ...], ...]]:
    """Ways to all nodes of a tree: from each node to a part of it, and so on."""
    yield ()
    for way in places(table[root]):
        for further in ways_below(table, got(table[root], way)):
            yield (way, *further)


def edits_of(table: Table, root: int, dice: random.Random, count: int) -> list[tuple[str, Table, int]]:
    """Some single changes in the tree of a node: what was changed, the longer table, the number of the changed tree."""
    every = list(ways_below(table, root))
    found = []
    for ways in dice.sample(every, min(count, len(every))):
        passed = [root]
        for way in ways:
            passed.append(got(table[passed[-1]], way))
        kind, node = dice.choice([(kind, node) for kind, node in changes(table[passed[-1]]) if node != table[passed[-1]]] or [("", None)])
        if node is not None:
            longer = [*table, node]
            for place, way in zip(reversed(passed[:-1]), reversed(ways), strict=True):
                longer.append(put(table[place], way, len(longer) - 1))
            found.append((kind, longer, len(longer) - 1))
    return found


def meaning(table: Table, number: int, around: tuple[int, ...] = ()) -> Any:
    """A tree with bound variables numbered from the outside in, so that it does not depend on their names; for comparisons."""
    node = table[number]

    def level(var: int) -> Any:
        inside = [place for place, other in enumerate(around) if table[other] == table[var]]
        return ("bound", inside[-1]) if inside else tuple(table[var])

    def inner(numbers: Any, below: tuple[int, ...] = around) -> tuple[Any, ...]:
        return tuple(meaning(table, part, below) for part in numbers)

    match node:
        case ["num", _]:
            return tuple(node)
        case ["var", _, _]:
            return level(number)
        case ["entry" | "op", name, parts]:
            return node[0], name, inner(parts)
        case ["fold", kind, var, size, body, guard]:
            return "fold", kind, inner([size]), inner([body, guard], (*around, var))
        case ["lambda", variables, body]:
            return "lambda", len(variables), inner([body], (*around, *variables))
        case ["call", function, arguments, indices]:
            return "call", function, tuple(name for name, _ in arguments), inner([value for _, value in arguments]), inner(indices)
        case ["formula", name, tensor, parts]:
            return "formula", name, tensor, inner(parts)
        case ["every", over, body]:
            return "every", inner([size for _, size in over]), inner([body], (*around, *(var for var, _ in over)))
    raise ValueError(f"{node!r} is no node")


def excerpt(document: Document, place: int) -> Document:
    """The log of one step, which comes last, with the nodes and definitions that it speaks of; renumbered."""
    wanted = {place}
    for step in range(place, -1, -1):
        wanted |= set(document["steps"][step]["premises"]) if step in wanted else set()
    steps = [document["steps"][step] for step in sorted(wanted)]
    numbers = {step: number for number, step in enumerate(sorted(wanted))}
    table, definitions = document["nodes"], document["definitions"]
    nodes: set[int] = set()
    waiting = [node for step in steps for node in (*step["hypotheses"], step["conclusion"], *_nodes(step["arguments"]))]
    for definition in definitions:
        waiting += _parts(definition)
    while waiting:
        node = waiting.pop()
        if node not in nodes:
            nodes.add(node)
            waiting += [got(table[node], way) for way in places(table[node])]
    new = {node: number for number, node in enumerate(sorted(nodes))}
    return {
        **document,
        "nodes": [_renumbered(table[node], new) for node in sorted(nodes)],
        "definitions": [
            {
                **definition,
                "parameters": [{**part, "axes": [new[axis] for axis in part["axes"]]} for part in definition["parameters"]],
                "clauses": [
                    {
                        "pattern": [new[part] for part in clause["pattern"]], "body": new[clause["body"]],
                        "ranges": [[new[var], new[size]] for var, size in clause["ranges"]],
                    }
                    for clause in definition["clauses"]
                ],
            }
            for definition in definitions
        ],
        "steps": [
            {
                **step, "premises": [numbers[premise] for premise in step["premises"]], "conclusion": new[step["conclusion"]],
                "hypotheses": [new[node] for node in step["hypotheses"]], "arguments": _moved(step["arguments"], new),
            }
            for step in steps
        ],
        "theorems": {"forged": len(steps) - 1},
    }


def _parts(definition: dict[str, Any]) -> list[int]:
    found = [axis for parameter in definition["parameters"] for axis in parameter["axes"]]
    for clause in definition["clauses"]:
        found += [*clause["pattern"], clause["body"], *(part for pair in clause["ranges"] for part in pair)]
    return found


def _nodes(argument: Any) -> list[int]:
    if isinstance(argument, dict) and "node" in argument:
        return [argument["node"]]
    parts = argument.values() if isinstance(argument, dict) else argument if isinstance(argument, list) else ()
    return [node for part in parts for node in _nodes(part)]


def _moved(argument: Any, new: dict[int, int]) -> Any:
    if isinstance(argument, dict):
        return {key: new[part] if key == "node" else _moved(part, new) for key, part in argument.items()}
    return [_moved(part, new) for part in argument] if isinstance(argument, list) else argument


def _renumbered(node: Any, new: dict[int, int]) -> Any:
    for way in places(node):
        node = put(node, way, new[got(node, way)])
    return node


def with_last(document: Document, changes: dict[str, Any], table: Table | None = None) -> Document:
    """A copy with fields of the last step changed, and another table."""
    steps = [*document["steps"][:-1], {**document["steps"][-1], **changes}]
    return {**document, "steps": steps, "nodes": document["nodes"] if table is None else table}
