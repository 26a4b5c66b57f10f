"""Terms: immutable trees of index notation, with bound indices.

What it does: numbers, variables, tensor entries ``x[i, j]``, operations, folds (a sum or a maximum over ``0 <= j < n``) and calls
of defined functions. Equal trees are one object (hash-consing), so ``is`` compares structure, bound names included; equality up to
bound names is :func:`kernelproof.symbolic.binding.alpha_equal`.

Guarantees: construction never simplifies: what was written is what stands there, and it stays so. Every term has a value for all
values of its variables, as in Lean: tensors are functions of all real indices; x/0 = 0, √x = 0 for x < 0, log x = 0 for x <= 0,
x^0 = 1; a fold runs over the integers j with 0 <= j < n and guard != 0, and an empty one is 0. So nothing is silently undefined.

Cannot see: kinds of tensors. That an entry is an integer in a range is a hypothesis of a theorem, never an attribute of a name.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, ClassVar, Self, Union

#: operation -> number of arguments
OPERATIONS: dict[str, int] = {
    "add": 2, "sub": 2, "mul": 2, "div": 2, "neg": 1, "pow": 2,
    "exp": 1, "log": 1, "sqrt": 1, "sin": 1, "cos": 1, "tanh": 1, "erf": 1,
    "max": 2, "delta": 2, "less": 2, "pi": 0,
}
FOLDS = ("sum", "max")
TermLike = Union["Term", int, Fraction]


class Node:
    """A hash-consed tree node: two nodes of a class with equal fields are the same object."""

    #: names of the fields, in the order of the constructor
    __match_args__: ClassVar[tuple[str, ...]] = ()
    __slots__ = ()
    _pool: ClassVar[dict[tuple[Any, ...], Any]] = {}

    def __new__(cls, *fields: Any) -> Self:
        key = (cls, *fields)
        found: Self | None = Node._pool.get(key)
        if found is None:
            made = object.__new__(cls)
            for name, value in zip(cls.__match_args__, fields, strict=True):
                object.__setattr__(made, name, value)
            found = Node._pool.setdefault(key, made)
        return found

    @property
    def fields(self) -> tuple[Any, ...]:
        """What the node is made of."""
        return tuple(getattr(self, name) for name in self.__match_args__)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable: {name!r} cannot be set, theorems may speak of it")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable: {name!r} cannot be deleted, theorems may speak of it")

    def __getnewargs_ex__(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return self.fields, {}  # copies and pickles go through the constructor, so they are checked and interned

    def __getstate__(self) -> None:
        return None

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self.fields!r}"


class Term(Node):
    """A real-valued expression."""

    __slots__ = ()

    def __add__(self, other: TermLike) -> Term:
        return Op("add", self, other)

    def __radd__(self, other: TermLike) -> Term:
        return Op("add", other, self)

    def __sub__(self, other: TermLike) -> Term:
        return Op("sub", self, other)

    def __rsub__(self, other: TermLike) -> Term:
        return Op("sub", other, self)

    def __mul__(self, other: TermLike) -> Term:
        return Op("mul", self, other)

    def __rmul__(self, other: TermLike) -> Term:
        return Op("mul", other, self)

    def __truediv__(self, other: TermLike) -> Term:
        return Op("div", self, other)

    def __rtruediv__(self, other: TermLike) -> Term:
        return Op("div", other, self)

    def __neg__(self) -> Term:
        return Op("neg", self)

    def __pow__(self, exponent: int) -> Term:
        return Op("pow", self, exponent)


class Num(Term):
    """A rational number."""

    __match_args__ = ("value",)
    __slots__ = __match_args__
    value: Fraction

    def __new__(cls, value: int | Fraction) -> Self:
        if not isinstance(value, (int, Fraction)):
            raise TypeError(f"number {value!r}: expected an integer or a fraction; a float is not the decimal that it looks like")
        return super().__new__(cls, Fraction(value))


class Var(Term):
    """A variable: ``kind`` is ``real`` (any real number; an index once a hypothesis says so) or ``size`` (a natural number)."""

    __match_args__ = ("name", "kind")
    __slots__ = __match_args__
    name: str
    kind: str

    def __new__(cls, name: str, kind: str = "real") -> Self:
        if kind not in ("real", "size"):
            raise TypeError(f"kind of variable {name!r}: {kind!r} is neither 'real' nor 'size'")
        if not isinstance(name, str) or (name.startswith("#") and cls is Var):
            raise TypeError(f"name of variable {name!r}: expected a text that does not start with '#', which is for bound variables")
        return super().__new__(cls, name, kind)


class Bound(Var):
    """The name of a bound variable in a canonical term (:func:`kernelproof.symbolic.binding.canonical`); no other term has one."""

    __slots__ = ()


class Entry(Term):
    """``tensor[i, j, …]``."""

    __match_args__ = ("tensor", "indices")
    __slots__ = __match_args__
    tensor: str
    indices: tuple[Term, ...]

    def __new__(cls, tensor: str, *indices: TermLike) -> Self:
        return super().__new__(cls, tensor, tuple(term(index) for index in indices))

    def __getnewargs_ex__(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (self.tensor, *self.indices), {}


class Op(Term):
    """An operation of :data:`OPERATIONS` on terms. A power has a literal natural exponent.

    ``delta(a, b)`` is 1 where a = b, else 0; ``less(a, b)`` is 1 where a < b, else 0.
    """

    __match_args__ = ("name", "args")
    __slots__ = __match_args__
    name: str
    args: tuple[Term, ...]

    def __new__(cls, name: str, *args: TermLike) -> Self:
        if OPERATIONS.get(name) != len(args):
            raise TypeError(f"operation {name!r} with {len(args)} arguments: not one of {sorted(OPERATIONS)}")
        terms = tuple(term(arg) for arg in args)
        if name == "pow" and not is_natural(terms[1]):
            raise TypeError(f"power {terms[1]!r}: expected a natural number; write a division, so that the nonzero premise is visible")
        return super().__new__(cls, name, terms)

    def __getnewargs_ex__(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (self.name, *self.args), {}


class Fold(Term):
    """``Σ`` or ``max`` of ``body`` over integers ``0 <= var < size`` with ``guard != 0`` (no guard: all). Empty folds are 0."""

    __match_args__ = ("kind", "var", "size", "body", "guard")
    __slots__ = __match_args__
    kind: str
    var: Var
    size: Term
    body: Term
    guard: Term

    def __new__(cls, kind: str, var: Var, size: TermLike, body: TermLike, guard: TermLike = 1) -> Self:
        if kind not in FOLDS:
            raise TypeError(f"fold {kind!r}: not one of {FOLDS}")
        return super().__new__(cls, kind, index_variable(var), term(size), term(body), term(guard))


class Lambda(Node):
    """``λ params. body``: the value of a tensor; without parameters, of a scalar or a size."""

    __match_args__ = ("params", "body")
    __slots__ = __match_args__
    params: tuple[Var, ...]
    body: Term

    def __new__(cls, params: tuple[Var, ...], body: TermLike) -> Self:
        if len(set(params)) != len(params):
            raise TypeError(f"parameters {params!r} of a lambda: expected different ones")
        return super().__new__(cls, tuple(index_variable(param) for param in params), term(body))


class Call(Term):
    """``function(a := λ…, b := λ…)[indices]``: an entry of the result of a defined function."""

    __match_args__ = ("function", "arguments", "indices")
    __slots__ = __match_args__
    function: str
    arguments: tuple[tuple[str, Lambda], ...]
    indices: tuple[Term, ...]

    def __new__(cls, function: str, arguments: tuple[tuple[str, Lambda], ...], indices: tuple[TermLike, ...]) -> Self:
        if not all(isinstance(value, Lambda) for _, value in arguments):
            raise TypeError(f"arguments of {function!r}: expected lambdas, without parameters for scalars and sizes")
        pairs = tuple((name, value) for name, value in arguments)
        return super().__new__(cls, function, pairs, tuple(term(index) for index in indices))


def term(value: object) -> Term:
    """A term from a term or a number."""
    if isinstance(value, Term):
        return value
    if isinstance(value, (int, Fraction)) and not isinstance(value, bool):
        return Num(value)
    raise TypeError(f"{value!r} is not a term, an integer or a fraction")


def index_variable(var: object) -> Var:
    """The variable, if it may be bound: it runs over all reals or a range, so it must not be a size, which rules take for natural."""
    if not isinstance(var, Var) or var.kind != "real":
        raise TypeError(f"bound variable {var!r}: expected a variable that is not a size")
    return var


def is_natural(value: Term) -> bool:
    """Whether a term is a literal natural number."""
    return isinstance(value, Num) and value.value.denominator == 1 and value.value >= 0


def is_size(value: Term) -> bool:
    """Whether a term is natural by its form: a size, a natural number, a sum or product of such."""
    if isinstance(value, Var):
        return value.kind == "size"
    return is_natural(value) or (isinstance(value, Op) and value.name in ("add", "mul") and all(is_size(arg) for arg in value.args))


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


def less(left: TermLike, right: TermLike) -> Op:
    """1 where left < right, else 0."""
    return Op("less", term(left), term(right))


PI = Op("pi")
ZERO, ONE = Num(0), Num(1)
