"""The side conditions of the rules: each is tried with a step that only it forbids, beside one that it allows."""

from __future__ import annotations

from typing import Any

import pytest
from handwriting import Ref, Sheet

from kernelproof.symbolic.checker import CheckError, Statement, check
from kernelproof.symbolic.checker.laws import EXPONENTIAL


def last(sheet: Sheet) -> Statement:
    """What the last step states."""
    return check(sheet.document()).theorems["last"]


def refused(sheet: Sheet, why: str) -> None:
    """The last step is refused for this reason; without it the document is accepted."""
    kept = {**sheet.document(), "steps": sheet.steps[:-1], "theorems": {}}
    assert check(kept).steps == len(sheet.steps) - 1
    with pytest.raises(CheckError, match=f"^step {len(sheet.steps) - 1}, rule .*{why}"):
        check(sheet.document())


@pytest.fixture
def sheet() -> Sheet:
    """An empty one."""
    return Sheet()


def in_range(sheet: Sheet, bound: str, length: int) -> tuple[int, int]:
    """A step ``j in length ⊢ j·1 = j``, the hypothesis put there by a cut, and the product."""
    j = sheet.var(bound)
    product = sheet.op("mul", j, sheet.num(1))
    equation, inside = sheet.says("eq", product, j), sheet.says("in", j, length)
    plain = sheet.step("arithmetic", [Ref(product), Ref(j)], equation)
    return sheet.step("cut", [], equation, (inside,), (sheet.assume(inside), plain)), product


def test_a_sum_discharges_the_range_of_its_index(sheet: Sheet) -> None:
    j, n = sheet.var("j"), sheet.var("n", "size")
    given, product = in_range(sheet, "j", n)
    whole, new = sheet.sum(j, n, product), sheet.sum(j, n, j)
    start = sheet.step("reflexivity", [Ref(whole)], sheet.says("eq", whole, whole))
    sheet.step("replacement", [[1, 2]], sheet.says("eq", whole, new), (), (start, given))
    assert not last(sheet).hypotheses


def test_it_discharges_no_other_range(sheet: Sheet) -> None:
    j, m, n = sheet.var("j"), sheet.var("m", "size"), sheet.var("n", "size")
    given, product = in_range(sheet, "j", n)
    whole, new = sheet.sum(j, m, product), sheet.sum(j, m, j)
    start = sheet.step("reflexivity", [Ref(whole)], sheet.says("eq", whole, whole))
    for hypotheses in ((), (sheet.says("in", j, n),)):
        sheet.step("replacement", [[1, 2]], sheet.says("eq", whole, new), hypotheses, (start, given))
        refused(sheet, "more of a variable that becomes bound")
        del sheet.steps[-1]


def test_a_length_that_speaks_of_the_index_means_the_one_outside(sheet: Sheet) -> None:
    j = sheet.var("j")
    length = sheet.entry("x", j)
    given, product = in_range(sheet, "j", length)
    whole, new = sheet.sum(j, length, product), sheet.sum(j, length, j)
    start = sheet.step("reflexivity", [Ref(whole)], sheet.says("eq", whole, whole))
    sheet.step("replacement", [[1, 2]], sheet.says("eq", whole, new), (), (start, given))
    refused(sheet, "more of a variable that becomes bound")


def test_a_length_is_outside_its_own_binder(sheet: Sheet) -> None:
    """Σ over j < j·1: the length speaks of the free j, so its range stays a hypothesis."""
    j = sheet.var("j")
    given, product = in_range(sheet, "j", sheet.var("n", "size"))
    whole, new = sheet.sum(j, product, j), sheet.sum(j, j, j)
    start = sheet.step("reflexivity", [Ref(whole)], sheet.says("eq", whole, whole))
    inside = sheet.says("in", j, sheet.var("n", "size"))
    sheet.step("replacement", [[1, 0]], sheet.says("eq", whole, new), (inside,), (start, given))
    assert len(last(sheet).hypotheses) == 1


