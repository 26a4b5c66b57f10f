"""A small notation for statements, in which the table of laws is written.

What it does: reads ``hypothesis; hypothesis => conclusion``. Terms are written as in Python: ``+ - * / **``, ``f[i, j]`` for entries,
``exp(a)`` and the other operations by name, ``pi``. ``sum(j < n: t)`` and ``max(j < n: t)`` are folds, ``max(j < n | g: t)`` is one with
a guard. Formulas: ``s = t``, ``t > 0``, ``t >= 0``, ``t != 0``, ``t in n``, ``integer t``, ``permutation s n``,
``every j < n: φ`` and ``slope(t: body; point) = value`` for a derivative.

Guarantees: every text has one reading or none. The names in :data:`SIZES` are sizes, all other names real variables.
"""

from __future__ import annotations

import re

from .binding import close
from .errors import CheckError
from .nodes import ARITIES, Node, make, number, operation, predicate, variable

SIZES = ("m", "n")
_TOKEN = re.compile(r"\s*(\*\*|=>|>=|!=|[A-Za-z_]\w*|\d+|[-+*/()\[\],:;|<>=])")
_SUMS = {"+": "add", "-": "sub"}
_PRODUCTS = {"*": "mul", "/": "div"}


def sequent(text: str) -> tuple[tuple[Node, ...], Node]:
    """Hypotheses and conclusion."""
    reader = _Reader(text)
    formulas = [reader.formula()]
    while reader.skip(";"):
        formulas.append(reader.formula())
    if reader.skip("=>"):
        formulas.append(reader.formula())
    elif len(formulas) > 1:
        raise CheckError(f"{text!r}: hypotheses without a conclusion")
    reader.end()
    return tuple(formulas[:-1]), formulas[-1]


class _Reader:
    """Tokens, read from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[str] = []
        place = 0
        while text[place:].strip():
            found = _TOKEN.match(text, place)
            if found is None:
                raise CheckError(f"{text!r}: no token at {text[place:]!r}")
            self._tokens.append(found[1])
            place = found.end()
        self._tokens.append("")

    def skip(self, token: str) -> bool:
        """Whether the next token is this one, which is then read."""
        if self._tokens[0] == token:
            del self._tokens[0]
            return True
        return False

    def end(self) -> None:
        """Nothing is left."""
        if self._tokens[0]:
            raise CheckError(f"{self._text!r}: {self._tokens[0]!r} is left over")

    def _expect(self, token: str) -> None:
        if not self.skip(token):
            raise CheckError(f"{self._text!r}: expected {token!r}, got {self._tokens[0]!r}")

    def _name(self) -> str:
        if not self._tokens[0].isidentifier():
            raise CheckError(f"{self._text!r}: expected a name, got {self._tokens[0]!r}")
        return self._tokens.pop(0)

    def formula(self) -> Node:
        """A formula."""
        if self.skip("integer"):
            return predicate("integer", self._sum())
        if self.skip("permutation"):
            tensor = self._name()
            return predicate("permutation", self._sum(), tensor=tensor)
        if self.skip("every"):
            index, size = self._range()
            self._expect(":")
            return make(("every", 1), (size, close(self.formula(), (index,))))
        if self.skip("slope"):
            return self._slope()
        left = self._sum()
        if self.skip("="):
            return predicate("eq", left, self._sum())
        if self.skip("in"):
            return predicate("in", left, self._sum())
        for token, name in ((">=", "nonnegative"), (">", "positive"), ("!=", "nonzero")):
            if self.skip(token):
                self._expect("0")
                return predicate(name, left)
        raise CheckError(f"{self._text!r}: expected a formula at {self._tokens[0]!r}")

    def _slope(self) -> Node:
        self._expect("(")
        index = _named(self._name())
        self._expect(":")
        body = make(("lambda", 1), (close(self._sum(), (index,)),))
        self._expect(";")
        point = self._sum()
        self._expect(")")
        self._expect("=")
        return predicate("derivative", body, point, self._sum())

    def _range(self) -> tuple[Node, Node]:
        index = _named(self._name())
        self._expect("<")
        return index, self._sum()

    def _sum(self) -> Node:
        left = self._product()
        while self._tokens[0] in _SUMS:
            name = _SUMS[self._tokens.pop(0)]
            left = operation(name, left, self._product())
        return left

    def _product(self) -> Node:
        left = self._signed()
        while self._tokens[0] in _PRODUCTS:
            name = _PRODUCTS[self._tokens.pop(0)]
            left = operation(name, left, self._signed())
        return left

    def _signed(self) -> Node:
        if self.skip("-"):
            return operation("neg", self._signed())
        base = self._atom()
        return operation("pow", base, self._atom()) if self.skip("**") else base

    def _atom(self) -> Node:
        if self.skip("("):
            inner = self._sum()
            self._expect(")")
            return inner
        if self._tokens[0].isdigit():
            return number(int(self._tokens.pop(0)))
        name = self._name()
        if name == "pi":
            return operation("pi")
        if self.skip("["):
            return make(("entry", name), self._listed("]"))
        if self.skip("("):
            if name in ("sum", "max") and self._tokens[1] == "<":
                return self._fold(name)
            if name not in ARITIES:
                raise CheckError(f"{self._text!r}: there is no operation {name!r}")
            return operation(name, *self._listed(")"))
        return _named(name)

    def _fold(self, kind: str) -> Node:
        index, size = self._range()
        guard = self._sum() if self.skip("|") else number(1)
        self._expect(":")
        body = self._sum()
        self._expect(")")
        return make(("fold", kind), (size, close(guard, (index,)), close(body, (index,))))

    def _listed(self, closing: str) -> list[Node]:
        parts = [self._sum()]
        while self.skip(","):
            parts.append(self._sum())
        self._expect(closing)
        return parts


def _named(name: str) -> Node:
    return variable(name, "size" if name in SIZES else "real")
