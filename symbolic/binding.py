"""Bound names in terms and formulas: free variables, equality up to bound names, substitution without capture, positions.

What it does: the operations that SymPy's ``dummy_eq``, ``subs`` and ``diff`` get wrong on nested dependent sums (see
``docs/decisions/0001-own-terms.md``). Guarantees: :func:`substitute` never lets a binder capture a variable of what is put in;
:func:`alpha_equal` distinguishes row sums from column sums. The names of canonical terms start with ``#``, which no variable from
outside does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from typing import TypeVar, cast, overload

from kernelproof.symbolic.formulas import Every, Formula
from kernelproof.symbolic.terms import Bound, Call, Entry, Fold, Lambda, Node, Op, Term, Var, term

Path = tuple[int, ...]
N = TypeVar("N", bound=Node)


def children(node: Node) -> tuple[tuple[Node, tuple[Var, ...]], ...]:
    """The direct parts of a node, each with the variables that the node binds in it."""
    match node:
        case Fold():
            return (node.size, ()), (node.guard, (node.var,)), (node.body, (node.var,))
        case Op():
            return tuple((arg, ()) for arg in node.args)
        case Entry():
            return tuple((index, ()) for index in node.indices)
        case Lambda():
            return ((node.body, node.params),)
        case Call():
            return tuple((value, ()) for _, value in node.arguments) + tuple((index, ()) for index in node.indices)
        case Every():
            return *((length, ()) for _, length in node.over), (node.body, tuple(var for var, _ in node.over))
        case Formula():
            return tuple((part, ()) for part in node.terms)
    return ()


def rebuild(node: N, parts: Iterable[Node]) -> N:
    """The node with its direct parts replaced, in the order of :func:`children`; bound variables stay."""
    return cast(N, _rebuild(node, list(parts)))


def _rebuild(node: Node, new: list[Node]) -> Node:
    match node:
        case Fold():
            return Fold(node.kind, node.var, term(new[0]), term(new[2]), term(new[1]))
        case Op():
            return Op(node.name, *map(term, new))
        case Entry():
            return Entry(node.tensor, *map(term, new))
        case Lambda():
            return Lambda(node.params, term(new[0]))
        case Call():
            count = len(node.arguments)
            arguments = tuple((name, _lambda(value)) for (name, _), value in zip(node.arguments, new[:count], strict=True))
            return Call(node.function, arguments, tuple(map(term, new[count:])))
        case Every():
            return _every(tuple(var for var, _ in node.over), new)
        case Formula():
            return Formula(node.name, *(part if isinstance(part, Lambda) else term(part) for part in new), tensor=node.tensor)
    return node


def _every(names: tuple[Var, ...], parts: list[Node]) -> Every:
    body = parts[-1]
    if not isinstance(body, Formula):
        raise TypeError(f"{body!r} is not a formula")
    return Every(tuple((var, term(length)) for var, length in zip(names, parts, strict=False)), body)


def _lambda(value: Node) -> Lambda:
    if not isinstance(value, Lambda):
        raise TypeError(f"{value!r} is not a lambda")
    return value


def binders(node: Node) -> tuple[Var, ...]:
    """The variables that a node binds."""
    if isinstance(node, Fold):
        return (node.var,)
    return node.params if isinstance(node, Lambda) else tuple(var for var, _ in node.over) if isinstance(node, Every) else ()


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
def operations(node: Node) -> frozenset[str]:
    """Names of the operations that occur."""
    found = frozenset((node.name,)) if isinstance(node, Op) else frozenset()
    for part, _ in children(node):
        found |= operations(part)
    return found


@cache
def functions_called(node: Node) -> frozenset[str]:
    """Names of the defined functions that are called."""
    found = frozenset((node.function,)) if isinstance(node, Call) else frozenset()
    for part, _ in children(node):
        found |= functions_called(part)
    return found


@cache
def _height(node: Node) -> int:
    """How many binders nest, each parameter of a lambda counting as one."""
    return len(binders(node)) + max((_height(part) for part, _ in children(node)), default=0)


def canonical(node: N) -> N:
    """The representative of the node's class under renaming of bound variables.

    A binder is named by its height, so the name depends on the subtree alone: inner binders are always lower, hence nothing is
    captured, and equal subtrees are computed once.
    """
    return cast(N, _canonical(node))


@cache
def _canonical(node: Node) -> Node:
    if isinstance(node, Bound):
        raise TypeError(f"variable {node.name!r} is a bound one of a canonical term: it cannot stand free")
    parts = [_canonical(part) for part, _ in children(node)]
    top = _height(node)
    match node:
        case Fold():
            name = Bound(f"#{top}")
            guard, body = (_renamed(part, ((node.var, name),)) for part in parts[1:])
            return Fold(node.kind, name, term(parts[0]), term(body), term(guard))
        case Lambda():
            names = tuple((param, Bound(f"#{top - place}")) for place, param in enumerate(node.params))
            return Lambda(tuple(new for _, new in names), term(_renamed(parts[0], names)))
        case Every():
            names = tuple((var, Bound(f"#{top - place}")) for place, (var, _) in enumerate(node.over))
            return _every(tuple(new for _, new in names), [*parts[:-1], _renamed(parts[-1], names)])
    return rebuild(node, parts)


@cache
def _renamed(node: Node, names: tuple[tuple[Var, Var], ...]) -> Node:
    """Free variables renamed where no binder below has an old or a new name (true of canonical bodies)."""
    mapping = dict(names)
    if isinstance(node, Var):
        return mapping.get(node, node)
    if not any(var in free_variables(node) for var in mapping):
        return node
    return rebuild(node, (_renamed(part, names) for part, _ in children(node)))


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


@overload
def substitute(node: Term, values: Mapping[Var, Term], functions: Mapping[str, Lambda] | None = None) -> Term: ...
@overload
def substitute(node: Lambda, values: Mapping[Var, Term], functions: Mapping[str, Lambda] | None = None) -> Lambda: ...
@overload
def substitute(node: Formula, values: Mapping[Var, Term], functions: Mapping[str, Lambda] | None = None) -> Formula: ...
def substitute(node: Node, values: Mapping[Var, Term], functions: Mapping[str, Lambda] | None = None) -> Node:
    """Put terms for free variables and lambdas for tensors, all at once, without capture. The tensor of a permutation stays."""
    for name, value in (functions or {}).items():
        if not isinstance(value, Lambda):
            raise TypeError(f"tensor {name!r} needs a lambda, got {value!r}")
    return _substituted(node, tuple((var, term(value)) for var, value in values.items()), tuple((functions or {}).items()))


@lru_cache(maxsize=1 << 14)
def _substituted(node: Node, values: tuple[tuple[Var, Term], ...], functions: tuple[tuple[str, Lambda], ...]) -> Node:
    """Proofs put the same terms into the same terms again and again."""
    return _substitute(node, dict(values), dict(functions))


def _substitute(node: Node, values: dict[Var, Term], functions: dict[str, Lambda]) -> Node:
    free = free_variables(node)
    values = {var: value for var, value in values.items() if var in free}
    if not values and not (functions and any(name in tensors(node) for name in functions)):
        return node
    if isinstance(node, Var):
        return values.get(node, node)
    if isinstance(node, Entry) and node.tensor in functions:
        value = functions[node.tensor]
        if len(value.params) != len(node.indices):
            raise TypeError(f"tensor {node.tensor!r} has {len(node.indices)} indices, its value {len(value.params)} parameters")
        indices = [term(_substitute(index, values, functions)) for index in node.indices]
        return _substitute(value.body, dict(zip(value.params, indices, strict=True)), {})
    if binders(node):
        return _substitute_below(node, values, functions)
    return rebuild(node, [_substitute(part, values, functions) for part, _ in children(node)])


def _substitute_below(node: Node, values: dict[Var, Term], functions: dict[str, Lambda]) -> Node:
    """Substitution below a binder: bound variables are not replaced, and make way for what is put in."""
    names = binders(node)
    inner = {var: value for var, value in values.items() if var not in names}
    incoming: set[Var] = set()
    for value in (*inner.values(), *(functions[name] for name in functions if name in tensors(node))):
        incoming |= free_variables(value)
    renamed: dict[Var, Var] = {}
    for var in names:
        if var in incoming:
            inside = set().union(*(free_variables(part) for part, _ in children(node)))
            renamed[var] = fresh(var, incoming | inside | set(names) | set(renamed.values()))
    below: dict[Var, Term] = {**inner, **renamed}
    parts = [_substitute(part, below if bound else values, functions) for part, bound in children(node)]
    new = tuple(renamed.get(var, var) for var in names)
    if isinstance(node, Fold):
        return Fold(node.kind, new[0], term(parts[0]), term(parts[2]), term(parts[1]))
    return Lambda(new, term(parts[0])) if isinstance(node, Lambda) else _every(new, parts)


def at(node: Node, path: Path) -> Node:
    """The subtree at a position."""
    for step in path:
        node = children(node)[step][0]
    return node


def bound_on_path(node: Node, path: Path) -> tuple[tuple[tuple[Var, Term | None], ...], ...]:
    """Binders crossed on the way down, those of one node together: (variable, its range or None for a parameter of a lambda)."""
    crossed: list[tuple[tuple[Var, Term | None], ...]] = []
    for step in path:
        part, bound = children(node)[step]
        ranges = dict(node.over) if isinstance(node, Every) else {node.var: node.size} if isinstance(node, Fold) else {}
        if bound:
            crossed.append(tuple((var, ranges.get(var)) for var in bound))
        node = part
    return tuple(crossed)


def replace_at(node: N, path: Path, new: Node) -> N:
    """The node with the subtree at a position replaced. Bound variables on the way may be captured: the caller checks."""
    if not path:
        return cast(N, new)
    parts = [part for part, _ in children(node)]
    parts[path[0]] = replace_at(parts[path[0]], path[1:], new)
    return rebuild(node, parts)


def positions(node: Node, path: Path = ()) -> Iterator[tuple[Path, Node]]:
    """All subtrees with their positions, from the outside in, left to right."""
    yield path, node
    for step, (part, _) in enumerate(children(node)):
        yield from positions(part, (*path, step))
