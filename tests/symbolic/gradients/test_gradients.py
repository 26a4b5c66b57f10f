"""Every gradient: its theorem says what a gradient is, for every input of the contract, and numbers agree with SymPy's own derivative.

What a statement says is built here a second time, from the definition of the phase and the names of its inputs alone.
"""

from __future__ import annotations

from itertools import product

import pytest
import sympy

from kernelproof.symbolic.binding import alpha_equal, children, tensors
from kernelproof.symbolic.errors import InputError
from kernelproof.symbolic.functions import Parameter
from kernelproof.symbolic.logs import replay
from kernelproof.symbolic.phase import Gradient
from kernelproof.symbolic.registry import derive, gradient, has_gradient, phases
from kernelproof.symbolic.terms import Call, Entry, Lambda, Op, Term, Var, size, term, total
from kernelproof.symbolic.to_sympy import to_sympy

#: the differentiable inputs of the contract's signatures, in order
INPUTS = {
    "embedding": ("table",),
    "rotary": ("x",),
    "softmax": ("x",),
    "attention": ("q", "k", "v"),
    "multi_head_attention": ("x", "w_q", "w_k", "w_v", "w_o"),
    "feed_forward": ("x", "w1", "b1", "w2", "b2"),
    "activation": ("x",),
    "layer_norm": ("x", "gain", "bias"),
    "rms_norm": ("x", "gain"),
    "encoder_block": ("x", "w_q", "w_k", "w_v", "w_o", "w1", "b1", "w2", "b2", "gain1", "bias1", "gain2", "bias2"),
}
T = Var("time")


def gradients() -> list[Gradient]:
    """Every variant; of the encoder block's activations the one that is not smooth, and one that is."""
    plain = [
        gradient(name, **dict(zip(phase.variants, choice, strict=True)))
        for name, phase in phases().items()
        if has_gradient(name)
        for choice in product(*(option.choices for option in phase.variants.values()))
        if name != "encoder_block" or {"relu", "gelu"} & set(choice)
    ]
    samples = [gradient(name, **sample) for name, phase in phases().items() if has_gradient(name) for sample in phase.samples]
    known = {tuple(found.results.values()) for found in plain}
    return [*plain, *(found for found in samples if tuple(found.results.values()) not in known)]


def inputs_of(found: Gradient) -> tuple[str, ...]:
    """With gates and with sinks there is one input more."""
    names = list(INPUTS[found.phase])
    if found.variant.get("gated"):
        names.insert(names.index("b1") + 1, "w_gate")
    return (*names, "sinks") if found.variant.get("sinks") else tuple(names)


def name_of(found: Gradient) -> str:
    chosen = (str(value) if value is not True else name for name, value in found.variant.items())
    return "-".join([found.phase, *sorted(chosen)])


def test_every_phase_with_inputs_has_a_gradient() -> None:
    assert {name for name in phases() if has_gradient(name)} == set(INPUTS)
    with pytest.raises(InputError, match="gradient of positional: it has no differentiable input; leave --vjp out"):
        gradient("positional")


def directions(found: Gradient) -> dict[str, str]:
    """The direction of each input: the tensor that stands with its gradient."""
    spelled = {"w_q": "u_q", "w_k": "u_k", "w_v": "u_v", "w_o": "u_o"} if found.phase == "multi_head_attention" else {}
    named = found.statement(f"{found.phase}.vjp").theorem.conclusion
    known = tensors(named)
    return {name: next(u for u in (spelled.get(name, f"u_{name}"), "u") if u in known) for name in inputs_of(found)}


def indices(parameter: Parameter, prefix: str) -> tuple[Var, ...]:
    return tuple(Var(f"{prefix}{place}") for place in range(len(parameter.axes)))


