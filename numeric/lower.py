"""Lowering: from terms to an array program.

What it does: reads a term as it stands, line by line what the derivation ended in. A fold becomes a fold or, where its body is a
product of two values with axes of their own, a contraction; equal subterms become one value, whatever their index names; a call
of a defined function is inlined in *its* kernel form, or stays a ``call`` where it is the target under test.

Guarantees: no algebra: every operation corresponds to a node of the term. The only liberty is that an indicator times a value
selects. Refuses what it does not know with :class:`LoweringError`; it never guesses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kernelproof.numeric.lower_entries import Bound, Entries, Frame, LoweringError, Scope
from kernelproof.numeric.program import Axis, Operation, Program, Ref
from kernelproof.symbolic.binding import alpha_equal, canonical, children, free_variables, substitute
from kernelproof.symbolic.core.definitions import definition_of
from kernelproof.symbolic.functions import Definition, Parameter
from kernelproof.symbolic.terms import Call, Entry, Fold, Lambda, Node, Num, Op, Term, Var, is_size

__all__ = ["Frame", "Kernels", "Lowering", "LoweringError", "Scope"]
Kernels = Callable[[str, int], tuple[Definition, Term]]


class Lowering(Entries):
    """Lowers terms into one program. ``kernels`` gives the kernel form of a defined function's clause; ``opaque`` stay calls."""

    def __init__(self, kernels: Kernels, opaque: frozenset[str] = frozenset()) -> None:
        super().__init__(Program())
        self._kernels, self._opaque = kernels, opaque
        self._shared: dict[object, Ref] = {}

    def scope(self, parameters: tuple[Parameter, ...], sizes: Mapping[Var, Term] | None = None) -> Scope:
        """The outermost scope: every parameter is an input."""
        scope = Scope({}, {}, dict(sizes or {}))
        for parameter in parameters:
            if parameter.kind == "size":
                continue
            axes = tuple(self.axis("a", scope.size(size)) for size in parameter.axes)
            ref = self.program.add(Operation("input", axes, detail=(parameter.name, parameter.kind)))
            if parameter.axes:
                scope.tensors[parameter.name] = Bound(ref, ref.axes, parameter.kind)
            else:
                scope.scalars[parameter.var] = ref
        return scope

    def lower(self, value: Term, scope: Scope, frame: Frame) -> Ref:
        """The value of a term whose free indices run along the axes of the frame."""
        indices = [var for var in frame if var in free_variables(value)]
        indices.sort(key=lambda var: self._order[frame[var].name])
        first = _first_occurrence(value, set(indices))
        standard = {var: Var(f"@{place}") for place, var in enumerate(first)}
        key = (canonical(substitute(value, standard)), tuple(canonical(frame[var].size) for var in first))
        names = tuple(frame[var].name for var in first)
        if len(set(names)) < len(names):
            return self._lower(value, scope, frame)  # two indices along one axis: no renaming of a value with two axes
        if key in scope.memo:
            ref, old = scope.memo[key]
            return ref.renamed(dict(zip(old, names, strict=True)))
        ref = self._lower(value, scope, frame)
        scope.memo[key] = ref, names
        return ref

    def _lower(self, value: Term, scope: Scope, frame: Frame) -> Ref:
        if isinstance(value, Num):
            return self._once(Operation("number", (), detail=(value.value,)))
        if isinstance(value, Var):
            return self._variable(value, scope, frame)
        if isinstance(value, Entry):
            return self._entry(scope.tensors[value.tensor], value.indices, scope, frame, value)
        if isinstance(value, Op):
            return self._operation(value, scope, frame)
        if isinstance(value, Fold):
            return self._fold(value, scope, frame)
        if isinstance(value, Call):
            return self._call(value, scope, frame)
        raise LoweringError(f"no array program for {value!r}")

    def _variable(self, value: Var, scope: Scope, frame: Frame) -> Ref:
        if value in frame:
            return self._once(Operation("index", (frame[value],)))
        if value in scope.scalars:
            return scope.scalars[value]
        if value.kind == "size":
            return self._once(Operation("size", (), detail=(scope.size(value),)))
        raise LoweringError(f"variable {value.name!r} has no value")

    def _operation(self, value: Op, scope: Scope, frame: Frame) -> Ref:
        if value.name == "pow":
            base, exponent = value.args
            if not isinstance(exponent, Num):
                raise LoweringError(f"a power with exponent {exponent!r}")
            return self._add("map", (self.lower(base, scope, frame),), frame, ("pow", int(exponent.value)), value)
        operands = tuple(self.lower(arg, scope, frame) for arg in value.args)
        if value.name == "mul" and any(self._is_indicator(ref) for ref in operands):
            chosen = operands if self._is_indicator(operands[0]) else operands[::-1]
            return self._add("select", chosen, frame, (), value)
        return self._add("map", operands, frame, (value.name,), value)

    def _fold(self, value: Fold, scope: Scope, frame: Frame) -> Ref:
        inner, reduced, body = dict(frame), [], value
        while True:
            var, size = body.var, scope.size(body.size)
            if not is_size(size):
                raise LoweringError(f"a fold of length {size!r}, which is not a size")
            inner[var] = self.axis(var.name, size)
            reduced.append(inner[var])
            if body.kind == "sum" and not _unguarded(body):
                raise LoweringError("a guarded sum")
            if not (isinstance(body.body, Fold) and body.body.kind == body.kind == "sum"):
                break
            body = body.body
        names = tuple(axis.name for axis in reduced)
        if value.kind == "sum":
            if isinstance(body.body, Op) and body.body.name == "mul":
                left, right = (self.lower(arg, scope, inner) for arg in body.body.args)
                if self._contracts(left, right, names):
                    return self._contract(left, right, names, value)
            return self._reduce("sum", (self.lower(body.body, scope, inner),), names, value)
        operands = [self.lower(body.body, scope, inner)]
        if not _unguarded(body):
            operands.append(self.lower(body.guard, scope, inner))
        return self._reduce("max", tuple(operands), names, value)

    def _contracts(self, left: Ref, right: Ref, reduced: tuple[str, ...]) -> bool:
        """A product is a contraction where both run along all reduced axes and one has an axis that the other lacks."""
        shared = all(name in left.axes and name in right.axes for name in reduced)
        own = set(left.axes) ^ set(right.axes)
        return shared and bool(own) and not self._is_indicator(left) and not self._is_indicator(right)

    def _contract(self, left: Ref, right: Ref, reduced: tuple[str, ...], meaning: Term) -> Ref:
        both = [name for name in left.axes if name in right.axes and name not in reduced]
        own_left = [name for name in left.axes if name not in right.axes]
        own_right = [name for name in right.axes if name not in left.axes]
        axes = tuple(Axis(name, self._sizes((left, right))[name]) for name in (*both, *own_left, *own_right))
        return self.program.add(Operation("contract", axes, (left, right), (reduced,), meaning))

    def _reduce(self, kind: str, operands: tuple[Ref, ...], reduced: tuple[str, ...], meaning: Term) -> Ref:
        sizes = self._sizes(operands)
        for name in reduced:
            if name not in sizes:
                raise LoweringError("a fold over an index that its body does not depend on")
        axes = tuple(Axis(name, sizes[name]) for name in self._natural(operands, sizes) if name not in reduced)
        return self.program.add(Operation("fold", axes, operands, (kind, reduced), meaning))

    # -- calls ----------------------------------------------------------------------------------------------------------------

    def _call(self, value: Call, scope: Scope, frame: Frame) -> Ref:
        definition = definition_of(value.function)
        sizes: dict[Var, Term] = {}
        for parameter in definition.parameters:
            if parameter.kind == "size":
                sizes[parameter.var] = scope.size(dict(value.arguments)[parameter.name].body)
        inner = Scope({}, {}, sizes)
        for parameter in definition.parameters:
            if parameter.kind != "size":
                self._argument(parameter, dict(value.arguments)[parameter.name], scope, frame, inner)
        if value.function in self._opaque:
            return self._opaque_call(value, definition, inner, scope, frame)
        which, indices = self._clause(definition, value, scope, frame, inner)
        _, kernel = self._kernels(value.function, which)
        inner_frame: Frame = {var: frame[index] for var, index in indices.items()}
        return self.lower(kernel, inner, inner_frame)

    def _clause(
        self, definition: Definition, value: Call, scope: Scope, frame: Frame, inner: Scope
    ) -> tuple[int, dict[Var, Var]]:
        clause = definition.clauses[0]
        if len(definition.clauses) != 1 or not all(isinstance(part, Var) for part in clause.pattern):
            raise LoweringError(f"inlining {definition.name!r}, which is defined by cases")
        indices: dict[Var, Var] = {}
        for pattern, index in zip(clause.pattern, value.indices, strict=True):
            if not (isinstance(index, Var) and index in frame):
                raise LoweringError(f"inlining {definition.name!r} at a computed index")
            indices[pattern] = index  # type: ignore[index]
        return 0, indices

    def _argument(self, parameter: Parameter, given: Lambda, scope: Scope, frame: Frame, inner: Scope) -> None:
        if not parameter.axes:
            inner.scalars[parameter.var] = self.lower(given.body, scope, frame)
            return
        body = given.body
        if isinstance(body, Entry) and body.indices == given.params and body.tensor in scope.tensors:
            inner.tensors[parameter.name] = scope.tensors[body.tensor]
            return
        axes = [self.axis(var.name, inner.size(size)) for var, size in zip(given.params, parameter.axes, strict=True)]
        inner_frame = {**frame, **dict(zip(given.params, axes, strict=True))}
        ref = self.lower(body, scope, inner_frame)
        missing = [axis for axis in axes if axis.name not in ref.axes]
        if missing:
            ref = self._broadcast(ref, tuple(missing), inner_frame)
        inner.tensors[parameter.name] = Bound(ref, tuple(axis.name for axis in axes), parameter.kind)

    def _broadcast(self, ref: Ref, missing: tuple[Axis, ...], frame: Frame) -> Ref:
        """A value that does not depend on an axis, seen along it: value + 0·index, kept as a map of its own."""
        sizes = self._sizes((ref,)) | {axis.name: axis.size for axis in missing}
        axes = tuple(Axis(name, sizes[name]) for name in self._ordered(sizes))
        return self.program.add(Operation("map", axes, (ref,), ("broadcast",)))

    def _opaque_call(self, value: Call, definition: Definition, inner: Scope, scope: Scope, frame: Frame) -> Ref:
        names, operands = [], []
        for parameter in definition.parameters:
            if parameter.kind == "size":
                continue
            names.append(parameter.name)
            if parameter.axes:
                bound = inner.tensors[parameter.name]
                if set(bound.ref.axes) != set(bound.params):
                    raise LoweringError(f"an argument of {value.function!r} depends on an outer index")
                places = {name: str(place) for place, name in enumerate(bound.params)}
                operands.append(bound.ref.renamed(places))
            else:
                operands.append(inner.scalars[parameter.var])
        sizes = tuple((var.name, size) for var, size in inner.sizes.items())
        axes = tuple(self.axis("r", inner.size(size)) for size in definition.result_axes)
        key = ("call", value.function, tuple(operands), tuple((name, canonical(size)) for name, size in sizes))
        if key not in self._shared:
            operation = Operation("call", axes, tuple(operands), (value.function, tuple(names), sizes), value)
            self._shared[key] = self.program.add(operation)
        ref = self._shared[key]
        return self._entry(Bound(ref, ref.axes), value.indices, scope, frame, value)

    # -- small things ---------------------------------------------------------------------------------------------------------

    def _once(self, operation: Operation) -> Ref:
        key = (operation.kind, operation.axes, operation.detail)
        if key not in self._shared:
            self._shared[key] = self.program.add(operation)
        return self._shared[key]

    def _add(self, kind: str, operands: tuple[Ref, ...], frame: Frame, detail: tuple[object, ...], meaning: Term) -> Ref:
        sizes = self._sizes(operands)
        axes = tuple(Axis(name, sizes[name]) for name in self._natural(operands, sizes))
        return self.program.add(Operation(kind, axes, operands, detail, meaning))

    def _natural(self, operands: tuple[Ref, ...], sizes: Mapping[str, Term]) -> list[str]:
        """The order of the operand that has all axes, so that nothing large is transposed; else the order of creation."""
        for ref in operands:
            if set(ref.axes) == set(sizes):
                return list(ref.axes)
        return self._ordered(sizes)


def _unguarded(fold: Fold) -> bool:
    return alpha_equal(fold.guard, Num(1))


def _first_occurrence(value: Term, wanted: set[Var]) -> list[Var]:
    """Free indices in the order in which they occur in the tree."""
    found: dict[Var, None] = {}

    def visit(node: Node, hidden: frozenset[Var]) -> None:
        if isinstance(node, Var) and node in wanted and node not in hidden:
            found[node] = None
        for part, bound in children(node):
            visit(part, hidden | frozenset(bound))

    visit(value, frozenset())
    return list(found)
