"""The text of a kernel file as a tree that computes exactly and notes its decisions.

What it does: parses the text as it stands. Two readings differ from Python's, for in Python both round: a literal with a point or an
exponent is the decimal number that is written, and ``/`` and ``**`` of two numbers are exact to the working precision
(``8943 / 200000``). Each decision reports its outcome: the test of an ``if``, ``while``, ``assert``, conditional expression and
comprehension, and each operand of ``and`` / ``or`` but the last. Sizes of blocks are found by name: constants of the module and
parameters of the function that are called block, tile or chunk. The one function that approximates, ``_erf``, is read as the erf it
stands for.

Guarantees: the text is not edited; nothing else of the tree changes, lines stay. Cannot see: the links of a chained comparison apart;
whether a ``for`` ran zero times.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from kernelproof.numeric.exact_kinds import NotExact
from kernelproof.numeric.schedules.erf import HELPER as ERF

LITERAL, DIVIDE, DIVIDE_INTO = "__exact_literal__", "__exact_divide__", "__exact_divide_into__"
POWER, BRANCH = "__exact_power__", "__exact_branch__"
BLOCK = re.compile(r"(?i)(^|_)(block|tile|chunk)")


@dataclass(frozen=True)
class Reading:
    """The tree; its decisions as (line, text), by number; names of block sizes."""

    tree: ast.Module
    decisions: list[tuple[int, str]]
    constants: list[str]
    parameters: list[str]


def read_exactly(source: str, function: str) -> Reading:
    """The reading of a file that defines ``function``. NotExact for a literal that is not real."""
    tree = ast.parse(source)
    _take_for_erf(tree)
    constants, parameters = list(_block_constants(tree)), list(_block_parameters(tree, function))
    reader = _Reader(source)
    read: ast.Module = ast.fix_missing_locations(reader.visit(tree))
    return Reading(read, reader.decisions, constants, parameters)


class _Reader(ast.NodeTransformer):
    """The tree with exact literals, exact division of numbers, and a note at each decision."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.decisions: list[tuple[int, str]] = []

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if not isinstance(node.value, (float, complex)) or node.value == 1j:
            return node
        text = ast.get_source_segment(self.source, node) or ""
        if isinstance(node.value, complex):
            raise NotExact(f"line {node.lineno}: the number {text} is not real, and not 1j")
        if float(text.replace("_", "")) != node.value:
            raise NotExact(f"line {node.lineno}: the text of the number {node.value} was not found")
        return self._called(LITERAL, node, ast.Constant(text.replace("_", "")))

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        name = {ast.Div: DIVIDE, ast.Pow: POWER}.get(type(node.op))
        return node if name is None else self._called(name, node, node.left, node.right)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        """``x /= y`` of a name, which may be a number; parts of an array divide in place by themselves."""
        self.generic_visit(node)
        if not isinstance(node.op, ast.Div) or not isinstance(node.target, ast.Name):
            return node
        value = self._called(DIVIDE_INTO, node.value, ast.Name(node.target.id, ast.Load()), node.value)
        return ast.copy_location(ast.Assign([node.target], value), node)

    def visit_If(self, node: ast.If | ast.IfExp | ast.While | ast.Assert) -> ast.AST:
        line, text = node.test.lineno, ast.unparse(node.test)
        self.generic_visit(node)
        node.test = self._decision(line, text, node.test)
        return node

    visit_IfExp = visit_While = visit_Assert = visit_If

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        texts = [(test.lineno, ast.unparse(test)) for test in node.ifs]
        self.generic_visit(node)
        node.ifs = [self._decision(line, text, test) for (line, text), test in zip(texts, node.ifs, strict=True)]
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        texts = [(part.lineno, ast.unparse(part)) for part in node.values]
        self.generic_visit(node)
        asked = [self._decision(line, text, part) for (line, text), part in zip(texts[:-1], node.values[:-1], strict=True)]
        node.values = [*asked, node.values[-1]]
        return node

    def _decision(self, line: int, text: str, test: ast.expr) -> ast.expr:
        self.decisions.append((line, text))
        return self._called(BRANCH, test, ast.Constant(len(self.decisions) - 1), test)

    @staticmethod
    def _called(name: str, at: ast.expr, *arguments: ast.expr) -> ast.expr:
        return ast.copy_location(ast.Call(ast.Name(name, ast.Load()), list(arguments), []), at)


def _take_for_erf(tree: ast.Module) -> None:
    """The approximation of erf that kernel files bring along is erf, if its text is the one whose accuracy is tested; else NotExact."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == "_erf":
            if ast.dump(node) != ast.dump(ast.parse(ERF).body[0]):
                raise NotExact(f"line {node.lineno}: _erf is not the text of schedules/erf.py, whose accuracy is tested")
            called = ast.parse("erf(x, out=out)", mode="eval").body
            node.body = [ast.copy_location(ast.Return(called), node.body[1])]


def _block_constants(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and type(node.value.value) is int:
            yield from (target.id for target in node.targets if isinstance(target, ast.Name) and BLOCK.search(target.id))


def _block_parameters(tree: ast.Module, function: str) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            yield from (part.arg for part in (*node.args.args, *node.args.kwonlyargs) if BLOCK.search(part.arg))
