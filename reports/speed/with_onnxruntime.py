"""ONNX Runtime on a workload, on the CPU: one node where ONNX has the operator, a small graph otherwise.

Guarantees: weights are constants of the graph, as in a model that is served; a session has as many threads as the process may use cores.
Cannot see: gradients, which ONNX does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kernelproof.reports.speed.machine import cores
from kernelproof.reports.speed.rivals import Builder, Rival
from kernelproof.reports.speed.workloads import Inputs, Workload

OPSET = 23  # the first with Attention
Nodes = Sequence[tuple[str, Sequence[str], str, Mapping[str, Any]]]


def _graph(what: str, fed: Sequence[str], nodes: Callable[[Workload], Nodes], batched: bool = False) -> Builder:
    """A graph with ``fed`` as inputs and every other argument as a constant; its last node gives the result."""

    def build(workload: Workload, inputs: Inputs) -> Rival:
        import onnx
        import onnxruntime as runtime
        from onnx import TensorProto, helper, numpy_helper

        named = {name: np.asarray(value) for name, value in inputs.named.items()}
        feeds = {name: named[name][None] if batched else named[name] for name in fed}
        made = nodes(workload)
        shape: list[Any] = [None] * feeds[fed[0]].ndim
        graph = helper.make_graph(
            [helper.make_node(kind, list(given), [out], **attributes) for kind, given, out, attributes in made],
            "work",
            [
                helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
                for name, array in feeds.items()
            ],
            [helper.make_tensor_value_info(made[-1][2], TensorProto.FLOAT, shape)],
            [numpy_helper.from_array(array, name) for name, array in named.items() if name not in feeds],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
        onnx.checker.check_model(model)
        settings = runtime.SessionOptions()
        settings.intra_op_num_threads = cores()
        session = runtime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
        return Rival(f"{what}, opset {OPSET}", lambda: session.run(None, feeds)[0], lambda found: found[0] if batched else found)

    return build


def _attention(workload: Workload) -> Nodes:
    return [("Attention", ("q", "k", "v"), "out", {"is_causal": int(workload.causal)})]


def _feed_forward(workload: Workload) -> Nodes:
    activation = "Gelu" if workload.variant.get("activation") == "gelu" else "Relu"
    return [
        ("Gemm", ("x", "w1", "b1"), "hidden", {}),
        (activation, ("hidden",), "active", {}),
        ("Gemm", ("active", "w2", "b2"), "out", {}),
    ]


BUILDERS: Mapping[str, Builder] = {
    "attention": _graph("Attention", ("q", "k", "v"), _attention, batched=True),
    "feed_forward": _graph("Gemm, activation, Gemm", ("x",), _feed_forward),
    "layer_norm": _graph("LayerNormalization", ("x",), lambda _: [("LayerNormalization", ("x", "gain", "bias"), "out", {"epsilon": 1e-5})]),
    "rms_norm": _graph("RMSNormalization", ("x",), lambda _: [("RMSNormalization", ("x", "gain"), "out", {"epsilon": 1e-5})]),
    "softmax": _graph("Softmax", ("x",), lambda _: [("Softmax", ("x",), "out", {})]),
    "activation": _graph("Gelu", ("x",), lambda _: [("Gelu", ("x",), "out", {})]),
    "embedding": _graph("Gather", ("ids",), lambda _: [("Gather", ("table", "ids"), "out", {})]),
}
