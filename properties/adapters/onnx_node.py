"""One node of an ``.onnx`` file, run by ONNX Runtime on inputs of any shape and type.

What it does: takes the node out of the file and puts it, with its attributes, between free inputs and one output, in the opsets that the
file imports; fixed shapes, types and weights of the file do not limit what it is tried on.
Guarantees: the node's own kernel runs, in one thread of the CPU provider, as there is nothing to fuse it with.
A type that ONNX Runtime has no kernel for is an :class:`InputError`.
Cannot see: what a larger graph does around the node, fused kernels among it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kernelproof.properties.call import one_line
from kernelproof.properties.values import Array
from kernelproof.symbolic.errors import InputError


class OnnxNode:
    """The only node of a file, callable by :meth:`run` with other attributes than the file's."""

    def __init__(self, path: str) -> None:
        self._onnx, self._runtime = _packages(path)
        model = _loaded(self._onnx, path)
        nodes = [node for node in model.graph.node if node.op_type != "Constant"]
        if len(nodes) != 1:
            kinds = ", ".join(node.op_type for node in nodes[:6]) or "none"
            raise InputError(f"loading the target {path!r}: it has {len(nodes)} nodes ({kinds}); expected a model with one node")
        (self.node,) = nodes
        self.path = path
        self.operator = f"{self.node.domain}.{self.node.op_type}" if self.node.domain not in ("", "ai.onnx") else self.node.op_type
        self.attributes = {found.name: _plain(self._onnx.helper.get_attribute_value(found)) for found in self.node.attribute}
        self._opsets = {found.domain: found.version for found in model.opset_import}
        self._file_inputs = {found.name: found for found in model.graph.input}
        self._ir_version = model.ir_version
        self._sessions: dict[Any, Any] = {}

    @property
    def opset(self) -> int:
        """The version of ONNX's own operators that the file asks for."""
        return int(self._opsets.get("", self._opsets.get("ai.onnx", 0)))

    def rank(self, position: int) -> int | None:
        """How many axes the file gives to an input; None where it says nothing."""
        found = self._file_inputs.get(self.node.input[position])
        kind = found.type.tensor_type if found is not None else None
        return len(kind.shape.dim) if kind is not None and kind.HasField("shape") else None

    def run(self, inputs: Sequence[Array | None], **attributes: object) -> Array:
        """The first output for these inputs (None: left out); attributes given here stand in for the file's, None takes one away."""
        key = (
            tuple(None if array is None else (array.dtype.name, array.ndim) for array in inputs),
            tuple(sorted(attributes.items())),
        )
        if key not in self._sessions:
            self._sessions[key] = self._session(inputs, attributes)
        fed = {f"input{i}": np.asarray(array, order="C") for i, array in enumerate(inputs) if array is not None}
        result: Array = self._sessions[key].run(None, fed)[0]
        return result

    def _session(self, inputs: Sequence[Array | None], attributes: Mapping[str, object]) -> Any:
        helper = self._onnx.helper
        names = ["" if array is None else f"input{i}" for i, array in enumerate(inputs)]
        chosen = {name: value for name, value in {**self.attributes, **attributes}.items() if value is not None}
        node = helper.make_node(self.node.op_type, names, ["output"], domain=self.node.domain, **chosen)
        declared = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), [None] * array.ndim)
            for name, array in zip(names, inputs, strict=True)
            if array is not None
        ]
        graph = helper.make_graph([node], "node", declared, [helper.make_empty_tensor_value_info("output")])
        opsets = [helper.make_opsetid(domain, version) for domain, version in self._opsets.items()]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=self._ir_version)
        options = self._runtime.SessionOptions()
        options.intra_op_num_threads = 1
        # errors reach the caller as exceptions; the log would repeat them on stderr
        options.log_severity_level = 4
        try:
            return self._runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            if type(error).__name__ not in ("NotImplemented", "InvalidGraph"):
                raise
            types = ", ".join(sorted({array.dtype.name for array in inputs if array is not None}))
            raise InputError(
                f"running the target {self.path!r} on {types}: ONNX Runtime {self._runtime.__version__} has no kernel of {self.operator} "
                f"for that type on the CPU; choose another with --dtype ({one_line(error)[:150]})"
            ) from None


def _packages(path: str) -> tuple[Any, Any]:
    try:
        onnx, runtime = importlib.import_module("onnx"), importlib.import_module("onnxruntime")
    except ImportError as error:
        raise InputError(f"loading the target {path!r}: {error}; install both with 'pip install kernelproof[onnx]'") from None
    return onnx, runtime


def _loaded(onnx: Any, path: str) -> Any:
    if not Path(path).is_file():
        raise InputError(f"loading the target {path!r}: there is no such file; give the path of an ONNX model")
    try:
        # not checked any further: ONNX's checker knows the operators of its own standard alone
        model = onnx.load(path)
    except Exception as error:
        raise InputError(f"loading the target {path!r}: it is no ONNX model ({one_line(error)[:200]})") from None
    return model


def _plain(value: Any) -> object:
    return value.decode() if isinstance(value, bytes) else value
