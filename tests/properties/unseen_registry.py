"""The right kernels of someone who had not seen the suite, as rows for the tests, and the bases from which his wrong ones differ.

What it does: takes the kernels of ``unseen_right`` and ``unseen_right_more`` by their names, with the variants that their author gave,
widened as he said; and the right kernels that the wrong ones of ``properties/mutants/unseen_*`` are made from, so that a conviction of
those is for their fault. Cannot see: bounds; ``STRICT`` lists what is convicted since it loses digits that the definition keeps.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import unseen_right
import unseen_right_more
from unseen_right_parts import _wide

from kernelproof.properties.mutants import unseen_gradient_parts as back
from kernelproof.properties.mutants import unseen_gradients
from kernelproof.properties.mutants import unseen_parts as base
from kernelproof.properties.mutants.parts import Right
from kernelproof.properties.mutants.unseen_parts import _freq, _halves, _sincos, _turn
from kernelproof.properties.shapes import PHASES, vjp_of

_NAME = re.compile(rf"({'|'.join(sorted(PHASES, key=len, reverse=True))})_(vjp_)?(\w+)")

#: kernels that cannot be run, with the reason
WAITING: dict[str, str] = {}
#: (phase, style) -> why the kernel is convicted, although it is a faithful evaluation of its own formula
STRICT: dict[tuple[str, str], str] = {
    ("activation", "silu by tanh, unseen"): (
        "x(1 + tanh(x/2))/2 cancels: in float64 it is 0 for x < −37, where x·σ(x) is still a normal float32 number (to x = −88); the "
        "definition keeps these digits, and a kernel that gives 0 from −15 on is a registered wrong one"
    ),
}


def _styles() -> list[tuple[str, Right]]:
    rows = []
    for module in (unseen_right, unseen_right_more):
        for name, function in vars(module).items():
            found = _NAME.fullmatch(name)
            if found is None:
                continue
            phase, vjp, title = found.groups()
            kernel = function if phase == "positional" else _wide(function, np.float64 if "float64" in function.__doc__ else np.float32)
            row = Right(f"{title.replace('_', ' ')}, unseen", vjp_of(phase) if vjp else phase, kernel, module.VARIANTS.get(name, {}))
            rows.append((name, row))
    return rows


def _activation(name: str) -> Callable[[Any], Any]:
    return lambda x: base._act(x, name)


def _attention(q: Any, k: Any, v: Any, *, causal: bool = False, mask: Any = None, scale: Any = None) -> Any:
    return base._attend(q, k, v, causal, mask, scale)


def _heads(x: Any, w_q: Any, w_k: Any, w_v: Any, w_o: Any, *, n_heads: int, causal: bool = False, mask: Any = None) -> Any:
    return base._mha(x, w_q, w_k, w_v, w_o, n_heads, causal, mask)


def _positional(n_positions: int, d_model: int, *, base: float = 10000.0, start: int = 0) -> Any:
    return _sincos(np.arange(start, start + n_positions), _freq(d_model, base), d_model)


def _rotary(x: Any, *, base: float = 10000.0, start: int = 0) -> Any:
    return _turn(x, np.arange(start, start + x.shape[-2]), base, _halves(x.shape[-1]))


def _attention_back(q: Any, k: Any, v: Any, grad_out: Any, *, causal: bool = False, mask: Any = None, scale: Any = None) -> Any:
    return back._grads(q, k, v, grad_out, *back._probs(q, k, causal, mask, scale))


def _heads_back(
    x: Any, w_q: Any, w_k: Any, w_v: Any, w_o: Any, grad_out: Any, *, n_heads: int, causal: bool = False, mask: Any = None
) -> Any:
    return back._mha_vjp(x, w_q, w_k, w_v, w_o, grad_out, n_heads, causal, mask)


def _block_back(x: Any, params: Any, grad_out: Any, *, n_heads: int, causal: bool = False, mask: Any = None) -> Any:
    return unseen_gradients._block(x, params, grad_out, n_heads, causal, mask)


#: what the unseen wrong kernels differ from in one thing
BASES = tuple(
    Right("base of the unseen", phase, function, variant, dtypes=("float32", "float64"))  # they compute in the type that they are given
    for phase, function, variant in (
        ("embedding", lambda ids, table: table[ids], {}),
        ("positional", _positional, {}),
        ("softmax", base._probs, {}),
        ("attention", _attention, {}),
        ("multi_head_attention", _heads, {}),
        ("feed_forward", lambda x, w1, b1, w2, b2: np.maximum(x @ w1 + b1, 0) @ w2 + b2, {}),
        ("layer_norm", base._norm, {}),
        ("rms_norm", lambda x, gain, *, eps=1e-5: x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * gain, {}),
        *(("activation", _activation(name), {"activation": name}) for name in ("relu", "gelu", "gelu_tanh", "silu")),
        ("rotary", _rotary, {}),
        ("attention.vjp", _attention_back, {}),
        ("multi_head_attention.vjp", _heads_back, {}),
        ("layer_norm.vjp", lambda x, gain, bias, grad_out, *, eps=1e-5: back._ln(x, gain, grad_out, eps), {}),
        ("encoder_block.vjp", _block_back, {}),
    )
)


#: all of his, by the names of their functions
STYLES = tuple(_styles())
ALL = (*(row for _, row in STYLES), *BASES)
RIGHT = (*(row for name, row in STYLES if name not in WAITING), *BASES)
