"""Lowering: programs say what the terms said, compute nothing twice, and refuse what they do not know."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from numeric_cases import ALL, name_of
from reify import Reader

from kernelproof.numeric.forms import derivation_of, free_shifts, kernel_form, program_of
from kernelproof.numeric.interpret import Interpreter
from kernelproof.numeric.lower import Lowering, LoweringError
from kernelproof.numeric.program import Axis, Operation, Program, Ref
from kernelproof.numeric.rounding import arithmetic_for
from kernelproof.symbolic.binding import alpha_equal
from kernelproof.symbolic.functions import Parameter
from kernelproof.symbolic.registry import derive
from kernelproof.symbolic.terms import Entry, Fold, Num, Op, Term, Var, exp, maximum_of, size, total, variables

n, m, h = size("n"), size("m"), size("h")
i, j, k, a = variables("i j k a")
CALLING = ("multi_head_attention", "encoder_block")
PLAIN = [(phase, variant) for phase, variant in ALL if phase not in CALLING]


def lowered(term: Term, *parameters: Parameter, over: tuple[tuple[Var, Term], ...] = ((i, n),)) -> Program:
    lowering = Lowering(kernel_form)
    scope = lowering.scope(parameters)
    frame = {var: lowering.axis(var.name, length) for var, length in over}
    lowering.program.outputs.append(lowering.lower(term, scope, frame))
    lowering.program.frames.append(tuple(axis.name for axis in frame.values()))
    return lowering.program


def kinds(program: Program) -> list[str]:
    """What is computed, in order: kinds of operations, maps by name."""
    operations = [program.operations[number] for number in program.live()]
    return [operation.detail[0] if operation.kind == "map" else operation.kind for operation in operations]


def value(program: Program, sizes: dict[str, int], **inputs: object) -> list:
    on = arithmetic_for("float32", np.dtype(np.float64))
    (found,) = Interpreter(on, np.dtype(np.float64), sizes, inputs).run(program)  # type: ignore[arg-type]
    return found.value.tolist()  # type: ignore[no-any-return]


X, Y, MATRIX = Parameter("x", (n,)), Parameter("y", (n,)), Parameter("w", (n, n))


# -- nothing twice ------------------------------------------------------------------------------------------------------------


def test_attention_computes_scores_and_weights_once() -> None:
    """The scores stand four times in the kernel form, the exponential twice, under three names of the key's index."""
    counts = {kind: kinds(program_of("attention")).count(kind) for kind in ("contract", "exp", "fold", "select", "div")}
    assert counts == {"contract": 2, "exp": 1, "fold": 2, "select": 1, "div": 1}


def test_softmax_shares_maximum_exponential_and_sum() -> None:
    assert kinds(program_of("softmax")) == ["input", "fold", "sub", "exp", "fold", "div"]


def test_layer_norm_shares_the_deviation_and_takes_two_passes() -> None:
    found = kinds(program_of("layer_norm"))
    assert found.count("fold") == 2 and found.count("sub") == 1 and found.count("sqrt") == 1


def test_heads_are_split_axes_and_six_products() -> None:
    program = program_of("multi_head_attention")
    assert kinds(program).count("split") == 4 and kinds(program).count("contract") == 6 and "gather" not in kinds(program)
    places = [operation.detail for operation in program.operations if operation.kind == "split"]
    assert places == [(1,), (1,), (1,), (0,)]


@pytest.mark.parametrize(("layout", "step"), [("halves", 1), ("interleaved", 2)])
def test_rotary_takes_slices(layout: str, step: int) -> None:
    program = program_of(f"rotary_{layout}")
    slices = [operation.detail[1] for operation in program.operations if operation.kind == "slice"]
    second = h if layout == "halves" else Num(1)
    assert [part[:2] for part in slices] == [(Num(0), step), (second, step)]
    assert kinds(program).count("sin") == kinds(program).count("cos") == 1


def test_an_embedding_is_a_gather_of_whole_rows() -> None:
    assert kinds(program_of("embedding")) == ["input", "input", "gather"]


def test_dead_values_are_left_out_and_uses_are_counted() -> None:
    program = program_of("attention")
    assert list(program.live()) == sorted(set(program.live()))
    assert all(ref.value < number for number, operation in enumerate(program.operations) for ref in operation.operands)
    uses = program.uses()
    exponential = next(number for number, operation in enumerate(program.operations) if operation.kind == "select")
    assert uses[exponential] == 2


