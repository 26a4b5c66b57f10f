"""The two tables of laws, written down twice, say the same; and the notation of the second has one reading."""

from __future__ import annotations

import pytest
from replays import mirrored

from kernelproof.symbolic.checker import CheckError, check
from kernelproof.symbolic.checker.laws import CONSTANT_TENSORS, EXPONENTIAL, laws
from kernelproof.symbolic.checker.nodes import number, operation, predicate, variable
from kernelproof.symbolic.checker.notation import sequent
from kernelproof.symbolic.core import algebra
from kernelproof.symbolic.core.laws import LAWS, law
from kernelproof.symbolic.core.logic import RESERVED
from kernelproof.symbolic.serialise import proofs


def test_the_tables_have_the_same_rows() -> None:
    assert set(laws()) == set(LAWS)
    assert CONSTANT_TENSORS == RESERVED and algebra.EXPONENTIAL == EXPONENTIAL


@pytest.mark.parametrize("name", LAWS)
def test_a_law_says_the_same_in_both_tables(name: str) -> None:
    core, own = LAWS[name], laws()[name]
    assert tuple(map(mirrored, core.hypotheses)) == own.hypotheses
    assert mirrored(core.conclusion) is own.conclusion
    assert own.axioms == ({core.axiom} if core.axiom else set())
    statement = check(proofs({"law": law((), name, {}, {})})).theorems["law"]
    assert statement.conclusion is own.conclusion and statement.hypotheses == set(own.hypotheses)


def test_operators_bind_as_in_python() -> None:
    a, b, c = (variable(name) for name in "abc")
    cube = operation("pow", b, number(3))
    wanted = operation("sub", operation("sub", a, operation("mul", operation("div", b, c), operation("neg", cube))), c)
    assert sequent("a - b / c * -b**3 - c = 0") == ((), predicate("eq", wanted, number(0)))
    assert sequent("n = 1; a in n => a > 0")[0] == (
        predicate("eq", variable("n", "size"), number(1)), predicate("in", a, variable("n", "size")),
    )


@pytest.mark.parametrize(
    "text", ["a", "a = b c", "a = ", "a > 1", "a = b; b = c", "a = foo(b)", "a ** b = c", "a = sum(j < n)", "a = $", ""]
)
def test_a_text_without_a_reading_is_refused(text: str) -> None:
    with pytest.raises(CheckError):
        sequent(text)
