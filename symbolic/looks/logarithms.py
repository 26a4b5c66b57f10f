"""Logarithms and maxima in exponents, written so that looks that know exp by its laws only can see them.

What it does: log of a product, quotient, power, root or exp of evidently positive trees as a sum; exp(a + k·log b) as exp(a)·bᵏ for a
whole k and an evidently positive b; on request exp(a + k·max(b, c)) by cases. Guarantees: the value stays the same for all real values
that meet the assumed claims. Cannot see: logarithms of sums, broken powers; both stay as they are.
"""

from __future__ import annotations

from fractions import Fraction
from functools import reduce

from kernelproof.symbolic.looks.evident import Evident
from kernelproof.symbolic.looks.nodes import MAKE, ONE, ZERO, Ground, add, atoms, choose, const, div, mul, number, power, remade, sub
from kernelproof.symbolic.looks.polynomial import Monomial, Polynomial, polynomial
from kernelproof.symbolic.looks.problem import Claim, Problem

#: the highest power of what stands in a log that is written out
HIGHEST = 12


def opened(found: Problem, by_cases: bool = False) -> Problem:
    """The problem with its logarithms opened, and with maxima in exponents by cases."""
    opening = Opening(Evident(found.assumed), by_cases)
    assumed, goals = (
        [Claim(claim.name, tuple(map(opening.of, claim.terms))) for claim in claims] for claims in (found.assumed, found.goals)
    )
    return Problem(found.setting, assumed, goals, found.defined)


def without_logarithms_of_atoms(found: Problem) -> Problem:
    """exp(b′) put for an atom b whose logarithm is taken, where b is assumed positive or stands in logarithms only: b′ is any number.

    Values b ≤ 0 of the latter are not lost: their logarithm is 0, which b′ = 0 is too.
    """
    claims = (*found.assumed, *found.goals)
    nodes: set[Ground] = set()
    for claim in claims:
        for part in claim.terms:
            atoms(part, nodes)
    bare = {part for node in nodes if node.op != "log" for part in node.parts} | {part for claim in claims for part in claim.terms}
    positive = {claim.terms[0] for claim in found.assumed if claim.name == "positive"}
    logged = {node.args[0] for node in nodes if node.op == "log" and node.args[0].op == "atom"}
    values = {atom: Ground("exp", Ground("atom", f"log {atom!r}")) for atom in logged if atom in positive or atom not in bare}
    known: dict[Ground, Ground] = {}
    assumed = [claim.put(values, known) for claim in found.assumed if not (claim.name == "positive" and claim.terms[0] in values)]
    return Problem(found.setting, assumed, [goal.put(values, known) for goal in found.goals], {**found.defined, **values})


class Opening:
    """Trees with logarithms opened, each once."""

    def __init__(self, evident: Evident, by_cases: bool) -> None:
        self.evident, self.by_cases = evident, by_cases
        self._known: dict[Ground, Ground] = {}
        self._polynomials: dict[Ground, Polynomial] = {}

    def of(self, node: Ground) -> Ground:
        """The tree with logarithms opened."""
        if node not in self._known:
            made = remade(node, map(self.of, node.parts)) if node.parts else node
            if made.op == "log":
                made = self._log(made.args[0])
            elif made.op == "exp":
                made = self._exp(made)
            self._known[node] = made
        return self._known[node]

    def _log(self, inside: Ground) -> Ground:
        if inside.op == "exp":
            opened: Ground = inside.args[0]
            return opened
        if all(self.evident.positive(part) for part in inside.args if isinstance(part, Ground)):
            match inside.op:
                case "mul":
                    return add(self._log(inside.args[0]), self._log(inside.args[1]))
                case "div":
                    return sub(self._log(inside.args[0]), self._log(inside.args[1]))
                case "pow":
                    return mul(inside.args[1], self._log(inside.args[0]))
                case "sqrt":
                    return mul(const(Fraction(1, 2)), self._log(inside.args[0]))
        return MAKE["log"](inside)

    def _exp(self, node: Ground) -> Ground:
        rest: Polynomial = {}
        factors: list[Ground] = []
        whole: Polynomial = {}
        for monomial, factor in polynomial(node.args[0], self._polynomials).items():
            monomial = self._cancelled(monomial)
            whole[monomial] = whole.get(monomial, Fraction(0)) + factor
        for monomial, factor in whole.items():
            found = self._factor(monomial, factor)
            if found is None:
                rest[monomial] = factor
            else:
                factors.append(found)
        if not factors:
            return node
        return reduce(mul, factors, MAKE["exp"](_written(rest)))

    def _cancelled(self, monomial: Monomial) -> Monomial:
        """Without a and 1/a together, for an a that is evidently not 0."""
        powers = dict(monomial)
        for atom in tuple(powers):
            inverse = Ground("div", ONE, atom)
            if inverse in powers and self.evident.nonzero(atom):
                common = min(powers[atom], powers[inverse])
                powers[atom], powers[inverse] = powers[atom] - common, powers[inverse] - common
        return tuple((atom, times) for atom, times in powers.items() if times)

    def _factor(self, monomial: Monomial, factor: Fraction) -> Ground | None:
        """exp of factor · monomial, where it can be opened."""
        if len(monomial) != 1 or monomial[0][1] != 1:
            return None
        atom = monomial[0][0]
        if atom.op == "log" and factor.denominator == 1 and abs(factor) <= HIGHEST and self.evident.positive(atom.args[0]):
            raised = power(atom.args[0], const(abs(factor)))
            return raised if factor > 0 else div(ONE, raised)
        if self.by_cases and atom.op in ("max", "if"):
            condition, then, other = atom.args if atom.op == "if" else (MAKE["less"](*atom.args), atom.args[1], atom.args[0])
            return choose(condition, *(self.of(MAKE["exp"](mul(const(factor), part))) for part in (then, other)))
        return None


def _written(sum_of: Polynomial) -> Ground:
    """A tree with this polynomial."""
    total = ZERO
    for monomial, factor in sum_of.items():
        product = reduce(mul, (power(atom, const(times)) for atom, times in monomial), const(factor))
        total = product if number(total) == 0 else add(total, product)
    return total
