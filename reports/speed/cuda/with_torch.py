"""PyTorch on the arrays of a row: SDPA held to one backend, torch.compile, and the rate of a plain matrix product.

What it does: tensors share the memory of the arrays, through DLPack; bfloat16, which arrays carry as its 16 bits, is viewed as that. A
gradient is timed as the backward alone, of a forward that was kept, which is the harder comparison: our gradient kernels compute what they
need of the forward anew. Guarantees: a backend that cannot do the work is an error and never another backend. Cannot see: kernels that
torch.compile chooses; it may put the textbook's formula on SDPA. Works on whatever device the arrays are on, so it is tested on a CPU.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from kernelproof.reports.speed.cuda.workloads import last, operations
from kernelproof.reports.speed.rivals import Builder, NotThere, Rival
from kernelproof.reports.speed.workloads import Inputs, Workload

#: rows and columns of the matrices whose product is the peak
PRODUCT_SIZE = 8192
Function = Callable[[Workload, Mapping[str, Any]], Any]


def _torch() -> Any:
    import torch

    return torch


def _tensor(workload: Workload, array: Any) -> Any:
    """The array as a tensor in the same memory."""
    torch = _torch()
    found = torch.from_dlpack(array)
    return found.view(torch.bfloat16) if workload.dtype == "bfloat16" else found


def tensors(workload: Workload, inputs: Inputs) -> dict[str, Any]:
    """The arrays as tensors, in the same memory. NotThere where PyTorch would work on a stream that CuPy's events do not see."""
    torch = _torch()
    found = {name: _tensor(workload, array) for name, array in inputs.named.items()}
    if any(tensor.is_cuda for tensor in found.values()):
        import cupy

        if torch.cuda.current_stream().cuda_stream != cupy.cuda.get_current_stream().ptr:
            raise NotThere("PyTorch works on another stream than CuPy, whose events take the time")
    return found


def _values(found: Any) -> Any:
    """What is compared, as float32 in NumPy."""
    return tuple(map(_values, found)) if isinstance(found, tuple) else last(found).detach().float().cpu().numpy()


def _apart(workload: Workload) -> Callable[[Any, Any], float]:
    """The largest difference over our largest entry, in all heads, computed where the results are; infinite where the shapes differ, NaN
    where there is one.
    """
    torch = _torch()

    def one(ours: Any, theirs: Any) -> float:
        mine, other = _tensor(workload, ours).float(), theirs.detach().float()
        if mine.shape != other.shape:
            return math.inf
        return float((mine - other).abs().max()) / (float(mine.abs().max()) or 1.0)

    def apart(ours: Any, theirs: Any) -> float:
        pairs = zip(ours, theirs, strict=True) if isinstance(ours, tuple) else [(ours, theirs)]
        with torch.inference_mode():
            found = [one(mine, other) for mine, other in pairs]
        return math.nan if any(map(math.isnan, found)) else max(found)

    return apart


def _calls(workload: Workload, given: Mapping[str, Any], function: Function) -> Callable[[], Any]:
    """The call: forward without a gradient, or the backward of a forward that is kept."""
    torch = _torch()
    if not workload.vjp:

        def forward() -> Any:
            with torch.inference_mode():
                return function(workload, given)

        return forward
    own = {name: tensor.detach().requires_grad_() for name, tensor in given.items() if name != "grad_out"}
    result, leaves = function(workload, own), list(own.values())
    return lambda: torch.autograd.grad(result, leaves, given["grad_out"], retain_graph=True)


def _what(workload: Workload, what: str) -> str:
    return f"{what}, the backward alone of a kept forward" if workload.vjp else what


def implementation() -> str:
    """Which FLASH was put in the place of PyTorch's own; empty where it tells none."""
    tell = getattr(import_module("torch.nn.attention"), "current_flash_attention_impl", lambda: None)
    return str(tell() or "")


def sdpa(backend: str, tell: Callable[[], str] = str) -> Builder:
    """scaled_dot_product_attention held to a backend; ``tell`` says which implementation of it is active, where that is known."""

    def build(workload: Workload, inputs: Inputs) -> Rival:
        from torch.nn.attention import SDPBackend, sdpa_kernel

        def function(workload: Workload, t: Mapping[str, Any]) -> Any:
            attend = _torch().nn.functional.scaled_dot_product_attention
            with sdpa_kernel([getattr(SDPBackend, backend)]):
                return attend(t["q"][None], t["k"][None], t["v"][None], is_causal=workload.causal).squeeze(0)

        call, active = _calls(workload, tensors(workload, inputs), function), tell()
        what = f"scaled_dot_product_attention held to {backend}{f' ({active})' if active else ''}"
        return Rival(_what(workload, what), call, _values, apart=_apart(workload))

    return build


def _attention(workload: Workload, t: Mapping[str, Any]) -> Any:
    """The formula, in whole arrays."""
    torch = _torch()
    scores = t["q"] @ t["k"].transpose(-1, -2) / math.sqrt(workload.sizes["d"])
    if workload.causal:
        scores = scores.masked_fill(torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1), -math.inf)
    return torch.softmax(scores, dim=-1) @ t["v"]


def _layer_norm(workload: Workload, t: Mapping[str, Any]) -> Any:
    return _torch().nn.functional.layer_norm(t["x"], t["gain"].shape, t["gain"], t["bias"], 1e-5)


def compiled(what: str, function: Function) -> Builder:
    """torch.compile of a function, compiled before it is timed."""

    def build(workload: Workload, inputs: Inputs) -> Rival:
        call = _calls(workload, tensors(workload, inputs), _torch().compile(function, dynamic=False))
        return Rival(f"torch.compile of {what}", call, _values, apart=_apart(workload))

    return build


def product(workload: Workload, inputs: Inputs, size: int = PRODUCT_SIZE) -> Rival:
    """A product of two square matrices of random numbers, in the format of the row; its time is scaled to the operations of the row."""
    torch = _torch()
    some = next(iter(tensors(workload, inputs).values()))
    left, right = (torch.randn(size, size, device=some.device).to(some.dtype) for _ in range(2))
    out, wanted = torch.empty_like(left), operations(workload)
    assert wanted is not None
    what = f"a product of {size} × {size} matrices at its rate, for the operations of the work"

    def call() -> Any:
        with torch.inference_mode():
            return torch.matmul(left, right, out=out)

    return Rival(what, call, scale=wanted / (2.0 * size**3))


FLASH: Mapping[str, Builder] = dict.fromkeys(("attention", "attention.vjp"), sdpa("FLASH_ATTENTION", implementation))
CUDNN: Mapping[str, Builder] = dict.fromkeys(("attention", "attention.vjp"), sdpa("CUDNN_ATTENTION"))
#: forward alone: a compiled backward gives up what the forward kept
COMPILED: Mapping[str, Builder] = {
    "attention": compiled("the textbook's formula", _attention), "layer_norm": compiled("layer_norm", _layer_norm),
}
PRODUCT: Mapping[str, Builder] = dict.fromkeys(("attention", "attention.vjp"), product)
