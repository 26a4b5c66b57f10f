"""What each theorem assumes and which axioms it rests on, spelled out: one that is silently added fails here."""

from __future__ import annotations

import pytest
from instances import VARIANTS

from kernelproof.symbolic.phase import Derivation
from kernelproof.symbolic.printing.render import text

EXP, TRIG, CIRCLE = "exp(a+b) = exp(a)·exp(b), exp > 0", "trigonometric addition", "unit circle"
ROOT, ORDER, ODD = "square root", "order of the reals", "erf and tanh are odd"
VARIANCE = "(Σ_{l < d} (x[l] − (Σ_{k < d} x[k])/d)^2)/d + eps > 0"
MEAN_SQUARE = "(Σ_{k < d} x[k]^2)/d + eps > 0"
PAIR = ("p ∈ {0, …, n − 1}", "i ∈ {0, …, sines − 1}", "i ∈ {0, …, cosines − 1}")
TWO_POSITIONS = ("p ∈ {0, …, n − 1}", "q ∈ {0, …, n − 1}")

#: theorem -> hypotheses, axioms
EXPECTED: dict[str, tuple[tuple[str, ...], set[str]]] = {
    "embedding.one_hot_is_gather": (("ids[t] ∈ {0, …, vocab − 1}",), set()),
    "embedding.vocabulary_relabelling": (("s[ids[t]] ∈ {0, …, vocab − 1}", "ids[t] ∈ {0, …, vocab − 1}"), set()),
    "embedding.token_reindexing": ((), set()),
    "positional.rotation_sine": (PAIR, {EXP, TRIG}),
    "positional.rotation_cosine": ((PAIR[0], PAIR[2], PAIR[1]), {EXP, TRIG}),
    "positional.unit_norm": (PAIR, {CIRCLE}),
    "positional.offset_only": (TWO_POSITIONS, {EXP, TRIG}),
    "positional.uniqueness": (
        (
            "p ∈ {0, …, n − 1}", "0 ∈ {0, …, sines − 1}", "PE[p, sine 0] = PE[q, sine 0]",
            "q ∈ {0, …, n − 1}", "0 ∈ {0, …, cosines − 1}", "PE[p, cosine 0] = PE[q, cosine 0]", "p ∈ ℤ", "q ∈ ℤ",
        ),
        {EXP, "period of sine and cosine", "π is irrational"},
    ),
    "rotary.norm_kept": (("p ∈ {0, …, n − 1}", "i ∈ {0, …, h − 1}"), {EXP, CIRCLE}),
    "rotary.offset_only": (TWO_POSITIONS, {EXP, TRIG}),
    "softmax.row_sum_one": (("n > 0",), {EXP}),
    "softmax.shift_invariance": ((), {EXP}),
    "softmax.stable_form": ((), {EXP}),
    "softmax.permutation_equivariance": (("s permutes {0, …, n − 1}",), set()),
    "attention.row_sum_one": (("Σ_{l < m} allow[i, l]·exp(scale·(Σ_{c < d} q[i, c]·k[l, c]) + bias[i, l]) > 0",), {EXP}),
    "attention.score_shift": ((), {EXP}),
    "attention.permutation_equivariance": (("s permutes {0, …, n − 1}",), set()),
    "attention.key_permutation": (("s permutes {0, …, m − 1}",), set()),
    "attention.key_shift": ((), {EXP}),
    "attention.linearity": ((), {EXP}),
    "multi_head_attention.permutation_equivariance": (("s permutes {0, …, n − 1}",), set()),
    "multi_head_attention.linearity": ((), set()),
    "feed_forward.position_wise": ((), set()),
    "feed_forward.hidden_permutation": (("s permutes {0, …, h − 1}",), set()),
    "feed_forward.at_zero": ((), set()),
    "activation.homogeneity": (("c > 0",), {ORDER}),
    "layer_norm.mean_zero": (("d > 0",), set()),
    "layer_norm.mean_square": ((VARIANCE,), {ROOT}),
    "layer_norm.shift_invariance": (("d > 0",), set()),
    "layer_norm.scale_invariance": (("a > 0", VARIANCE), {ROOT}),
    "rms_norm.mean_square": ((MEAN_SQUARE,), {ROOT}),
    "rms_norm.scale_invariance": (("a > 0", MEAN_SQUARE), {ROOT}),
    "encoder_block.permutation_equivariance": (("s permutes {0, …, n − 1}",), set()),
    "encoder_block.mean_zero": (("heads·f > 0",), set()),
}
#: the axioms of f(x) − f(−x) = x
REFLECTION = {"relu": {ORDER}, "gelu": {ODD}, "gelu_tanh": {ODD}, "silu": {EXP}}
#: how the columns of sine 0 and cosine 0 are written
COLUMNS = {
    "interleaved": ("positional_interleaved[{}, 2·0]", "positional_interleaved[{}, 2·0 + 1]"),
    "halves": ("positional_halves[{}, 0]", "positional_halves[{}, sines + 0]"),
}


def expected(name: str, variant: dict[str, object]) -> tuple[tuple[str, ...], set[str]]:
    if name == "activation.reflection":
        return (), REFLECTION[str(variant["activation"])]
    assumed, axioms = EXPECTED[name]
    if name == "positional.uniqueness":
        sine, cosine = COLUMNS[str(variant["layout"])]
        for position in "pq":
            for short, column in (("sine", sine), ("cosine", cosine)):
                assumed = tuple(part.replace(f"PE[{position}, {short} 0]", column.format(position)) for part in assumed)
    return assumed, axioms


@pytest.mark.parametrize("derivation", [one for one, _ in VARIANTS], ids=[name for _, name in VARIANTS])
def test_hypotheses_and_axioms_are_the_expected_ones(derivation: Derivation) -> None:
    for found in derivation.statements:
        assumed = tuple(text(formula) for formula in found.theorem.hypotheses)
        assert (assumed, set(found.theorem.axioms)) == expected(found.id, dict(derivation.variant)), found.id


@pytest.mark.parametrize("derivation", [one for one, _ in VARIANTS], ids=[name for _, name in VARIANTS])
def test_kernel_forms_assume_their_ranges_only(derivation: Derivation) -> None:
    """A kernel form holds for all values of the inputs, where the indices, and the ids of an embedding, are in range."""
    for clausal in derivation.clauses:
        allowed = {f"{var.name} ∈ {{0, …, {text(length)} − 1}}" for var, length in clausal.clause.ranges} | {"ids[t] ∈ {0, …, vocab − 1}"}
        assert {text(formula) for formula in clausal.theorem.hypotheses} <= allowed


def test_the_table_is_complete() -> None:
    named = {found.id for derivation, _ in VARIANTS for found in derivation.statements}
    assert named == {*EXPECTED, "activation.reflection"}