def test_transitivity_needs_one_middle_term(sheet: Sheet) -> None:
    a, b, c, d = (sheet.var(name) for name in "abcd")
    one, other, right = (sheet.assume(sheet.says("eq", *sides)) for sides in ((a, b), (c, d), (b, d)))
    sheet.step("transitivity", [], sheet.says("eq", a, d), (sheet.says("eq", a, b), sheet.says("eq", b, d)), (one, right))
    assert len(last(sheet).hypotheses) == 2
    sheet.step("transitivity", [], sheet.says("eq", a, d), (sheet.says("eq", a, b), sheet.says("eq", c, d)), (one, other))
    refused(sheet, "the middle terms differ")


def test_replacement_replaces_the_left_side_of_the_equation(sheet: Sheet) -> None:
    a, b, c = (sheet.var(name) for name in "abc")
    whole, given = sheet.assume(sheet.says("positive", c)), sheet.assume(sheet.says("eq", a, b))
    hypotheses = sheet.says("positive", c), sheet.says("eq", a, b)
    sheet.step("replacement", [[0]], sheet.says("positive", b), hypotheses, (whole, given))
    refused(sheet, "not the left side")
    del sheet.steps[-1]
    for path in ([1], [-1], [0, 0]):
        sheet.step("replacement", [path], sheet.says("positive", b), hypotheses, (whole, given))
        refused(sheet, "the path leads to part")
        del sheet.steps[-1]
    whole = sheet.assume(sheet.says("positive", a))
    sheet.step("replacement", [[0]], sheet.says("positive", b), (sheet.says("positive", a), sheet.says("eq", a, b)), (whole, given))
    assert len(last(sheet).hypotheses) == 2


def test_inner_binders_are_left_before_outer_ones(sheet: Sheet) -> None:
    """In Σ_i Σ_{j<x[i]} j·1 the range of j speaks of i: it goes where Σ_j is left, before Σ_i binds i."""
    i, n = sheet.var("i"), sheet.var("n", "size")
    length = sheet.entry("x", i)
    given, product = in_range(sheet, "j", length)
    whole = sheet.sum(i, n, sheet.sum(sheet.var("j"), length, product))
    new = sheet.sum(i, n, sheet.sum(sheet.var("j"), length, sheet.var("j")))
    start = sheet.step("reflexivity", [Ref(whole)], sheet.says("eq", whole, whole))
    sheet.step("replacement", [[1, 2, 2]], sheet.says("eq", whole, new), (), (start, given))
    assert not last(sheet).hypotheses


def test_reflexivity_is_up_to_bound_names_only(sheet: Sheet) -> None:
    j, k, n = sheet.var("j"), sheet.var("k"), sheet.var("n", "size")
    one, other, wrong = sheet.sum(j, n, j), sheet.sum(k, n, k), sheet.sum(k, n, j)
    sheet.step("reflexivity", [Ref(one), Ref(other)], sheet.says("eq", one, other))
    sheet.step("reflexivity", [Ref(one), None], sheet.says("eq", other, one))
    assert not last(sheet).hypotheses
    sheet.step("reflexivity", [Ref(one), Ref(wrong)], sheet.says("eq", one, one))
    refused(sheet, "more than bound names")


def test_a_specialised_statement_assumes_the_ranges(sheet: Sheet) -> None:
    a, j, n = sheet.var("a"), sheet.var("j"), sheet.var("n", "size")
    every = sheet.node("every", [[j, n]], sheet.says("positive", sheet.entry("x", j)))
    given = sheet.assume(every)
    image, inside = sheet.says("positive", sheet.entry("x", a)), sheet.says("in", a, n)
    sheet.step("specialisation", [[Ref(a)]], image, (every, inside), (given,))
    assert len(last(sheet).hypotheses) == 2
    sheet.step("specialisation", [[Ref(a)]], image, (every,), (given,))
    refused(sheet, "other hypotheses")
    del sheet.steps[-1]
    sheet.step("specialisation", [[Ref(a), Ref(a)]], image, (every, inside), (given,))
    refused(sheet, "all of 2 indices")


