"""Terms as SymPy expressions: for readers who want to go on in SymPy, and for one more look at a theorem.

What it does: a fold becomes a ``Sum`` over an integer symbol, an entry an ``Indexed``, delta a ``KroneckerDelta``; with concrete
``sizes`` folds are written out, so that SymPy can decide the statement for symbolic entries. A call becomes an applied function of
its indices, or its body where ``unfolded``.

Guarantees: only that: the core never reads what comes out of here. Cannot see: x/0 = 0 (SymPy's is undefined), and SymPy simplifies
while it constructs.
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy

from kernelproof.symbolic.core.definitions import definition_of, instance
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import Formula
from kernelproof.symbolic.terms import ONE, Call, Entry, Fold, Num, Op, Term, Var

_FUNCTIONS = {
    "exp": sympy.exp, "log": sympy.log, "sqrt": sympy.sqrt, "sin": sympy.sin, "cos": sympy.cos, "tanh": sympy.tanh, "erf": sympy.erf,
    "max": sympy.Max, "delta": sympy.KroneckerDelta,
    "less": lambda a, b: sympy.Piecewise((1, a < b), (0, True)),
}


class Bridge:
    """A translation with some sizes fixed to numbers and calls unfolded or not."""

    def __init__(self, sizes: Mapping[str, int] | None = None, unfolded: bool = False) -> None:
        self._sizes, self._unfolded = dict(sizes or {}), unfolded

    def equation(self, formula: Formula) -> sympy.Eq:
        """An equation as ``Eq``, not evaluated."""
        return sympy.Eq(self.term(formula.left), self.term(formula.right), evaluate=False)

    def term(self, value: Term, bound: Mapping[Var, sympy.Expr] | None = None) -> sympy.Expr:
        """A term."""
        bound = bound or {}
        if isinstance(value, Num):
            return sympy.Rational(value.value.numerator, value.value.denominator)
        if isinstance(value, Var):
            return self._variable(value, bound)
        if isinstance(value, Entry):
            base = sympy.IndexedBase(value.tensor, real=True)
            return base[tuple(self.term(index, bound) for index in value.indices)]
        if isinstance(value, Fold):
            return self._fold(value, bound)
        if isinstance(value, Call):
            return self._call(value, bound)
        assert isinstance(value, Op)
        return self._operation(value.name, [self.term(arg, bound) for arg in value.args])

    def _variable(self, value: Var, bound: Mapping[Var, sympy.Expr]) -> sympy.Expr:
        if value in bound:
            return bound[value]
        if value.kind == "size":
            if value.name in self._sizes:
                return sympy.Integer(self._sizes[value.name])
            return sympy.Symbol(value.name, integer=True, nonnegative=True)
        return sympy.Symbol(value.name, real=True)

    def _operation(self, name: str, args: list[sympy.Expr]) -> sympy.Expr:
        match name:
            case "add":
                return args[0] + args[1]
            case "sub":
                return args[0] - args[1]
            case "mul":
                return args[0] * args[1]
            case "div":
                return args[0] / args[1]
            case "neg":
                return -args[0]
            case "pow":
                return args[0] ** args[1]
            case "pi":
                return sympy.pi
        return _FUNCTIONS[name](*args)

    def _fold(self, value: Fold, bound: Mapping[Var, sympy.Expr]) -> sympy.Expr:
        length = self.term(value.size, bound)
        if length.is_Integer:
            places = [{**bound, value.var: sympy.Integer(at)} for at in range(int(length))]
            guards = [self.term(value.guard, at) for at in places]
            found = [(self.term(value.body, at), guard) for at, guard in zip(places, guards, strict=True) if guard != 0]
            if not all(guard.is_number for _, guard in found):
                pairs = [sympy.Tuple(part, sympy.Ne(guard, 0)) for part, guard in found]
                return sympy.Function(f"guarded_{value.kind}", real=True)(*pairs)
            parts = [part for part, _ in found] or [sympy.Integer(0)]
            return sympy.Add(*parts) if value.kind == "sum" else sympy.Max(*parts)
        index = sympy.Dummy(value.var.name, integer=True, nonnegative=True)
        body = self.term(value.body, {**bound, value.var: index})
        guarded = value.guard is not ONE
        if value.kind == "sum" and not guarded:
            return sympy.Sum(body, (index, 0, length - 1))
        guard = (sympy.Ne(self.term(value.guard, {**bound, value.var: index}), 0),) if guarded else ()
        return sympy.Function("maximum" if value.kind == "max" else "guarded_sum", real=True)(body, index, length, *guard)

    def _call(self, value: Call, bound: Mapping[Var, sympy.Expr]) -> sympy.Expr:
        if not self._unfolded:
            return sympy.Function(value.function, real=True)(*(self.term(index, bound) for index in value.indices))
        # the plain pattern of a first clause fits every index: try the particular ones before it
        for which in reversed(range(len(definition_of(value.function).clauses))):
            try:
                return self.term(instance(value, which)[1], bound)
            except ProofError:
                continue
        raise ProofError(f"no clause of {value.function} fits")


def to_sympy(value: Term, sizes: Mapping[str, int] | None = None, unfolded: bool = False) -> sympy.Expr:
    """A term as a SymPy expression."""
    return Bridge(sizes, unfolded).term(value)
