"""Differentiation: the derivative of a function of one real variable, taken apart along the laws of calculus.

What it does: :func:`differentiate` returns ``derivative(λt. body, p, value)``; ``known`` gives the derivatives of the tensors that move,
as theorems ``∀ i, c: derivative(λt. X[t, i, c], p, U[i, c])`` (:func:`curve`). A divisor must be nonzero and the argument of a root or
logarithm positive at p: shown by its form and the premises, or left as a hypothesis, for all indices of its context. A maximum has
no derivative here: max(0, z) is first written as step(z)·z, and z ≠ 0 becomes a hypothesis. Guarantees: nothing beyond the core's rules.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kernelproof.symbolic.binding import alpha_equal, free_variables, substitute
from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.logic import assumption, cut, generalisation, reflexivity, replacement, specialisation, symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import Every, Formula, derivative, every, nonzero, positive
from kernelproof.symbolic.tactics.rewriting import use
from kernelproof.symbolic.tactics.signs import nonzero_of, positivity
from kernelproof.symbolic.terms import ONE, ZERO, Entry, Fold, Lambda, Num, Op, Term, TermLike, Var

Ranges = tuple[tuple[Var, Term], ...]
T = Var("t")
OF_ONE = {"exp": "exp", "log": "log", "sqrt": "root", "tanh": "tanh", "erf": "erf"}


def curve(tensor: str, moving: str, axes: Ranges, point: TermLike = 0) -> Theorem:
    """Assumed: ``tensor[t, …]`` is differentiable in t at the point for all indices, with derivative ``moving[…]``."""
    indices = tuple(var for var, _ in axes)
    return assumption((), every(axes, derivative(Lambda((T,), Entry(tensor, T, *indices)), point, Entry(moving, *indices))))


def slope_of(theorem: Theorem) -> Term:
    """The value of a derivative."""
    value = theorem.conclusion.terms[2]
    assert theorem.conclusion.name == "derivative" and isinstance(value, Term)
    return value


def differentiate(function: Lambda, point: TermLike, *known: Theorem, over: Ranges = ()) -> Theorem:
    """derivative(function, point, value), the value without terms that are zero; ``over`` are the ranges of the free indices."""
    (var,) = function.params
    at = point if isinstance(point, Term) else Num(point)
    found = _Calculus(var, at, known, over).of(function.body)
    if not alpha_equal(found.conclusion.terms[0], function):
        raise ProofError(f"differentiate: {found.conclusion!r} is not about {function!r}")
    body = found.conclusion.terms[0].body
    return found if body is function.body else replacement((found, reflexivity((), body, function.body)), (0, 0))


@dataclass(frozen=True)
class _Calculus:
    """Differentiation by ``var`` at a point, below indices with these ranges."""

    var: Var
    point: Term
    known: tuple[Theorem, ...]
    over: Ranges

    def of(self, body: Term) -> Theorem:
        """The derivative of a term."""
        if self.var not in free_variables(body):
            return use("derivative_of_constant", c=body, p=self.point)
        for given in self.known:
            function = given.conclusion.terms[0] if given.conclusion.name == "derivative" else None
            if isinstance(function, Lambda) and alpha_equal(function, Lambda((self.var,), body)):
                return given
        if body is self.var:
            return use("derivative_of_variable", p=self.point)
        if isinstance(body, Entry):
            return self._moving(body)
        if isinstance(body, Fold) and body.kind == "sum" and body.guard is ONE:
            return self._total(body)
        if isinstance(body, Op):
            return self._operation(body)
        raise ProofError(f"differentiate: {body!r} has no derivative here")

    def _moving(self, body: Entry) -> Theorem:
        """An entry of a tensor that moves."""
        for given in self.known:
            claim = given.conclusion
            if isinstance(claim, Every) and claim.body.name == "derivative":
                pattern = claim.body.terms[0].body
                if isinstance(pattern, Entry) and pattern.tensor == body.tensor and body.indices[0] is self.var:
                    places = [pattern.indices.index(index) for index, _ in claim.over]
                    return in_ranges(specialisation((given,), tuple(body.indices[place] for place in places)))
        raise ProofError(f"differentiate: nothing is known of how {body.tensor!r} moves")

    def _total(self, body: Fold) -> Theorem:
        inner = replace(self, over=(*self.over, (body.var, body.size))).of(body.body)
        each = generalisation((inner,), ((body.var, body.size),))
        value = slope_of(inner)
        made = use(
            "derivative_of_total", each, n=body.size, p=self.point,
            f=Lambda((self.var, body.var), body.body), g=Lambda((body.var,), value),
        )
        named = Fold("sum", body.var, body.size, value)
        if value is ZERO:
            from kernelproof.symbolic.tactics.sums import sum_constant

            none = sum_constant(named)
            return replacement((replacement((made, none), (2,)), arithmetic((), none.right, ZERO)), (2,))
        return made if slope_of(made) is named else replacement((made, reflexivity((), slope_of(made), named)), (2,))

    def _operation(self, body: Op) -> Theorem:
        args = body.args
        here = [substitute(arg, {self.var: self.point}) for arg in args]
        match body.name:
            case "pow":
                return self._power(body)
            case "max" if args[0] is ZERO:
                step = use("maximum_by_step", a=args[1])
                return replacement((self.of(step.right), symmetry((step,))), (0, 0))
            case "less" if args[0] is ZERO:
                return self._law("step", args[1:], (self.of(args[1]),), self._nonzero(here[1]))
        parts = tuple(self.of(arg) for arg in args)
        match body.name:
            case "add" | "sub" | "mul":
                return tidied(self._law({"add": "sum", "sub": "difference", "mul": "product"}[body.name], args, parts))
            case "neg":
                return tidied(self._law("negative", args, parts))
            case "div":
                return tidied(self._law("quotient", args, parts, self._nonzero(here[1])))
        if body.name in OF_ONE:
            needed = (self._positive(here[0]),) if body.name in ("log", "sqrt") else ()
            return tidied(self._law(OF_ONE[body.name], args, parts, *needed))
        raise ProofError(f"differentiate: {body.name!r} has no derivative here")

    def _law(self, name: str, args: tuple[Term, ...], parts: tuple[Theorem, ...], *needed: Theorem) -> Theorem:
        values: dict[str, TermLike | Lambda] = {"p": self.point}
        for tensor, slope, arg, part in zip("fg", "uv", args, parts, strict=False):
            values[tensor], values[slope] = Lambda((self.var,), arg), slope_of(part)
        return use(f"derivative_of_{name}", *parts, *needed, **values)

    def _power(self, body: Op) -> Theorem:
        """b^k as a product of k factors."""
        base, exponent = body.args
        assert isinstance(exponent, Num)
        count = int(exponent.value)
        if not count:
            return replacement((self.of(ONE), arithmetic((), ONE, body)), (0, 0))
        product = base
        for _ in range(count - 1):
            product = product * base
        made = self.of(product)
        there = substitute(base, {self.var: self.point})
        short = Num(count) * (there if count == 2 else there ** (count - 1)) * slope_of(self.of(base))
        made = replacement((made, arithmetic((), slope_of(made), short)), (2,))
        return replacement((made, arithmetic((), product, body)), (0, 0))

    def _nonzero(self, value: Term) -> Theorem:
        if isinstance(value, Op) and value.name == "sqrt":
            root = use("root_positive", self._positive(value.args[0]), a=value.args[0])
            return use("positive_is_nonzero", root, a=value)
        try:
            return nonzero_of(value, *self._signs())
        except ProofError:
            return self._assumed(nonzero(value))

    def _positive(self, value: Term) -> Theorem:
        try:
            return positivity(value, *self._signs())
        except ProofError:
            return self._assumed(positive(value))

    def _assumed(self, formula: Formula) -> Theorem:
        """The formula, assumed for all indices of the context that it speaks of."""
        ranges = tuple((var, length) for var, length in self.over if var in free_variables(formula))
        if not ranges:
            return assumption((), formula)
        return specialisation((assumption((), every(ranges, formula)),), tuple(var for var, _ in ranges))

    def _signs(self) -> tuple[Theorem, ...]:
        return tuple(given for given in self.known if not _about_curves(given.conclusion))


def in_ranges(theorem: Theorem) -> Theorem:
    """The theorem with ``a·n + b in m·n`` taken apart to ``a in m`` and ``b in n``, wherever it is a hypothesis."""
    for formula in theorem.hypotheses:
        if formula.name == "in":
            index, length = formula.terms
            tiled = isinstance(index, Op) and index.name == "add" and isinstance(index.args[0], Op) and index.args[0].name == "mul"
            if tiled and isinstance(length, Op) and length.name == "mul" and index.args[0].args[1] is length.args[1]:
                outer, inner = index.args[0].args[0], index.args[1]
                theorem = cut((use("range_tiled", a=outer, b=inner, m=length.args[0], n=length.args[1]), theorem))
    return theorem


def _about_curves(formula: Formula) -> bool:
    return isinstance(formula, Every) and formula.body.name == "derivative"


def tidied(made: Theorem) -> Theorem:
    """The derivative with a value without zero terms and factors of one."""
    value = slope_of(made)
    short = tidy(value)
    return made if short is value else replacement((made, arithmetic((), value, short)), (2,))


def tidy(value: Term) -> Term:
    """0·a, a + 0, 1·a, 0/a, −0 written shorter, from the inside out; sums and calls are left alone."""
    if not isinstance(value, Op) or value.name not in ("add", "sub", "mul", "div", "neg"):
        return value
    args = [tidy(arg) for arg in value.args]
    zero = [arg is ZERO for arg in args]
    match value.name:
        case "add" if any(zero):
            return args[0] if zero[1] else args[1]
        case "sub" if zero[1]:
            return args[0]
        case "sub" if zero[0]:
            return -args[1]
        case "mul" if ONE in args:
            return args[1] if args[0] is ONE else args[0]
        case "mul" | "div" | "neg" if any(zero[: 2 if value.name == "mul" else 1]):
            return ZERO
    return Op(value.name, *args)
