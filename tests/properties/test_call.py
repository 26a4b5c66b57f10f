"""The target is called as the contract says, on memory of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kernelproof.properties.call import Call, TargetRaised, as_array, call_text
from kernelproof.properties.model import Inputs
from kernelproof.properties.shapes import phase_shape

X = np.arange(6, dtype=np.float32).reshape(2, 3)


def softmax_call(function: Any, **crossing: Any) -> Call:
    return Call(function, phase_shape("softmax"), **crossing)


def test_inputs_are_writable_copies_and_results_are_copies() -> None:
    held = []

    def keep(x: Any) -> Any:
        assert x.flags.writeable
        x += 1
        held.append(x)
        return x

    result = softmax_call(keep)({"x": X}, {})
    assert np.array_equal(X, np.arange(6).reshape(2, 3))
    assert np.array_equal(result, X + 1)
    assert not np.shares_memory(result, held[0])


def test_raw_hands_over_the_arrays_themselves() -> None:
    result = softmax_call(lambda x: x).raw(Inputs({"x": X}, {}))
    assert result is X


def test_order_of_arguments_options_and_packing() -> None:
    def block(x: Any, params: Any, *, n_heads: int, causal: bool = False) -> Any:
        assert list(params) == list(phase_shape("encoder_block").packed[1])  # type: ignore[index]
        return np.asarray([x[0], params["w_q"][0], params["bias2"][0], n_heads, causal], dtype=np.float64)

    names = [tensor.name for tensor in phase_shape("encoder_block").tensors]
    tensors = {name: np.asarray([float(number)]) for number, name in enumerate(names)}
    result = Call(block, phase_shape("encoder_block"))(tensors, {"n_heads": 3, "causal": True})
    assert list(result) == [0, 1, names.index("bias2"), 3, 1]


def test_sizes_are_passed_by_position() -> None:
    def table(n: int, d: int, *, start: int = 0) -> Any:
        return np.full((n, d), start)

    result = Call(table, phase_shape("positional"))({}, {"n_positions": 2, "d_model": 3, "start": 5})
    assert np.array_equal(result, np.full((2, 3), 5))


@pytest.mark.parametrize("error", [ValueError("two\nlines"), SystemExit(3), MemoryError("full"), AssertionError()])
def test_what_the_target_raises_is_told_apart(error: BaseException) -> None:
    def bad(x: Any) -> Any:
        raise error

    with pytest.raises(TargetRaised) as caught:
        softmax_call(bad)({"x": X}, {})
    assert "\n" not in caught.value.text
    assert type(error).__name__ in caught.value.text
    assert caught.value.inputs.tensors["x"] is X


def test_ctrl_c_is_the_users() -> None:
    def bad(x: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        softmax_call(bad)({"x": X}, {})


@pytest.mark.parametrize("result", [None, "text", (X, X), [1.0], {"y": X}, np.array([None])])
def test_a_result_that_is_no_array(result: object) -> None:
    with pytest.raises(TargetRaised, match=r"returned an? .*no array"):
        softmax_call(lambda x: result)({"x": X}, {})


def test_warnings_of_the_target_are_not_errors() -> None:
    with np.errstate(all="raise"):
        result = softmax_call(lambda x: np.exp(x * np.float32(1e4)))({"x": X}, {})
    assert np.isinf(result).any()


class Foreign:
    """An array of another library, on a device of its own."""

    def __init__(self, array: Any) -> None:
        self.held = array.copy()


def test_another_array_library_and_changes_to_its_inputs() -> None:
    def double(x: Foreign) -> Foreign:
        x.held *= 2
        return x

    crossing = {"to_target": Foreign, "to_numpy": lambda result: as_array(result.held)}
    assert np.array_equal(softmax_call(double, **crossing)({"x": X}, {}), 2 * X)
    handed = Inputs({"x": X.copy()}, {})
    softmax_call(double, **crossing).raw(handed)
    assert np.array_equal(handed.tensors["x"], 2 * X), "what happened on the device must show"


def test_dlpack_alone_suffices() -> None:
    class OnlyDlpack:
        def __dlpack__(self, **kwargs: Any) -> Any:
            return X.__dlpack__(**kwargs)

        def __dlpack_device__(self) -> Any:
            return X.__dlpack_device__()

    assert np.array_equal(as_array(OnlyDlpack()), X)


def test_the_call_as_text_is_the_call() -> None:
    inputs = Inputs({"q": X, "k": X, "v": X}, {"causal": True, "mask": X, "scale": 0.5})
    seen: dict[str, Any] = {"target": lambda *args, **options: (args, options), "scale": 0.5, "causal": True}
    seen |= {"q": 1, "k": 2, "v": 3, "mask": 4}
    assert eval(call_text(phase_shape("attention"), inputs), seen) == (
        (1, 2, 3),
        {"causal": True, "mask": 4, "scale": 0.5},
    )
    assert call_text(phase_shape("softmax"), Inputs({"x": X}, {}), "{}_b") == "target(x_b)"
