"""Unrolled terms: what a term is once all its sizes and indices are integers.

What it does: writes out folds, looks up permutations and masks, puts the definition for a call and the arguments for its parameters,
and leaves a tree (:mod:`nodes`). Bodies of definitions are evaluated with their arguments as closures: neither unfolding nor
substitution nor arithmetic of the core is used. Guarantees: the tree has the value of the term. Cannot see: folds whose length depends
on real values (:class:`kernelproof.symbolic.looks.nodes.NotSeen`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, reduce
from itertools import product
from typing import Any

from kernelproof.symbolic.binding import free_variables
from kernelproof.symbolic.core.definitions import definition_of
from kernelproof.symbolic.functions import Clause
from kernelproof.symbolic.looks.nodes import MAKE, ONE, ZERO, Ground, NotSeen, add, choose, const, maximum, number
from kernelproof.symbolic.looks.setting import Setting
from kernelproof.symbolic.terms import Call, Entry, Fold, Lambda, Num, Op, Term, Var

#: an argument of a call: what stands for the tensor, and where its variables have their values
Closure = tuple[Lambda, "Scope", Mapping[Var, Ground]]


class Scope:
    """Values of variables, and tensors that are arguments of a call: closures. The outermost scope reads a setting."""

    def __init__(self, values: Mapping[Var, Ground], tensors: Mapping[str, Closure], setting: Setting | None) -> None:
        self.values, self.tensors, self.setting = dict(values), tensors, setting
        self._known: dict[Any, Ground] = {}
        self._calls: dict[Any, Scope] = {}

    @classmethod
    def of(cls, setting: Setting) -> Scope:
        """The outermost scope."""
        return cls({var: const(value) for var, value in setting.values.items()}, {}, setting)

    def unroll(self, value: Term, bound: Mapping[Var, Ground] | None = None) -> Ground:
        """The tree of a term, with values of the variables bound around it."""
        values = {**self.values, **bound} if bound else self.values
        return self._unroll(value, values)

    def _unroll(self, value: Term, values: Mapping[Var, Ground]) -> Ground:
        if isinstance(value, Num):
            return const(value.value)
        if isinstance(value, Var):
            return self._variable(value, values)
        key = (value, *(values[var] for var in _ordered(value) if var in values))
        if key not in self._known:
            self._known[key] = self._made(value, values)
        return self._known[key]

    def _variable(self, var: Var, values: Mapping[Var, Ground]) -> Ground:
        if var in values:
            return values[var]
        if var.kind == "size" or self.setting is None:
            raise NotSeen(f"the variable {var.name} has no value")
        return Ground("atom", var.name)

    def _made(self, value: Term, values: Mapping[Var, Ground]) -> Ground:
        match value:
            case Op(name, args):
                return MAKE[name](*(self._unroll(arg, values) for arg in args))
            case Entry(tensor, indices):
                return self._entry(tensor, [self._unroll(index, values) for index in indices])
            case Fold():
                return self._fold(value, values)
            case Call():
                return self._call(value, values)
        raise NotSeen(f"no term: {value!r}")

    def _entry(self, tensor: str, indices: list[Ground]) -> Ground:
        if tensor in self.tensors:
            given, scope, outside = self.tensors[tensor]
            return scope._unroll(given.body, {**outside, **dict(zip(given.params, indices, strict=True))})
        table = self.setting.tables.get(tensor) if self.setting is not None else None
        places = [number(index) for index in indices]
        if table is not None and all(place is not None and place.denominator == 1 for place in places):
            return const(table(*(int(place) for place in places if place is not None)))
        return Ground("atom", tensor, *indices)

    def _fold(self, value: Fold, values: Mapping[Var, Ground]) -> Ground:
        pairs = []
        for index in range(self._natural(value.size, values)):
            inner = {**values, value.var: const(index)}
            guard = self._unroll(value.guard, inner)
            if guard is not ZERO:
                pairs.append((guard, self._unroll(value.body, inner)))
        if value.kind == "sum":
            return reduce(add, (choose(guard, body, ZERO) for guard, body in pairs), ZERO)
        found, some = ZERO, ZERO
        for guard, body in pairs:
            found = choose(guard, choose(some, maximum(found, body), body), found)
            some = choose(guard, ONE, some)
        return found

    def _natural(self, size: Term, values: Mapping[Var, Ground]) -> int:
        length = number(self._unroll(size, values))
        if length is None:
            raise NotSeen("a fold whose length depends on real values")
        return max(0, -(-length.numerator // length.denominator))

    def _call(self, value: Call, values: Mapping[Var, Ground]) -> Ground:
        definition = definition_of(value.function)
        inner = self._called(value, values)
        indices = [self._unroll(index, values) for index in value.indices]
        if len(definition.clauses) == 1:
            (clause,) = definition.clauses
            return inner.unroll(clause.body, {var: index for (var, _), index in zip(clause.ranges, indices, strict=True)})
        for clause in definition.clauses:
            chosen = _matched(clause, inner, indices)
            if chosen is not None:
                return inner.unroll(clause.body, chosen)
        return Ground("atom", f"outside {value.function}", *indices)  # some number: nothing is said of it

    def _called(self, value: Call, values: Mapping[Var, Ground]) -> Scope:
        """The scope of a call: one for all indices with the same arguments."""
        captured = {var: values[var] for _, given in value.arguments for var in free_variables(given) if var in values}
        key = (value.function, value.arguments, tuple(sorted(captured.items(), key=lambda item: item[0].name)))
        if key not in self._calls:
            scalars: dict[Var, Ground] = {}
            tensors: dict[str, Closure] = {}
            for parameter, (name, given) in zip(definition_of(value.function).parameters, value.arguments, strict=True):
                if parameter.axes:
                    tensors[name] = (given, self, dict(values))
                else:
                    scalars[parameter.var] = self._unroll(given.body, values)
            self._calls[key] = Scope(scalars, tensors, None)
        return self._calls[key]


def _matched(clause: Clause, inner: Scope, indices: list[Ground]) -> Mapping[Var, Ground] | None:
    """Values of the variables of a pattern for which it is these indices, within their ranges."""
    names = [var for var, _ in clause.ranges]
    lengths = [inner._natural(length, inner.values) for _, length in clause.ranges]
    fixed = [index if part is var else None for part, index, var in zip(clause.pattern, indices, names, strict=True)]
    ranges = [[index] if index is not None else [const(at) for at in range(length)] for index, length in zip(fixed, lengths, strict=True)]
    for choice in product(*ranges):
        chosen = dict(zip(names, choice, strict=True))
        met = all(inner.unroll(part, chosen) is index for part, index in zip(clause.pattern, indices, strict=True))
        in_range = all(
            (at := number(index)) is not None and at.denominator == 1 and 0 <= at < length
            for index, length in zip(choice, lengths, strict=True)
        )
        if met and in_range:
            return chosen
    return None


@cache
def _ordered(value: Term) -> list[Var]:
    return sorted(free_variables(value), key=lambda var: (var.name, var.kind))
