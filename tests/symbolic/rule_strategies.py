"""For each rule of the core, strategies of theorems that it made from random premises and arguments, refusals included."""

from __future__ import annotations

from fact_strategies import (
    SMALL,
    Draw,
    a,
    assumed,
    b,
    close_enough,
    contexts,
    facts,
    i,
    identities,
    j,
    k,
    m,
    n,
    simple_facts,
    statements,
)
from generators import (
    ANALYTIC,
    INDICES,
    JOINED,
    PAIRED,
    PROBE,
    RATIONAL,
    REALS,
    SIZES,
    formulas,
    lambdas,
    natural,
    sizes,
    statements_for_all,
    terms,
)
from hypothesis import assume
from hypothesis import strategies as st

from kernelproof.symbolic.binding import substitute
from kernelproof.symbolic.core import definitions, logic
from kernelproof.symbolic.core.algebra import arithmetic as prove
from kernelproof.symbolic.core.laws import law as use_law
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.formulas import Formula, equation, every, integer, nonnegative, nonzero, positive, within
from kernelproof.symbolic.tactics.rewriting import use
from kernelproof.symbolic.tactics.sums import sum_constant, sum_delta
from kernelproof.symbolic.terms import ONE, ZERO, Entry, Fold, Lambda, Num, Op, Term, Var, delta, less, total

ANY = RATIONAL + ANALYTIC


# -- one strategy or more for each rule: a theorem that it made -------------------------------------------------------------------


@st.composite
def reflexivity(draw: Draw) -> Theorem:
    return logic.reflexivity((), draw(terms(3, ANY)))


@st.composite
def symmetry(draw: Draw) -> Theorem:
    return logic.symmetry((draw(facts()),))


@st.composite
def transitivity(draw: Draw) -> Theorem:
    first = draw(facts())
    return logic.transitivity((first, assumed((), equation(first.right, draw(terms(1))))))


@st.composite
def replacement(draw: Draw) -> Theorem:
    fact = draw(facts())
    whole, path = draw(contexts(fact))
    return logic.replacement((whole, fact), path)


@st.composite
def replacement_under_a_range(draw: Draw) -> Theorem:
    """The case where a range is discharged, with lengths that may speak of an outer variable of the same name."""
    var = draw(st.sampled_from((i, j)))
    length = draw(st.sampled_from((Entry("x", i), Entry("x", j), n)))
    inner = total(k, n, delta(k, var) * draw(st.sampled_from((ONE, a, Entry("f", k, var)))))
    fact = sum_delta(inner)
    guard = draw(st.sampled_from((ONE, delta(var, a), ONE)))
    if draw(st.booleans()):
        whole: Formula = every(((var, length),), draw(st.sampled_from((equation(inner, a), nonnegative(inner), within(inner, n)))))
        return logic.replacement((assumed((), whole), fact), (1, 0))
    fold = Fold(draw(st.sampled_from(("sum", "max"))), var, length, inner, guard)
    return logic.replacement((logic.reflexivity((), fold), fact), (1, 2))


@st.composite
def replacement_under_an_index(draw: Draw) -> Theorem:
    """An equation that holds for one value of an index, below a fold over that index or another."""
    fact = draw(simple_facts())
    body = draw(st.sampled_from((fact.left, fact.left * a)))
    whole = Fold(draw(st.sampled_from(("sum", "max"))), draw(st.sampled_from(INDICES)), draw(natural()), body)
    return logic.replacement((logic.reflexivity((), whole), fact), (1, 2) if body is fact.left else (1, 2, 0))


@st.composite
def instantiation(draw: Draw) -> Theorem:
    values: dict[Var, Term] = {draw(st.sampled_from(INDICES + REALS)): draw(terms(1)) for _ in range(2)}
    anything = st.one_of(natural(), st.sampled_from((Num(-1), n - 2, a, ONE / 2)))
    values |= {size: draw(anything) for size in draw(st.sets(st.sampled_from(SIZES)))}
    functions = {"x": draw(lambdas(1, terms(1))), "f": draw(lambdas(2, terms(1)))}
    if draw(st.booleans()):
        functions["s"] = Lambda((j,), Entry("r", j))
    return logic.instantiation((draw(st.one_of(facts(), statements())),), values, functions)


@st.composite
def instantiation_of_sizes(draw: Draw) -> Theorem:
    """Σ_{j<n} a = n·a is false for n that are not natural."""
    fact = sum_constant(total(j, draw(st.sampled_from((n, n + m, n * m))), a))
    return logic.instantiation((fact,), {n: draw(st.sampled_from((m, Num(2), n * 2, n - 2, Num(-1), b, ONE / 2, -m)))}, {})


