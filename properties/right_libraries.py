"""Functions of libraries that are right by the contract, with the dtypes and conventions under which they count as right.

What it does: one row a function of PyTorch, JAX and ONNX Runtime, and one for each generated kernel; a row makes its target when it is
asked for, so that nothing is imported before. PyTorch's attention stands here twice, once for each backend of the CPU, chosen by
``torch.nn.attention.sdpa_kernel``. Guarantees: a row whose library is missing says so and is left out, never counted.
Cannot see: other builds and devices of the libraries.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kernelproof.properties.adapters.crossing import crossed
from kernelproof.properties.adapters.torch_functions import TORCH as TORCH_FUNCTIONS
from kernelproof.properties.shapes import PHASES, vjp_of
from kernelproof.properties.targets import Target, load_target, memory_target
from kernelproof.symbolic.registry import check_variant, has_gradient

ALL_TYPES = ("float32", "float64", "float16", "bfloat16")
WIDE = ("float32", "float64")


@dataclass(frozen=True)
class RightLibrary:
    """A right function of a library. ``needs`` are the modules without which it cannot be tried; ``note`` is a convention beside those of
    the adapter; ``most`` so many examples of each property are tried, 0 for all.
    """

    title: str
    phase: str
    make: Callable[[str], Target]
    variant: Mapping[str, object] = field(default_factory=dict)
    dtypes: tuple[str, ...] = ALL_TYPES
    needs: tuple[str, ...] = ()
    note: str = ""
    most: int = 0

    @property
    def missing(self) -> tuple[str, ...]:
        """The modules that are not installed."""
        return tuple(name for name in self.needs if importlib.util.find_spec(name) is None)


#: why a function does not count as right in 16-bit types, where the contract has them for storage and float32 for accumulation
_IN_STORAGE = "not in 16-bit types: it computes in them, where the contract accumulates in float32"


def _named(path: str, phase: str, variant: Mapping[str, object]) -> Callable[[str], Target]:
    return lambda dtype: load_target(path, phase=phase, variant=check_variant(phase, variant), dtype=dtype)


def _row(path: str, phase: str, *, dtypes: tuple[str, ...] = ALL_TYPES, note: str = "", **variant: object) -> RightLibrary:
    return RightLibrary(path, phase, _named(path, phase, variant), variant, dtypes, (path.partition(".")[0].partition(":")[0],), note)


def _sdpa(backend: str, without: frozenset[str] = frozenset(), note: str = "") -> RightLibrary:
    """One backend of PyTorch's attention. Its fused kernel takes four axes and equal widths, and more than nothing of anything."""

    def make(dtype: str) -> Target:
        torch = importlib.import_module("torch")
        attention = importlib.import_module("torch.nn.attention")
        plain = torch.nn.functional.scaled_dot_product_attention
        chosen = getattr(attention.SDPBackend, backend)

        def only(q: Any, k: Any, v: Any, *, attn_mask: Any = None, is_causal: bool = False, scale: float | None = None) -> Any:
            lead = q.shape[:-2]
            slices = math.prod(lead)
            if attn_mask is not None:
                attn_mask = attn_mask.expand(*lead, q.shape[-2], k.shape[-2]).reshape(slices, 1, q.shape[-2], k.shape[-2])
            four = (part.reshape(slices, 1, *part.shape[-2:]) for part in (q, k, v))
            with attention.sdpa_kernel(chosen):
                return plain(*four, attn_mask=attn_mask, is_causal=is_causal, scale=scale).reshape(*lead, q.shape[-2], v.shape[-1])

        known = next(row for row in TORCH_FUNCTIONS if row.phase == "attention")
        kernel = crossed(known.bind(only, {}), "torch")
        found = memory_target(kernel, phase="attention", variant=check_variant("attention", {}))
        return replace(found, capabilities=found.capabilities - without)

    return RightLibrary(f"{_F}:scaled_dot_product_attention, {backend}", "attention", make, {}, ALL_TYPES, ("torch",), note)


def _stable_standardize() -> RightLibrary:
    """Not by JAX's default: that variance is a difference of moments, which cancels, and is convicted for it."""

    def make(dtype: str) -> Target:
        chosen = functools.partial(importlib.import_module("jax").nn.standardize, algorithm="stable")
        return memory_target(chosen, phase="layer_norm", variant={})

    return RightLibrary("jax.nn:standardize, algorithm stable", "layer_norm", make, {}, WIDE, ("jax",), _IN_STORAGE)


def _onnx(operator: str, phase: str, inputs: int, *, dtypes: tuple[str, ...], note: str = "", **variant: object) -> RightLibrary:
    def make(dtype: str) -> Target:
        onnx = importlib.import_module("onnx")
        names = [f"x{number}" for number in range(inputs)]
        attributes = {"approximate": "tanh"} if variant.get("activation") == "gelu_tanh" else {}
        node = onnx.helper.make_node(operator, names, ["y"], **attributes)
        free = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in [*names, "y"]]
        graph = onnx.helper.make_graph([node], operator, free[:-1], free[-1:])
        # the newest opset that ONNX Runtime 1.18 knows lacks attention and the root mean square norm
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 23)], ir_version=10)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{operator}.onnx"
            onnx.save(model, str(path))
            return load_target(str(path), phase=phase, variant=check_variant(phase, variant), dtype=dtype)

    return RightLibrary(f"onnxruntime {operator}, opset 23", phase, make, variant, dtypes, ("onnx", "onnxruntime"), note)


