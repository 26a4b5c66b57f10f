"""The bridge: every theorem of a phase, read as a property of any kernel.

What it does: takes the conclusion of a theorem as an array program in which the defined function is the target under test, runs
both sides, and compares them within the error bounds that the interpreter derives for exactly these inputs. A shift, a
permutation, a map of the tokens is drawn beside the inputs, as the statement declares. The definition itself is a theorem like the
others: ``PHASE.matches_definition``.

Guarantees: the property is the theorem; where a hypothesis fails (no key may be attended to) the entry is left out. Half of the
examples are telling ones (``telling.py``), since few faults show where an exponential is saturated.
Cannot see: faults within the bound; rows or magnitudes that the strategies do not draw.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis.strategies import DrawFn

from kernelproof.numeric.formal import formal
from kernelproof.numeric.forms import free_shifts
from kernelproof.numeric.interpret import Approx, Interpreter, size_value
from kernelproof.numeric.program import Program
from kernelproof.numeric.reference import wide
from kernelproof.numeric.rounding import arithmetic_for
from kernelproof.numeric.statements import StatementProgram, is_testable, statement_program
from kernelproof.properties.call import Call
from kernelproof.properties.kept_references import reference
from kernelproof.properties.masking import masking_properties
from kernelproof.properties.model import Case, Finding, Inputs, Property, Setting, build
from kernelproof.properties.presentation import present
from kernelproof.properties.strategies import draw_case
from kernelproof.properties.telling import draw_padding, draw_telling, with_padding
from kernelproof.properties.tolerance import expected_of, within
from kernelproof.properties.uniqueness import uniqueness_property
from kernelproof.symbolic.phase import Derivation, Statement
from kernelproof.symbolic.printing.derivation import definition_equations
from kernelproof.symbolic.printing.render import text
from kernelproof.symbolic.registry import derive
from kernelproof.symbolic.terms import Term, Var


class Unfinished(Exception):
    """One call already decides the example: it fails, or its arguments cannot be had."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


def theorem_properties(phase: str, variant: Mapping[str, object]) -> list[Property]:
    """The properties of a phase that are theorems, the definition first; those about masks follow from the definition."""
    derivation = derive(phase, **variant)
    # once for all examples; the first property would pay for it with the time of its search
    free_shifts()
    made = [_definition_property(derivation)]
    made += [_statement_property(derivation, found) for found in derivation.statements if is_testable(found)]
    if phase == "positional":
        made.append(uniqueness_property(derivation))
    return [*made, *masking_properties(phase, variant)]


def theorem_text(statement: Statement) -> str:
    """``hypotheses ⊢ conclusion``."""
    assumed = "; ".join(text(formula) for formula in statement.theorem.hypotheses)
    return f"{assumed + ' ' if assumed else ''}⊢ {text(statement.theorem.conclusion)}"


def _definition_property(derivation: Derivation) -> Property:
    def draw(draw: DrawFn, setting: Setting) -> Case:
        return draw_padding(draw, draw_case(draw, setting, **draw_telling(draw, setting)))

    def check(call: Call, case: Case, setting: Setting) -> Finding:
        inputs = with_padding(case, build(case))
        expected = expected_of(case.phase, dict(case.variant), inputs, setting.dtype)
        observed = call(inputs.tensors, inputs.options)
        if observed.shape != expected.value.shape:
            return _wrong_shape(observed.shape, expected.value.shape, inputs)
        return within(observed, expected.value, expected.error, inputs)

    return Property(
        id=f"{derivation.phase}.matches_definition",
        title="The result is the definition's, within the rounding bound",
        theorem="; ".join(text(formula) for formula in definition_equations(derivation)),
        phase=derivation.phase,
        draw=draw,
        check=check,
    )


def _wrong_shape(observed: tuple[int, ...], expected: tuple[int, ...], inputs: Inputs) -> Finding:
    return Finding(
        ok=False,
        ratio=float("inf"),
        observed=list(observed),
        expected=list(expected),
        inputs=inputs,
        message=f"the result has shape {list(observed)}, expected {list(expected)}",
        assertion=f"observed.shape == {expected!r}",
    )


def _statement_property(derivation: Derivation, statement: Statement) -> Property:
    function = derivation.definition.name

    def draw(draw: DrawFn, setting: Setting) -> Case:
        program = statement_program(function, statement.id)
        return _draw_statement(draw, setting, derivation, statement, program)

    def check(call: Call, case: Case, setting: Setting) -> Finding:
        return _check_statement(call, case, setting, derivation, statement)

    return Property(
        id=statement.id,
        title=statement.title,
        theorem=theorem_text(statement),
        phase=derivation.phase,
        draw=draw,
        check=check,
        needs=frozenset(statement.needs),
    )


def _draw_statement(
    draw: DrawFn, setting: Setting, derivation: Derivation, statement: Statement, program: StatementProgram
) -> Case:
    extras = [
        (
            extra.name,
            extra.kind,
            _axis_names((*extra.axes, *((extra.bound,) if extra.kind == "index_map" and extra.bound else ()))),
        )
        for extra in statement.extras
    ]
    equal = {name: value.name for name, value in program.equal if isinstance(value, Var) and name in ("m",)}
    positive = [
        str(term.name)
        for formula in statement.theorem.hypotheses
        if formula.name == "positive"
        for term in formula.terms
        if isinstance(term, Var) and term.kind == "size"
    ]
    moved_mask = any(extra.kind == "permutation" for extra in statement.extras) and "mask" not in setting.capabilities
    telling = draw_telling(draw, setting)
    chosen: dict[str, Any] = {
        **telling,
        "fixed": {**telling.get("fixed", {}), **equal},
        "minimum": {**dict.fromkeys(positive, 1), **telling.get("minimum", {})},
        "without": ("causal",) if moved_mask else (),
    }
    if derivation.phase in ("feed_forward", "embedding"):
        # their tokens are the axis n of the definition
        chosen["batch"] = ()
    case = draw_case(draw, setting, extras=extras, **chosen)
    return replace(case, extras=tuple(replace(extra, batched=False) for extra in case.extras))


