"""The meaning of terms and formulas, written down a second time, straight from the docstrings of ``terms.py`` and ``formulas.py``.

What it does: evaluates a term where every size, variable and tensor is given. Rational arithmetic is exact; exp, sin and the like are
computed with 60 digits. A call of a defined function is evaluated by its clauses, with the arguments as functions of numbers: neither
substitution nor unfolding nor renaming of the package is used, so these can be tested against it. A derivative is a central difference
that one-sided differences of two steps must confirm. Cannot see: infinite sizes; a derivative that differs from the stated one by less than
10⁻¹⁵ of its size.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import reduce
from itertools import product
from typing import Any

from mpmath.ctx_mp import MPContext

from kernelproof.symbolic.core.definitions import definition_of
from kernelproof.symbolic.formulas import Every, Formula
from kernelproof.symbolic.terms import Call, Entry, Fold, Lambda, Num, Op, Term, Var

MP = MPContext()
MP.dps = 60
Number = Any  # a Fraction, or a real of MP
Tensor = Callable[..., Number]
STEPS = (Fraction(1, 10**15), Fraction(1, 10**12))


@dataclass
class World:
    """Values of variables and tensors; a tensor that is not given has random small rational entries, fixed by the seed."""

    variables: dict[Var, Number] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    seed: int = 0
    denominators: tuple[int, ...] = (1,)

    def entry(self, tensor: str, indices: tuple[Number, ...]) -> Number:
        """An entry of a tensor, a function of all real indices: an integer is one integer, however it was computed."""
        indices = tuple(Fraction(int(MP.nint(real(index)))) if is_integer(index) else index for index in indices)
        if tensor in self.tensors:
            return self.tensors[tensor](*indices)
        key = ", ".join(str(index) if isinstance(index, Fraction) else MP.nstr(index, 30) for index in indices)
        dice = random.Random(f"{self.seed} {tensor} {key}")
        return Fraction(dice.randint(-3, 3), dice.choice(self.denominators))

    def value(self, term: Term) -> Number:
        """The value of a term."""
        return Evaluation(self).value(term, self.variables)

    def holds(self, formula: Formula) -> bool:
        """Whether a formula is true here."""
        return Evaluation(self).holds(formula, self.variables)

    def slope(self, function: Lambda, point: Number) -> Number | None:
        """The derivative of a function of one variable, None where the one-sided differences do not agree."""
        return Evaluation(self).slope(function, point, self.variables)


class Evaluation:
    """One run: values of subterms are kept, by the values of their free variables, and arguments of calls are shared."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.known: dict[tuple[Any, ...], Number] = {}

    def value(self, term: Term, variables: Mapping[Var, Number]) -> Number:
        """The value of a term."""
        key = (term, *((var, variables[var]) for var in _mentioned(term) if var in variables))
        if key not in self.known:
            self.known[key] = self._compute(term, variables)
        return self.known[key]

    def holds(self, formula: Formula, variables: Mapping[Var, Number]) -> bool:
        """Whether a formula is true."""
        if isinstance(formula, Every):
            names = [var for var, _ in formula.over]
            ranges = [integers_below(self.value(length, variables)) for _, length in formula.over]
            return all(self.holds(formula.body, {**variables, **dict(zip(names, at, strict=True))}) for at in product(*ranges))
        if formula.name == "derivative":
            function, point, value = formula.terms
            found = self.slope(function, self.value(point, variables), variables)
            return found is not None and same(found, self.value(value, variables), digits=15)
        terms = [self.value(part, variables) for part in formula.terms]
        match formula.name:
            case "eq":
                return same(*terms)
            case "positive":
                return bool(terms[0] > 0) and not same(terms[0], Fraction(0))
            case "nonnegative":
                return bool(terms[0] > 0) or same(terms[0], Fraction(0))
            case "nonzero":
                return not same(terms[0], Fraction(0))
            case "in":
                return is_integer(terms[0]) and 0 <= real(terms[0]) < real(terms[1])
            case "integer":
                return is_integer(terms[0])
            case "permutation":
                indices = integers_below(terms[0])
                images = [self.world.entry(str(formula.tensor), (index,)) for index in indices]
                return all(is_integer(image) for image in images) and sorted(images) == indices
        raise AssertionError(formula)

    def slope(self, function: Lambda, point: Number, variables: Mapping[Var, Number]) -> Number | None:
        """The derivative at a point, None where the one-sided differences do not agree."""
        (var,) = function.params
        moves = (Fraction(0), *STEPS, *(-step for step in STEPS))
        at = {by: self.value(function.body, {**variables, var: plus(point, by)}) for by in moves}
        one_sided = [operate("div", [operate("sub", [at[by], at[Fraction(0)]]), by]) for by in moves if by]
        if not all(same(one_sided[0], other, digits=8) for other in one_sided):
            return None
        return operate("div", [operate("sub", [at[STEPS[0]], at[-STEPS[0]]]), 2 * STEPS[0]])

    def _compute(self, term: Term, variables: Mapping[Var, Number]) -> Number:
        match term:
            case Num(value):
                return value
            case Var():
                return variables[term]
            case Entry(tensor, indices):
                return self.world.entry(tensor, tuple(self.value(index, variables) for index in indices))
            case Op(name, args):
                return operate(name, [self.value(arg, variables) for arg in args])
            case Fold(kind, var, size, body, guard):
                values = [
                    self.value(body, {**variables, var: index})
                    for index in integers_below(self.value(size, variables))
                    if not same(self.value(guard, {**variables, var: index}), Fraction(0))
                ]
                if kind == "sum":
                    return reduce(plus, values, Fraction(0))
                return max(values, key=real, default=Fraction(0))
            case Call(function, arguments, indices):
                return self._call(function, dict(arguments), [self.value(index, variables) for index in indices], variables)
        raise AssertionError(term)

    def _call(self, function: str, arguments: Mapping[str, Lambda], indices: list[Number], variables: Mapping[Var, Number]) -> Number:
        """The clause whose pattern takes the value of the indices somewhere in its ranges; a single clause holds everywhere."""
        definition = definition_of(function)
        inner = World(seed=self.world.seed)
        for parameter in definition.parameters:
            given = arguments[parameter.name]
            if parameter.axes:
                inner.tensors[parameter.name] = self._tensor(given, dict(variables))
            else:
                inner.variables[parameter.var] = self.value(given.body, variables)
        if len(definition.clauses) == 1:
            (clause,) = definition.clauses
            names = [var for var in clause.pattern if isinstance(var, Var)]
            return Evaluation(inner).value(clause.body, {**inner.variables, **dict(zip(names, indices, strict=True))})
        for clause in definition.clauses:
            names = [var for var, _ in clause.ranges]
            for choice in product(*(integers_below(inner.value(length)) for _, length in clause.ranges)):
                there = {**inner.variables, **dict(zip(names, choice, strict=True))}
                if all(same(Evaluation(inner).value(part, there), index) for part, index in zip(clause.pattern, indices, strict=True)):
                    return Evaluation(inner).value(clause.body, there)
        return self.world.entry(f"outside {function}", tuple(indices))

    def _tensor(self, given: Lambda, variables: dict[Var, Number]) -> Tensor:
        def entry(*indices: Number) -> Number:
            return self.value(given.body, {**variables, **dict(zip(given.params, indices, strict=True))})

        return entry


