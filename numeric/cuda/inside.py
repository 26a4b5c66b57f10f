"""Attention inside a larger phase for CuPy: the kernels in tiles, applied to what the projections give.

What it does: finds attention in the array program of a phase (``attention_pattern``), or with its gradient in a recipe
(``attention_gradient_pattern``), and puts one operation in its place: a function of the file, applied to queries, keys and values. The
function is the kernel in tiles of :mod:`tiled`, those of a gradient are of :mod:`attention_gradient`. Between projections and kernel
arrays are in the format computed in: they are no results, so in 16 bits nothing is rounded, and tensor cores, which read 16 bits, are not
for them. Guarantees: no array of queries × keys but masks of the caller, in their own shape. A program whose attention is not recognised,
or does more to its scores than masks do, has no plan here; its file keeps whole matrices of scores. Cannot see: speed; devices older than
compute capability 7.0, which a call refuses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from kernelproof.numeric.cuda.attention_gradient import attention_gradient
from kernelproof.numeric.cuda.gradient_plan import GradientPlan
from kernelproof.numeric.cuda.plan import CudaPlan
from kernelproof.numeric.cuda.tiled import tiles_for
from kernelproof.numeric.cuda_types import TYPES
from kernelproof.numeric.forms import program_of
from kernelproof.numeric.gradient_signature import gradient_signature, vjp_name
from kernelproof.numeric.program import Applied, Operation, Program, Ref
from kernelproof.numeric.schedules.attention_gradient_pattern import Backward, gradient_in
from kernelproof.numeric.schedules.attention_pattern import Pattern, attention_in
from kernelproof.numeric.schedules.attention_signature import mask_kept, tiled
from kernelproof.numeric.signature_variants import signature as signature_of
from kernelproof.numeric.signatures import Signature
from kernelproof.symbolic.phase import Derivation, Gradient
from kernelproof.symbolic.registry import gradient

PHASES = ("multi_head_attention", "encoder_block")
#: the attention of these phases has no options of its own
INNER: dict[str, object] = {}
ATTEND = '''
def _attend(q, k, v, scale, causal, mask):
    """softmax(scale·q·k)·v of each head, by tiles of scores; a mask (..., n, m) is one for all heads."""
    out = _in_tiles(q, k, v, causal, mask if mask is None else mask[..., None, :, :], scale)
    if out is None:
        message = f"PHASE: q {q.shape}, k {k.shape}, v {v.shape}; expected fewer than 2^30 queries, keys and channels"
        raise ValueError(f"{message}, on a device of compute capability 7.0 or more")
    return out
'''
#: arrays of a gradient have all leading axes in one; those of the masks stay as they are. LINES launch the kernels of the gradient
SLOPED = '''
def _attend_led(q, k, v, scale, causal, allow, bias, lead):
    """What _attend gives, for arrays with the leading axes as one."""
    q, k, v = (part.reshape((*lead, *part.shape[1:])) for part in (q, k, v))
    out = _attend(q, k, v, scale, causal, bias if allow is None else allow)
    return out.reshape((math.prod(lead), *out.shape[-3:]))


def _attend_led_vjp(q, k, v, grad_out, scale, causal, allow, bias, lead):
    """The gradients of its arrays."""
    q, k, v, grad_out = (part.reshape((*lead, *part.shape[1:])) for part in (q, k, v, grad_out))
    allow, bias = (part if part is None else part[..., None, :, :] for part in (allow, bias))
    found = _attend_vjp(q, k, v, grad_out, scale, causal, allow, bias)
    return tuple(part.reshape((math.prod(lead), *part.shape[-3:])) for part in found)


def _attend_vjp(q, k, v, grad_out, scale, causal, allow, bias):
    """The gradients of q, k and v, by tiles of scores."""
    if q.ndim > 5 and len(q):  # a launch takes three leading axes; where they are more, masks would be copied for it
        each = [[part if part is None else part[at % len(part)] for part in (q, k, v, grad_out, allow, bias)] for at in range(len(q))]
        return tuple(cp.stack(parts) for parts in zip(*(_attend_vjp(*one[:4], scale, causal, *one[4:]) for one in each)))
    (n, d), m, work = q.shape[-2:], k.shape[-2], COMPUTE
LINES
    return d_q, d_k, d_v
'''


@dataclass(frozen=True)
class Sloped:
    """A recipe with its attention applied, and what the file has for it beside: lines of the module, functions, kernels of the gradient."""

    program: Program
    signature: Signature
    constants: tuple[str, ...]
    texts: tuple[str, ...]
    own: GradientPlan
    licences: tuple[str, ...]


def attention_inside(derivation: Derivation, dtype: str) -> CudaPlan | None:
    """The plan of a phase with attention in it, or None where none is recognised."""
    phase = derivation.phase
    if phase not in PHASES:
        return None
    program = program_of(derivation.definition.name)
    pattern, tiles = attention_in(program), tiles_for(INNER, TYPES[dtype].compute, phase, "COMPUTE")
    if pattern is None or tiles is None or not is_plain(program, pattern):
        return None
    made = _replaced(program, {pattern.number: (_attending(program, pattern, "_attend", ("causal", "mask")), 0)})
    return replace(
        tiles, helpers=(*tiles.helpers, ATTEND.replace("PHASE", phase)), lines=(), program=made,
        signature=mask_kept(phase, signature_of(phase, derivation.variant, cache=False)),
    )


def gradient_inside(found: Gradient, program: Program, signature: Signature, dtype: str) -> Sloped | None:
    """A recipe with attention and its gradient applied, or None where they are not recognised."""
    backward = gradient_in(program) if found.phase in PHASES else None
    if backward is None or not is_plain(program, backward.forward):
        return None
    name, inner, compute = vjp_name(found.phase), gradient("attention", **INNER), TYPES[dtype].compute
    own = attention_gradient(inner, gradient_signature("attention", inner.variant), compute)
    tiles = tiles_for(INNER, compute, name, "COMPUTE")
    if own is None or tiles is None:
        return None
    given = ("causal", "allow", "bias", "lead")
    sloping = _sloping(program, backward, given)
    made = {backward.forward.number: (_attending(program, backward.forward, "_attend_led", given), 0)}
    made |= {number: (sloping, place) for place, number in enumerate(backward.results)}
    lines = "\n".join(f"    {line}" for line in own.lines)
    # nothing is broadcast here, and what would sum it up is not launched
    own = replace(own, kernels=tuple(kernel for kernel in own.kernels if f'"{kernel.name}"' in lines))
    texts = (*tiles.helpers, ATTEND.replace("PHASE", name), SLOPED.replace("LINES", lines))
    licences = tuple(dict.fromkeys((*own.licences, *tiles.licences)))
    return Sloped(_replaced(program, made), _unled(tiled(name, INNER, signature)), tiles.constants, texts, own, licences)


def is_plain(program: Program, pattern: Pattern) -> bool:
    """Whether scores are one product of queries and keys with one factor, and the masks those of the caller, the same for all heads."""
    masks = [(pattern.allow, pattern.select, "allow"), *([] if pattern.bias is None else [(pattern.bias, pattern.add, "bias")])]
    for ref, user, name in masks:
        names, operation = program.operations[user].names, program.operations[ref.value]
        if ref.axes != (*names[:-3], *names[-2:]) or operation.kind != "input" or operation.detail[0] != name:
            return False
    return not (pattern.sink or pattern.mean or pattern.steps) and len(pattern.products) == len(pattern.scales) == 1


Made = tuple[Applied, tuple[Ref, ...]]


def _attending(program: Program, pattern: Pattern, function: str, given: tuple[str, ...]) -> Made:
    """Attention as a function of queries, keys and values, each with heads before positions."""
    product, weighted = program.operations[pattern.products[0]], program.operations[pattern.weighted]
    *lead, query, key = product.names
    ((channel,), (summed,)), (queries, keys) = (product.detail[0], weighted.detail[0]), product.operands
    frames = ((*lead, query, channel), (*lead, key, channel), (*weighted.names[:-2], summed, weighted.names[-1]))
    return Applied(function, frames, pattern.scales, given, ("attended",)), (queries, keys, pattern.values)


def _sloping(program: Program, backward: Backward, given: tuple[str, ...]) -> Made:
    """Its gradient as a function of the same and of the gradient of the result."""
    forward, operands = _attending(program, backward.forward, "_attend_led_vjp", given)
    product = program.operations[backward.product]
    *lead, query, _ = product.names
    frames = (*forward.frames, (*lead, query, product.detail[0][0]))
    return replace(forward, frames=frames, results=("d_queries", "d_keys", "d_values")), (*operands, backward.grad)


def _replaced(program: Program, made: Mapping[int, tuple[Made, int]]) -> Program:
    """The program with results of applied functions for these values; each value keeps its axes."""
    operations = list(program.operations)
    for number, ((applied, operands), place) in made.items():
        operations[number] = Operation("applied", operations[number].axes, operands, (applied, place), operations[number].meaning)
    return Program(operations, list(program.outputs), list(program.frames))


def _unled(given: Signature) -> Signature:
    """Without the line that makes the leading axes of masks one, which would copy what they are broadcast along."""
    before = tuple(line for line in given.before if not line.startswith("allow, bias = (_led("))
    helpers = tuple(text for text in given.helpers if "def _led(" not in text)
    if (len(before), len(helpers)) != (len(given.before) - 1, len(given.helpers) - 1):
        raise ValueError(f"tiling {given.call!r}: {given.before!r} has no line that joins leading axes of masks as known here")
    return replace(given, before=before, helpers=helpers)