def test_cases_end_in_the_same_conclusion(sheet: Sheet) -> None:
    a, b = sheet.var("a"), sheet.var("b")
    square = sheet.says("eq", sheet.op("mul", a, a), a)
    goals = sheet.says("positive", a), sheet.says("positive", b)
    premises = tuple(sheet.assume(formula) for formula in (square, *goals))
    sheet.step("cases", [], goals[1], (square, *goals), premises)
    refused(sheet, "the same conclusion")


def test_each_premise_of_an_induction_is_what_it_must_be(sheet: Sheet) -> None:
    n, zero, one = sheet.var("n", "size"), sheet.num(0), sheet.num(1)

    def claim(size: int) -> int:
        return sheet.says("nonnegative", size)

    def proved(size: int) -> int:
        return sheet.step("law", ["size_nonnegative", {Ref(n): Ref(size)}, {}], claim(size))

    base, step, other = proved(zero), proved(sheet.op("add", n, one)), proved(n)
    arguments = [Ref(n), Ref(claim(n))]
    sheet.step("induction", arguments, claim(n), (), (base, step))
    assert not last(sheet).hypotheses
    for premises in ((other, step), (base, other), (step, base)):
        sheet.step("induction", arguments, claim(n), (), premises)
        refused(sheet, "not the claim for 0 and for n")
        del sheet.steps[-1]


def test_an_equation_without_a_cofactor_is_refused(sheet: Sheet) -> None:
    a, b = sheet.var("a"), sheet.var("b")
    given = sheet.assume(sheet.says("eq", a, b))
    for cofactors in ([], [Ref(a), Ref(b)]):
        sheet.step("arithmetic", [Ref(a), Ref(a), cofactors], sheet.says("eq", a, a), (sheet.says("eq", a, b),), (given,))
        refused(sheet, "1 equations with")
        del sheet.steps[-1]


def test_a_generalised_statement_assumes_ranges_only(sheet: Sheet) -> None:
    j, n = sheet.var("j"), sheet.var("n", "size")
    nonzero = sheet.says("nonzero", j)
    given = sheet.assume(nonzero)
    every = sheet.node("every", [[j, n]], nonzero)
    sheet.step("generalisation", [[[Ref(j), Ref(n)]]], every, (), (given,))
    refused(sheet, "more of a variable that becomes bound")
    sheet.steps[-1]["hypotheses"] = [nonzero]
    refused(sheet, "more of a variable that becomes bound")


def test_sizes_stay_natural(sheet: Sheet) -> None:
    n = sheet.var("n", "size")
    more = sheet.op("add", n, sheet.num(2))
    sheet.step("law", ["size_nonnegative", {Ref(n): Ref(n)}, {}], sheet.says("nonnegative", n))
    sheet.step("instantiation", [{Ref(n): Ref(more)}, {}], sheet.says("nonnegative", more), (), (0,))
    assert not last(sheet).hypotheses
    for value in (sheet.num(-1), sheet.num("1/2"), sheet.op("sub", n, n), sheet.var("n"), sheet.entry("x", n)):
        sheet.step("law", ["size_nonnegative", {Ref(n): Ref(value)}, {}], sheet.says("nonnegative", value))
        refused(sheet, "not natural by its form")
        del sheet.steps[-1]
        sheet.step("instantiation", [{Ref(n): Ref(value)}, {}], sheet.says("nonnegative", value), (), (0,))
        refused(sheet, "not natural by its form")
        del sheet.steps[-1]


