"""The gradient of a library's function, by that library's own differentiation, in the signature of a gradient kernel.

``gradient_of(kernel, library, shape)`` is ``f(inputs…, grad_out, **options)`` on the library's arrays, one gradient for each differentiable
input, a mapping for a mapping. Guarantees: the forward pass is the kernel as it is; an input that the result does not depend on gets zeros.
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
    """The gradient kernel, with a signature."""
    gradients = pulled_back(kernel, MEANS[library].pull, _places(shape))
    by_position: list[inspect.Parameter] = []
    by_keyword: list[inspect.Parameter] = []
    for parameter in inspect.signature(kernel).parameters.values():
        (by_keyword if parameter.kind is inspect.Parameter.KEYWORD_ONLY else by_position).append(parameter)
    last = inspect.Parameter(GRAD_OUT, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    gradients.__signature__ = inspect.Signature([*by_position, last, *by_keyword])  # type: ignore[attr-defined]
    return gradients


def spelled_gradient(spelled: str, library: str, shape: PhaseShape) -> tuple[str, tuple[Any, ...]]:
    """The gradient of what ``spelled`` says, in a program's words, and what the program has to hold."""
    pull = MEANS[library].pull
    return f"{pulled_back.__name__}({spelled}, {pull.__name__}, {_places(shape)!r})", (pulled_back, pull)


def pulled_back(kernel: Kernel, pull: Pull, places: list[int]) -> Kernel:
    """The gradients of the arguments that stand at these places."""

    def gradients(*arguments: Any, **options: Any) -> tuple[Any, ...]:
        *inputs, grad_out = arguments
        return pull(kernel, inputs, places, grad_out, options)

    return gradients


def _places(shape: PhaseShape) -> list[int]:
    """Of the arguments that get gradients: those of ``shape.gradients``, alone or in a mapping."""
    packed = shape.packed[0] if shape.packed else ""
    return [place for place, name in enumerate(shape.arguments[:-1]) if name == packed or name in shape.gradients]


def _by_autograd(kernel: Kernel, inputs: list[Any], places: list[int], grad_out: Any, options: dict[str, Any]) -> tuple[Any, ...]:
    torch = importlib.import_module("torch")

    def leaf(array: Any) -> Any:
        return array.detach().requires_grad_()

    with torch.enable_grad():
        given = list(inputs)
        for place in places:
            one = inputs[place]
            given[place] = {name: leaf(array) for name, array in one.items()} if isinstance(one, dict) else leaf(one)
        out = kernel(*given, **options)
        wanted = [given[place] for place in places]
        leaves = [array for one in wanted for array in (one.values() if isinstance(one, dict) else [one])]
        found = torch.autograd.grad(out, leaves, grad_out, allow_unused=True)
    filled = iter([torch.zeros_like(array) if one is None else one for array, one in zip(leaves, found, strict=True)])
    return tuple({name: next(filled) for name in one} if isinstance(one, dict) else next(filled) for one in wanted)


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
