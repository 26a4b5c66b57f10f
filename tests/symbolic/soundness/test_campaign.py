"""The campaign: false neighbours of every theorem, none of which is proved or accepted; and that it would see one that is.

By default the first variant of every phase and gradient, without the two longest gradients; the nightly profile takes every variant, more
neighbours, and puts all of them to everything. ``pytest -s`` shows the table.
"""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import settings

from kernelproof.symbolic.binding import alpha_equal
from kernelproof.symbolic.checker import CheckError, check
from kernelproof.symbolic.core.logic import assumption, symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.formulas import equation, nonnegative, positive
from kernelproof.symbolic.logs import size as size_of
from kernelproof.symbolic.logs import steps
from kernelproof.symbolic.phase import Gradient
from kernelproof.symbolic.printing.render import text
from kernelproof.symbolic.registry import derive, gradient, has_gradient, phases
from kernelproof.symbolic.serialise import proofs
from kernelproof.symbolic.soundness.attacks import by_arithmetic, by_sums_of_products, forged, rerun, states
from kernelproof.symbolic.soundness.campaign import ATTACKS, Count, campaign, owners, refuted, table, telling
from kernelproof.symbolic.soundness.evaluator import Evaluation
from kernelproof.symbolic.soundness.neighbours import KINDS, Neighbour, neighbours
from kernelproof.symbolic.soundness.worlds import setting
from kernelproof.symbolic.tactics.rewriting import use
from kernelproof.symbolic.terms import ZERO, exp, size, total, variables

NIGHTLY = settings.default.max_examples > 1000
LONG = () if NIGHTLY else ("multi_head_attention", "encoder_block")
a, b, j = variables("a b j")
n = size("n")


def cases() -> list[tuple[str, bool]]:
    """Phases, and gradients."""
    return [(name, of) for name in phases() for of in (False, True) if not of or (has_gradient(name) and name not in LONG)]


@cache
def counts(name: str, of_gradient: bool) -> dict[str, Count]:
    """The campaign for one phase or gradient."""
    if NIGHTLY:
        asked = [one for one in owners() if one.phase == name and isinstance(one, Gradient) is of_gradient]
        return campaign(asked, 20, 6, heavy=20)
    return campaign([gradient(name) if of_gradient else derive(name)])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "of_gradient"), cases(), ids=[f"{name}-gradient" if of else name for name, of in cases()])
def test_no_false_neighbour_is_proved_or_accepted(name: str, of_gradient: bool) -> None:
    for count in counts(name, of_gradient).values():
        holes = [(found, attack, one.kind, [*map(text, one.hypotheses)], text(one.conclusion)) for found, attack, one in count.holes]
        assert not holes and not any(count.accepted.values())
        assert not count.few, f"fewer than ten false neighbours: {count.few}"
        assert set(count.tried) == set(ATTACKS) and count.tried["edited log"] == count.refuted


@pytest.mark.slow
def test_the_campaign_is_large() -> None:
    found = {key: count for case in cases() for key, count in counts(*case).items()}
    print(f"\n{table(found)}")
    assert sum(count.refuted for count in found.values()) >= 1000
    assert all(sum(count.kinds[kind] for count in found.values()) >= 20 for kind in KINDS)


# -- what the attacks would see ---------------------------------------------------------------------------------------------------


def statement(name: str) -> Theorem:
    return derive(name.split(".")[0]).statement(name).theorem


@pytest.mark.parametrize("name", ["softmax.row_sum_one", "attention.linearity", "layer_norm.mean_zero", "embedding.vocabulary_relabelling"])
def test_the_theorem_itself_is_accepted_everywhere(name: str) -> None:
    """So a refusal of a neighbour is not one of everything."""
    theorem = statement(name)
    itself = Neighbour("number", theorem.hypotheses, theorem.conclusion)
    again = rerun(theorem, itself)
    assert again is theorem and states(theorem, itself)
    assert check(forged(theorem, itself)).steps == size_of(theorem) + 1