def moved_loss(found: Gradient) -> Lambda:
    """λ time. Σ g·phase(x + time·u, …), written down from the definition."""
    definition = derive(found.phase, **found.variant).definition
    moving = directions(found)
    given = {}
    for name, u in moving.items():
        parameter = definition.parameter(name)
        at = indices(parameter, "k")
        given[name] = Lambda(at, Entry(name, *at) + T * Entry(u, *at))
    weights = "grad" if "grad" in tensors(found.statement(f"{found.phase}.vjp").theorem.conclusion) else "g"
    out = tuple(Var(f"o{place}") for place in range(len(definition.result_axes)))
    body: Term = Entry(weights, *one_head(found, out)) * definition.call(given, *out)
    for var, length in reversed(list(zip(out, definition.result_axes, strict=True))):
        body = total(var, length, body)
    return Lambda((T,), body)


def one_head(found: Gradient, out: tuple[Var, ...]) -> tuple[Term, ...]:
    """The result is indexed by key head and member of its group, its gradient by query head."""
    return (out[0] * size("group") + out[1], *out[2:]) if found.variant.get("grouped_query") else out


@pytest.mark.parametrize("found", gradients(), ids=name_of)
def test_the_theorem_is_about_the_phase(found: Gradient) -> None:
    theorem = found.statement(f"{found.phase}.vjp").theorem
    assert theorem.conclusion.name == "derivative"
    if found.phase != "rotary":  # its sum runs over pairs of channels
        assert alpha_equal(theorem.conclusion.terms[0], moved_loss(found))
    value = theorem.conclusion.terms[2]
    assert list(found.results) == list(inputs_of(found))
    summands = split(value)
    for name, u in directions(found).items():
        (one,) = (part for part in summands if u in tensors(part))
        called = {found.results[name]}
        assert functions(one) == called, f"d{name}: {functions(one)}"
        assert not any(other in tensors(one) for other in directions(found).values() if other != u)
    assert len(summands) == len(found.results) or found.phase == "rotary"


def split(value: Term) -> list[Term]:
    return [*split(value.args[0]), *split(value.args[1])] if isinstance(value, Op) and value.name == "add" else [value]


def functions(value: Term) -> set[str]:
    """The functions whose results are summed, not those in their arguments."""
    if isinstance(value, Call):
        return {value.function}
    return set().union(*(functions(term(part)) for part, _ in children(value) if isinstance(part, Term)))


@pytest.mark.parametrize("name", INPUTS)
def test_proofs_replay_and_chain(name: str) -> None:
    found = gradient(name)
    for statement in found.statements:
        replay(statement.theorem)
    reached = found.lines[0].theorem.conclusion.terms[2]
    for line in found.lines[1:]:
        replay(line.theorem)
        assert alpha_equal(line.theorem.left, reached), line.title
        reached = line.theorem.right
    assert alpha_equal(reached, found.statement(f"{name}.vjp").theorem.conclusion.terms[2])


def test_only_what_is_needed_is_assumed() -> None:
    """Hypotheses of the joint theorems, as kinds: nothing about ranges is left, and a maximum of scores is never differentiated."""
    kinds = {}
    for found in gradients():
        theorem = found.statement(f"{found.phase}.vjp").theorem
        kinds[name_of(found)] = sorted(
            formula.body.name if formula.name == "every" else formula.name for formula in theorem.hypotheses  # type: ignore[attr-defined]
        )
    assert kinds["attention"] == ["positive"] and kinds["softmax"] == ["positive"] and kinds["layer_norm"] == ["positive"]
    assert kinds["embedding"] == kinds["rotary-halves"] == kinds["feed_forward-gelu"] == kinds["activation-silu"] == []
    assert kinds["feed_forward-relu"] == kinds["activation-relu"] == ["nonzero"]
    assert kinds["encoder_block-gelu-post"] == kinds["encoder_block-gelu-pre"] == ["positive"] * 3
    assert kinds["encoder_block-post-relu"] == ["nonzero"] + ["positive"] * 3
    assert kinds["attention-sinks"] == kinds["attention-alibi"] == kinds["attention-halves"] == kinds["attention-mean"] == ["positive"]
    assert kinds["attention-2.0"] == ["nonzero", "positive"], "the cap, and a key for every row"
    assert kinds["feed_forward-gated-silu"] == [] and kinds["encoder_block-gated-pre-silu"] == ["positive"] * 3


