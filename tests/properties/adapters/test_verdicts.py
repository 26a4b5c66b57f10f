"""Well-known functions are acquitted as they stand; wrong uses of them are convicted, by programs that run."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernelproof.properties.adapters import adapted
from kernelproof.properties.verify import verify_target

Search = Callable[..., dict[str, Any]]
ROOT = Path(__file__).parents[3]
#: what an adapter may spoil, whatever the function
TELLING = (
    "matches_definition", "mask_forms_agree", "shape_and_dtype", "inputs_unchanged", "finite", "views_equal_copies", "batch_independent",
)
SILU, GELU, TANH = ({"activation": name} for name in ("silu", "gelu", "gelu_tanh"))
FUNCTIONS: list[tuple[str, str, dict[str, str]]] = [
    ("torch.nn.functional:softmax", "softmax", {}),
    ("torch.nn.functional:scaled_dot_product_attention", "attention", {}),
    ("torch.nn.functional:layer_norm", "layer_norm", {}),
    ("torch.nn.functional:rms_norm", "rms_norm", {}),
    ("torch.nn.functional:embedding", "embedding", {}),
    ("torch.nn.functional:relu", "activation", {}),
    ("torch.nn.functional:silu", "activation", SILU),
    ("torch.nn.functional:gelu", "activation", TANH),
    ("jax.nn:softmax", "softmax", {}),
    ("jax.nn:dot_product_attention", "attention", {}),
    ("jax.numpy:take", "embedding", {}),
    ("jax.nn:silu", "activation", SILU),
    ("jax.nn:gelu", "activation", GELU),
    ("jax.nn:gelu", "activation", TANH),
]
NODES: list[tuple[str, dict[str, Any], str, dict[str, str]]] = [
    ("Softmax", {}, "softmax", {}),
    ("LayerNormalization", {"inputs": 3}, "layer_norm", {}),
    ("RMSNormalization", {"inputs": 2}, "rms_norm", {}),
    ("SimplifiedLayerNormalization", {"inputs": 2}, "rms_norm", {}),
    ("Gather", {"inputs": 2}, "embedding", {}),
    ("Relu", {}, "activation", {}),
    ("Gelu", {}, "activation", GELU),
    ("Gelu", {"approximate": "tanh"}, "activation", TANH),
    ("FastGelu", {"domain": "com.microsoft"}, "activation", TANH),
    ("Attention", {"inputs": 3}, "attention", {}),
]


def outcomes(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    held = ("pass", "not_applicable")
    return [(name, verdict.verdict, verdict.message) for name, verdict in found.items() if verdict.verdict not in held]


@pytest.mark.parametrize(("spec", "phase", "variant"), FUNCTIONS, ids=lambda value: str(value))
def test_a_well_known_function_is_acquitted(search: Search, spec: str, phase: str, variant: dict[str, str]) -> None:
    library = spec.partition(".")[0]
    pytest.importorskip(library, reason=f"{spec} is a function of {library}")
    found = search(spec, phase, variant, *TELLING)
    assert outcomes(found) == []
    assert found["matches_definition"].verdict == "pass"


@pytest.mark.parametrize(("operator", "node", "phase", "variant"), NODES, ids=lambda value: str(value))
def test_a_node_is_acquitted(
    search: Search, onnx_file: Callable[..., str], operator: str, node: dict[str, Any], phase: str, variant: dict[str, str]
) -> None:
    assert outcomes(search(onnx_file(operator, **node), phase, variant, *TELLING)) == []


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_types_cross_too(search: Search, dtype: str) -> None:
    pytest.importorskip("torch", reason="torch.nn.functional is the target")
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes", reason="NumPy's bfloat16 is ml_dtypes'")
    assert outcomes(search("torch.nn.functional:softmax", "softmax", {}, *TELLING, dtype=dtype)) == []


def test_wrong_uses_are_convicted(search: Search) -> None:
    functional = pytest.importorskip("torch", reason="torch functions are used wrongly").nn.functional
    sdpa = functional.scaled_dot_product_attention

    def causal_from_below(q: Any, k: Any, v: Any, *, causal: bool = False) -> Any:
        torch = importlib.import_module("torch")
        n, m = q.shape[-2], k.shape[-2]
        allow = torch.ones(n, m, dtype=torch.bool).tril(m - n)
        return sdpa(q, k, v, attn_mask=allow if causal else None)

    def inverted(q: Any, k: Any, v: Any, *, mask: Any = None) -> Any:
        boolean = mask is not None and not mask.is_floating_point()
        return sdpa(q, k, v, attn_mask=~mask if boolean else None)

    wrong: list[tuple[str, Any]] = [
        ("attention", lambda q, k, v: sdpa(q, k, v, scale=1.0)),
        ("attention", inverted),
        ("attention", causal_from_below),
        ("softmax", lambda x: functional.softmax(x, dim=0)),
        ("layer_norm", lambda x, gain, bias, *, eps=1e-5: functional.layer_norm(x, gain.shape, gain, bias)),
    ]
    for phase, function in wrong:
        found = search(function, phase, {}, "matches_definition", examples=25)
        assert found["matches_definition"].verdict == "fail", found


def test_a_function_of_ones_own_crosses_and_its_faults_show(search: Search) -> None:
    torch = pytest.importorskip("torch", reason="a kernel is written in torch")

    def softmax(x: Any) -> Any:
        return torch.exp(x - x.amax(-1, keepdim=True)) / torch.exp(x - x.amax(-1, keepdim=True)).sum(-1, keepdim=True)

    def in_place(x: Any) -> Any:
        return torch.nn.functional.softmax(x.sub_(1.0), -1)

    assert outcomes(search(softmax, "softmax", {}, *TELLING)) == []
    assert search(in_place, "softmax", {}, "inputs_unchanged")["inputs_unchanged"].verdict == "fail"


def test_jax_functions_of_ones_own_cross(search: Search) -> None:
    jax = pytest.importorskip("jax", reason="a kernel is written in jax")

    @jax.jit
    def layer_norm(x: Any, gain: Any, bias: Any, eps: float = 1e-5) -> Any:
        spread = jax.numpy.sqrt(x.var(-1, keepdims=True) + eps)
        return (x - x.mean(-1, keepdims=True)) / spread * gain + bias

    for dtype in ("float32", "float64"):
        found = search(layer_norm, "layer_norm", {}, "matches_definition", "shape_and_dtype", dtype=dtype)
        assert outcomes(found) == []


def test_the_reproducer_of_an_adapted_target_fails_where_the_target_does(search: Search, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the program loads a torch function")
    (tmp_path / "mine.py").write_text(
        "import torch.nn.functional as F\n\ndef attention(q, k, v):\n    return F.scaled_dot_product_attention(q, k, v, scale=1.0)\n"
    )
    found = search(f"{tmp_path}/mine.py:attention", "attention", {}, "matches_definition")["matches_definition"]
    assert found.counterexample is not None
    program = found.counterexample.reproducer
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 1
    assert "AssertionError" in done.stderr and "times the bound" in done.stderr


def test_the_verdict_states_conventions_and_versions() -> None:
    torch = pytest.importorskip("torch", reason="a torch function is the target")
    verdict = verify_target("torch.nn.functional:embedding", phase="embedding", profile="quick")
    assert verdict.versions["torch"] == torch.__version__
    assert verdict.to_json()["conventions"] == ["torch.nn.functional.embedding as embedding", "no padding_idx, no max_norm"]
    assert "assumed: no padding_idx, no max_norm" in str(verdict)
    assert np.isfinite([found.worst for found in verdict.properties if found.worst is not None]).all()


def test_functions_with_habits_of_their_own_are_called_rightly() -> None:
    """standardize cancels and relu flushes subnormals, which convicts them; on plain numbers their adapters are right."""
    jax = pytest.importorskip("jax", reason="jax.nn.standardize and jax.nn.relu are recognised")
    x, gain, bias = np.float32([[1, 2, 4], [0, -1, 3]]), np.float32([1, 2, 3]), np.float32([4, 5, 6])
    expected = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 0.5) * gain + bias
    assert np.allclose(adapted(jax.nn.standardize, "layer_norm", {})(x, gain, bias, eps=0.5), expected)
    assert np.array_equal(adapted(jax.nn.relu, "activation", {"activation": "relu"})(x), np.maximum(x, 0))


def test_a_node_that_leaks_the_future_is_convicted(search: Search, onnx_file: Callable[..., str]) -> None:
    path = onnx_file("MultiHeadAttention", inputs=3, domain="com.microsoft", num_heads=1)
    attend = adapted(path, "attention", {})
    q, k = np.float32([[[1], [2]]]), np.float32([[[1], [2], [3], [4]]])
    changed = np.float32([[[1], [2], [3], [9]]])
    if np.array_equal(attend(q, k, k, causal=True), attend(q, changed, changed, causal=True)):
        pytest.skip("this version of ONNX Runtime does not leak")

    def guarded(q: Any, k: Any, v: Any, *, causal: bool = False) -> Any:
        # at width 0 the node ends the process
        return attend(q, k, v, causal=causal) if v.shape[-1] else np.zeros((*q.shape[:-1], 0), dtype=q.dtype)

    found = search(guarded, "attention", {}, "later_tokens_do_not_matter", examples=25)["later_tokens_do_not_matter"]
    assert found.verdict == "fail" and "raised" not in found.message
