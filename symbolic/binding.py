"""Bound names: free variables, equality up to bound names, substitution without capture, positions.

What it does: the four operations that SymPy's ``dummy_eq``, ``subs`` and ``diff`` get wrong on nested dependent sums (see
``docs/decisions/0001-own-terms.md``). Guarantees: :func:`substitute` never lets a binder capture a variable of what is put in;
:func:`alpha_equal` distinguishes row sums from column sums. The prefix ``#`` is reserved for canonical bound names and refused in
variables from outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import TypeVar

from kernelproof.symbolic.terms import Call, Entry, Fold, Lambda, Node, Op, Term, Var

Path = tuple[int, ...]
N = TypeVar("N", bound=Node)


def children(node: Node) -> tuple[tuple[Node, tuple[Var, ...]], ...]:
    """The direct parts of a node, each with the variables that the node binds in it."""
    if isinstance(node, Fold):
        return (node.size, ()), (node.guard, (node.var,)), (node.body, (node.var,))
    if isinstance(node, Op):
        return tuple((arg, ()) for arg in node.args)
    if isinstance(node, Entry):
        return tuple((index, ()) for index in node.indices)
    if isinstance(node, Lambda):
        return ((node.body, node.params),)
    if isinstance(node, Call):
        return tuple((value, ()) for _, value in node.arguments) + tuple((index, ()) for index in node.indices)
    return ()


def rebuild(node: N, parts: Iterable[Node]) -> N:
    """The node with its direct parts replaced, in the order of :func:`children`; bound variables stay."""
    new = tuple(parts)
    if isinstance(node, Fold):
        return Fold(node.kind, node.var, new[0], new[2], new[1])  # type: ignore[arg-type, return-value]
    if isinstance(node, Op):
        return Op(node.name, *new)  # type: ignore[arg-type, return-value]
    if isinstance(node, Entry):
        return Entry(node.tensor, *new)  # type: ignore[arg-type, return-value]
    if isinstance(node, Lambda):
        return Lambda(node.params, new[0])  # type: ignore[arg-type, return-value]
    if isinstance(node, Call):
        count = len(node.arguments)
        arguments = tuple((name, value) for (name, _), value in zip(node.arguments, new[:count], strict=True))
        return Call(node.function, arguments, new[count:])  # type: ignore[arg-type, return-value]
    return node


@cache
def free_variables(node: Node) -> frozenset[Var]:
    """Variables that occur free."""
    if isinstance(node, Var):
        return frozenset((node,))
    found: frozenset[Var] = frozenset()
    for part, bound in children(node):
        found |= free_variables(part) - frozenset(bound)
    return found


@cache
def tensors(node: Node) -> frozenset[str]:
    """Names of the tensors whose entries occur."""
    found = frozenset((node.tensor,)) if isinstance(node, Entry) else frozenset()
    for part, _ in children(node):
        found |= tensors(part)
    return found


@cache
def has_operation(node: Node, name: str) -> bool:
    """Whether an operation of this name occurs."""
    return (isinstance(node, Op) and node.name == name) or any(has_operation(part, name) for part, _ in children(node))


@cache
def _height(node: Node) -> int:
    """How many binders nest, each parameter of a lambda counting as one."""
    binders = 1 if isinstance(node, Fold) else len(node.params) if isinstance(node, Lambda) else 0
    return binders + max((_height(part) for part, _ in children(node)), default=0)


@cache
def canonical(node: N) -> N:
    """The representative of the node's class under renaming of bound variables.

    A binder is named by its height, so the name depends on the subtree alone: inner binders are always lower, hence nothing is
    captured, and equal subtrees are computed once.
    """
    if isinstance(node, Var):
        if node.name.startswith("#"):
            raise ValueError(f"variable {node.name!r}: names that start with '#' are reserved for bound variables")
        return node
    parts = [canonical(part) for part, _ in children(node)]
    if isinstance(node, Fold):
        name = Var(f"#{_height(node)}")
        guard, body = (_rename(part, {node.var: name}) for part in parts[1:])
        return Fold(node.kind, name, parts[0], body, guard)  # type: ignore[arg-type, return-value]
    if isinstance(node, Lambda):
        top = _height(node)
        names = {param: Var(f"#{top - place}", param.kind) for place, param in enumerate(node.params)}
        return Lambda(tuple(names.values()), _rename(parts[0], names))  # type: ignore[arg-type, return-value]
    return rebuild(node, parts)


@cache
def _renamed(node: Node, names: tuple[tuple[Var, Var], ...]) -> Node:
    mapping = dict(names)
    if isinstance(node, Var):
        return mapping.get(node, node)
    if not any(var in free_variables(node) for var in mapping):
        return node
    return rebuild(node, (_renamed(part, names) for part, _ in children(node)))


def _rename(node: Node, names: Mapping[Var, Var]) -> Node:
    """Rename free variables where no binder below has an old or a new name (true of canonical bodies)."""
    return _renamed(node, tuple(names.items()))


def alpha_equal(left: Node, right: Node) -> bool:
    """Equality up to the names of bound variables."""
    return left is right or canonical(left) is canonical(right)


def fresh(var: Var, taken: Iterable[Var]) -> Var:
    """A variable of the same kind whose name is not taken: j, j', j'', …"""
    names = {other.name for other in taken}
    name = var.name
    while name in names:
        name += "'"
    return Var(name, var.kind)


