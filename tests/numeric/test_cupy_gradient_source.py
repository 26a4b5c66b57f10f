"""The text of generated CuPy gradient files: what can be seen without CUDA, without cupy and without running anything.

That the kernels compute the right numbers is tested in ``tests/cuda``, where the text is compiled and executed.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from kernelproof.numeric.cupy_gradient_file import cupy_gradient_licences, cupy_gradient_source
from kernelproof.numeric.kernel import generate
from kernelproof.symbolic.errors import InputError
from kernelproof.symbolic.registry import gradient

ROOT = Path(__file__).parents[2]
DTYPES = ("float16", "bfloat16", "float32", "float64")
TARGETS: list[tuple[str, dict[str, object]]] = [
    ("embedding", {}), ("rotary", {}), ("rotary", {"layout": "interleaved"}), ("softmax", {}), ("layer_norm", {}), ("rms_norm", {}),
    ("activation", {"activation": "gelu"}), ("activation", {"activation": "gelu_tanh"}), ("feed_forward", {}),
    ("attention", {}), ("attention", {"grouped_query": True}),
    ("attention", {"fully_masked": "mean", "softcap": 2.0}), ("attention", {"sinks": True, "rotary": "halves", "grouped_query": True}),
    ("multi_head_attention", {}), ("encoder_block", {}),
]
#: phases whose kernels compute tables of angles in double
TABLES = ("rotary",)
#: launches of each gradient: what is fused into how many kernels
LAUNCHES = {
    "embedding": ["embedding_vjp_entries"], "rotary": ["rotary_vjp_entries"], "softmax": ["softmax_vjp_rows"],
    "layer_norm": ["layer_norm_vjp_rows", "layer_norm_vjp_columns", "layer_norm_vjp_columns2"],
    "rms_norm": ["rms_norm_vjp_rows", "rms_norm_vjp_columns"], "activation": ["activation_vjp_entries"],
    "attention": ["attention_vjp_queries", "attention_vjp_keys", "attention_vjp_sums"],
    "feed_forward": ["feed_forward_vjp_columns", "feed_forward_vjp_entries", "feed_forward_vjp_columns2"],
}


def name(part: object) -> str:
    """The part of a test's id for a variant."""
    return ("-".join(f"{key}={value}" for key, value in part.items()) or "default") if isinstance(part, dict) else str(part)


@cache
def printed(phase: str, variant: tuple[tuple[str, object], ...], dtype: str) -> str:
    """The file, printed once for all tests."""
    return cupy_gradient_source(gradient(phase, **dict(variant)), dtype)


