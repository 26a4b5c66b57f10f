"""Arrays cross the border bit for bit, and back."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from kernelproof.properties.adapters import crossed
from kernelproof.properties.views import VIEWS, view_of
from kernelproof.symbolic.errors import InputError

DTYPES = ["float16", "float32", "float64", "int32", "int64", "bool"]


@pytest.fixture(params=["torch", "jax"])
def library(request: pytest.FixtureRequest) -> Any:
    name: str = request.param
    pytest.importorskip(name, reason=f"arrays cross to {name}")
    return name


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_there_and_back(library: str, dtype: str) -> None:
    seen: list[Any] = []
    given = np.arange(-3, 3).reshape(2, 3).astype(dtype)
    if library == "jax" and dtype == "int64":
        pytest.skip("JAX has 64-bit integers beside 64-bit floats alone: ids become int32")
    back = crossed(lambda x: seen.append(x) or x, library)(given)  # type: ignore[func-returns-value]
    assert isinstance(back, np.ndarray)
    assert type(seen[0]).__module__.partition(".")[0] in (library, f"{library}lib")
    assert (back.dtype, back.tobytes()) == (given.dtype, given.tobytes())


def test_bfloat16_there_and_back(library: str) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="NumPy's bfloat16 is ml_dtypes'")
    given = np.array([1.0, -0.0, 3e38, 1e-40, np.inf], dtype=ml_dtypes.bfloat16)
    back = crossed(lambda x: x, library)(given)
    assert (back.dtype, back.tobytes()) == (given.dtype, given.tobytes())


@pytest.mark.parametrize("view", VIEWS)
def test_views_have_their_values(library: str, view: str) -> None:
    given = np.broadcast_to(np.arange(4, dtype=np.float32), (3, 4)).copy()
    assert np.array_equal(crossed(lambda x: x + 0, library)(view_of(given, view)), given)


def test_what_a_torch_function_does_to_its_input_is_seen() -> None:
    pytest.importorskip("torch", reason="tensors share memory with NumPy")
    given = np.ones(3, dtype=np.float32)
    crossed(lambda x: x.mul_(2), "torch")(given)
    assert given.tolist() == [2, 2, 2]


def test_containers_and_options_cross_and_other_things_do_not() -> None:
    torch = pytest.importorskip("torch", reason="tensors in containers")

    def sums(x: Any, params: dict[str, Any], *, scale: float, mask: Any = None) -> tuple[Any, dict[str, Any]]:
        assert isinstance(params["w"], torch.Tensor) and isinstance(mask, torch.Tensor)
        return x * scale, {"w": params["w"]}

    one, packed = crossed(sums, "torch")(np.ones(2), {"w": np.zeros(1)}, scale=3.0, mask=np.ones(2, dtype=bool))
    assert one.tolist() == [3, 3]
    assert isinstance(packed["w"], np.ndarray)
    assert list(inspect.signature(crossed(sums, "torch")).parameters) == ["x", "params", "scale", "mask"]


def test_tensors_in_tensors_out() -> None:
    torch = pytest.importorskip("torch", reason="tensors in, tensors out")
    assert isinstance(crossed(lambda x: x + 1, "torch")(torch.zeros(2)), torch.Tensor)


def test_a_result_with_a_gradient_crosses() -> None:
    torch = pytest.importorskip("torch", reason="parameters of a module have gradients")
    weight = torch.ones(2, requires_grad=True)
    assert crossed(lambda x: x * weight, "torch")(np.ones(2, dtype=np.float32)).tolist() == [1, 1]


def test_a_library_that_is_not_known_or_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="'tensorflow': it is not known; choose one of torch, jax"):
        crossed(abs, "tensorflow")
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(InputError, match=r"pip install kernelproof\[torch\]"):
        crossed(abs, "torch")