# -- back to terms --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("phase", "variant"), PLAIN, ids=name_of)
def test_a_program_read_back_is_the_kernel_form(phase: str, variant: dict[str, object]) -> None:
    derivation = derive(phase, **variant)
    reader = Reader(program_of(derivation.definition.name))
    for number, clausal in enumerate(derivation.clauses):
        indices = tuple(var for var, _ in clausal.clause.ranges)
        assert alpha_equal(reader.output(number, indices), clausal.kernel)


def mutations(program: Program) -> list[tuple[str, Program]]:
    """Programs with one thing changed."""
    found = []

    def changed(what: str, number: int, operation: Operation) -> None:
        operations = list(program.operations)
        operations[number] = operation
        found.append((f"{what} {number}", Program(operations, program.outputs, program.frames)))

    pairs = (("add", "sub"), ("mul", "div"), ("exp", "sin"), ("cos", "sin"), ("tanh", "erf"))
    swap = {"max": "add", **dict(pairs), **{other: one for one, other in pairs}}
    for number in program.live():
        operation = program.operations[number]
        if operation.kind == "map" and operation.detail[0] in swap:
            changed("map", number, replace(operation, detail=(swap[operation.detail[0]],)))
        if operation.kind in ("map", "contract") and len(operation.operands) == 2 and operation.operands[0] != operation.operands[1]:
            changed("operands of", number, replace(operation, operands=operation.operands[::-1]))
        if operation.kind == "map" and operation.detail[0] == "pow":
            changed("exponent", number, replace(operation, detail=("pow", operation.detail[1] + 1)))
        if operation.kind == "fold":
            kind, reduced = operation.detail
            changed("fold", number, replace(operation, detail=("max" if kind == "sum" else "sum", reduced)))
            if len(operation.operands) > 1:
                changed("guard", number, replace(operation, operands=operation.operands[:1]))
        if operation.kind == "number":
            changed("number", number, replace(operation, detail=(operation.detail[0] + Fraction(1, 7),)))
        if operation.kind == "slice":
            parts = tuple((part[0] + Num(1), *part[1:]) if part else part for part in operation.detail)
            changed("slice", number, replace(operation, detail=parts))
        if operation.kind == "input" and operation.axes:
            changed("input", number, replace(operation, detail=("other", operation.detail[1])))
        if operation.kind == "size":
            changed("size", number, replace(operation, detail=(m * n * h,)))
    return found


@pytest.mark.parametrize(("phase", "variant"), PLAIN, ids=name_of)
def test_a_changed_program_is_another_term(phase: str, variant: dict[str, object]) -> None:
    derivation = derive(phase, **variant)
    changed = mutations(program_of(derivation.definition.name))
    assert changed
    for what, program in changed:
        same = [
            alpha_equal(Reader(program).output(number, tuple(var for var, _ in clausal.clause.ranges)), clausal.kernel)
            for number, clausal in enumerate(derivation.clauses)
        ]
        assert not all(same), what


# -- terms one by one -----------------------------------------------------------------------------------------------------------


def test_sums_of_products_are_contractions_only_where_both_sides_bring_an_axis() -> None:
    assert "contract" in kinds(lowered(total(j, n, Entry("w", i, j) * Entry("x", j)), X, MATRIX))
    assert "contract" not in kinds(lowered(total(j, n, Entry("x", j) * Entry("y", j)), X, Y, over=()))
    indicator = Parameter("allow", (n, n), "indicator")
    for body in (Entry("allow", i, j) * Entry("x", j), Entry("x", j) * Entry("allow", i, j)):
        program = lowered(total(j, n, body), X, indicator)
        assert "select" in kinds(program) and "contract" not in kinds(program)
        given = {"x": np.array([1.0, 2.0]), "allow": np.array([[1, 0], [1, 1]])}
        assert value(program, {"n": 2}, **given) == [1.0, 3.0]


def test_equal_terms_under_other_index_names_are_one_value() -> None:
    twice = total(j, n, exp(Entry("x", j))) + total(k, n, exp(Entry("x", k)))
    assert kinds(lowered(twice, X, over=())) == ["input", "exp", "fold", "add"]
    other_length = total(j, n, exp(Entry("x", j))) + total(k, m, exp(Entry("x", k)))
    assert kinds(lowered(other_length, X, over=())).count("exp") == 2