@st.composite
def assumption(draw: Draw) -> Theorem:
    return assumed((), draw(formulas()))


@st.composite
def cut(draw: Draw) -> Theorem:
    given = draw(st.one_of(facts(), statements()))
    assume(given.hypotheses)
    return logic.cut((assumed((), draw(st.sampled_from(given.hypotheses))), given))


@st.composite
def generalisation(draw: Draw) -> Theorem:
    """Over indices with lengths that may be those of the hypotheses, others, or speak of the index outside."""
    lengths = st.sampled_from((n, n, n, m, Num(2), n + m, Entry("x", i), Entry("x", j), i))
    over = tuple((var, draw(lengths)) for var in draw(st.permutations(INDICES))[: draw(st.integers(1, 2))])
    return logic.generalisation((draw(statements()),), over)


@st.composite
def specialisation(draw: Draw) -> Theorem:
    """At indices that are called like what is bound, or lie outside."""
    whole = draw(statements_for_all())
    return logic.specialisation((assumed((), whole),), tuple(draw(st.one_of(terms(0), natural())) for _ in whole.over))


@st.composite
def cases(draw: Draw) -> Theorem:
    """On an indicator, or on a term that is said to be one."""
    value = draw(st.sampled_from((delta(i, j), less(i, j), less(a, b), Entry("x", i), a)))
    either = assumed((), equation(value * value, value))
    if isinstance(value, Op) and draw(st.booleans()):
        either = use(f"{value.name}_is_indicator", a=value.args[0], b=value.args[1])
    said = draw(st.sampled_from((equation(value * b, b), nonnegative(value), within(value, n), integer(value), positive(value))))
    known = [assumed((), draw(st.sampled_from((equation(value, side), said)))) for side in (ZERO, ONE)]
    branches = [fact if fact.conclusion is said else _case(value, side, fact, said) for side, fact in zip((ZERO, ONE), known, strict=True)]
    return logic.cases((either, *branches))


def _case(value: Term, side: Term, fact: Theorem, said: Formula) -> Theorem:
    """The statement in the case where the value is the side, if arithmetic shows it or it is assumed of the side."""
    if said.name == "eq":
        return prove((fact,), said.left, said.right, (b,))
    about = substitute_term(said, value, side)
    return logic.replacement((assumed((), about), logic.symmetry((fact,))), (0,))


def substitute_term(said: Formula, value: Term, side: Term) -> Formula:
    """The statement with the side in its first place, where the value stands."""
    assert said.terms[0] is value
    return Formula(said.name, side, *said.terms[1:])


@st.composite
def induction(draw: Draw) -> Theorem:
    """Base and step assumed, and proved where that is easy; hypotheses that speak of n must be refused."""
    claim = draw(
        st.sampled_from(
            (
                equation(total(j, n, a), n * a), equation(total(j, n, ONE), n), nonnegative(total(j, n, Entry("x", j) ** 2)),
                equation(total(j, n, Entry("x", j)), a), integer(n), within(i, n), every(((i, n),), positive(n - i)),
            )
        )
    )
    base, step = (assumed((), substitute(claim, {n: value})) for value in (ZERO, n + 1))
    if claim.name == "eq" and claim.right in (n * a, n) and draw(st.integers(0, 3)):
        one = a if claim.right is n * a else ONE
        at_zero = use("sum_empty", f=Lambda((j,), one))
        base = logic.transitivity((at_zero, prove((), ZERO, substitute(claim, {n: ZERO}).right)))
        last = use("sum_last", n=n, f=Lambda((j,), one))
        given = assumed((), draw(st.sampled_from((claim, claim, substitute(claim, {n: m})))))
        step = logic.transitivity((last, prove((given,), last.right, substitute(claim, {n: n + 1}).right, (ONE,))))
    elif claim.name == "integer":
        base = prove_integer()
        step = assumed((), integer(n + 1))
    return logic.induction((base, step), draw(st.sampled_from((n, n, m))), claim)


def prove_integer() -> Theorem:
    """0 is an integer: it is in {0}."""
    first = use("first_in_range", use("one_positive"), n=1)
    return use("index_is_integer", first, a=0, n=1)


@st.composite
def induction_on_true_claims(draw: Draw) -> Theorem:
    """Σ_{j<n} c = n·c, with c that may speak of n, and of an assumption about n."""
    fixed = draw(st.sampled_from((a, b, Entry("x", i), m, n, i)))
    claim = equation(total(j, n, fixed), n * fixed)
    at_zero = substitute(fixed, {n: ZERO})
    base = logic.transitivity((use("sum_empty", f=Lambda((j,), at_zero)), prove((), ZERO, 0 * at_zero)))
    last = use("sum_last", n=n, f=Lambda((j,), substitute(fixed, {n: n + 1})))
    step = logic.transitivity((last, prove((assumed((), claim),), last.right, substitute(claim, {n: n + 1}).right, (ONE,))))
    return logic.induction((base, step), n, claim)


