"""Gradient of attention, stage by stage, with named intermediates as in Dao et al., arXiv:2205.14135, appendix B.

``P`` weights, ``dP[i, j] = Σ_f g[i, f]·v[j, f]``, ``Δ[i] = Σ_j P[i, j]·dP[i, j]``, ``dS = P·(dP − Δ)``, ``dQ = scale·dS·K``,
``dK = scale·dSᵀ·Q``, ``dV = Pᵀ·g``. Derived by differentiating the definition along curves of q, k and v; every row must have a key that it
may attend to. A row without one gives zeros whatever q, k and v are (``attention.fully_masked``), so its gradient is zero.
"""

from __future__ import annotations

from functools import cache

from kernelproof.symbolic.binding import substitute
from kernelproof.symbolic.core.definitions import define
from kernelproof.symbolic.core.logic import assumption, replacement, specialisation, symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.formulas import every, positive
from kernelproof.symbolic.functions import Clause, Definition, Parameter
from kernelproof.symbolic.phase import Extra, Gradient, Options, Statement
from kernelproof.symbolic.phases.attention import DEFINITION, WEIGHTS, c, d, e, f, i, j, l, m, n, p, scale, weight
from kernelproof.symbolic.tactics.calculus import Ranges, T, curve, differentiate, slope_of
from kernelproof.symbolic.tactics.collect import by_sums
from kernelproof.symbolic.tactics.gradients import constant, contracted, straight, valued
from kernelproof.symbolic.tactics.rewriting import Line, everywhere, in_order, then, tried, unfold
from kernelproof.symbolic.terms import ZERO, Entry, Fold, Lambda, Op, Term, TermLike, total

Q_AXES, K_AXES, V_AXES, OUT_AXES = ((i, n), (c, d)), ((j, m), (c, d)), ((j, m), (f, e)), ((i, n), (f, e))
CURVES = (curve("Q", "U", Q_AXES), curve("K", "W", K_AXES), curve("V", "Z", V_AXES))
STRAIGHT = {"Q": ("U", "q", "u_q", Q_AXES), "K": ("W", "k", "u_k", K_AXES), "V": ("Z", "v", "u_v", V_AXES)}
_WITH_G = (*DEFINITION.parameters, Parameter("g", (n, e), meaning="gradient of the result"))


def score_slope(query: Term, key: Term) -> Term:
    """dS/dt in a direction."""
    return scale * total(c, d, Entry("u_q", query, c) * Entry("k", key, c) + Entry("q", query, c) * Entry("u_k", key, c))


def _stage(name: str, parameters: tuple[Parameter, ...], axes: Ranges, body: Term, meaning: str) -> Definition:
    pattern = tuple(var for var, _ in axes)
    return define(Definition(name, parameters, (Clause(pattern, axes, body),), meaning=meaning))


DP = _stage(
    "attention_dp", tuple(parameter for parameter in _WITH_G if parameter.name in ("n", "m", "e", "v", "g")), ((i, n), (j, m)),
    total(f, e, Entry("g", i, f) * Entry("v", j, f)), "gradient of the weights",
)
DELTA = _stage("attention_delta", _WITH_G, ((i, n),), total(j, m, p(i, j) * DP.call({}, i, j)), "Σ P·dP of each row")
DS = _stage(
    "attention_ds", _WITH_G, ((i, n), (j, m)), p(i, j) * (DP.call({}, i, j) - DELTA.call({}, i)), "gradient of the scores, and of the bias"
)
DQ = _stage("attention_dq", _WITH_G, Q_AXES, scale * total(j, m, DS.call({}, i, j) * Entry("k", j, c)), "gradient of the queries")
DK = _stage("attention_dk", _WITH_G, K_AXES, scale * total(i, n, DS.call({}, i, j) * Entry("q", i, c)), "gradient of the keys")
DV = _stage("attention_dv", _WITH_G, V_AXES, total(i, n, p(i, j) * Entry("g", i, f)), "gradient of the values")
JVP = _stage(
    "attention_jvp",
    (
        *DEFINITION.parameters, Parameter("u_q", (n, d), meaning="direction of the queries"),
        Parameter("u_k", (m, d), meaning="direction of the keys"), Parameter("u_v", (m, e), meaning="direction of the values"),
    ),
    OUT_AXES,
    total(
        j, m,
        p(i, j) * (score_slope(i, j) - total(l, m, p(i, l) * score_slope(i, l))) * Entry("v", j, f) + p(i, j) * Entry("u_v", j, f),
    ),
    "derivative of the result in a direction",
)
STAGES = (WEIGHTS, DP, DELTA, DS, DQ, DK, DV)
#: dS, Δ and dP become their bodies; the weights stay
OPEN = in_order(*(tried(everywhere(unfold(stage.name))) for stage in (DS, DELTA, DP)))
RESULTS = in_order(*(tried(everywhere(unfold(stage.name))) for stage in (DQ, DK, DV)))


def along(at: TermLike) -> dict[str, Lambda | Term]:
    """Queries, keys and values of the curves at a time."""
    return {
        "q": Lambda((i, c), Entry("Q", at, i, c)), "k": Lambda((j, c), Entry("K", at, j, c)), "v": Lambda((j, f), Entry("V", at, j, f)),
    }


def directions() -> dict[str, Lambda | Term]:
    """The directions of the curves."""
    return {"u_q": Lambda((i, c), Entry("U", i, c)), "u_k": Lambda((j, c), Entry("W", j, c)), "u_v": Lambda((j, f), Entry("Z", j, f))}


