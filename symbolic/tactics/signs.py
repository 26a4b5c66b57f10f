"""Signs: that a term is positive, nonnegative or nonzero, by its form and by what is known.

What it does: takes a term apart along the laws of signs, down to literal numbers, exponentials, sizes and the premises. Guarantees:
nothing beyond the core's laws; the premises that were used keep their hypotheses.
"""

from __future__ import annotations

from kernelproof.symbolic.binding import alpha_equal, free_variables
from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.logic import generalisation, specialisation
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import Every, Formula, nonnegative, positive
from kernelproof.symbolic.tactics.rewriting import replaced, use
from kernelproof.symbolic.terms import ONE, ZERO, Fold, Lambda, Num, Op, Term, Var, is_size

Known = tuple[Theorem, ...]


def positivity(value: Term, *known: Theorem) -> Theorem:
    """value > 0."""
    found = _known(positive(value), known)
    if found is not None:
        return found
    if isinstance(value, Num):
        return _number(value)
    if isinstance(value, Fold):
        return _total(value, "positive", known)
    if isinstance(value, Op):
        match value.name:
            case "exp":
                return use("exp_positive", a=value.args[0])
            case "pi":
                return use("pi_positive")
            case "sqrt":
                return use("root_positive", positivity(value.args[0], *known), a=value.args[0])
            case "add":
                return _sum(value, known)
            case "mul" | "div":
                name = "product_positive" if value.name == "mul" else "quotient_positive"
                return use(name, *(positivity(part, *known) for part in value.args), a=value.args[0], b=value.args[1])
            case "pow":
                return _power(value, "positive", known)
    raise ProofError(f"positivity: not shown by the form of {value!r} and the premises")


def nonnegativity(value: Term, *known: Theorem) -> Theorem:
    """value ≥ 0."""
    found = _known(nonnegative(value), known)
    if found is not None:
        return found
    found = _known(positive(value), known)
    if found is not None:
        return use("positive_is_nonnegative", found, a=value)
    if is_size(value) and not isinstance(value, Num):
        return use("size_nonnegative", n=value)
    if value is ZERO:
        return use("zero_nonnegative")
    if isinstance(value, Fold) and value.kind == "sum":
        return _total(value, "nonnegative", known)
    if isinstance(value, Op) and value.name in ("less", "delta"):
        name = f"{value.name}_is_indicator"
        indicator = use(name, a=value.args[0], b=value.args[1])
        return replaced(use("square_nonnegative", a=value), indicator)
    if isinstance(value, Op) and value.name in ("add", "mul", "div"):
        if value.name == "mul" and value.args[0] is value.args[1]:
            return use("square_nonnegative", a=value.args[0])
        name = {"add": "sum", "mul": "product", "div": "quotient"}[value.name]
        try:
            parts = [nonnegativity(part, *known) for part in value.args]
            return use(f"{name}_nonnegative", *parts, a=value.args[0], b=value.args[1])
        except ProofError:
            pass
    if isinstance(value, Op) and value.name == "pow":
        return _power(value, "nonnegative", known)
    return use("positive_is_nonnegative", positivity(value, *known), a=value)


def nonzero_of(value: Term, *known: Theorem) -> Theorem:
    """value ≠ 0, because it is positive, or known."""
    found = _known(Formula("nonzero", value), known)
    return found if found is not None else use("positive_is_nonzero", positivity(value, *known), a=value)


def _known(wanted: Formula, known: Known) -> Theorem | None:
    """A premise that says so, or says so for all of a range; the range is then a hypothesis."""
    for given in known:
        if alpha_equal(given.conclusion, wanted):
            return given
        if isinstance(given.conclusion, Every):
            indices = _matched(given.conclusion, wanted)
            if indices is not None:
                return specialisation((given,), indices)
    return None


def _matched(general: Every, wanted: Formula) -> tuple[Term, ...] | None:
    """The indices at which a general statement says what is wanted, found by the names that stand there."""
    from itertools import permutations

    names = sorted(free_variables(wanted) - free_variables(general), key=lambda var: var.name) or []
    candidates = sorted({*names, *(var for var in free_variables(wanted) if var.kind == "real")}, key=lambda var: var.name)
    for choice in permutations(candidates, len(general.over)):
        from kernelproof.symbolic.binding import substitute

        put: dict[Var, Term] = {var: index for index, (var, _) in zip(choice, general.over, strict=True)}
        if alpha_equal(substitute(general.body, put), wanted):
            return choice
    return None


def _number(value: Num) -> Theorem:
    """A literal positive number: a quotient of sums of ones."""
    if value.value <= 0:
        raise ProofError(f"{value!r} is not positive")
    if value.value.denominator != 1:
        parts = (Num(value.value.numerator), Num(value.value.denominator))
        made = use("quotient_positive", *map(_number, parts), a=parts[0], b=parts[1])
        return replaced(made, arithmetic((), parts[0] / parts[1], value))
    if value is ONE:
        return use("one_positive")
    half = Num(value.value.numerator // 2)
    rest = Num(value.value - half.value)
    made = use("sum_positive", _number(half), _number(rest), a=half, b=rest)
    return replaced(made, arithmetic((), half + rest, value))


def _sum(value: Op, known: Known) -> Theorem:
    one, two = value.args
    try:
        first = positivity(one, *known)
    except ProofError:
        made = use("sum_with_nonnegative", positivity(two, *known), nonnegativity(one, *known), a=two, b=one)
        return replaced(made, arithmetic((), two + one, value))
    return use("sum_with_nonnegative", first, nonnegativity(two, *known), a=one, b=two)


def _power(value: Op, sign: str, known: Known) -> Theorem:
    """b^k as a product, at least two factors; an even power of anything is nonnegative."""
    base, exponent = value.args
    assert isinstance(exponent, Num)
    count = int(exponent.value)
    show = positivity if sign == "positive" else nonnegativity
    if count == 0:
        return replaced(show(ONE), arithmetic((), ONE, value))
    if sign == "nonnegative" and count % 2 == 0:
        half = base ** (count // 2) if count > 2 else base
        return replaced(use("square_nonnegative", a=half), arithmetic((), half * half, value))
    made = show(base, *known)
    product = base
    for _ in range(count - 1):
        made = use(f"product_{sign}", made, show(base, *known), a=product, b=base)
        product = product * base
    return replaced(made, arithmetic((), product, value))


def _total(value: Fold, sign: str, known: Known) -> Theorem:
    """Σ f from f for every index, which may be assumed in range; a positive sum needs a non-empty range."""
    if value.kind != "sum" or value.guard is not ONE:
        raise ProofError(f"{sign}: {value.kind} with a guard is not shown by its form")
    usable = tuple(
        given for given in known if all(value.var not in free_variables(said) for said in (*given.hypotheses, given.conclusion))
    )
    show = positivity if sign == "positive" else nonnegativity
    each = generalisation((show(value.body, *usable),), ((value.var, value.size),))
    lengths = (positivity(value.size, *known),) if sign == "positive" else ()
    made = use(f"total_{sign}", *lengths, each, n=value.size, f=Lambda((value.var,), value.body))
    wanted = Formula(sign, value)
    if not alpha_equal(made.conclusion, wanted):
        raise ProofError(f"{sign}: {made.conclusion!r} is not {wanted!r}")
    return made