def _mentioned(node: Any) -> tuple[Var, ...]:
    """All variables of a term, bound ones too: enough to know what its value may depend on."""
    if node not in _MENTIONED:
        found: dict[Var, None] = {}
        if isinstance(node, Var):
            found[node] = None
        elif isinstance(node, (tuple, Term, Lambda)):
            for part in node if isinstance(node, tuple) else node.fields:
                found |= dict.fromkeys(_mentioned(part))
        _MENTIONED[node] = tuple(found)
    return _MENTIONED[node]


_MENTIONED: dict[Any, tuple[Var, ...]] = {}


def operate(name: str, values: list[Number]) -> Number:
    """The value of an operation, total as the docstring of ``terms.py`` says."""
    zero = Fraction(0)
    match name:
        case "add":
            return plus(values[0], values[1])
        case "sub":
            return plus(values[0], -values[1])
        case "mul":
            return _both(values[0], values[1], lambda x, y: x * y)
        case "div":
            return zero if same(values[1], zero) else _both(values[0], values[1], lambda x, y: x / y)
        case "neg":
            return -values[0]
        case "pow":
            return values[0] ** int(values[1])
        case "max":
            return values[0] if real(values[0]) >= real(values[1]) else values[1]
        case "delta":
            return Fraction(int(same(values[0], values[1])))
        case "less":
            return Fraction(int(real(values[0]) < real(values[1]) and not same(values[0], values[1])))
        case "pi":
            return +MP.pi
        case "sqrt":
            return MP.sqrt(real(values[0])) if values[0] > 0 else zero
        case "log":
            return MP.log(real(values[0])) if values[0] > 0 else zero
    return getattr(MP, name)(real(values[0]))


def plus(left: Number, right: Number) -> Number:
    """The sum of two numbers."""
    return _both(left, right, lambda x, y: x + y)


def real(value: Number) -> Any:
    """The number as a real of 60 digits."""
    return MP.mpf(value.numerator) / value.denominator if isinstance(value, Fraction) else value


def _both(left: Number, right: Number, apply: Callable[[Any, Any], Any]) -> Number:
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        return apply(left, right)
    return apply(real(left), real(right))


def same(left: Number, right: Number, digits: int = 40) -> bool:
    """Equal: exactly where both are rational and all digits are asked for, else to so many digits."""
    if isinstance(left, Fraction) and isinstance(right, Fraction) and digits == 40:
        return left == right
    left, right = real(left), real(right)
    return bool(abs(left - right) <= MP.mpf(10) ** -digits * max(1, abs(left), abs(right)))


def is_integer(value: Number) -> bool:
    """Whether a number is an integer."""
    return value.denominator == 1 if isinstance(value, Fraction) else same(value, MP.nint(value))


def integers_below(size: Number) -> list[Fraction]:
    """The integers j with 0 <= j < size, for any real size."""
    return [Fraction(index) for index in range(max(0, int(MP.ceil(real(size)))))]


def permuting(order: list[int]) -> Tensor:
    """A tensor that permutes a range; outside, where nothing is said of it, it is 0."""

    def entry(at: Number) -> Fraction:
        return Fraction(order[int(at)] if is_integer(at) and 0 <= at < len(order) else 0)

    return entry


def turns(one: Number, two: Number) -> Fraction:
    """What the axiom says of ``turns[a, b]``: the nearest whole number of turns between two angles."""
    return Fraction(int(MP.nint((real(one) - real(two)) / (2 * MP.pi))))
