"""SymPy's own opinion: at concrete sizes, with symbolic entries, it simplifies both sides of a theorem to the same thing."""

from __future__ import annotations

import pytest
import sympy

from kernelproof.symbolic.registry import derive
from kernelproof.symbolic.to_sympy import Bridge, to_sympy

SIZES = {"n": 2, "m": 2, "d": 2, "e": 1, "h": 2, "vocab": 2, "sines": 1, "cosines": 1, "heads": 1, "f": 2}
#: theorems without hypotheses that SymPy does not know (permutations, signs, ranges)
DECIDED = (
    "softmax.row_sum_one", "softmax.shift_invariance", "softmax.stable_form", "attention.row_sum_one", "attention.linearity",
    "attention.key_shift", "layer_norm.mean_zero", "layer_norm.mean_square", "layer_norm.shift_invariance", "rms_norm.mean_square",
    "embedding.token_reindexing", "feed_forward.position_wise", "feed_forward.at_zero", "positional.unit_norm", "positional.rotation_sine",
)


@pytest.mark.parametrize("name", DECIDED)
def test_sympy_agrees_at_concrete_sizes(name: str) -> None:
    theorem = derive(name.split(".")[0]).statement(name).theorem
    bridge = Bridge(SIZES, unfolded=True)
    assert sympy.simplify(bridge.term(theorem.left) - bridge.term(theorem.right)) == 0


def test_sympy_disagrees_with_a_false_neighbour() -> None:
    theorem = derive("softmax").statement("softmax.row_sum_one").theorem
    bridge = Bridge(SIZES, unfolded=True)
    assert sympy.simplify(bridge.term(theorem.left) - 2 * bridge.term(theorem.right)) != 0


def test_the_second_channel_of_a_pair_unfolds_by_its_own_clause() -> None:
    last = derive("rotary").clauses[1]
    unfolded = Bridge({"h": 2}, unfolded=True).term(last.lines[0].theorem.left)
    assert sympy.simplify(unfolded - Bridge({"h": 2}).term(last.kernel)) == 0


def test_symbolic_sizes_stay_sums() -> None:
    kernel = to_sympy(derive("softmax").clauses[0].kernel)
    assert kernel.has(sympy.Sum)
    assert {symbol.name for symbol in kernel.free_symbols} >= {"n", "j"}


@pytest.mark.parametrize("phase", ["softmax", "attention", "positional", "encoder_block"])
def test_a_derivation_as_sympy_equations(phase: str) -> None:
    derivation = derive(phase)
    equations = derivation.sympy()
    assert len(equations) == len(derivation.clauses) + sum(len(clausal.lines) for clausal in derivation.clauses)
    assert all(isinstance(equation, sympy.Eq) for equation in equations)


def test_a_guard_is_not_lost() -> None:
    """max over allowed keys: with a symbolic mask SymPy has no such function, so it stays named, with its condition."""
    from kernelproof.symbolic.terms import Entry, delta, maximum_of, size, variables

    (j,) = variables("j")
    guarded = maximum_of(j, size("n"), Entry("x", j), Entry("allow", j))
    assert "allow" in str(to_sympy(guarded)) and "allow" in str(to_sympy(guarded, {"n": 2}))
    decided = maximum_of(j, size("n"), Entry("x", j), delta(j, 1))
    assert to_sympy(decided, {"n": 3}) == to_sympy(Entry("x", 1)) and to_sympy(decided, {"n": 1}) == 0