GATED = {"activation": "silu", "gated": True}
CASES = [
    ("softmax", {}, {"n": 3}, "x", (1,), "softmax_dx"),
    ("attention", {}, {"n": 2, "m": 3, "d": 2, "e": 2}, "q", (1, 0), "attention_dq"),
    ("attention", {}, {"n": 2, "m": 3, "d": 2, "e": 2}, "k", (2, 1), "attention_dk"),
    ("attention", {}, {"n": 2, "m": 3, "d": 2, "e": 2}, "v", (0, 1), "attention_dv"),
    ("layer_norm", {}, {"d": 3}, "x", (2,), "layer_norm_dx"),
    ("layer_norm", {}, {"d": 3}, "gain", (0,), "layer_norm_dgain"),
    ("rms_norm", {}, {"d": 3}, "x", (1,), "rms_norm_dx"),
    ("feed_forward", {"activation": "gelu"}, {"n": 2, "d": 2, "h": 2}, "w1", (1, 0), "feed_forward_gelu_dw1"),
    ("feed_forward", {"activation": "silu"}, {"n": 2, "d": 2, "h": 2}, "x", (0, 1), "feed_forward_silu_dx"),
    ("activation", {"activation": "gelu_tanh"}, {"n": 2}, "x", (1,), "activation_gelu_tanh_dx"),
    ("attention", {"softcap": 2.0}, {"n": 1, "m": 3, "d": 1, "e": 2}, "q", (0, 0), "attention_softcap_dq"),
    ("attention", {"softcap": 2.0}, {"n": 1, "m": 3, "d": 1, "e": 2}, "k", (1, 0), "attention_softcap_dk"),
    ("attention", {"rotary": "halves"}, {"n": 1, "m": 3, "h": 1, "e": 2}, "q", (0, 0), "attention_rotary_halves_dq"),
    ("attention", {"fully_masked": "mean"}, {"n": 2, "m": 2, "d": 1, "e": 1}, "v", (1, 0), "attention_mean_dv"),
    ("feed_forward", GATED, {"n": 2, "d": 2, "h": 1}, "w_gate", (1, 0), "feed_forward_gated_silu_dw_gate"),
    ("feed_forward", GATED, {"n": 2, "d": 2, "h": 1}, "x", (0, 1), "feed_forward_gated_silu_dx"),
    ("feed_forward", GATED, {"n": 2, "d": 2, "h": 1}, "w2", (0, 1), "feed_forward_gated_silu_dw2"),
]


@pytest.mark.parametrize(("phase", "variant", "sizes", "wanted", "at", "stage"), CASES, ids=[f"{case[5]}-{case[3]}" for case in CASES])
def test_sympy_differentiates_to_the_same_numbers(
    phase: str, variant: dict[str, object], sizes: dict[str, int], wanted: str, at: tuple[int, ...], stage: str
) -> None:
    """SymPy unrolls Σ g·f at these sizes and differentiates it by one entry: at random values it is what the stage computes."""
    definition = derive(phase, **variant).definition
    found = next(one for one in gradient(phase, **variant).definitions if one.name == stage)
    out = tuple(Var(f"o{place}") for place in range(len(definition.result_axes)))
    loss: Term = Entry("g", *out) * definition.call({}, *out)
    for var, length in reversed(list(zip(out, definition.result_axes, strict=True))):
        loss = total(var, length, loss)
    unrolled = to_sympy(loss, sizes, unfolded=True)
    claimed = to_sympy(found.call({}, *map(term, at)), sizes, unfolded=True)
    slope = unrolled.diff(sympy.IndexedBase(wanted, real=True)[at])
    atoms = sorted(slope.atoms(sympy.Indexed, sympy.Symbol) | claimed.atoms(sympy.Indexed, sympy.Symbol), key=str)
    values = {
        atom: sympy.Rational((7 * place * place + 3 * place + 5) % 23 - 11, 13) if isinstance(atom, sympy.Indexed) else sympy.Rational(3, 7)
        for place, atom in enumerate(atoms)
    }
    values = {atom: sympy.Integer(1) if str(atom).startswith("allow") else value for atom, value in values.items()}
    one, two = (expression.subs(values).evalf(30) for expression in (slope, claimed))
    assert abs(one - two) < sympy.Float(10) ** -25 and abs(one) > sympy.Float(10) ** -6