@st.composite
def arithmetic(draw: Draw) -> Theorem:
    value, divisor = draw(terms(2)), draw(terms(1))
    known = assumed((), draw(st.sampled_from((nonzero, positive, integer)))(divisor))
    return prove((known,), value * divisor / divisor, draw(close_enough(value)))


@st.composite
def arithmetic_with_equations(draw: Draw) -> Theorem:
    fact, factor = draw(facts()), draw(terms(1))
    left = draw(terms(1))
    return prove((fact,), left + factor * fact.left, left + factor * fact.right, (factor,))


@st.composite
def arithmetic_of_exponentials(draw: Draw) -> Theorem:
    return prove((), *draw(st.sampled_from(identities(draw(terms(1)), draw(terms(1))))))


@st.composite
def arithmetic_at_random(draw: Draw) -> Theorem:
    """Two random terms: nearly always refused, so they are small and of few letters."""
    premises = [assumed((), nonzero(draw(SMALL))) for _ in range(draw(st.integers(0, 2)))]
    return prove(premises, draw(SMALL), draw(SMALL))


@st.composite
def law_with_premises(draw: Draw) -> Theorem:
    """A law whose hypotheses are premises with hypotheses of their own, one of which may say the same twice."""
    one = draw(terms(1))
    two = draw(st.sampled_from((one, draw(terms(1)))))
    given = [assumed((), positive(value)) for value in draw(st.sampled_from(((one,), (two,), (one, two), (two, one, one), ())))]
    if draw(st.booleans()):
        given = [logic.cut((assumed((), nonzero(a)), premise)) for premise in given]
    name = draw(st.sampled_from(("sum_positive", "product_positive", "quotient_positive")))
    return use_law(given, name, {a: one, b: two}, {})


@st.composite
def law_with_bound_names(draw: Draw) -> Theorem:
    """Laws of folds and ranges with terms that speak of the variables which the law binds."""
    body = Lambda((j,), draw(st.one_of(terms(1), st.just(Entry("f", j, i)))))
    values: dict[Var, Term] = {Var("n", "size"): draw(natural()), Var("p"): draw(terms(0)), Var("m", "size"): draw(natural())}
    name = draw(st.sampled_from(("sum_delta", "sum_last", "maximum_split", "maximum_is_bound", "total_nonnegative")))
    return use_law((), name, values, {"f": body, "g": draw(lambdas(1, terms(1)))})


@st.composite
def definition(draw: Draw) -> Theorem:
    part = terms(1)
    match draw(st.sampled_from(("probe", "paired", "joined"))):
        case "probe":
            arguments = {"n": draw(sizes()), "t": draw(part), "x": draw(lambdas(1, part))}
            return definitions.unfolding((), PROBE.call(arguments, draw(part)))
        case "paired":
            arguments = {"n": draw(sizes()), "x": draw(lambdas(1, part))}
            at = draw(st.sampled_from((2 * i, 2 * j + 1, 2 * a, i, 2 * ZERO, 1 + 2 * i)))
            return definitions.unfolding((), PAIRED.call(arguments, at), draw(st.integers(0, 1)))
    length = draw(sizes())
    arguments = {"n": length, "m": draw(sizes()), "x": draw(lambdas(1, part))}
    at = draw(st.sampled_from((i, n + j, m + j, length + i, length + (i + j), (length + 1) + i, i + length, a + b, 2 + i)))
    return definitions.unfolding((), JOINED.call(arguments, at), draw(st.integers(0, 1)))


RULE_STRATEGIES: dict[str, tuple[st.SearchStrategy[Theorem], ...]] = {
    "reflexivity": (reflexivity(),),
    "symmetry": (symmetry(),),
    "transitivity": (transitivity(),),
    "replacement": (replacement(), replacement_under_a_range(), replacement_under_an_index()),
    "instantiation": (instantiation(), instantiation_of_sizes()),
    "assumption": (assumption(),),
    "cut": (cut(),),
    "generalisation": (generalisation(),),
    "specialisation": (specialisation(),),
    "cases": (cases(),),
    "induction": (induction(), induction_on_true_claims()),
    "arithmetic": (arithmetic(), arithmetic_with_equations(), arithmetic_of_exponentials(), arithmetic_at_random()),
    "law": (law_with_premises(), law_with_bound_names()),
    "definition": (definition(),),
}
