"""The schedule of a gradient with attention inside: multi-head attention and the encoder block.

What it does: prints the recipe of a gradient as :class:`GradientPrinter` does, but for the attention that
:mod:`attention_gradient_pattern` finds: its result is a call of ``_attend`` (:mod:`attention_text`), the gradients of queries, keys and
values one of ``_attend_vjp`` (:mod:`attention_gradient_text`), which has the weights again from the scores. Guarantees: no array of
queries × keys but a mask that is given; a program whose attention is not recognised has no plan here and is printed whole. Cannot see:
speed; projections, norms and feed-forward, which are printed on whole arrays of tokens × channels.
"""

from __future__ import annotations

from kernelproof.numeric.gradient_forms import GradientProgram
from kernelproof.numeric.gradient_printer import GradientPrinter
from kernelproof.numeric.gradient_recipe import recipe
from kernelproof.numeric.gradient_signature import GRAD_OUT
from kernelproof.numeric.program import Program, Ref
from kernelproof.numeric.schedules import attention_gradient_text, attention_text, threads
from kernelproof.numeric.schedules.attention import LICENCES
from kernelproof.numeric.schedules.attention_gradient_pattern import Backward, gradient_in
from kernelproof.numeric.schedules.attention_signature import tiled
from kernelproof.numeric.schedules.plan import Plan
from kernelproof.numeric.signatures import Signature
from kernelproof.numeric.source_code import TENSOR, Code
from kernelproof.symbolic.phase import Gradient

PHASES = ("multi_head_attention", "encoder_block")
NEEDS = frozenset({"exp2", "joined"})


def gradient_inside(found: Gradient, made: GradientProgram, signature: Signature) -> Plan | None:
    """The plan of a gradient with attention in it, or None where none is recognised."""
    if found.phase not in PHASES or not made.leading:
        return None
    program = recipe(made).program
    backward = gradient_in(program)
    if backward is None:
        return None
    changed = tiled(f"{found.phase}_vjp", found.variant, signature)
    printer = InsidePrinter(program, changed, backward, {made.result.name: GRAD_OUT})
    outputs = printer.run()
    texts = (*attention_text.helpers(NEEDS), *attention_gradient_text.helpers(NEEDS))
    return Plan(
        (*printer.lines, *(f"d_{name} = {code.code}" for name, code in zip(made.inputs, outputs, strict=True))),
        imports=(*threads.IMPORTS, threads.OPTIONAL_IMPORT, *(("from scipy.special import erf",) if printer.uses_erf else ())),
        constants=(*attention_gradient_text.CONSTANTS, *threads.CONSTANTS),
        helpers=(*dict.fromkeys(texts), threads.HELPER),
        licences=(*LICENCES, "attention.power_of_two", "attention.recomputed_weights"),
        signature=changed,
    )


class InsidePrinter(GradientPrinter):
    """Prints a recipe, with its attention and its gradient as one call each."""

    def __init__(self, program: Program, signature: Signature, backward: Backward, names: dict[str, str]) -> None:
        super().__init__(program, "np", signature.unbatched, signature.optional, names, False)
        self._backward, self._attended, self._sloped = backward, "", ""

    def _print(self, number: int) -> None:
        backward = self._backward
        if number == backward.forward.number:
            operation = self.program.operations[number]
            self._code[number] = Code(self._result(), operation.names, TENSOR)
        elif number in backward.results:
            operation, place = self.program.operations[number], backward.results.index(number)
            group = "[..., 0, :, :]" if place == 0 else ""
            self._code[number] = Code(f"{self._gradients()}[{place}]{group}", operation.names, TENSOR)
        elif number not in backward.inside:
            super()._print(number)

    def _result(self) -> str:
        """The call of attention."""
        if not self._attended:
            forward, operations = self._backward.forward, self.program.operations
            product, weighted = operations[forward.products[0]], operations[forward.weighted]
            *lead, query, key = product.names
            channel = product.detail[0][0]
            queries, keys = product.operands
            self._parts = [
                self._assigned("queries", self._shown(queries, (*lead, query, channel))),
                self._assigned("keys", self._shown(keys, (*lead, key, channel))),
                self._assigned("values", self._shown(forward.values, (*weighted.names[:-2], *weighted.detail[0], weighted.names[-1]))),
            ]
            masks = [(forward.allow, forward.select)] + ([] if forward.bias is None else [(forward.bias, forward.add)])
            shown = [self._assigned("mask", self._mask(ref, operations[user].names)) for ref, user in masks]
            self._masks = [*shown, "None"][:2]
            ahead = self._assigned("ahead", "0 if causal else n", "  # query i sees keys j <= i + ahead")
            self._scale, self._ahead = self._ref(forward.scales[0]).operand, ahead
            self._attended = self._assigned("attended", f"_attend({', '.join([*self._parts, self._scale, *self._masks, ahead])})")
        return self._attended

    def _gradients(self) -> str:
        """The call of its gradient: one query for the same key and value."""
        if not self._sloped:
            self._result()
            product = self.program.operations[self._backward.product]
            *lead, query, _ = product.names
            grad = self._shown(self._backward.grad, (*lead, query, product.detail[0][0]))
            queries, *rest = self._parts
            alone = [f"{name} if {name} is None else np.expand_dims({name}, -3)" for name in self._masks if name != "None"]
            masks = [*(self._assigned("of_each", code) for code in alone), "None"][:2]
            given = [f"np.expand_dims({queries}, -3)", *rest, f"np.expand_dims({grad}, -3)", self._scale, *masks, self._ahead]
            self._sloped = self._assigned("gradients", f"_attend_vjp({', '.join(given)})")
        return self._sloped

    def _shown(self, ref: Ref, names: tuple[str, ...]) -> str:
        return self._aligned(self._ref(ref), names, TENSOR, False).code

    def _mask(self, ref: Ref, names: tuple[str, ...]) -> str:
        """A mask along the axes of the scores; None where it was left out."""
        name = self._ref(ref).code
        return f"None if {name} is None else {self._shown(ref, names)}"
