"""The array library of a function is read from the function; none need be installed for that."""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from kernelproof.properties.adapters import library_of
from kernelproof.symbolic.registry import derive

TORCH, JNP = ModuleType("torch"), ModuleType("jax.numpy")


def function(source: str, **names: Any) -> Any:
    """``f`` of this source, in a module with these names."""
    known: dict[str, Any] = {**names, "__name__": "somewhere"}
    exec(source, known)
    return known["f"]


@pytest.mark.parametrize(
    ("source", "names", "library"),
    [
        ("def f(x): return np.exp(x)", {"np": np}, "numpy"),
        ("def f(x): return torch.exp(x)", {"torch": TORCH}, "torch"),
        ("def f(x): return jnp.exp(x)", {"jnp": JNP}, "jax"),
        # both imported: what the code speaks decides
        ("def f(x): return np.exp(x)", {"np": np, "torch": TORCH}, "numpy"),
        ("def f(x): return torch.exp(x)", {"np": np, "torch": TORCH}, "torch"),
        # methods alone: the module decides, if it is clear
        ("def f(x): return x.softmax(-1)", {"torch": TORCH}, "torch"),
        ("def f(x): return x.softmax(-1)", {"np": np, "torch": TORCH}, "numpy"),
        ("def f(x): return x.softmax(-1)", {"jnp": JNP, "torch": TORCH}, "numpy"),
        # helpers and inner functions speak for their callers
        ("def g(x): return torch.exp(x)\ndef f(x): return g(x)", {"np": np, "torch": TORCH}, "torch"),
        ("def g(x): return f(x) + torch.exp(x)\ndef f(x): return g(x)", {"np": np, "torch": TORCH}, "torch"),
        ("def f(x): return (lambda y: torch.exp(y))(x)", {"np": np, "torch": TORCH}, "torch"),
        # annotations, also as text
        ("def f(x: 'torch.Tensor'): return x.softmax(-1)", {"np": np, "torch": TORCH}, "torch"),
        ("def f(x): return torch.from_numpy(x).softmax(-1).numpy()", {"np": np, "torch": TORCH}, "numpy"),
        # enclosing functions, and imports inside
        ("def make(t): return lambda x: t.exp(x)\nf = make(torch)", {"np": np, "torch": TORCH}, "torch"),
        ("def f(x):\n import torch\n return torch.exp(x)", {"np": np}, "torch"),
        ("def f(x):\n import jax.numpy as a\n return a.exp(x)", {"np": np}, "jax"),
        ("def f(x): return x + 1", {}, "numpy"),
    ],
)
def test_what_the_code_speaks_decides(source: str, names: dict[str, Any], library: str) -> None:
    assert library_of(function(source, **names)) == library


def test_what_is_wrapped_around_a_function_does_not_matter() -> None:
    plain = function("def f(x): return torch.exp(x)", torch=TORCH)

    class Kernel:
        __call__ = function("def f(self, x): return torch.exp(x)", torch=TORCH)

    @functools.wraps(plain)
    def decorated(x: object) -> object:
        return plain(x)

    assert library_of(functools.partial(plain)) == "torch"
    assert library_of(decorated) == "torch"
    assert library_of(Kernel()) == "torch"
    assert library_of(Kernel().__call__) == "torch"


def test_builtins_and_our_own_are_numpys() -> None:
    assert library_of(np.exp) == "numpy"
    assert library_of(sum) == "numpy"
    assert library_of(derive) == "numpy"