def there(value: Term, at: TermLike) -> Term:
    """A term with the inputs replaced by their curves at a time, and the directions by those of the curves."""
    return substitute(value, {}, {name: given for name, given in (along(at) | directions()).items() if isinstance(given, Lambda)})


def start(definition: Definition, *indices: Term) -> Term:
    """A stage at the start of the curves."""
    return there(definition.call({}, *indices), ZERO)


#: every row may attend to some key
SOME_KEY = assumption((), every(((i, n),), positive(there(total(l, m, weight(i, l)), ZERO))))


@cache
def slope() -> Theorem:
    """Every row has a key ⊢ d/dt attention[i, f] = attention_jvp[i, f] = Σ_j P·(S′ − Σ_l P·S′)·v + Σ_j P·v′."""
    opened = unfold("attention")(DEFINITION.call(along(T), i, f))
    row = specialisation((SOME_KEY,), (i,))
    plain = differentiate(Lambda((T,), opened.right), 0, *CURVES, row, over=OUT_AXES)
    plain = replacement((plain, symmetry((opened,))), (0, 0))
    target = in_order(unfold(JVP.name), everywhere(unfold(WEIGHTS.name)))(start(JVP, i, f))
    return valued(plain, by_sums(slope_of(plain), target.right), symmetry((target,)))


@cache
def lines_along_curves() -> tuple[Theorem, ...]:
    """The derivative of Σ g·attention; what multiplies dS/dt and dV/dt; what multiplies each direction."""
    loss = contracted(Lambda((i, f), Entry("g", i, f)), OUT_AXES, slope())
    values = total(j, m, total(f, e, Entry("Z", j, f) * start(DV, j, f)))
    scores = total(i, n, total(j, m, there(score_slope(i, j), ZERO) * start(DS, i, j))) + values
    opened = everywhere(unfold(JVP.name))(slope_of(loss))
    to_weights = in_order(OPEN, RESULTS)(scores)
    through_scores = then(opened, by_sums(opened.right, to_weights.right), symmetry((to_weights,)))
    target = (
        total(i, n, total(c, d, Entry("U", i, c) * start(DQ, i, c))) + total(j, m, total(c, d, Entry("W", j, c) * start(DK, j, c))) + values
    )
    shown, wanted = RESULTS(scores), RESULTS(target)
    return loss, through_scores, then(shown, by_sums(shown.right, wanted.right), symmetry((wanted,)))


@cache
def adjoint() -> Theorem:
    """⊢ Σ g·attention_jvp = Σ U·dq + Σ W·dk + Σ Z·dv: the pullback is the transpose of the derivative."""
    _, *others = lines_along_curves()
    return then(*others)


@cache
def along_curves() -> Theorem:
    """Every row has a key ⊢ d/dt Σ g·attention = Σ U·dq + Σ W·dk + Σ Z·dv."""
    loss, *others = lines_along_curves()
    return valued(loss, *others)


def of_one(name: str) -> Theorem:
    """The same with one input moving and the others fixed."""
    made = along_curves()
    for tensor, (moving, plain, _, axes) in STRAIGHT.items():
        if plain != name:
            made = constant(made, tensor, moving, plain, axes)
    kept = {tensor: given for tensor, given in STRAIGHT.items() if given[1] == name}
    made = straight(made, kept)
    value = slope_of(made)
    target = next(part for part in _summands(value) if not _is_still(part))
    return valued(made, by_sums(value, target))


def _summands(value: Term) -> list[Term]:
    return [*_summands(value.args[0]), value.args[1]] if isinstance(value, Op) and value.name == "add" else [value]


def _is_still(value: Term) -> bool:
    """Whether a direction is zero in it: Σ Σ 0·dx."""
    return isinstance(value, Fold) and isinstance(value.body, Fold) and isinstance(value.body.body, Op) and value.body.body.args[0] is ZERO


def build(variant: Options) -> Gradient:
    """Gradient of attention."""
    from kernelproof.symbolic.gradients.attention_identities import statements

    loss, through_scores, directions = lines_along_curves()
    extras = (Extra("g", "real", (n, e)),)
    moves = {"q": Extra("u_q", "real", (n, d)), "k": Extra("u_k", "real", (m, d)), "v": Extra("u_v", "real", (m, e))}
    each = tuple(
        Statement(f"attention.vjp_{name}", f"d{name} is the gradient in {name} alone", of_one(name), (), (*extras, move))
        for name, move in moves.items()
    )
    return Gradient(
        phase="attention",
        title="Gradient of attention",
        variant=dict(variant),
        definitions=(*STAGES, JVP),
        results={"q": "attention_dq", "k": "attention_dk", "v": "attention_dv"},
        lines=(
            Line("differentiate along q + t·u_q, k + t·u_k, v + t·u_v", straight(loss, STRAIGHT)),
            Line("collect what multiplies the change of the scores and of the values", straight(through_scores, STRAIGHT)),
            Line("the scores are linear in q and in k", straight(directions, STRAIGHT)),
        ),
        statements=(
            Statement(
                "attention.vjp", "dq, dk, dv are the gradients of Σ g·attention", straight(along_curves(), STRAIGHT), (),
                (*extras, *moves.values()),
            ),
            *each,
            *statements(),
        ),
        along_curves=along_curves(),
    )