def constant(source: str, wanted: str) -> Any:
    """A constant of a file, without running it."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == wanted:
            return ast.literal_eval(node.value)
    raise AssertionError(f"no constant {wanted}")


@pytest.mark.parametrize(("phase", "variant"), TARGETS, ids=name)
def test_every_file_stands_alone(phase: str, variant: dict[str, object]) -> None:
    found = gradient(phase, **variant)
    for dtype in DTYPES:
        source = printed(phase, tuple(variant.items()), dtype)
        tree = ast.parse(source)
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
        assert [ast.unparse(node) for node in imports] == ["import math", "import cupy as cp"]
        functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        assert functions[-1] == f"{phase}_vjp" and len(set(functions)) == len(functions)
        assert not re.search(r"\bnp\b", source), "a name of NumPy's file"
        shown = ast.get_docstring(tree) or ""
        assert shown.startswith(f"{found.title}") and f"cupy, {dtype}" in shown.splitlines()[0]
        assert all(f"{statement.id}:" in shown for statement in found.statements)
        assert all(licence in shown for licence in cupy_gradient_licences(found, dtype))
        assert found.fingerprint() in shown
        text, _, seal = source.rpartition("\n\n# sha256 of the text above, up to the blank lines: ")
        assert seal.strip() == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(("phase", "variant"), TARGETS, ids=name)
def test_text_and_launch_contract_agree(phase: str, variant: dict[str, object]) -> None:
    for dtype in DTYPES:
        source = printed(phase, tuple(variant.items()), dtype)
        text, contract = constant(source, "CUDA"), constant(source, "LAUNCH")
        defined = re.findall(r'extern "C" __global__ void (?:__launch_bounds__\([^)]*\) )?(\w+)\(', text)
        launched = re.findall(r'_launch\(\s*"(\w+)"', source)
        assert defined == list(contract) and sorted(defined) == sorted(launched)
        assert all(kernel["block"] % 32 == 0 and kernel["shared"] == 0 for kernel in contract.values())
        assert [found for found in contract if contract[found]["lanes"] == 32] == [found for found in defined if "_rows" in found]
        if dtype == "float32" and not variant:
            assert defined == LAUNCHES.get(phase, defined)


@pytest.mark.parametrize(("phase", "variant"), TARGETS, ids=name)
def test_float_kernels_hold_no_double_and_nothing_is_added_atomically(phase: str, variant: dict[str, object]) -> None:
    for dtype in DTYPES:
        text = re.sub(r"//.*", "", constant(printed(phase, tuple(variant.items()), dtype), "CUDA"))
        literals = re.findall(r"(?<![\w.])\d+\.\d+(?:e-?\d+)?f?", text)
        assert "atomic" not in text
        if dtype == "float64":
            assert not re.search(r"\bfloat\b|\b(exp|log|sqrt|sin|cos|tanh|erf)f\(", text)
            assert not [literal for literal in literals if literal.endswith("f")]
        elif phase not in TABLES and "rotary" not in variant:
            assert not re.search(r"\bdouble\b", text)
            assert all(literal.endswith("f") for literal in literals)
            assert not re.search(r"\b(exp|log|sqrt|sin|cos|tanh|erf)\(", text), "a double function"


@pytest.mark.parametrize("phase", ["layer_norm", "rms_norm", "feed_forward", "encoder_block"])
def test_sums_along_leading_axes_are_read_side_by_side(phase: str) -> None:
    """No lanes run along tokens; where warps do, the lanes of each read neighbouring entries of a row, or all the same one."""
    text = constant(printed(phase, (), "float32"), "CUDA")
    assert not re.search(r"= lane; \w+ < [^;]*\bleading\b", text)
    columns = re.findall(r"_columns\d*\((?:.*\n)*?}\n", text)
    assert columns
    for kernel in columns:
        (own,) = set(re.findall(r"const long long (\w+) = row;", kernel))
        reads = re.findall(rf"\w+\[([^\]]*\b{own} \* \w+_by\d+[^\]]*)\]", kernel)
        assert reads and all(re.search(rf"\b{own} \* \w+_by\d+$", read) for read in reads)


def test_intermediates_of_16_bits_are_float32() -> None:
    """Only arrays of the user are held in 16 bits: attention's gradients are summed over broadcast axes before they are rounded."""
    for phase, stored in {"layer_norm": 6, "attention": 0}.items():
        text = constant(printed(phase, (), "bfloat16"), "CUDA")
        assert len(re.findall(r"__nv_bfloat16\* __restrict__ \w+", text)) >= stored
        assert not re.search(r"__nv_bfloat16 \w+ =", text)
    assert "_narrowed(_to_shape(d_q, q.shape))" in printed("attention", (), "bfloat16")
    assert "_to_shape(d_q, q.shape).astype(dtype, copy=False)" in printed("attention", (), "float16")


def test_the_kernel_knows_its_licences() -> None:
    kernel = generate("embedding", backend="cupy", vjp=True)
    assert kernel.name == "embedding_vjp" and kernel.licences == ("embedding.vjp", "embedding.token_order")
    assert kernel.source == printed("embedding", (), "float32") and kernel.certificate["vjp"] is True
    assert "attention.recomputed_weights" in generate("attention", backend="cupy", vjp=True).licences
    with pytest.raises(InputError, match="no differentiable input"):
        generate("positional", backend="cupy", vjp=True)


def test_the_same_gradient_gives_the_same_bytes() -> None:
    chosen = ("softmax", "layer_norm", "multi_head_attention")
    code = (
        "import hashlib; from kernelproof.numeric.cupy_gradient_file import cupy_gradient_source as source\n"
        "from kernelproof.symbolic.registry import gradient\n"
        f"for phase in {chosen}:\n"
        "    print(phase, hashlib.sha256(source(gradient(phase), 'float16').encode()).hexdigest())"
    )
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)]))
    environment = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    here = [f"{phase} {hashlib.sha256(printed(phase, (), 'float16').encode()).hexdigest()}" for phase in chosen]
    assert done.stdout == "\n".join(here) + "\n"