def test_true_neighbours_are_proved() -> None:
    """Statements that differ in a way that makes no difference: the provers see through it, so they would see a false one's proof."""
    theorem = statement("softmax.row_sum_one")
    same = Neighbour("number", theorem.hypotheses, equation(theorem.left, theorem.right * 1))
    assert by_arithmetic(theorem, same) and by_sums_of_products(theorem, same)
    left = total(j, n, exp(a) * exp(j))
    moved = assumption((), equation(left, b))
    assert by_sums_of_products(moved, Neighbour("number", (), equation(exp(a) * total(j, n, exp(j)), b)))
    assert not by_arithmetic(moved, Neighbour("number", (), equation(exp(a) * total(j, n, exp(j)), b)))


def test_the_same_proof_of_another_true_statement_goes_through() -> None:
    """Edited consistently, a log proves what it then says: the attack is not blind."""
    theorem = symmetry((assumption((), equation(a, b)),))
    other = Neighbour("index", (equation(a, b),), equation(b, a))
    assert rerun(theorem, other) is theorem
    shown = use("positive_is_nonnegative", use("exp_positive", a=a), a=exp(a))
    without = Neighbour("missing hypothesis", (), shown.conclusion, positive(exp(a)))
    found = rerun(shown, without)
    assert found is shown and states(found, without)


def test_a_premise_taken_out_leaves_its_hypothesis() -> None:
    """The law is still applied, and says itself what nobody showed."""
    shown = use("positive_is_nonnegative", assumption((), positive(a)), a=a)
    without = Neighbour("missing hypothesis", (), nonnegative(a), positive(a))
    found = rerun(shown, without)
    assert found is not None and found.hypotheses == (positive(a),) and not states(found, without)


@pytest.mark.parametrize("name", ["softmax.row_sum_one", "attention.linearity", "rms_norm.mean_square"])
def test_the_checker_refuses_the_step_that_is_forged_and_says_so(name: str) -> None:
    """Not the form of the document: the step that states the neighbour."""
    theorem = statement(name)
    for one in list(neighbours(theorem.hypotheses, theorem.conclusion))[:12]:
        with pytest.raises(CheckError, match=r"step \d+"):
            check(forged(theorem, one))


def test_a_step_in_the_middle_is_refused_as_well() -> None:
    """Each step's conclusion in turn replaced by the one before: the log does not give it."""
    theorem = statement("softmax.shift_invariance")
    document, log = proofs({"t": theorem}), steps(theorem)
    tried = 0
    for place in range(1, len(log)):
        step, other = document["steps"][place], document["steps"][place - 1]["conclusion"]
        if not alpha_equal(log[place].conclusion, log[place - 1].conclusion):
            kept, step["conclusion"] = step["conclusion"], other
            with pytest.raises(CheckError):
                check(document)
            step["conclusion"] = kept
            tried += 1
    assert tried > 20 and check(document).steps == size_of(theorem)


def test_the_witnesses_see_the_difference() -> None:
    """Of a theorem with one hypothesis: the neighbours that are refuted are false, the theorem is not among them."""
    derivation = derive("softmax")
    found = derivation.statement("softmax.row_sum_one")
    about = setting(derivation, found)
    there = [(world, Evaluation(world)) for world in telling(about, 3)]
    theorem = found.theorem
    assert len(there) == 3 and not refuted(about, there, Neighbour("number", theorem.hypotheses, theorem.conclusion))
    assert refuted(about, there, Neighbour("number", theorem.hypotheses, equation(theorem.left, ZERO)))
    assert refuted(about, [], Neighbour("missing hypothesis", (), theorem.conclusion, theorem.hypotheses[0]))


def test_every_kind_of_neighbour_is_made() -> None:
    theorem = statement("attention.linearity")
    made = list(neighbours(theorem.hypotheses, theorem.conclusion))
    assert {one.kind for one in made} == set(KINDS) - {"missing hypothesis"} and len(set(made)) == len(made)
    left_out = {one.missing for one in neighbours((positive(n), positive(a)), equation(a, b))}
    assert left_out == {positive(a), positive(n), None}
    assert all(one.conclusion is not theorem.conclusion for one in made)
