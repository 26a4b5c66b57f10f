"""The text of generated CuPy files: what can be seen without CUDA, without cupy and without running anything.

That the kernels compute the right numbers is tested in ``tests/cuda``, where the text is compiled and executed.
"""

from __future__ import annotations

import ast
import hashlib
import itertools
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from kernelproof.numeric.cupy_file import cupy_source
from kernelproof.symbolic.registry import derive, phases

ROOT = Path(__file__).parents[2]
DTYPES = ("float16", "bfloat16", "float32", "float64")
TABLES = ("positional", "rotary")
#: launches of each phase: what is fused into how many kernels
LAUNCHES = {
    "embedding": ["embedding_entries"], "positional": ["positional_entries"], "rotary": ["rotary_entries"],
    "softmax": ["softmax_rows"], "layer_norm": ["layer_norm_rows"], "rms_norm": ["rms_norm_rows"], "activation": ["activation_entries"],
    "attention": ["attention_rows", "attention_entries"],
    "multi_head_attention": [],  # products, and the kernel in tiles between
    "feed_forward": ["feed_forward_entries", "feed_forward_entries2"],
    "encoder_block": [
        "encoder_block_rows", "encoder_block_entries", "encoder_block_rows2",
    ],
}


def variants(phase: str) -> list[dict[str, object]]:
    options = phases()[phase].variants
    return [dict(zip(options, values, strict=True)) for values in itertools.product(*(option.choices for option in options.values()))]


#: files whose kernel is their schedule's alone
WHOLE: list[tuple[str, dict[str, object], str]] = [
    ("attention", {"sinks": True, "grouped_query": True}, "float16"), ("attention", {"alibi": True, "fully_masked": "mean"}, "float32"),
    ("attention", {"rotary": "halves", "fully_masked": "nan"}, "float64"),
]
TARGETS = [(phase, variant, dtype) for phase in phases() for variant in variants(phase) for dtype in DTYPES]


def name(part: object) -> str:
    """The part of a test's id for a phase, a variant or a dtype."""
    return ("-".join(map(str, part.values())) or "default") if isinstance(part, dict) else str(part)


@cache
def printed(phase: str, variant: tuple[tuple[str, object], ...], dtype: str) -> str:
    """The file, printed once for all tests."""
    return cupy_source(derive(phase, **dict(variant)), dtype)


def constant(source: str, wanted: str) -> Any:
    """A constant of a file, without running it."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == wanted:
            return ast.literal_eval(node.value)
    raise AssertionError(f"no constant {wanted}")


def bare(text: str) -> str:
    """CUDA text without comments."""
    return re.sub(r"//.*", "", text)


@pytest.mark.parametrize(("phase", "variant", "dtype"), [*TARGETS, *WHOLE], ids=name)
def test_every_file_stands_alone(phase: str, variant: dict[str, object], dtype: str) -> None:
    derivation = derive(phase, **variant)
    source = printed(phase, tuple(variant.items()), dtype)
    tree = ast.parse(source)
    compile(source, phase, "exec")
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    asks = ["import numpy as np"] * ("def _map_encoder()" in source)
    assert [ast.unparse(node) for node in imports] == ["import math", "import cupy as cp", *asks]
    assert phase in [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    shown = ast.get_docstring(tree) or ""
    assert shown.startswith(f"{derivation.title}") and f"cupy, {dtype}" in shown.splitlines()[0]
    assert all(f"{statement.id}:" in shown for statement in derivation.statements)
    assert all(licence in shown for licence in derivation.licences)
    assert derivation.fingerprint() in shown
    text, _, seal = source.rpartition("\n\n# sha256 of the text above, up to the blank lines: ")
    assert seal.strip() == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(("phase", "variant", "dtype"), TARGETS, ids=name)
def test_text_and_launch_contract_agree(phase: str, variant: dict[str, object], dtype: str) -> None:
    source = printed(phase, tuple(variant.items()), dtype)
    text, contract = (constant(source, "CUDA"), constant(source, "LAUNCH")) if "\nLAUNCH = " in source else ("", {})
    defined = re.findall(r'extern "C" __global__ void (\w+)\(', text)
    launched = re.findall(r'_launch\(\n\s+"(\w+)"', source)
    assert defined == launched == list(contract)
    assert all(kernel["block"] % 32 == 0 and kernel["shared"] == 0 for kernel in contract.values())
    assert [found for found in contract if contract[found]["lanes"] == 32] == [found for found in defined if "_rows" in found]
    if dtype == "float32" and variant.get("norm") != "pre":
        assert defined == LAUNCHES[phase]


@pytest.mark.parametrize(("phase", "variant", "dtype"), TARGETS, ids=name)
def test_float_kernels_hold_no_double(phase: str, variant: dict[str, object], dtype: str) -> None:
    source = printed(phase, tuple(variant.items()), dtype)
    text = bare(constant(source, "CUDA")) if "\nCUDA = " in source else ""
    literals = re.findall(r"(?<![\w.])\d+\.\d+(?:e-?\d+)?f?", text)
    if dtype == "float64":
        assert not re.search(r"\bfloat\b|\b(exp|log|sqrt|sin|cos|tanh|erf)f\(", text)
        assert not [literal for literal in literals if literal.endswith("f")]
    elif phase not in TABLES:
        assert not re.search(r"\bdouble\b", text)
        assert all(literal.endswith("f") for literal in literals)
        assert not re.search(r"\b(exp|log|sqrt|sin|cos|tanh|erf)\(", text), "a double function"
    else:
        rounded = [line for line in text.splitlines() if re.match(r"\s+const float ", line)]
        assert not [line for line in rounded if "double" in line], "tables are rounded where they meet a tensor"
        assert len(rounded) == (0 if phase == "positional" else 8)


@pytest.mark.parametrize("dtype", DTYPES)
def test_16_bit_types_are_storage(dtype: str) -> None:
    text = bare(constant(cupy_source(derive("softmax"), dtype), "CUDA"))
    kind = {"float16": "__half", "bfloat16": "__nv_bfloat16"}.get(dtype)
    assert bool(kind) == ("#include" in text)
    if kind:
        assert f"const {kind}* __restrict__ x" in text and f"{kind}* __restrict__ out" in text
        assert not re.search(rf"{kind} \w+ =", text), "no local value is held in 16 bits"


def test_a_divisor_is_guarded_where_the_array_printer_guards_it() -> None:
    """A softmax divides by what is proved positive; a root of a variance plus eps is not proved so, and a masked sum may be zero."""
    for phase, guarded in {"softmax": False, "layer_norm": True, "rms_norm": True, "attention": True}.items():
        assert ("/ kp_divisor(" in cupy_source(derive(phase), "float32")) == guarded
    assert "d or math.inf" in cupy_source(derive("layer_norm"), "float32")


def test_the_same_derivation_gives_the_same_bytes() -> None:
    code = (
        "import hashlib; from kernelproof.numeric.cupy_file import cupy_source; from kernelproof.symbolic.registry import derive, phases\n"
        "for phase in phases():\n"
        "    print(phase, hashlib.sha256(cupy_source(derive(phase), 'float16').encode()).hexdigest())"
    )
    found = []
    for seed in ("1", "2"):
        path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)]))
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120)
        assert done.returncode == 0, done.stderr
        found.append(done.stdout)
    here = [f"{phase} {hashlib.sha256(cupy_source(derive(phase), 'float16').encode()).hexdigest()}" for phase in phases()]
    assert found[0] == found[1] == "\n".join(here) + "\n"
