"""The rules of inference: from statements, a statement.

What it does: each rule takes the premises and the arguments that the log gives, and returns what follows; or it refuses. Hypotheses are
a set of formulas that are equal up to bound names if they are the same object. Free variables stand for all real numbers (sizes: for
all natural numbers), tensors for all functions, so a statement may be instantiated.

Guarantees: if the premises hold for all values, so does the conclusion. Arguments of another form than a rule's are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from .arguments import Arguments
from .arithmetic import Arithmetic
from .binding import close, opened, substitute
from .definitions import Definition, unfolded
from .errors import CheckError
from .laws import CONSTANT_TENSORS, EXPONENTIAL, laws
from .named import Named
from .nodes import Node, is_equation, make, natural_by_form, number, operation, predicate


@dataclass(frozen=True)
class Statement:
    """``hypotheses ⊢ conclusion``, resting on ``axioms``."""

    hypotheses: frozenset[Node]
    conclusion: Node
    axioms: frozenset[str]


@dataclass(frozen=True)
class Step:
    """An application of a rule: its premises, their conclusions as they are written, its arguments, the definitions in force."""

    premises: tuple[Statement, ...]
    written: tuple[int, ...]
    arguments: Arguments
    named: Named
    definitions: dict[str, Definition]

    def equation(self, place: int) -> tuple[Node, Node]:
        """The two sides of a premise that must be an equation."""
        return _sides(self.premises[place].conclusion)

    def hypotheses(self) -> frozenset[Node]:
        """Those of all premises."""
        return frozenset().union(*(premise.hypotheses for premise in self.premises))


#: hypotheses, conclusion, axioms that the step adds
Result = tuple[frozenset[Node], Node, frozenset[str]]
NONE: frozenset[str] = frozenset()


def applied(rule: str, step: Step) -> Statement:
    """What follows by a rule."""
    if rule not in RULES:
        raise CheckError("there is no such rule")
    premises, function = RULES[rule]
    if premises is not None and len(step.premises) != premises:
        raise CheckError(f"it takes {premises} premises, got {len(step.premises)}")
    hypotheses, conclusion, axioms = function(step)
    step.arguments.end()
    return Statement(hypotheses, conclusion, axioms.union(*(premise.axioms for premise in step.premises)))


def _sides(formula: Node) -> tuple[Node, Node]:
    if not is_equation(formula):
        raise CheckError("a premise or conclusion is not an equation")
    return formula.parts[0], formula.parts[1]


def _reflexivity(step: Step) -> Result:
    value = step.arguments.term()
    if step.arguments.optional_term(value) is not value:
        raise CheckError("the two sides differ by more than bound names")
    return frozenset(), predicate("eq", value, value), NONE


def _symmetry(step: Step) -> Result:
    left, right = step.equation(0)
    return step.hypotheses(), predicate("eq", right, left), NONE


def _transitivity(step: Step) -> Result:
    (left, middle), (same, right) = step.equation(0), step.equation(1)
    if middle is not same:
        raise CheckError("the middle terms differ")
    return step.hypotheses(), predicate("eq", left, right), NONE


def _replacement(step: Step) -> Result:
    path = step.arguments.integers()
    left, new = step.equation(1)
    crossed, at = step.named.walk(step.written[0], path)
    if at is not left:
        raise CheckError("what stands at the position is not the left side of the equation")
    hypotheses = step.premises[1].hypotheses
    for crossing in reversed(crossed):
        hypotheses = _freed(hypotheses, crossing.bound)
        new = crossing.rebuilt(new)
    return step.premises[0].hypotheses | hypotheses, new, NONE


def _freed(hypotheses: frozenset[Node], bound: Iterable[tuple[Node, Node | None]]) -> frozenset[Node]:
    """The hypotheses when these variables become bound: that one is in its range is then so, and nothing else may be assumed of it."""
    pairs = list(bound)
    variables = frozenset(var for var, _ in pairs)
    ranges = {predicate("in", var, size) for var, size in pairs if size is not None and not size.free & variables}
    kept = hypotheses - ranges
    if any(variables & formula.free for formula in kept):
        raise CheckError("a hypothesis says more of a variable that becomes bound than its range")
    return kept


def _instantiation(step: Step) -> Result:
    values, functions = step.arguments.values(), step.arguments.functions()
    (given,) = step.premises
    hypotheses = frozenset(_instance(formula, values, functions) for formula in given.hypotheses)
    return hypotheses, _instance(given.conclusion, values, functions), NONE


def _instance(formula: Node, values: dict[Node, Node], functions: dict[str, Node]) -> Node:
    """A formula with terms for variables and functions for tensors. A size stays natural; a permutation can only be renamed."""
    if CONSTANT_TENSORS & functions.keys():
        raise CheckError("an axiom speaks of a tensor for which a function is given")
    if any(variable.head[2] == "size" and not natural_by_form(value) for variable, value in values.items()):
        raise CheckError("a size is given a value that is not natural by its form")
    new = substitute(formula, values, functions)
    tensor = formula.head[2] if formula.kind == "formula" else None
    if tensor is None or tensor not in functions:
        return new
    value = functions[tensor]
    body = value.parts[0]
    if value.head != ("lambda", 1) or body.kind != "entry" or body.parts != (make(("bound", 0)),):
        raise CheckError(f"tensor {tensor!r} is assumed to be a permutation: it can be renamed, nothing else")
    return predicate("permutation", *new.parts, tensor=body.head[1])


def _assumption(step: Step) -> Result:
    formula = step.arguments.formula()
    return frozenset((formula,)), formula, NONE


def _cut(step: Step) -> Result:
    lemma, given = step.premises
    return lemma.hypotheses | (given.hypotheses - {lemma.conclusion}), given.conclusion, NONE


def _generalisation(step: Step) -> Result:
    over = step.arguments.ranges()
    (given,) = step.premises
    variables = tuple(var for var, _ in over)
    if len(set(variables)) != len(variables) or any(var.head[2] != "real" for var in variables):
        raise CheckError("the indices must be different and no sizes")
    conclusion = make(("every", len(over)), [*(size for _, size in over), close(given.conclusion, variables)])
    return _freed(given.hypotheses, over), conclusion, NONE


def _specialisation(step: Step) -> Result:
    indices = step.arguments.terms()
    (given,) = step.premises
    if given.conclusion.head != ("every", len(indices)):
        raise CheckError(f"the premise does not say something for all of {len(indices)} indices")
    *sizes, body = given.conclusion.parts
    ranges = frozenset(predicate("in", index, size) for index, size in zip(indices, sizes, strict=True))
    return given.hypotheses | ranges, opened(body, indices), NONE


def _cases(step: Step) -> Result:
    either, zero, one = step.premises
    square, value = step.equation(0)
    if square is not operation("mul", value, value) or zero.conclusion is not one.conclusion:
        raise CheckError("expected t·t = t and the same conclusion twice")
    kept = (zero.hypotheses - {predicate("eq", value, number(0))}) | (one.hypotheses - {predicate("eq", value, number(1))})
    return either.hypotheses | kept, one.conclusion, NONE


def _induction(step: Step) -> Result:
    variable, claim = step.arguments.variable(), step.arguments.formula()
    base, following = step.premises
    if variable.head[2] != "size":
        raise CheckError("induction is over a size")
    first, after = (substitute(claim, {variable: value}) for value in (number(0), operation("add", variable, number(1))))
    if base.conclusion is not first or following.conclusion is not after:
        raise CheckError("the premises are not the claim for 0 and for n + 1")
    hypotheses = base.hypotheses | (following.hypotheses - {claim})
    if any(variable in formula.free for formula in hypotheses):
        raise CheckError("a hypothesis speaks of the size that the induction is over")
    return hypotheses, claim, NONE


def _arithmetic(step: Step) -> Result:
    left, right, cofactors = step.arguments.term(), step.arguments.term(), step.arguments.optional_terms()
    equations, divisors = list[Node](), list[Node]()
    for premise in step.premises:
        if is_equation(premise.conclusion):
            equations.append(premise.conclusion)
        elif premise.conclusion.head in (("formula", "positive", None), ("formula", "nonzero", None)):
            divisors.append(premise.conclusion.parts[0])
        else:
            raise CheckError("a premise is neither an equation nor says that something is positive or not 0")
    if len(equations) != len(cofactors):
        raise CheckError(f"{len(equations)} equations with {len(cofactors)} cofactors")
    combination = [(cofactor, *_sides(given)) for cofactor, given in zip(cofactors, equations, strict=True)]
    if not Arithmetic(divisors).equal(left, right, combination):
        raise CheckError("the two sides are not shown equal")
    spoken: Sequence[Node] = (left, right, *cofactors, *(premise.conclusion for premise in step.premises))
    axioms = frozenset((EXPONENTIAL,)) if any("exp" in node.operations for node in spoken) else NONE
    return step.hypotheses(), predicate("eq", left, right), axioms


def _definition(step: Step) -> Result:
    call, which = step.arguments.term(), step.arguments.optional_integer(0)
    if call.kind != "call":
        raise CheckError("only a call of a defined function has a definition")
    hypotheses, body = unfolded(step.definitions[call.head[1]], call, which)
    return hypotheses, predicate("eq", call, body), NONE


def _law(step: Step) -> Result:
    name, values, functions = step.arguments.text(), step.arguments.values(), step.arguments.functions()
    if name not in laws():
        raise CheckError(f"there is no law {name!r}")
    law = laws()[name]
    wanted = frozenset(_instance(formula, values, functions) for formula in law.hypotheses)
    shown = frozenset(premise.conclusion for premise in step.premises)
    if not shown <= wanted:
        raise CheckError(f"a premise is no hypothesis of law {name!r}")
    return step.hypotheses() | (wanted - shown), _instance(law.conclusion, values, functions), law.axioms


#: rule -> number of premises (None: any), the function that applies it
RULES: dict[str, tuple[int | None, Callable[[Step], Result]]] = {
    "reflexivity": (0, _reflexivity),
    "symmetry": (1, _symmetry),
    "transitivity": (2, _transitivity),
    "replacement": (2, _replacement),
    "instantiation": (1, _instantiation),
    "assumption": (0, _assumption),
    "cut": (2, _cut),
    "generalisation": (1, _generalisation),
    "specialisation": (1, _specialisation),
    "cases": (3, _cases),
    "induction": (2, _induction),
    "arithmetic": (None, _arithmetic),
    "definition": (0, _definition),
    "law": (None, _law),
}
