"""Terms: immutable trees of index notation, with bound indices.

What it does: numbers, variables, tensor entries ``x[i, j]``, operations, folds (a sum or a maximum over ``0 <= j < n``) and calls
of defined functions. Equal trees are one object (hash-consing), so ``is`` compares structure, bound names included; equality up to
bound names is :func:`kernelproof.symbolic.binding.alpha_equal`.

Guarantees: construction never simplifies: what was written is what stands there. Division by zero is zero and the square root of a
negative number is zero, as in Lean, so every term has a value for all values of its variables and nothing is silently undefined.

Cannot see: kinds of tensors. That an entry is an integer in a range is a hypothesis of a theorem, never an attribute of a name.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, ClassVar, Union

#: operation -> number of arguments
OPERATIONS: dict[str, int] = {
    "add": 2, "sub": 2, "mul": 2, "div": 2, "neg": 1, "pow": 2,
    "exp": 1, "log": 1, "sqrt": 1, "sin": 1, "cos": 1, "tanh": 1, "erf": 1,
    "max": 2, "delta": 2, "pi": 0,
}
FOLDS = ("sum", "max")
TermLike = Union["Term", int, Fraction]


class Node:
    """A hash-consed tree node: two nodes with equal fields are the same object."""

    __slots__ = ("fields",)
    fields: tuple[Any, ...]
    _pool: ClassVar[dict[tuple[Any, ...], Node]] = {}

    def __new__(cls, *fields: Any) -> Any:
        key = (cls, *fields)
        found = Node._pool.get(key)
        if found is None:
            found = object.__new__(cls)
            found.fields = fields
            Node._pool[key] = found
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.fields

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self.fields!r}"


class Term(Node):
    """A real-valued expression."""

    __slots__ = ()

    def __add__(self, other: TermLike) -> Term:
        return Op("add", self, term(other))

    def __radd__(self, other: TermLike) -> Term:
        return Op("add", term(other), self)

    def __sub__(self, other: TermLike) -> Term:
        return Op("sub", self, term(other))

    def __rsub__(self, other: TermLike) -> Term:
        return Op("sub", term(other), self)

    def __mul__(self, other: TermLike) -> Term:
        return Op("mul", self, term(other))

    def __rmul__(self, other: TermLike) -> Term:
        return Op("mul", term(other), self)

    def __truediv__(self, other: TermLike) -> Term:
        return Op("div", self, term(other))

    def __rtruediv__(self, other: TermLike) -> Term:
        return Op("div", term(other), self)

    def __neg__(self) -> Term:
        return Op("neg", self)

    def __pow__(self, exponent: int) -> Term:
        if exponent < 0:
            raise TypeError(f"power {exponent}: write a division, so that the nonzero premise is visible")
        return Op("pow", self, Num(Fraction(exponent)))


class Num(Term):
    """A rational number."""

    __slots__ = ()

    def __new__(cls, value: int | Fraction) -> Num:
        return super().__new__(cls, Fraction(value))  # type: ignore[no-any-return]

    @property
    def value(self) -> Fraction:
        return self.fields[0]  # type: ignore[no-any-return]


class Var(Term):
    """A variable: ``kind`` is ``real`` (any real number; an index once a hypothesis says so) or ``size`` (a natural number)."""

    __slots__ = ()

    def __new__(cls, name: str, kind: str = "real") -> Var:
        if kind not in ("real", "size"):
            raise TypeError(f"kind of variable {name!r}: {kind!r} is neither 'real' nor 'size'")
        return super().__new__(cls, name, kind)  # type: ignore[no-any-return]

    @property
    def name(self) -> str:
        return self.fields[0]  # type: ignore[no-any-return]

    @property
    def kind(self) -> str:
        return self.fields[1]  # type: ignore[no-any-return]


class Entry(Term):
    """``tensor[i, j, …]``."""

    __slots__ = ()

    def __new__(cls, tensor: str, *indices: TermLike) -> Entry:
        return super().__new__(cls, tensor, tuple(term(index) for index in indices))  # type: ignore[no-any-return]

    @property
    def tensor(self) -> str:
        return self.fields[0]  # type: ignore[no-any-return]

    @property
    def indices(self) -> tuple[Term, ...]:
        return self.fields[1]  # type: ignore[no-any-return]


class Op(Term):
    """An operation of :data:`OPERATIONS` on terms. ``delta(a, b)`` is 1 where a = b, else 0."""

    __slots__ = ()

    def __new__(cls, name: str, *args: TermLike) -> Op:
        if OPERATIONS.get(name) != len(args):
            raise TypeError(f"operation {name!r} with {len(args)} arguments: not one of {sorted(OPERATIONS)}")
        return super().__new__(cls, name, tuple(term(arg) for arg in args))  # type: ignore[no-any-return]

    @property
    def name(self) -> str:
        return self.fields[0]  # type: ignore[no-any-return]

    @property
    def args(self) -> tuple[Term, ...]:
        return self.fields[1]  # type: ignore[no-any-return]


class Fold(Term):
    """``Σ`` or ``max`` of ``body`` over integers ``0 <= var < size`` with ``guard != 0`` (no guard: all). Empty folds are 0."""

    __slots__ = ()

    def __new__(cls, kind: str, var: Var, size: TermLike, body: TermLike, guard: TermLike = 1) -> Fold:
        if kind not in FOLDS:
            raise TypeError(f"fold {kind!r}: not one of {FOLDS}")
        if var.kind != "real":
            raise TypeError(f"bound variable {var.name!r} must not be a size")
        return super().__new__(cls, kind, var, term(size), term(body), term(guard))  # type: ignore[no-any-return]

    @property
    def kind(self) -> str:
        return self.fields[0]  # type: ignore[no-any-return]

    @property
    def var(self) -> Var:
        return self.fields[1]  # type: ignore[no-any-return]

    @property
    def size(self) -> Term:
        return self.fields[2]  # type: ignore[no-any-return]

    @property
    def body(self) -> Term:
        return self.fields[3]  # type: ignore[no-any-return]

    @property
    def guard(self) -> Term:
        return self.fields[4]  # type: ignore[no-any-return]


class Lambda(Node):
    """``λ params. body``: the value of a tensor; without parameters, of a scalar or a size."""

    __slots__ = ()

    def __new__(cls, params: tuple[Var, ...], body: TermLike) -> Lambda:
        return super().__new__(cls, tuple(params), term(body))  # type: ignore[no-any-return]

    @property
    def params(self) -> tuple[Var, ...]:
        return self.fields[0]  # type: ignore[no-any-return]

    @property
    def body(self) -> Term:
        return self.fields[1]  # type: ignore[no-any-return]


class Call(Term):
    """``function(a := λ…, b := λ…)[indices]``: an entry of the result of a defined function."""

    __slots__ = ()

    def __new__(cls, function: str, arguments: tuple[tuple[str, Lambda], ...], indices: tuple[TermLike, ...]) -> Call:
        return super().__new__(cls, function, tuple(arguments), tuple(term(index) for index in indices))  # type: ignore[no-any-return]

    @property
    def function(self) -> str:
        return self.fields[0]  # type: ignore[no-any-return]

    @property
    def arguments(self) -> tuple[tuple[str, Lambda], ...]:
        return self.fields[1]  # type: ignore[no-any-return]

    @property
    def indices(self) -> tuple[Term, ...]:
        return self.fields[2]  # type: ignore[no-any-return]


def term(value: TermLike) -> Term:
    """A term from a term or a number."""
    if isinstance(value, Term):
        return value
    if isinstance(value, (int, Fraction)) and not isinstance(value, bool):
        return Num(value)
    raise TypeError(f"{value!r} is not a term, an integer or a fraction")


def size(name: str) -> Var:
    """A natural number that is the length of an axis."""
    return Var(name, "size")


def variables(names: str) -> tuple[Var, ...]:
    """Real variables from names split at blanks."""
    return tuple(Var(name) for name in names.split())


def total(var: Var, length: TermLike, body: TermLike) -> Fold:
    """Σ over ``0 <= var < length``."""
    return Fold("sum", var, length, body)


def maximum_of(var: Var, length: TermLike, body: TermLike, guard: TermLike = 1) -> Fold:
    """max over ``0 <= var < length`` with ``guard != 0``."""
    return Fold("max", var, length, body, guard)


def exp(argument: TermLike) -> Op:
    """e to the argument."""
    return Op("exp", term(argument))


def log(argument: TermLike) -> Op:
    """Natural logarithm; 0 where the argument is not positive."""
    return Op("log", term(argument))


def sqrt(argument: TermLike) -> Op:
    """Square root; 0 where the argument is negative."""
    return Op("sqrt", term(argument))


def delta(left: TermLike, right: TermLike) -> Op:
    """Kronecker delta."""
    return Op("delta", term(left), term(right))


PI = Op("pi")
ZERO, ONE = Num(0), Num(1)