def test_a_permutation_is_renamed_and_never_replaced(sheet: Sheet) -> None:
    n, a, i = sheet.var("n", "size"), sheet.var("a"), sheet.var("i")
    renaming, constant = sheet.node("lambda", [i], sheet.entry("r", i)), sheet.node("lambda", [i], sheet.num(0))
    shifted = sheet.node("lambda", [i], sheet.entry("r", sheet.op("add", i, a)))
    for value, image in ((renaming, sheet.entry("r", a)), (constant, sheet.num(0)), (shifted, sheet.entry("r", sheet.op("add", a, a)))):
        hypotheses = sheet.says("permutation", n, tensor="r"), sheet.says("in", a, n)
        sheet.step("law", ["permutation_stays", {}, {"s": Ref(value)}], sheet.says("in", image, n), hypotheses)
        if value == renaming:
            assert len(last(sheet).hypotheses) == 2
        else:
            refused(sheet, "it can be renamed, nothing else")
            del sheet.steps[-1]
    given = sheet.assume(sheet.says("permutation", n, tensor="s"))
    sheet.step("instantiation", [{}, {"s": Ref(constant)}], sheet.says("permutation", n, tensor="s"), (), (given,))
    refused(sheet, "it can be renamed, nothing else")


def test_the_constant_of_an_axiom_stays(sheet: Sheet) -> None:
    a, b = sheet.var("a"), sheet.var("b")
    turns = sheet.says("integer", sheet.entry("turns", a, b))
    given = sheet.step("law", ["turns_are_whole", {}, {}], turns, (), (), ("period of sine and cosine",))
    half = sheet.node("lambda", [a, b], sheet.num("1/2"))
    false = sheet.says("integer", sheet.num("1/2"))
    sheet.step("instantiation", [{}, {"turns": Ref(half)}], false, (), (given,), ("period of sine and cosine",))
    refused(sheet, "an axiom speaks of a tensor")


def test_a_tensor_is_given_a_function_of_its_indices(sheet: Sheet) -> None:
    a = sheet.var("a")
    entry = sheet.entry("x", a, a)
    given = sheet.step("reflexivity", [Ref(entry)], sheet.says("eq", entry, entry))
    zero = sheet.num(0)
    sheet.step("instantiation", [{}, {"x": Ref(sheet.node("lambda", [a], zero))}], sheet.says("eq", zero, zero), (), (given,))
    refused(sheet, "has 2 indices")


def test_induction_assumes_its_claim_and_nothing_else_of_the_size(sheet: Sheet) -> None:
    n, zero, one = sheet.var("n", "size"), sheet.num(0), sheet.num(1)
    after = sheet.op("add", n, one)

    def claim(size: int) -> int:
        return sheet.says("in", size, sheet.num(7))

    base, step = sheet.assume(claim(zero)), sheet.assume(claim(after))
    sheet.step("induction", [Ref(n), Ref(claim(n))], claim(n), (claim(zero), claim(after)), (base, step))
    refused(sheet, "a hypothesis speaks of the size")
    sheet.steps[-1]["hypotheses"] = [claim(zero)]
    refused(sheet, "a hypothesis speaks of the size")
    real = sheet.var("n")
    sheet.steps[-1]["arguments"] = [{"node": real}, {"node": claim(real)}]
    refused(sheet, "induction is over a size")


def test_cases_are_of_a_value_that_is_zero_or_one(sheet: Sheet) -> None:
    a = sheet.var("a")
    square, goal = sheet.op("mul", a, a), sheet.says("positive", a)
    either = sheet.assume(sheet.says("eq", a, square))
    given = sheet.assume(goal)
    sheet.step("cases", [], goal, (goal, sheet.says("eq", a, square)), (either, given, given))
    refused(sheet, "expected t·t = t")
    del sheet.steps[-1]
    right = sheet.assume(sheet.says("eq", square, a))
    sheet.step("cases", [], goal, (goal, sheet.says("eq", square, a)), (right, given, given))
    assert len(last(sheet).hypotheses) == 2


def test_a_premise_of_a_law_is_one_of_its_hypotheses(sheet: Sheet) -> None:
    a, b = sheet.var("a"), sheet.var("b")
    wrong = sheet.assume(sheet.says("positive", b))
    sheet.step("law", ["positive_is_nonzero", {}, {}], sheet.says("nonzero", a), (sheet.says("positive", b),), (wrong,))
    refused(sheet, "a premise is no hypothesis")


