"""Terms and formulas of the checker: hash-consed trees in which bound variables are numbers (de Bruijn indices).

What it does: one class :class:`Node`, made of a head and parts. A bound variable is the number of binders between it and its own, so
terms that differ by bound names only are the same object: equality up to bound names is ``is``. Meaning: every term has a real value
for all values of its variables; x/0 = 0, √x = 0 for x < 0, log x = 0 for x <= 0, x^0 = 1; a fold runs over the integers
0 <= j < n with guard != 0, and an empty one is 0; a tensor is a function of all real indices.

Guarantees: a node is well formed (known head, right number and sorts of parts) and not deeper than :data:`DEEPEST`, or it is not made.

========== =================================== ================================== ======================================
kind       rest of the head                    parts                              binders on the parts
========== =================================== ================================== ======================================
num        value                               none
var        name, kind (``real``, ``size``)     none
bound      index                               none
entry      tensor                              indices
op         name                                arguments
fold       ``sum`` or ``max``                  size, guard, body                  0, 1, 1
lambda     number of parameters                body                               number of parameters
call       function, names of its parameters   lambdas, then indices
formula    predicate, tensor or None           terms (a derivative: lambda, …)
every      number of indices                   sizes, then the body               0 for sizes, number of indices for the body
========== =================================== ================================== ======================================
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any
from weakref import WeakValueDictionary

from .errors import CheckError

#: operation -> number of arguments
ARITIES = {
    "add": 2, "sub": 2, "mul": 2, "div": 2, "pow": 2, "max": 2, "delta": 2, "less": 2,
    "neg": 1, "exp": 1, "log": 1, "sqrt": 1, "sin": 1, "cos": 1, "tanh": 1, "erf": 1, "pi": 0,
}
#: predicate -> number of terms; a derivative speaks of a lambda first
PREDICATES = {"eq": 2, "positive": 1, "nonnegative": 1, "nonzero": 1, "in": 2, "integer": 1, "permutation": 1, "derivative": 3}
#: no tree is deeper, so that no traversal exhausts the stack of Python
DEEPEST = 150

_TERMS = frozenset(("num", "var", "bound", "entry", "op", "fold", "call"))


class Node:
    """A tree. Equal trees are one object, and nothing but the functions of this module makes one."""

    __slots__ = ("__weakref__", "calls", "deep", "free", "head", "loose", "operations", "parts", "tensors", "weight")
    head: tuple[Any, ...]
    parts: tuple[Node, ...]
    #: how many binders around it the node needs: 1 + the largest index that points outside
    loose: int
    deep: int
    #: how many nodes it has when it is written out, shared ones counted each time
    weight: int
    #: free variables, (tensor, number of indices) of entries, operations, called functions
    free: frozenset[Node]
    tensors: frozenset[tuple[str, int]]
    operations: frozenset[str]
    calls: frozenset[str]

    @property
    def kind(self) -> str:
        """The first word of the head."""
        return str(self.head[0])

    @property
    def is_term(self) -> bool:
        """Whether it stands for a real number."""
        return self.head[0] in _TERMS

    @property
    def is_formula(self) -> bool:
        """Whether it is true or false."""
        return self.head[0] in ("formula", "every")

    def __repr__(self) -> str:
        return f"({' '.join(map(str, self.head))}{''.join(f' {part!r}' for part in self.parts)})"


_pool: WeakValueDictionary[tuple[Any, ...], Node] = WeakValueDictionary()


def binders(head: tuple[Any, ...], count: int) -> tuple[int, ...]:
    """How many variables a node with this head binds in each of its parts."""
    match head[0]:
        case "fold":
            return (0, 1, 1)
        case "lambda":
            return (head[1],)
        case "every":
            return (0,) * (count - 1) + (head[1],)
    return (0,) * count


def make(head: tuple[Any, ...], parts: Iterable[Node] = ()) -> Node:
    """The node of a head and parts; refused where it has no meaning."""
    below = tuple(parts)
    key = (head, below)
    found = _pool.get(key)
    if found is None:
        problem = _problem(head, below)
        if problem:
            raise CheckError(f"{head[0]} {' '.join(map(str, head[1:]))}: {problem}")
        found = _made(head, below)
        _pool[key] = found
    return found


def _made(head: tuple[Any, ...], parts: tuple[Node, ...]) -> Node:
    node = Node()
    node.head, node.parts = head, parts
    node.deep = 1 + max((part.deep for part in parts), default=0)
    if node.deep > DEEPEST:
        raise CheckError(f"a tree is nested deeper than {DEEPEST}")
    node.weight = 1 + sum(part.weight for part in parts)
    own = head[1] + 1 if head[0] == "bound" else 0
    node.loose = max([own, *(part.loose - bound for part, bound in zip(parts, binders(head, len(parts)), strict=True))])
    node.free = frozenset((node,)) if head[0] == "var" else _union(part.free for part in parts)
    node.tensors = _union(part.tensors for part in parts)
    node.operations = _union(part.operations for part in parts)
    node.calls = _union(part.calls for part in parts)
    if head[0] == "entry":
        node.tensors |= {(head[1], len(parts))}
    elif head[0] == "op":
        node.operations |= {head[1]}
    elif head[0] == "call":
        node.calls |= {head[1]}
    return node


def _union(sets: Iterable[frozenset[Any]]) -> frozenset[Any]:
    different = [part for part in dict.fromkeys(sets) if part]
    return different[0] if len(different) == 1 else frozenset().union(*different)


def _problem(head: tuple[Any, ...], parts: tuple[Node, ...]) -> str | None:
    """Why there is no such node."""
    match head:
        case ("num", Fraction()) | ("bound", int()):
            return "it has no parts" if parts else None
        case ("var", str(), kind):
            return "it has no parts" if parts else None if kind in ("real", "size") else "its kind is neither real nor size"
        case ("entry", str()):
            return _not_terms(parts)
        case ("op", name):
            if ARITIES.get(name) != len(parts):
                return f"no operation of {len(parts)} arguments"
            if name == "pow" and not natural(parts[1]):
                return "the exponent is not a natural number"
            return _not_terms(parts)
        case ("fold", kind):
            return "it is neither sum nor max" if kind not in ("sum", "max") or len(parts) != 3 else _not_terms(parts)
        case ("lambda", int()):
            return _not_terms(parts) if len(parts) == 1 else "it has one body"
        case ("call", str(), tuple() as names):
            lambdas, indices = parts[: len(names)], parts[len(names):]
            right = len(lambdas) == len(names) and all(part.kind == "lambda" for part in lambdas)
            return _not_terms(indices) if right else "its arguments are lambdas"
        case ("formula", name, tensor):
            return _not_predicate(name, tensor, parts)
        case ("every", int() as count):
            if count < 1 or len(parts) != count + 1 or not parts[-1].is_formula or parts[-1].head[1] == "permutation":
                return "it says a formula other than a permutation of one or more indices"
            return _not_terms(parts[:-1])
    return "there is no such node"


def _not_terms(parts: tuple[Node, ...]) -> str | None:
    return None if all(part.is_term for part in parts) else "a part is not a term"


def _not_predicate(name: Any, tensor: Any, parts: tuple[Node, ...]) -> str | None:
    if PREDICATES.get(name) != len(parts) or isinstance(tensor, str) != (name == "permutation") or (name != "permutation" and tensor):
        return f"no predicate of {len(parts)} terms and tensor {tensor!r}"
    if name == "derivative":
        return _not_terms(parts[1:]) if parts[0].head == ("lambda", 1) else "a derivative is of a function of one variable"
    return _not_terms(parts)


def natural(node: Node) -> bool:
    """Whether a node is a literal natural number."""
    return node.kind == "num" and node.head[1].denominator == 1 and node.head[1] >= 0


def natural_by_form(node: Node) -> bool:
    """Whether a term is natural whatever its variables are: a size, a natural number, a sum or product of such."""
    if node.kind == "var":
        return bool(node.head[2] == "size")
    if node.kind == "op" and node.head[1] in ("add", "mul"):
        return all(natural_by_form(part) for part in node.parts)
    return natural(node)


def number(value: int | Fraction) -> Node:
    """A literal number."""
    return make(("num", Fraction(value)))


def variable(name: str, kind: str = "real") -> Node:
    """A free variable."""
    return make(("var", name, kind))


def operation(name: str, *parts: Node) -> Node:
    """An operation on terms."""
    return make(("op", name), parts)


def predicate(name: str, *parts: Node, tensor: str | None = None) -> Node:
    """A formula other than ``every``."""
    return make(("formula", name, tensor), parts)


def is_equation(node: Node) -> bool:
    """Whether a node says a = b."""
    return node.head == ("formula", "eq", None)
