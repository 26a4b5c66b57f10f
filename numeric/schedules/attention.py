"""The schedule of attention, alone or inside a larger program: tiles of scores, on threads.

What it does: prints a program as :class:`ArrayPrinter` does, but for the part that :mod:`attention_pattern` finds: there it calls
``_attend`` of :mod:`attention_text`. What a score is between the product and the exponential is printed from the program, in place
on a tile; so is a bound on it, without which the shift is always the running maximum. What stands around attention in a larger program
:mod:`tokens` prints. Guarantees: a program whose attention is not recognised, or not cut off, has no plan here and is printed whole.
Cannot see: speed.
"""

from __future__ import annotations

from kernelproof.numeric.forms import program_of
from kernelproof.numeric.printer import ArrayPrinter
from kernelproof.numeric.program import Operation, Program, Ref
from kernelproof.numeric.schedules import erf, threads, tokens
from kernelproof.numeric.schedules.attention_pattern import Pattern, attention_in
from kernelproof.numeric.schedules.attention_signature import tiled
from kernelproof.numeric.schedules.attention_text import helpers
from kernelproof.numeric.schedules.plan import Plan
from kernelproof.numeric.signatures import Signature
from kernelproof.numeric.source_code import TENSOR, Code
from kernelproof.symbolic.phase import Derivation, Options

PHASES = ("attention", "multi_head_attention", "encoder_block")
CONSTANTS = (
    "CACHE_BYTES = 1 << 20  # of a tile: about half of a core's second-level cache",
    "HEAD_BLOCK = 0  # heads, queries and keys of a tile; 0: from the shapes",
    "QUERY_BLOCK = 0",
    "KEY_BLOCK = 0",
)
LICENCES = (
    "attention.score_shift", "attention.online_tiles_l", "attention.online_tiles_o", "attention.online_step", "attention.online_m",
    "attention.masked_weight",
)


def attention(derivation: Derivation, signature: Signature) -> Plan | None:
    """The plan of a kernel with attention in it, or None where none is recognised."""
    if derivation.phase not in PHASES:
        return None
    program = program_of(derivation.definition.name)
    pattern = attention_in(program)
    if pattern is None:
        return None
    made = tiled(derivation.phase, derivation.variant, signature)
    around = None if derivation.phase == "attention" else tokens.cut(program, pattern, made)
    if around is not None:
        program, pattern = around.middle, around.pattern
    elif derivation.phase != "attention":
        return None
    needs = needs_of(pattern, derivation)
    printer = TilePrinter(program, made, pattern, needs, derivation.variant)
    (attended,) = printer.run()
    behind = str(derivation.variant["window"]) if "window" in needs else ""
    lines, uses_erf = [*printer.lines, f"out = {made.result.replace('{np}', 'np').replace('{out}', attended.code)}"], False
    if around is not None:
        text = tokens.text_of(around, made, attended.code)
        lines, uses_erf = [*text.before, *printer.lines, *text.after], text.uses_erf
    return Plan(
        tuple(lines),
        imports=(*threads.IMPORTS, threads.OPTIONAL_IMPORT, *((erf.IMPORT,) if uses_erf else ())),
        constants=(*CONSTANTS, *threads.CONSTANTS, *((tokens.CONSTANT,) if around is not None else ())),
        helpers=(*helpers(needs, behind), threads.HELPER, *((erf.HELPER,) if uses_erf else ())),
        licences=(
            *LICENCES, *licences_of(needs), *(("attention.rotary",) if len(pattern.products) > 1 else ()),
            *(tokens.BLOCK.licences if derivation.phase == "encoder_block" else ()),
        ),
        signature=made,
    )


def needs_of(pattern: Pattern, derivation: Derivation) -> frozenset[str]:
    """What the text must have for this attention."""
    variant = derivation.variant
    needs = {
        "window": variant.get("window") is not None, "alibi": bool(variant.get("alibi")), "sink": pattern.sink is not None,
        "steps": bool(pattern.steps), "mean": pattern.mean, "nan": variant.get("fully_masked") == "nan",
        "joined": derivation.phase != "attention", "exp2": not pattern.steps and not variant.get("alibi"),
    }
    return frozenset(name for name, wanted in needs.items() if wanted)


def licences_of(needs: frozenset[str]) -> tuple[str, ...]:
    """The theorems of what only some kernels need."""
    named = {
        "exp2": "attention.power_of_two", "sink": "attention.sinks", "window": "attention.outside_window",
        "mean": "attention.fully_masked_mean",
    }
    return tuple(theorem for need, theorem in named.items() if need in needs)