def test_an_exponential_brings_its_axiom(sheet: Sheet) -> None:
    a = sheet.var("a")
    grown = sheet.op("exp", a)
    product, zero = sheet.op("mul", grown, sheet.num(0)), sheet.num(0)
    arguments = [Ref(product), Ref(zero)]
    sheet.step("arithmetic", arguments, sheet.says("eq", product, zero), (), (), (EXPONENTIAL,))
    assert last(sheet).axioms == {EXPONENTIAL}
    sheet.step("arithmetic", arguments, sheet.says("eq", product, zero))
    refused(sheet, "other axioms")


def test_arithmetic_takes_equations_and_divisors(sheet: Sheet) -> None:
    a = sheet.var("a")
    one, quotient = sheet.num(1), sheet.op("div", a, a)
    goal = sheet.says("eq", quotient, one)
    for name in ("nonzero", "positive"):
        condition = sheet.says(name, a)
        sheet.step("arithmetic", [Ref(quotient), Ref(one)], goal, (condition,), (sheet.assume(condition),))
        assert len(last(sheet).hypotheses) == 1
    condition = sheet.says("nonnegative", a)
    sheet.step("arithmetic", [Ref(quotient), Ref(one)], goal, (condition,), (sheet.assume(condition),))
    refused(sheet, "neither an equation nor")
    del sheet.steps[-1]
    sheet.step("arithmetic", [Ref(quotient), Ref(one)], goal)
    refused(sheet, "not shown equal")


def looped(sheet: Sheet, clauses: list[dict[str, Any]]) -> None:
    """A definition of ``loop`` without parameters."""
    sheet.definitions.append({"name": "loop", "parameters": [], "clauses": clauses})


def test_a_definition_cannot_call_itself_in_its_body_or_in_a_range() -> None:
    """loop[i] = 5 for i < 1 − δ(loop[0], 5), loop[(1 − δ(loop[0], 5)) + j] = 7: both at once give 0 = 1."""
    sheet = Sheet()
    i, j, zero, five, seven = sheet.var("i"), sheet.var("j"), sheet.num(0), sheet.num(5), sheet.num(7)
    call = sheet.node("call", "loop", [], [zero])
    length = sheet.op("sub", sheet.num(1), sheet.op("delta", call, five))
    looped(sheet, [{"pattern": [i], "ranges": [[i, length]], "body": five},
                   {"pattern": [sheet.op("add", length, j)], "ranges": [[j, sheet.num(1)]], "body": seven}])
    with pytest.raises(CheckError, match="'loop': a range or axis"):
        check(sheet.document())
    sheet.definitions[0]["clauses"] = [{"pattern": [i], "ranges": [[i, five]], "body": sheet.op("add", call, sheet.num(1))}]
    with pytest.raises(CheckError, match="'loop': it calls what is not defined before it"):
        check(sheet.document())
    sheet.definitions[0]["clauses"] = [{"pattern": [i], "ranges": [[i, five]], "body": i}]
    assert list(check(sheet.document()).definitions) == ["loop"]


CHANGES = (
    "twice", "overlap", "free", "tensor", "same variable", "no clause", "three", "not a variable", "arity", "range of a tensor",
    "free range", "range of an index", "parameter as index", "parameter twice", "axis of a tensor",
)


