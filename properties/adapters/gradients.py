"""The gradient of a library's function, by that library's own differentiation, in the signature of a gradient kernel.

``gradient_of(kernel, library, shape)`` is ``f(inputs…, grad_out, **options)`` on the library's arrays, one gradient for each differentiable
input. Guarantees: the forward pass is the kernel as it is; an input that the result does not depend on gets zeros.
Cannot see: gradients that a caller has by other means (a fused backward called by itself, ``create_graph``).
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kernelproof.properties.shapes import GRAD_OUT, PhaseShape

Kernel = Callable[..., Any]
Pull = Callable[[Kernel, list[Any], list[int], Any, dict[str, Any]], tuple[Any, ...]]


def gradient_of(kernel: Kernel, library: str, shape: PhaseShape) -> Kernel:
    """The gradient kernel. The arguments that get gradients are those of ``shape.gradients``."""
    names = shape.arguments[:-1]
    places = [place for place, name in enumerate(names) if name in shape.gradients]
    pull = MEANS[library].pull

    def gradients(*arguments: Any, **options: Any) -> tuple[Any, ...]:
        *inputs, grad_out = arguments
        return pull(kernel, list(inputs), places, grad_out, options)

    by_position: list[inspect.Parameter] = []
    by_keyword: list[inspect.Parameter] = []
    for parameter in inspect.signature(kernel).parameters.values():
        (by_keyword if parameter.kind is inspect.Parameter.KEYWORD_ONLY else by_position).append(parameter)
    last = inspect.Parameter(GRAD_OUT, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    gradients.__signature__ = inspect.Signature([*by_position, last, *by_keyword])  # type: ignore[attr-defined]
    return gradients


def _by_autograd(kernel: Kernel, inputs: list[Any], places: list[int], grad_out: Any, options: dict[str, Any]) -> tuple[Any, ...]:
    torch = importlib.import_module("torch")
    with torch.enable_grad():
        leaves = [array.detach().requires_grad_() if place in places else array for place, array in enumerate(inputs)]
        out = kernel(*leaves, **options)
        wanted = [leaves[place] for place in places]
        found = torch.autograd.grad(out, wanted, grad_out, allow_unused=True)
    return tuple(torch.zeros_like(leaf) if one is None else one for leaf, one in zip(wanted, found, strict=True))


def _by_jax(kernel: Kernel, inputs: list[Any], places: list[int], grad_out: Any, options: dict[str, Any]) -> tuple[Any, ...]:
    jax = importlib.import_module("jax")

    def of(*wanted: Any) -> Any:
        given = list(inputs)
        for place, array in zip(places, wanted, strict=True):
            given[place] = array
        return kernel(*given, **options)

    _, back = jax.vjp(of, *(inputs[place] for place in places))
    return tuple(back(grad_out))


@dataclass(frozen=True)
class Differentiation:
    """How a library differentiates; functions in ``without_gradient`` have no adapter for it."""

    means: str
    pull: Pull
    without_gradient: frozenset[str] = frozenset()


#: by library
MEANS: dict[str, Differentiation] = {
    "torch": Differentiation("torch.autograd.grad", _by_autograd),
    # its adapter moves axes in NumPy, which JAX cannot look through
    "jax": Differentiation("jax.vjp", _by_jax, frozenset({"jax.nn.dot_product_attention"})),
}
