"""A kernel file executed as it stands, in many digits, with its coverage.

What it does: reads the text of the file exactly (:mod:`exact_reading`) and runs it with :mod:`exact_numpy` in place of what it imports;
sizes of blocks, where the file has any, can be set small; threads run one after the other, in the one that calls. Guarantees: only
listed builtins and modules are there; a Python float that arises in some other way is refused where it meets an array. Coverage: *lines*
are those that have code and ran, by ``sys.settrace``; *branches* are the two outcomes of each decision. Cannot see: what threads do to
one another.
"""

from __future__ import annotations

import builtins
import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from types import CodeType, FrameType
from typing import Any

import mpmath

from kernelproof.numeric.exact_array import ExactArray, exact, power, quotient
from kernelproof.numeric.exact_numpy import modules
from kernelproof.numeric.exact_reading import BRANCH, DIVIDE, DIVIDE_INTO, LITERAL, POWER, read_exactly

BUILTINS = (
    "abs", "all", "any", "bool", "dict", "enumerate", "int", "isinstance", "len", "list", "max", "min", "range", "reversed", "slice",
    "hasattr", "sorted", "str", "tuple", "zip", "ArithmeticError", "AssertionError", "Exception", "ImportError", "IndexError", "KeyError",
    "TypeError", "ValueError",
)
_serial = count(1)


@dataclass
class Coverage:
    """What ran of a file: lines, and for each decision (line, text) the outcomes seen."""

    executable: frozenset[int]
    lines: set[int] = field(default_factory=set)
    decisions: list[tuple[int, str]] = field(default_factory=list)
    outcomes: set[tuple[int, bool]] = field(default_factory=set)

    def joined(self, other: Coverage) -> Coverage:
        """What ran in either of two runs of the same file."""
        return Coverage(self.executable, self.lines | other.lines, self.decisions, self.outcomes | other.outcomes)

    @property
    def branches(self) -> int:
        """How many outcomes there are."""
        return 2 * len(self.decisions)

    @property
    def missing(self) -> list[str]:
        """Lines and outcomes that were not reached, in words."""
        found = [f"line {line} never ran" for line in sorted(self.executable - self.lines)]
        for number, (line, text) in enumerate(self.decisions):
            never = [str(way).lower() for way in (True, False) if (number, way) not in self.outcomes]
            if never:
                found.append(f"line {line}: `{text}` was never {' nor '.join(never)}")
        return found

    def __str__(self) -> str:
        lines = f"lines {len(self.executable & self.lines)} of {len(self.executable)}"
        return f"{lines}, branches {len(self.outcomes)} of {self.branches}"


class Execution:
    """The file of a kernel, run once; :meth:`call` calls the function that it defines."""

    def __init__(self, source: str, function: str, digits: int, threads: int = 2) -> None:
        """``threads`` is how many cores the file is told of; with 1 it does not find threadpoolctl either."""
        self.source, self.digits, self._name = source, digits, f"<exact {function} {next(_serial)}>"
        reading = read_exactly(source, function)
        code = compile(reading.tree, self._name, "exec")
        self.coverage = Coverage(frozenset(_lines(code)), decisions=reading.decisions)
        self.sha256 = hashlib.sha256(source.encode()).hexdigest()
        self.constants, self.parameters = reading.constants, reading.parameters
        with self._running():
            found = modules(threads)
            self._space: dict[str, Any] = {"__name__": "kernelproof_exact", "__builtins__": self._builtins(found)}
            self._space |= {LITERAL: mpmath.mpf, DIVIDE: _divide, DIVIDE_INTO: _divide_into, POWER: _power, BRANCH: self._branch}
            exec(code, self._space)
        self._function: Callable[..., Any] = self._space[function]
        self._blocks: dict[str, int] = {}

    @property
    def has_blocks(self) -> bool:
        """Whether the file has sizes of blocks: constants of the module or parameters of the function, by their names."""
        return bool(self.constants or self.parameters)

    def set_blocks(self, size: int) -> None:
        """All sizes of blocks to this one, for later calls."""
        self._space |= dict.fromkeys(self.constants, size)
        self._blocks = dict.fromkeys(self.parameters, size)

    def call(self, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        """The result for arguments of NumPy and Python, taken as the exact numbers that they are."""
        with self._running():
            given = [_taken(value) for value in arguments]
            return self._function(*given, **{name: _taken(value) for name, value in options.items()}, **self._blocks)

    @contextmanager
    def _running(self) -> Iterator[None]:
        """The working precision, and lines of the file noted; a tracer that was there is put back."""
        before = sys.gettrace()
        with mpmath.workdps(self.digits):
            sys.settrace(self._trace)
            try:
                yield
            finally:
                sys.settrace(before)

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename != self._name:
            return None
        self.coverage.lines.add(frame.f_lineno)
        return self._trace

    def _branch(self, number: int, value: Any) -> Any:
        self.coverage.outcomes.add((number, bool(value)))
        return value

    @staticmethod
    def _builtins(found: Mapping[str, Any]) -> dict[str, Any]:
        def load(name: str, _: Any = None, __: Any = None, names: Any = (), level: int = 0) -> Any:
            if name not in found or level:
                raise ImportError(f"import {name}: the substitute has {', '.join(found)} only")
            return found[name] if names else found[name.partition(".")[0]]

        return {**{name: getattr(builtins, name) for name in BUILTINS}, "float": _number, "__import__": load}


def _taken(value: Any) -> Any:
    """An argument in exact numbers: arrays and floats as they are, the entries of a mapping alike."""
    if isinstance(value, Mapping):
        return {name: _taken(entry) for name, entry in value.items()}
    if isinstance(value, float):
        return mpmath.mpf(value)
    return value if value is None or isinstance(value, (bool, int, str)) else exact(value)


def _number(value: Any = 0) -> Any:
    """``float`` of the file: the number itself."""
    return mpmath.mpf(exact(value).item())


def _divide(a: Any, b: Any) -> Any:
    if isinstance(a, ExactArray) or isinstance(b, ExactArray):
        return a / b
    one, other = _number(a), _number(b)
    if other == 0:
        raise ZeroDivisionError("division by zero")
    return quotient(one, other)


def _divide_into(a: Any, b: Any) -> Any:
    """``a /= b``: an array keeps its memory."""
    return a.__itruediv__(b) if isinstance(a, ExactArray) else _divide(a, b)


def _power(a: Any, b: Any) -> Any:
    if isinstance(a, ExactArray) or isinstance(b, ExactArray):
        return a**b
    if isinstance(a, int) and isinstance(b, int) and b >= 0:
        return a**b
    return power(_number(a), _number(b))


def _lines(code: CodeType) -> Iterator[int]:
    """Lines that have code."""
    yield from (line for _, _, line in code.co_lines() if line)
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from _lines(part)