def _own(phase: str, **variant: object) -> RightLibrary:
    def make(dtype: str) -> Target:
        return load_target(f"generated:{phase}", phase=phase, variant=check_variant(phase, variant), dtype=dtype)

    return RightLibrary(f"generated:{phase}", phase, make, variant)


def _own_gradient(phase: str, **variant: object) -> RightLibrary:
    def make(dtype: str) -> Target:
        return load_target(f"generated:{phase}", phase=vjp_of(phase), variant=check_variant(phase, variant), dtype=dtype)

    return RightLibrary(f"generated:{phase}, gradient", vjp_of(phase), make, variant)


_F = "torch.nn.functional"

TORCH = (
    _sdpa(
        "FLASH_ATTENTION",
        frozenset({"value_width", "no_rows", "layouts"}),
        "leading axes as one batch axis, one head; other widths of values, empty axes and strides of the last axis are not taken",
    ),
    _sdpa("MATH", note="leading axes as one batch axis, one head"),
    _row(f"{_F}:softmax", "softmax"),
    _row(f"{_F}:layer_norm", "layer_norm"),
    _row(f"{_F}:rms_norm", "rms_norm"),
    _row(f"{_F}:embedding", "embedding"),
    _row(f"{_F}:relu", "activation", activation="relu"),
    _row(f"{_F}:silu", "activation", activation="silu"),
    _row(f"{_F}:gelu", "activation", activation="gelu_tanh", note="approximate='tanh'; the exact form is a finding, not a right kernel"),
)
#: not ``jax.nn.relu``: XLA reads subnormal inputs as zero, a finding
JAX = (
    _stable_standardize(),
    _row("jax.nn:softmax", "softmax", dtypes=WIDE, note=_IN_STORAGE),
    _row("jax.numpy:take", "embedding"),
    _row("jax.nn:silu", "activation", dtypes=WIDE, activation="silu"),
    _row("jax.nn:gelu", "activation", dtypes=WIDE, activation="gelu_tanh"),
    _row("jax.nn:dot_product_attention", "attention", dtypes=("float32",), note="not float64: its softmax is in float32, a finding"),
)
_HALF = ("float32", "float16")
_EPSILON = "not float64: the attribute epsilon of ONNX is a float32, and 1e-5 as such is off by 2.5e-8 of itself, which shows"
ONNX = (
    _onnx("Softmax", "softmax", 1, dtypes=(*WIDE, "float16")),
    _onnx("LayerNormalization", "layer_norm", 3, dtypes=_HALF, note=_EPSILON),
    _onnx("RMSNormalization", "rms_norm", 2, dtypes=_HALF, note=_EPSILON),
    _onnx("Gather", "embedding", 2, dtypes=(*WIDE, "float16")),
    _onnx("Relu", "activation", 1, dtypes=(*WIDE, "float16"), activation="relu"),
    _onnx("Gelu", "activation", 1, dtypes=_HALF, activation="gelu_tanh"),
    _onnx("Attention", "attention", 3, dtypes=("float32",), note="float64 is a finding: accurate to 1e-8 only; " + _IN_STORAGE),
)
OWN = (
    *(_own(phase) for phase in PHASES),
    *(_own("activation", activation=name) for name in ("gelu", "gelu_tanh", "silu")),
    *(_own("feed_forward", activation=name) for name in ("gelu", "gelu_tanh", "silu")),
    _own("rotary", layout="interleaved"),
    _own("positional", layout="halves"),
    _own("encoder_block", norm="pre"),
    _own("attention", causal_alignment="bottom_right"),
    _own("attention", fully_masked="mean"),
    _own("attention", grouped_query=True),
    _own("attention", window=3),
    _own("attention", alibi=True),
    _own("attention", softcap=30.0),
    _own("attention", sinks=True),
)
OWN_GRADIENTS = (
    *(_own_gradient(phase) for phase in PHASES if has_gradient(phase)),
    *(_own_gradient(phase, activation=name) for phase in ("activation", "feed_forward") for name in ("gelu", "gelu_tanh", "silu")),
    _own_gradient("feed_forward", activation="silu", gated=True),
    _own_gradient("rotary", layout="interleaved"),
    _own_gradient("encoder_block", norm="pre"),
    _own_gradient("attention", causal_alignment="bottom_right"),
    _own_gradient("attention", grouped_query=True),
    _own_gradient("attention", window=3),
    _own_gradient("attention", alibi=True),
    _own_gradient("attention", softcap=30.0),
    _own_gradient("attention", sinks=True),
    _own_gradient("attention", rotary="halves"),
)

RIGHT_LIBRARIES: tuple[RightLibrary, ...] = (
    *TORCH, *ONNX, *OWN, *OWN_GRADIENTS,
    # every shape is compiled, a fifth of a second each
    *(replace(row, most=8) for row in JAX),
)


def installed() -> Iterator[RightLibrary]:
    """The rows whose libraries are there."""
    return (row for row in RIGHT_LIBRARIES if not row.missing)
