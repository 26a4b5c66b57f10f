"""Plain text of what was verified, from the checker's own nodes: what is shown is what was checked.

What it does: ``f[i]`` is an entry, ``f(a := …)[i]`` a call, ``sum(i < n: t)`` a fold, ``max(i < n | g: t)`` one where g ≠ 0.
Bound variables get names of the printer's choice, different from all free ones and from one another where they nest.

Guarantees: different statements have different texts, and what is too long to be written out is an error. Names that could be read as
something else stand in quotes; a variable that is a size is marked where another variable has its name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice

from .definitions import Definition
from .errors import CheckError
from .nodes import ARITIES, Node
from .rules import Statement

_WORDS = frozenset(ARITIES) | {"sum", "max", "every", "in", "is", "integer", "permutation", "of", "derivative", "at", "lambda", "where"}
_INFIX = {"add": ("+", 1), "sub": ("-", 1), "mul": ("*", 2), "div": ("/", 2), "pow": ("**", 4)}
_SUFFIX = {"positive": "> 0", "nonnegative": ">= 0", "nonzero": "!= 0", "integer": "is integer"}
_LETTERS = "ijklopqrtuvwxyz"
_NEGATIVE, _CLOSED = 3, 5
#: a table of nodes shares, a text does not: what is longer written out is not shown
MOST_NODES = 100_000


def render(statement: Statement) -> str:
    """``hypotheses ⊢ conclusion``, then the sizes and the axioms that it speaks of."""
    formulas = [*statement.hypotheses, statement.conclusion]
    free = frozenset[Node]().union(*(formula.free for formula in formulas))
    printer = _Printer(free)
    assumed = ", ".join(sorted(printer.formula(formula) for formula in statement.hypotheses))
    sizes = ", ".join(sorted(printer.node(var) for var in free if var.head[2] == "size"))
    notes = [f"sizes: {sizes}"] if sizes else []
    notes += ["axioms: " + "; ".join(sorted(statement.axioms))] if statement.axioms else []
    ending = "".join(f"  [{note}]" for note in notes)
    return f"{assumed}{' ' if assumed else ''}⊢ {printer.formula(statement.conclusion)}{ending}"


def render_definition(definition: Definition) -> str:
    """The parameters of a function, and an equation for each clause."""
    clauses = []
    for clause in definition.clauses:
        free = definition.scalars.union(*(node.free for node in (*clause.pattern, clause.body)))
        printer = _Printer(free)
        equation = f"{name_of(definition.name)}(…)[{printer.listed(clause.pattern)}] = {printer.node(clause.body)}"
        ranges = ", ".join(f"{printer.node(var)} in {printer.node(length)}" for var, length in clause.ranges)
        clauses.append(f"{equation}  for {ranges}" if len(definition.clauses) > 1 else equation)
    printer = _Printer(definition.scalars)
    parameters = ", ".join(
        f"{name_of(p.name)}[{printer.listed(p.axes)}]" if p.axes else f"{name_of(p.name)}: {'size' if p.kind == 'size' else 'real'}"
        for p in definition.parameters
    )
    return f"{name_of(definition.name)}({parameters}): " + "; ".join(clauses)


def name_of(name: str) -> str:
    """A name as it stands where nothing else could be meant, else in quotes."""
    return name if name.rstrip("'").isidentifier() and name.isprintable() and name not in _WORDS else json.dumps(name)


class _Printer:
    """Texts of nodes; ``names`` are those of the binders around a node, the innermost last."""

    def __init__(self, free: Iterable[Node]) -> None:
        self._free = frozenset(free)
        self._taken = {var.head[1] for var in self._free}

    def formula(self, node: Node, names: tuple[str, ...] = ()) -> str:
        """A formula."""
        self._shown(node)
        if node.kind == "every":
            new = self._fresh(names, node.head[1])
            ranges = ", ".join(f"{name} < {self.node(size, names)}" for name, size in zip(new, node.parts[:-1], strict=True))
            return f"(every {ranges}: {self.formula(node.parts[-1], names + new)})"
        terms = node.parts
        match node.head[1]:
            case "eq":
                return f"{self.node(terms[0], names)} = {self.node(terms[1], names)}"
            case "in":
                return f"{self.node(terms[0], names)} in {self.node(terms[1], names)}"
            case "permutation":
                return f"{name_of(node.head[2])} is permutation of {self.node(terms[0], names)}"
            case "derivative":
                function, point, value = (self.node(term, names) for term in terms)
                return f"derivative({function}) at {point} = {value}"
        return f"{self.node(terms[0], names)} {_SUFFIX[node.head[1]]}"

    def node(self, node: Node, names: tuple[str, ...] = (), level: int = 0) -> str:
        """A term or lambda; in brackets where what stands around it binds closer than it does."""
        self._shown(node)
        text, own = self._text(node, names)
        return f"({text})" if own < level else text

    def listed(self, nodes: Sequence[Node], names: tuple[str, ...] = ()) -> str:
        """Terms with commas between them."""
        return ", ".join(self.node(node, names) for node in nodes)

    def _shown(self, node: Node) -> None:
        if node.weight > MOST_NODES:
            raise CheckError(f"a formula is too long to be shown: {node.weight} nodes written out")

    def _text(self, node: Node, names: tuple[str, ...]) -> tuple[str, int]:
        parts = node.parts
        match node.head:
            case ("num", value):
                plain = value.denominator == 1 and value >= 0
                return (str(value), _CLOSED) if plain else (f"({value})", _CLOSED)
            case ("var", name, kind):
                twice = kind == "size" and any(var.head[1] == name and var is not node for var in self._free)
                return name_of(name) + (":size" if twice else ""), _CLOSED
            case ("bound", index):
                return names[-1 - index], _CLOSED
            case ("entry", tensor):
                return f"{name_of(tensor)}[{self.listed(parts, names)}]", _CLOSED
            case ("op", "pi"):
                return "pi", _CLOSED
            case ("op", "neg"):
                return f"-{self.node(parts[0], names, _NEGATIVE)}", _NEGATIVE
            case ("op", name) if name in _INFIX:
                sign, level = _INFIX[name]
                left = self.node(parts[0], names, _CLOSED if name == "pow" else level)
                return f"{left} {sign} {self.node(parts[1], names, level + 1)}", level
            case ("op", name):
                return f"{name}({self.listed(parts, names)})", _CLOSED
            case ("fold", kind):
                new = self._fresh(names, 1)
                size, guard, body = self.node(parts[0], names), self.node(parts[1], names + new), self.node(parts[2], names + new)
                where = "" if guard == "1" else f" | {guard}"
                return f"{kind}({new[0]} < {size}{where}: {body})", _CLOSED
            case ("lambda", number):
                new = self._fresh(names, number)
                return f"{''.join(f'{name}. ' for name in new)}{self.node(parts[0], names + new)}", 0
            case ("call", function, parameters):
                given, indices = parts[: len(parameters)], parts[len(parameters):]
                passed = ", ".join(f"{name_of(name)} := {self.node(value, names)}" for name, value in zip(parameters, given, strict=True))
                return f"{name_of(function)}({passed})[{self.listed(indices, names)}]", _CLOSED
        raise ValueError(f"{node!r} is not a term")

    def _fresh(self, names: tuple[str, ...], number: int) -> tuple[str, ...]:
        free = (name for name in _candidates() if name not in self._taken and name not in names)
        return tuple(islice(free, number))


def _candidates() -> Iterator[str]:
    yield from _LETTERS
    for number in count(1):
        yield from (f"{letter}{number}" for letter in _LETTERS)
