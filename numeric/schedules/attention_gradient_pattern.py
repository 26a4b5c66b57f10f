"""Attention's gradient inside a larger array program: where it is, and which values go into it and come out of it.

What it does: beside an attention (:mod:`attention_pattern`) whose weights a gradient uses, finds the weights P divided by their sums, dP,
Δ in either recipe, dS = P·(dP − Δ), and the products that end it: dS with keys and with queries, each times the scale, P with the gradient
of the result. Guarantees: each use has the axes that the equations of attention ask for, by their roles (leading, query, key, channel), and
nothing else reads what is inside; what is not recognised for certain is None. Cannot see: a gradient with a soft-cap, a sink, rotary
positions or the mean of a row without keys.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kernelproof.numeric.program import Operation, Program, Ref
from kernelproof.numeric.schedules.attention_pattern import Pattern, attentions_in

Roles = tuple[str, ...]


@dataclass(frozen=True)
class Backward:
    """An attention and its gradient: ``grad`` is the gradient of the result, along the axes of the operation ``product``.

    ``results`` are the values that are the gradients of queries, keys and values; ``inside`` are values that are nowhere else.
    """

    forward: Pattern
    grad: Ref
    product: int
    results: tuple[int, int, int]
    inside: frozenset[int]


def gradient_in(program: Program) -> Backward | None:
    """The one attention of a program with its gradient, or None where there is none or more than one."""
    found = [made for pattern in attentions_in(program) if (made := _Walk(program, pattern).found()) is not None]
    return found[0] if len(found) == 1 else None


class _Walk:
    """One walk on from the weights of an attention."""

    def __init__(self, program: Program, forward: Pattern) -> None:
        self.program, self.operations, self.forward = program, program.operations, forward
        self.users: dict[int, list[int]] = {}
        for number, operation in enumerate(self.operations):
            for ref in operation.operands:
                self.users.setdefault(ref.value, []).append(number)

    def found(self) -> Backward | None:
        """The gradient of this attention."""
        forward, operations = self.forward, self.operations
        if forward.sink is not None or forward.mean or forward.steps or len(forward.products) != 1 or len(forward.scales) != 1:
            return None
        product, weighted = operations[forward.products[0]], operations[forward.weighted]
        self.tile: Roles = (*(f"lead {place}" for place in range(len(product.names) - 2)), "query", "key")
        self.row: Roles = (*self.tile[:-1], "channel")
        of_product = self._named(product, self.tile, "channel")
        of_weighted = self._named(weighted, self.row, "key")
        self.known = {
            ref.value: self._roles(ref, names)
            for ref, names in ((product.operands[0], of_product), (product.operands[1], of_product), (forward.values, of_weighted))
        }
        self.queries, self.keys, self.values = (ref.value for ref in (*product.operands, forward.values))
        if len(self.known) != 3:
            return None
        weights = self._one(forward.select, self._is_share)
        slopes = None if weights is None else self._one(weights, lambda one: self._is_slope(one, weights))
        if weights is None or slopes is None:
            return None
        difference = operations[slopes].operands[1].value
        dp, delta = (ref.value for ref in operations[difference].operands)
        grad = operations[dp].operands[0]
        ends = (
            self._scaled(self._end(slopes, self.keys, "key")), self._scaled(self._end(slopes, self.queries, "query")),
            self._end(weights, grad.value, "query"),
        )
        if ends[0] is None or ends[1] is None or ends[2] is None:
            return None
        before = {ref.value for end in ends[:2] if end is not None for ref in operations[end].operands if ref.axes}
        inside = {*forward.inside, weights, slopes, difference, dp, delta, operations[delta].operands[0].value, *before, *ends}
        made = Backward(forward, grad, dp, (ends[0], ends[1], ends[2]), frozenset(number for number in inside if number is not None))
        return made if self._closed(made) else None

    # -- roles of axes --------------------------------------------------------------------------------------------------------------

    @staticmethod
    def _named(operation: Operation, roles: Roles, summed: str) -> dict[str, str]:
        """The role of each axis of a sum of products: those of its result in order, and the one that is summed over."""
        (reduced,) = operation.detail
        return {**dict(zip(operation.names, roles, strict=True)), **dict.fromkeys(reduced, summed)}

    @staticmethod
    def _roles(ref: Ref, names: dict[str, str]) -> Roles:
        return tuple(names.get(axis, "") for axis in ref.axes)

    def _one(self, value: int, fits: Callable[[int], bool]) -> int | None:
        """The one user of a value that fits."""
        found = [number for number in dict.fromkeys(self.users.get(value, [])) if fits(number)]
        return found[0] if len(found) == 1 else None

    # -- stages -----------------------------------------------------------------------------------------------------------------------

    def _is_share(self, number: int) -> bool:
        """Whether a value is the weights over their sums."""
        operation, total = self.operations[number], self.operations[self.forward.quotient].operands[1].value
        if operation.detail[:1] != ("div",):
            return False
        top, bottom = operation.operands
        axes = top.axes == operation.names and bottom.axes == operation.names[:-1]
        return axes and (top.value, bottom.value) == (self.forward.select, total)

    def _is_slope(self, number: int, weights: int) -> bool:
        """Whether a value is P·(dP − Δ)."""
        operation = self.operations[number]
        if operation.detail[:1] != ("mul",) or any(ref.axes != operation.names for ref in operation.operands):
            return False
        first, second = (ref.value for ref in operation.operands)
        difference = self.operations[second]
        if first != weights or difference.detail[:1] != ("sub",) or difference.operands[0].axes != difference.names:
            return False
        dp, delta = difference.operands
        product = self.operations[dp.value]
        if product.kind != "contract" or product.operands[1].value != self.values or len(product.detail[0]) != 1:
            return False
        names = self._named(product, self.tile, "channel")
        grad, values = (self._roles(ref, names) for ref in product.operands)
        self.known[product.operands[0].value] = grad
        fits = sorted(grad) == sorted(self.row) and values == self.known[self.values]
        return fits and self._is_delta(delta, difference, product, weights)

    def _is_delta(self, delta: Ref, difference: Operation, product: Operation, weights: int) -> bool:
        """Whether a value is Σ g·O over the channels, or Σ P·dP over the keys, of each row."""
        fold = self.operations[delta.value]
        if fold.kind != "fold" or fold.detail[0] != "sum" or len(fold.detail[1]) != 1:
            return False
        rows = self._roles(delta, dict(zip(difference.names, self.tile, strict=True)))
        body, (grad, dp) = fold.operands[0], (product.operands[0].value, difference.operands[0].value)
        pair = self.operations[body.value]
        if sorted(rows) != sorted(self.tile[:-1]) or pair.detail[:1] != ("mul",):
            return False
        for summed, wanted in (
            ("channel", {grad: self.known[grad], self.forward.quotient: self.row}), ("key", {weights: self.tile, dp: self.tile}),
        ):
            names = {**dict(zip(fold.names, rows, strict=True)), fold.detail[1][0]: summed}
            roles = dict(zip(pair.names, self._roles(body, names), strict=True))
            if {ref.value: self._roles(ref, roles) for ref in pair.operands} == wanted:
                return True
        return False

    def _end(self, tile: int, other: int, summed: str) -> int | None:
        """The product of a tile's value and rows, summed over the queries or over the keys."""

        def fits(number: int) -> bool:
            operation = self.operations[number]
            if operation.kind != "contract" or [ref.value for ref in operation.operands] != [tile, other] or len(operation.detail[0]) != 1:
                return False
            first, second = operation.operands
            names = dict(zip(first.axes, self.tile, strict=True))
            names |= dict.fromkeys((axis for axis in operation.names if axis not in names), "channel")
            left = {"key": "query", "query": "key"}[summed]
            kept = tuple(names[axis] for axis in operation.names)
            return (
                names.get(operation.detail[0][0]) == summed and self._roles(second, names) == self.known[other]
                and kept == (*self.tile[:-2], left, "channel")
            )

        return self._one(tile, fits)

    def _scaled(self, number: int | None) -> int | None:
        """That product times the scale, its one use."""
        if number is None or len(self.users.get(number, [])) != 1:
            return None
        user = self.users[number][0]
        operation, scale = self.operations[user], self.forward.scales[0].value
        fits = operation.detail[:1] == ("mul",) and [ref.value for ref in operation.operands] == [scale, number]
        return user if fits and operation.operands[1].axes == operation.names else None

    def _closed(self, made: Backward) -> bool:
        """Whether nothing outside uses what is inside, but for the results."""
        hidden = made.inside - {made.forward.number, *made.results}
        users = {user for value in hidden for user in self.users.get(value, [])}
        return users <= made.inside and not hidden & {ref.value for ref in self.program.outputs}