def _axis_names(axes: tuple[Term, ...]) -> tuple[str, ...]:
    """Names of sizes as the contract has them: heads·f and 2·h are the width d."""
    return tuple(axis.name if isinstance(axis, Var) else "d" for axis in axes)


def _check_statement(call: Call, case: Case, setting: Setting, derivation: Derivation, statement: Statement) -> Finding:
    inputs = build(case)
    program = statement_program(derivation.definition.name, statement.id)
    options = dict(inputs.options)
    sizes_named = dict(program.equal)
    if derivation.phase == "positional" and "sines" in sizes_named:
        # for even widths; one column would become none, which a kernel need not take
        options["d_model"] = max(2, int(options["d_model"]) // 2 * 2)  # type: ignore[call-overload]
    given = formal(case.phase, derivation.variant, inputs.tensors, options)
    sizes = dict(given.sizes)
    if "sines" in sizes_named:
        sizes["h"] = sizes["cosines"]
    dtype, on = wide(setting.dtype), arithmetic_for(setting.dtype, wide(setting.dtype))
    arrays: dict[str, Any] = {**given.inputs, **inputs.extras}
    shown = Inputs(inputs.tensors, options, inputs.extras)
    handler = _Target(call, case, setting, derivation, shown, given.inputs, nests_calls(program.equation))
    run = Interpreter(on, dtype, sizes, arrays, None, free_shifts(), handler)
    held = _conditions(program, Interpreter(on, dtype, sizes, arrays, None, free_shifts()))
    try:
        left, right = run.run(program.equation)
    except Unfinished as stop:
        return stop.finding
    bound = left.error + right.error
    bound = np.where(np.broadcast_to(held, np.broadcast_shapes(held.shape, bound.shape)), bound, np.inf)
    finding = within(left.value, right.value, bound, inputs, f"{statement.id}: the left side")
    return finding if finding.ok else handler.convict(finding)


def nests_calls(program: Program) -> bool:
    """Whether the result of a call goes into the arguments of another."""
    from_call: set[int] = set()
    for number, operation in enumerate(program.operations):
        used = any(ref.value in from_call for ref in operation.operands)
        if used and operation.kind == "call":
            return True
        if used or operation.kind == "call":
            from_call.add(number)
    return False


def _conditions(program: StatementProgram, run: Interpreter) -> Any:
    held: Any = np.True_
    for part in run.run(program.conditions):
        held = held & (part.value > part.error)
    return np.asarray(held)


class _Target:
    """The kernel under test as a value of the program: arguments rounded to its dtype, their rounding carried into the bound."""

    def __init__(
        self, call: Call, case: Case, setting: Setting, derivation: Derivation, inputs: Inputs, plain: Mapping[str, Any], nested: bool
    ) -> None:
        self._call, self._case, self._setting, self._derivation = call, case, setting, derivation
        self._inputs, self._plain, self._nested = inputs, plain, nested
        self._witness: Finding | None = None

    def __call__(self, function: str, arguments: Mapping[str, Approx], sizes: Mapping[str, int]) -> Approx:
        shown = present(self._case, self._setting, arguments, sizes, self._inputs, self._plain, self._nested)
        if not all(np.isfinite(array.astype(np.float64)).all() for array in shown.tensors.values()):
            # what the statement asks for does not fit into the format: nothing can be concluded
            raise Unfinished(Finding(ok=True, vacuous=True, message="an argument overflows the format under test"))
        expected = reference(
            self._case.phase, self._derivation.variant, shown.tensors, shown.options, self._setting.dtype, shown.errors
        )
        given = Inputs(dict(shown.tensors), dict(shown.options))
        observed = self._call(shown.tensors, shown.options)
        axes = tuple(size_value(size, sizes) for size in self._derivation.definition.result_axes)
        if observed.shape != expected.value.shape:
            raise Unfinished(_wrong_shape(observed.shape, expected.value.shape, given))
        value = observed.astype(expected.value.dtype)
        lost = ~np.isfinite(value) & np.isfinite(expected.error)
        if lost.any():
            raise Unfinished(within(observed, expected.value, expected.error, given))
        alone = within(observed, expected.value, expected.error, given)
        self._witness = self._witness if alone.ok else alone
        if "query_heads" in self._case.shape.output:
            # query heads are two axes of the definition
            value, error = (part.reshape((*part.shape[:-3], *axes)) for part in (value, expected.error))
            return Approx(value, error)
        if value.ndim < len(axes):
            raise AssertionError("the result has fewer axes than the definition")
        return Approx(value, expected.error)

    def convict(self, finding: Finding) -> Finding:
        """The failure shown on the call that is off its definition: if every call were within its bound, both sides would agree."""
        if self._witness is None:
            raise AssertionError(
                f"{finding.message}; yet every call is within its bound: the bound of the statement is too small"
            )
        return replace(
            finding,
            observed=self._witness.observed,
            expected=self._witness.expected,
            bound=self._witness.bound,
            inputs=self._witness.inputs,
            message=f"{finding.message}; there {self._witness.message}",
        )
