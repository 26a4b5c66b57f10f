"""The schedule of attention's gradient: tiles of scores, passed over twice, heads on threads.

What it does: puts the text of :mod:`attention_gradient_text` into the kernel of a gradient of attention, for the variants in
:data:`KNOWN`. Guarantees: another variant has no plan here and is printed whole; what a variant does to the scores is read off its
options, masks are those of the forward kernel. Cannot see: speed.
"""

from __future__ import annotations

from kernelproof.numeric.gradient_forms import GradientProgram
from kernelproof.numeric.schedules import threads
from kernelproof.numeric.schedules.attention_gradient_text import CONSTANTS, helpers
from kernelproof.numeric.schedules.attention_signature import tiled
from kernelproof.numeric.schedules.plan import Plan
from kernelproof.numeric.signatures import Signature
from kernelproof.symbolic.phase import Gradient

#: options with another value than this, and not named in KNOWN, have no plan
PLAIN = {"fully_masked": "zeros"}
KNOWN = frozenset({"causal_alignment", "window", "grouped_query"})
#: heads of queries that share keys and values as an axis of their own
GROUPED = (
    "queries, grad = (part.reshape((*part.shape[:-3], heads, group, n, part.shape[-1])) for part in (q, grad_out))",
    "allow, bias = (part if part is None else part.reshape((*part.shape[:-3], heads, group, n, m)) for part in (allow, bias))",
)
ALONE = (
    "queries, grad = (np.expand_dims(part, -3) for part in (q, grad_out))",
    "allow, bias = (part if part is None else np.expand_dims(part, -3) for part in (allow, bias))",
)
JOINED = "d_q = d_q.reshape((*d_q.shape[:-4], heads * group, n, d))"
CALL = "d_q, d_k, d_v = _attend_vjp(queries, k, v, grad, scale, allow, bias, ahead)"
LICENCES = ("attention.recomputed_weights", "attention.masked_weight", "attention.power_of_two")


def attention_gradient(found: Gradient, made: GradientProgram, signature: Signature) -> Plan | None:
    """The plan of a gradient kernel of attention, or None for a variant that is not known here."""
    if found.phase != "attention" or any(name not in KNOWN and value != PLAIN.get(name) and value for name, value in found.variant.items()):
        return None
    needs = needs_of(found)
    changed = tiled(f"{found.phase}_vjp", found.variant, signature)
    behind = str(found.variant["window"]) if "window" in needs else ""
    split, joined = (GROUPED, JOINED) if found.variant.get("grouped_query") else (ALONE, "d_q = d_q[..., 0, :, :]")
    return Plan(
        (*split, f"ahead = {ahead(found)}  # query i sees keys j <= i + ahead", CALL, joined),
        imports=(*threads.IMPORTS, threads.OPTIONAL_IMPORT),
        constants=(*CONSTANTS, *threads.CONSTANTS),
        helpers=(*helpers(needs, behind), threads.HELPER),
        licences=(*LICENCES, *(("attention.outside_window",) if "window" in needs else ())),
        signature=changed,
    )


def needs_of(found: Gradient) -> frozenset[str]:
    """What the text must have."""
    return frozenset({"window"} if found.variant.get("window") is not None else ())


def ahead(found: Gradient) -> str:
    """How far a query sees: up to the key at its own place, or all keys."""
    own = "m - n" if found.variant.get("causal_alignment") == "bottom_right" else "0"
    return own if found.variant.get("window") is not None else f"{own} if causal else m"