def test_an_entry_on_the_diagonal() -> None:
    assert value(lowered(Entry("w", i, i), MATRIX), {"n": 2}, w=np.array([[1.0, 2.0], [3.0, 4.0]])) == [1.0, 4.0]


def test_a_transposed_entry() -> None:
    program = lowered(Entry("w", j, i), MATRIX, over=((i, n), (j, n)))
    assert value(program, {"n": 2}, w=np.array([[1.0, 2.0], [3.0, 4.0]])) == [[1.0, 3.0], [2.0, 4.0]]


def test_an_index_that_is_no_regular_part_is_gathered() -> None:
    """A half or a negative start is no slice: nothing is rounded or wrapped in silence."""
    wide = Parameter("z", (2 * n,))
    assert kinds(lowered(Entry("z", 2 * i + 1), wide))[-1] == "slice"
    assert kinds(lowered(Entry("z", n + i), wide))[-1] == "slice"
    for index in (Num(Fraction(1, 2)) * i, i + Num(Fraction(1, 2)), i + Num(-1), Num(-1) * i, Num(0) * i, a + i, i * i):
        assert kinds(lowered(Entry("z", index), wide, Parameter("a")))[-1] == "gather"


REFUSED: list[tuple[Term, str]] = [
    (Fold("sum", j, n, Entry("x", j), Entry("x", j)), "a guarded sum"),
    (Fold("sum", k, n, total(j, n, Entry("w", j, k)), Entry("x", k)), "a guarded sum"),
    (total(j, n, exp(Entry("x", i))), "does not depend on"),
    (maximum_of(j, n, Entry("x", i)), "does not depend on"),
    (total(j, n, total(k, j, Entry("w", j, k))), "which is not a size"),
    (Var("unknown") + Entry("x", i), "'unknown' has no value"),
]


@pytest.mark.parametrize(("term", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_what_is_not_known_is_refused(term: Term, words: str) -> None:
    with pytest.raises(LoweringError, match=words):
        lowered(term, X, MATRIX)


def test_calls_by_cases_or_at_computed_indices_are_not_inlined() -> None:
    rotary, softmax = derivation_of("rotary_halves").definition, derivation_of("softmax").definition
    turned = rotary.call({"n": n, "h": h}, i, j)
    parameters = (Parameter("x", (n, 2 * h)), Parameter("base"), Parameter("start"))
    with pytest.raises(LoweringError, match="defined by cases"):
        lowered(turned, *parameters, over=((i, n), (j, 2 * h)))
    for index in (i + 1, a, Num(0)):
        with pytest.raises(LoweringError, match="at a computed index"):
            lowered(softmax.call({}, index), X, Parameter("a"))


def test_an_inlined_call_is_the_function() -> None:
    softmax = derivation_of("softmax").definition
    program = lowered(softmax.call({}, i) * Num(2), X)
    assert np.allclose(value(program, {"n": 2}, x=np.array([0.0, np.log(3.0)])), [0.5, 1.5])


def test_an_opaque_call_stays_and_is_shared() -> None:
    softmax = derivation_of("softmax").definition
    lowering = Lowering(kernel_form, frozenset({"softmax"}))
    scope = lowering.scope((X,))
    frame = {i: lowering.axis("i", n)}
    lowering.program.outputs.append(lowering.lower(softmax.call({}, i) + softmax.call({}, i) * softmax.call({}, i), scope, frame))
    assert kinds(lowering.program).count("call") == 1


def test_free_shifts_are_the_maxima_of_softmax_and_attention() -> None:
    """Of attention plain and soft-capped, turned or not, and of each the larger one of the maximum and the sink."""
    folds = [term for term in free_shifts() if isinstance(term, Fold)]
    joined = [term for term in free_shifts() if isinstance(term, Op)]
    assert len(folds) == 7 and all(term.kind == "max" for term in folds)
    assert len(joined) == 6 and all(term.name == "max" and term.args[0] in folds for term in joined)


def test_references_and_axes_as_data() -> None:
    ref = Ref(3, ("a", "b"))
    assert ref.renamed({"a": "i"}) == Ref(3, ("i", "b"))
    operation = Operation("index", (Axis("i", n),))
    program = Program()
    assert program.add(operation) == Ref(0, ("i",)) and operation.names == ("i",)
    with pytest.raises(KeyError):
        derivation_of("no such function")
