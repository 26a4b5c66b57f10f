"""The textbook functions on a workload."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kernelproof.reports.speed import textbook
from kernelproof.reports.speed.rivals import Builder, Rival
from kernelproof.reports.speed.workloads import Inputs, Workload

#: what is worth saying about a textbook function beside its name
NOTES: Mapping[str, str] = {
    "positional": "sines and cosines of float32 angles",
    "embedding.vjp": "np.add.at",
    "attention.vjp": "whole score matrices, weights computed anew",
}
FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "attention": textbook.attention,
    "attention.vjp": textbook.attention_vjp,
    "multi_head_attention": textbook.multi_head_attention,
    "feed_forward.vjp": textbook.feed_forward_vjp,
    "layer_norm": textbook.layer_norm,
    "layer_norm.vjp": textbook.layer_norm_vjp,
    "rms_norm": textbook.rms_norm,
    "softmax": textbook.softmax,
    "positional": textbook.positional,
    "rotary": textbook.rotary,
    "embedding": textbook.embedding,
    "embedding.vjp": textbook.embedding_vjp,
    "encoder_block": textbook.encoder_block,
}


def _plain(workload: Workload, inputs: Inputs) -> Rival:
    function = FUNCTIONS[workload.kind]
    note = NOTES.get(workload.kind, "whole arrays")
    return Rival(f"textbook.{function.__name__}: {note}", lambda: function(*inputs.arguments, **inputs.options), lambda found: found)


def _feed_forward(workload: Workload, inputs: Inputs) -> Rival:
    chosen = str(workload.variant.get("activation", "relu"))
    x, w1, b1, w2, b2 = inputs.arguments
    what = f"textbook.feed_forward: whole arrays, {chosen}"
    return Rival(what, lambda: textbook.feed_forward(x, w1, b1, w2, b2, chosen), lambda found: found)


def _activation(workload: Workload, inputs: Inputs) -> Rival:
    function = textbook.gelu if workload.variant.get("activation") == "gelu" else textbook.relu
    return Rival(f"textbook.{function.__name__}: whole arrays", lambda: function(*inputs.arguments), lambda found: found)


BUILDERS: Mapping[str, Builder] = {**dict.fromkeys(FUNCTIONS, _plain), "feed_forward": _feed_forward, "activation": _activation}