@pytest.mark.parametrize("change", CHANGES)
def test_a_definition_that_defines_nothing_is_refused(change: str) -> None:
    sheet = Sheet()
    i, j, n, one, two = sheet.var("i"), sheet.var("j"), sheet.var("n", "size"), sheet.num(1), sheet.num(2)
    even, odd = sheet.op("mul", two, i), sheet.op("add", sheet.op("mul", two, j), one)
    clauses = [{"pattern": [even], "ranges": [[i, n]], "body": i}, {"pattern": [odd], "ranges": [[j, n]], "body": sheet.entry("x", j)}]
    parameters = [{"name": "n", "kind": "size", "axes": []}, {"name": "x", "kind": "real", "axes": [n]}]
    sheet.definitions = [{"name": "pair", "parameters": parameters, "clauses": clauses}]
    assert list(check(sheet.document()).definitions) == ["pair"]
    match change:
        case "twice":
            sheet.definitions *= 2
        case "overlap":
            clauses[1] = {**clauses[1], "pattern": [sheet.op("mul", two, j)]}
        case "free":
            clauses[0] = {**clauses[0], "body": j}
        case "tensor":
            clauses[0] = {**clauses[0], "body": sheet.entry("y", i)}
        case "same variable":
            clauses[0] = {"pattern": [i, i], "ranges": [[i, n], [i, n]], "body": i}
        case "no clause":
            del clauses[:]
        case "three":
            clauses.append(clauses[0])
        case "not a variable":
            del clauses[0]
        case "arity":
            clauses[0] = {**clauses[0], "body": sheet.entry("x", i, i)}
        case "range of a tensor":
            clauses[0] = {**clauses[0], "ranges": [[i, sheet.entry("x", n)]]}
        case "free range":
            clauses[0] = {**clauses[0], "ranges": [[i, sheet.var("m", "size")]]}
        case "range of an index":
            clauses[0] = {**clauses[0], "ranges": [[i, i]]}
        case "parameter as index":
            parameters.append({"name": "i", "kind": "real", "axes": []})
        case "parameter twice":
            parameters.append({"name": "x", "kind": "real", "axes": []})
        case "axis of a tensor":
            parameters[1] = {**parameters[1], "axes": [sheet.entry("x", n)]}
    with pytest.raises(CheckError, match="definition 'pair'"):
        check(sheet.document())


def test_the_index_of_a_call_has_the_form_of_the_pattern() -> None:
    sheet = Sheet()
    i, j, n, one, two = sheet.var("i"), sheet.var("j"), sheet.var("n", "size"), sheet.num(1), sheet.num(2)
    even, odd = sheet.op("mul", two, i), sheet.op("add", sheet.op("mul", two, j), one)
    sheet.definitions = [{
        "name": "pair", "parameters": [{"name": "n", "kind": "size", "axes": []}],
        "clauses": [{"pattern": [even], "ranges": [[i, n]], "body": i}, {"pattern": [odd], "ranges": [[j, n]], "body": n}],
    }]
    length = sheet.node("lambda", [], n)
    right = sheet.op("mul", two, n)
    wrong = ((sheet.op("mul", n, two), 0, n), (sheet.op("add", two, n), 0, n), (i, 0, i), (even, 1, n), (odd, 2, n), (odd, -1, n))
    for index, which, body in ((right, 0, n), *wrong):
        call = sheet.node("call", "pair", [["n", length]], [index])
        sheet.step("definition", [Ref(call), which], sheet.says("eq", call, body), (sheet.says("in", n, n),))
        if index == right:
            assert last(sheet).hypotheses
        else:
            refused(sheet, "clause")
            del sheet.steps[-1]


def test_arguments_have_the_sort_that_the_rule_asks_for(sheet: Sheet) -> None:
    a, n = sheet.var("a"), sheet.var("n", "size")
    function = sheet.node("lambda", [], a)
    sheet.step("assumption", [Ref(a)], a, (a,))
    refused(sheet, "an argument is not a formula")
    del sheet.steps[-1]
    given = sheet.assume(sheet.node("every", [[a, n]], sheet.says("positive", n)))
    sheet.step("specialisation", [[Ref(function)]], sheet.says("positive", n), (), (given,))
    refused(sheet, "an argument is not a term")
    last_node = len(sheet.nodes)
    for place in (-1, last_node):
        sheet.steps[-1] = {**sheet.steps[0], "arguments": [{"node": place}]}
        refused(sheet, "there is no node")