class TilePrinter(ArrayPrinter):
    """Prints a program, with its attention as one call."""

    def __init__(self, program: Program, signature: Signature, pattern: Pattern, needs: frozenset[str], variant: Options) -> None:
        super().__init__(program, "np", signature.unbatched, signature.optional)
        self._pattern, self._needs, self._variant, self._cache = pattern, needs, variant, signature.cache

    def _print(self, number: int) -> None:
        if number == self._pattern.number:
            self._code[number] = self._attention()
        elif number not in self._pattern.inside:
            super()._print(number)

    def _attention(self) -> Code:
        """The lines of the call, and its result along the axes of the quotient."""
        pattern, operations = self._pattern, self.program.operations
        weighted, quotient = operations[pattern.weighted], operations[pattern.quotient]
        queries, keys = self._factors()
        values = pattern.values
        names = (*weighted.operands[0].axes[:-2], weighted.operands[0].axes[-1], weighted.names[-1])
        shown = [queries, keys, self._aligned(self._ref(values), names, TENSOR, True).code]
        scale = " * ".join(self._ref(ref).operand for ref in pattern.scales) or "1.0"
        masks = [self._mask(pattern.allow, operations[pattern.select])]
        masks.append("None" if pattern.bias is None else self._mask(pattern.bias, operations[pattern.add]))
        more = [self._ahead()]
        if pattern.sink is not None:
            shift = operations[pattern.shift]
            more.append(self._aligned(self._ref(pattern.sink), shift.names[:-1], TENSOR, False).code)
        if "alibi" in self._needs:
            more += ["slopes", "offset"]
        if "steps" in self._needs:
            more += self._steps()
        name = self._assigned("attended", f"_attend({', '.join([*shown, scale, *masks, *more])})")
        renamed = dict(zip(weighted.names, quotient.operands[0].axes, strict=True))
        return Code(name, tuple(renamed[axis] for axis in weighted.names), TENSOR, True)

    def _factors(self) -> tuple[str, str]:
        """Queries and keys; of several products side by side along the channels."""
        found: list[list[str]] = [[], []]
        for number in self._pattern.products:
            operation = self.program.operations[number]
            (channel,), leads, (row, key) = operation.detail[0], operation.names[:-2], operation.names[-2:]
            for side, (ref, own) in enumerate(zip(operation.operands, (row, key), strict=True)):
                found[side].append(self._aligned(self._ref(ref), (*leads, own, channel), TENSOR, True).code)
        return tuple(  # type: ignore[return-value]
            codes[0] if len(codes) == 1 else self._assigned(name, f"np.concatenate([{', '.join(codes)}], axis=-1)")
            for name, codes in zip(("queries", "keys"), found, strict=True)
        )

    def _mask(self, ref: Ref, user: Operation) -> str:
        """A mask along the axes of the scores; None where it was left out."""
        plain = self._ref(ref)
        code = self._aligned(plain, user.names, TENSOR, True).code
        return code if code == plain.code else f"None if {plain.code} is None else {code}"

    def _ahead(self) -> str:
        """How far a query sees: up to the key at its own place, or all keys."""
        keys = "m" if self._cache else "n"
        own = "offset" if self._cache else "0"
        if "window" in self._needs:
            return own
        return self._assigned("ahead", f"{own} if causal else {keys}", "  # query i sees keys j <= i + ahead")

    def _steps(self) -> list[str]:
        """What the scores are after the product, in place on a tile, and a bound on their size from one on the product."""
        lines, bound = ["def finish(tile):", '    """Scores from the scaled products of a tile, in place."""'], "reach"
        for number in self._pattern.steps:
            operation = self.program.operations[number]
            bound = self._step(operation, lines, bound)
        self.lines += [*lines, ""]
        if "sink" in self._needs:
            return ["finish"]
        said = '    """The largest score where no product is larger than reach."""'
        self.lines += ["def bounded(reach):", said, f"    return {bound}", ""]
        return ["finish", "bounded"]

    def _step(self, operation: Operation, lines: list[str], bound: str) -> str:
        """One operation in place; the bound after it, infinite where none is known."""
        name, scalars = operation.detail[0], [ref for ref in operation.operands if not ref.axes]
        if not scalars:
            function = "negative" if name == "neg" else name
            lines.append(f"    np.{function}(tile, out=tile)")
            return bound if name == "neg" else f"np.minimum(1.0, {bound})" if name in ("tanh", "sin", "cos") else "math.inf"
        other = self._ref(scalars[0])
        function = {"mul": "multiply", "div": "divide", "add": "add", "sub": "subtract"}[name]
        code = self._divisor(operation, other) if name == "div" else other.code
        lines.append(f"    np.{function}(tile, {code}, out=tile)")
        if name in ("mul", "div"):
            return f"abs({other.code}) * {bound}" if name == "mul" else f"{bound} / abs({code})"
        return f"({bound} + abs({other.code}))"
