"""How a gradient kernel is called: the signature of its phase with the gradient of the result behind the inputs.

What it does: ``PHASE_vjp(inputs…, grad_out, *, …)`` has the checks and the conventions of the phase's own lines, a check of ``grad_out``,
and the lines that bring leading axes to the form that the gradient's program has: none, one, or as they are. Guarantees: the lines of the
forward kernel are used as they stand. Cannot see: earlier keys and values; a cache is for generating, and has no gradient here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from kernelproof.numeric.gradient_forms import FLAT, gradient_program
from kernelproof.numeric.signature_variants import signature
from kernelproof.numeric.signatures import Signature

GRAD_OUT = "grad_out"
LED_MASK = '''
def _led(part, lead):
    """A mask with its leading axes as one, of length 1 where it has none."""
    if part is None:
        return None
    rest = part.shape[-OWN:]
    if math.prod(part.shape[:-OWN]) == 1:
        return part.reshape((1, *rest))
    return {np}.broadcast_to(part, (*lead, *rest)).reshape((math.prod(lead), *rest))
'''
TO_SHAPE = '''
def _to_shape(gradient, shape):
    """Summed over the leading axes along which the input was only broadcast."""
    extra = gradient.ndim - len(shape)
    axes = tuple(at for at in range(gradient.ndim) if at < extra or shape[at - extra] != gradient.shape[at])
    return {np}.sum(gradient, axis=axes).reshape(shape) if axes else gradient
'''


def vjp_name(phase: str) -> str:
    """The name of the function in a gradient kernel's file."""
    return f"{phase}_vjp"


def gradient_signature(phase: str, variant: Mapping[str, object]) -> Signature:
    """The signature of a phase's gradient kernel under a variant."""
    made, plain = gradient_program(phase, variant), signature(phase, variant, cache=False)
    positional, star, keywords = plain.call.partition(", *")
    result = _result(plain, phase)
    check = (
        *((f"{GRAD_OUT} = {{np}}.asarray({GRAD_OUT})",) if phase == "embedding" else ()),
        f"if {GRAD_OUT}.shape != {result}:",
        f'    raise ValueError(f"{{NAME}}: {GRAD_OUT} has shape {{{{{GRAD_OUT}.shape}}}}; expected {{{{{result}}}}}, that of the result")',
    )
    before: tuple[str, ...] = (*check, *plain.before) if result == "x.shape" else (*plain.before, *check)
    helpers = [helper.replace(f'"{phase}: ', f'"{vjp_name(phase)}: ') for helper in plain.helpers]
    if phase in FLAT:
        before += _flat(phase)
    elif made.leading:
        before += _led(plain, phase)
        helpers += [LED_MASK.replace("OWN", "3" if phase == "attention" else "2")] if plain.helpers else []
    if phase == "attention":
        helpers.append(TO_SHAPE)
    shapes = (*plain.shapes[:-1], *_shapes(plain, made.inputs))
    unbatched = plain.unbatched
    if phase in FLAT or made.leading:
        unbatched = frozenset({operation.detail[0] for operation in made.program.operations if operation.kind == "input"})
    return replace(
        plain, call=f"{positional}, {GRAD_OUT}{star}{keywords}", arrays=(*plain.arrays, GRAD_OUT) if plain.arrays else (),
        before=before, helpers=tuple(helpers), shapes=shapes, unbatched=unbatched,
    )


def _result(plain: Signature, phase: str) -> str:
    """The shape of the phase's result, as text."""
    if phase == "embedding":
        return "(*ids.shape, table.shape[1])"
    if phase == "attention":
        heads = "" if "shape[:-3]" not in "".join(plain.before) else "heads * group, " if "group" in plain.result else "heads, "
        return f"(*lead, {heads}n, v.shape[-1])"
    return "x.shape"


def _flat(phase: str) -> tuple[str, ...]:
    """Leading axes that the phase's own lines have joined, joined in the gradient too."""
    if phase == "embedding":
        return (f"{GRAD_OUT} = {GRAD_OUT}.reshape((ids.size, table.shape[1]))", "ids = ids.reshape(-1)")
    return (f"{GRAD_OUT} = {GRAD_OUT}.reshape(x.shape)",)


def _led(plain: Signature, phase: str) -> tuple[str, ...]:
    """All leading axes as one."""
    masks = ("allow, bias = (_led(part, lead) for part in (allow, bias))",) if plain.helpers else ()
    if phase == "attention":  # the arguments may have leading axes of their own
        parts = "for part in (q, k, v)"
        return (
            "leading = math.prod(lead)", "q_shape, k_shape, v_shape = q.shape, k.shape, v.shape",
            f"q, k, v = ({{np}}.broadcast_to(part, (*lead, *part.shape[-3:])).reshape((leading, *part.shape[-3:])) {parts})",
            f"{GRAD_OUT} = {GRAD_OUT}.reshape((leading, *{GRAD_OUT}.shape[-3:]))", *masks,
        )
    own = "n, d" if plain.helpers else "d"
    return (
        "shape = x.shape", f"lead = shape[:-{own.count(',') + 1}]", "leading = math.prod(lead)",
        f"x, {GRAD_OUT} = (part.reshape((leading, {own})) for part in (x, {GRAD_OUT}))", *masks,
    )


def _shapes(plain: Signature, inputs: tuple[str, ...]) -> tuple[str, ...]:
    """What ``grad_out`` and the gradients look like."""
    result = plain.shapes[-1].removeprefix("result ")
    packed = "params" in plain.call
    given = "gradients of x and of params, a mapping with the same names" if packed else f"gradients of {', '.join(inputs)}"
    return (f"{GRAD_OUT} {result}", f"result: the tuple of the {given}, each of the shape of its input")