def substitute(node: N, values: Mapping[Var, Term], functions: Mapping[str, Lambda] | None = None) -> N:
    """Put terms for free variables and lambdas for tensors, all at once, without capture."""
    functions = functions or {}
    for name, value in functions.items():
        if not isinstance(value, Lambda):
            raise TypeError(f"tensor {name!r} needs a lambda, got {value!r}")
    return _substitute(node, dict(values), dict(functions))  # type: ignore[return-value]


def _substitute(node: Node, values: dict[Var, Term], functions: dict[str, Lambda]) -> Node:
    values = {var: value for var, value in values.items() if var in free_variables(node)}
    if not values and not any(name in tensors(node) for name in functions):
        return node
    if isinstance(node, Var):
        return values.get(node, node)
    if isinstance(node, Entry):
        indices = [_substitute(index, values, functions) for index in node.indices]
        if node.tensor not in functions:
            return Entry(node.tensor, *indices)  # type: ignore[arg-type]
        value = functions[node.tensor]
        if len(value.params) != len(indices):
            raise TypeError(f"tensor {node.tensor!r} has {len(indices)} indices, its value {len(value.params)} parameters")
        return _substitute(value.body, dict(zip(value.params, indices, strict=True)), {})  # type: ignore[arg-type]
    binders = (node.var,) if isinstance(node, Fold) else node.params if isinstance(node, Lambda) else ()
    if not binders:
        return rebuild(node, [_substitute(part, values, functions) for part, _ in children(node)])
    inner = {var: value for var, value in values.items() if var not in binders}
    incoming: set[Var] = set()
    for value in (*inner.values(), *(functions[name] for name in functions if name in tensors(node))):
        incoming |= free_variables(value)
    renamed = {}
    for var in binders:
        if var in incoming:
            renamed[var] = fresh(var, incoming | _all_free(node) | set(binders) | set(renamed.values()))
    inner_values: dict[Var, Term] = {**inner, **renamed}
    if isinstance(node, Fold):
        return Fold(
            node.kind, renamed.get(node.var, node.var), _substitute(node.size, values, functions),  # type: ignore[arg-type]
            _substitute(node.body, inner_values, functions), _substitute(node.guard, inner_values, functions),  # type: ignore[arg-type]
        )
    assert isinstance(node, Lambda)
    return Lambda(tuple(renamed.get(var, var) for var in binders), _substitute(node.body, inner_values, functions))  # type: ignore[arg-type]


def _all_free(node: Node) -> set[Var]:
    found: set[Var] = set()
    for part, _ in children(node):
        found |= free_variables(part)
    return found


def at(node: Node, path: Path) -> Node:
    """The subtree at a position."""
    for step in path:
        node = children(node)[step][0]
    return node


def bound_on_path(node: Node, path: Path) -> tuple[tuple[Var, Term | None], ...]:
    """Binders crossed on the way down: (variable, size of the fold or None for a parameter of a lambda)."""
    crossed: list[tuple[Var, Term | None]] = []
    for step in path:
        part, bound = children(node)[step]
        crossed.extend((var, node.size if isinstance(node, Fold) else None) for var in bound)
        node = part
    return tuple(crossed)


def replace_at(node: N, path: Path, new: Node) -> N:
    """The node with the subtree at a position replaced. Bound variables on the way may be captured: the caller checks."""
    if not path:
        return new  # type: ignore[return-value]
    parts = [part for part, _ in children(node)]
    parts[path[0]] = replace_at(parts[path[0]], path[1:], new)
    return rebuild(node, parts)


def positions(node: Node, path: Path = ()) -> Iterable[tuple[Path, Node]]:
    """All subtrees with their positions, from the outside in, left to right."""
    yield path, node
    for step, (part, _) in enumerate(children(node)):
        yield from positions(part, (*path, step))

