"""The files of generated kernels: they stand alone, say what they rest on, and are the same bytes every time."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from numeric_cases import ALL, DTYPES, kernel_of, name_of

from kernelproof import __version__
from kernelproof.numeric.file_parts import error_bound_text
from kernelproof.numeric.signature_variants import signature
from kernelproof.symbolic.printing.derivation import definition_equations
from kernelproof.symbolic.printing.render import text

ROOT = Path(__file__).parents[2]
ERF = {("activation", "gelu"), ("feed_forward", "gelu"), ("encoder_block", "gelu")}

#: runs every file of a folder in one process that cannot see this package, and prints what got imported
ALONE = """
import importlib.util, json, pathlib, sys
folder, names, before = pathlib.Path(sys.argv[1]), sys.argv[2:], set(sys.modules)
results = {}
for name in names:
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    import numpy as np
    call = json.loads((folder / f"{name}.json").read_text())
    arguments = [np.array(value, dtype=dtype) if dtype else value for value, dtype in call["arguments"]]
    if "params" in call:
        arguments.append({key: np.array(value, dtype="float32") for key, value in call["params"].items()})
    results[name] = np.asarray(getattr(module, call["function"])(*arguments, **call["options"])).shape
tops = sorted({name.partition(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names))
print(json.dumps({"imported": tops, "results": results}))
"""


def calls() -> dict[str, dict[str, object]]:
    """A tiny call of each phase as JSON: (value, dtype) pairs, options."""
    row, square, x = [1.0, 2.0], [[1.0, 0.5], [0.25, 1.0]], [[1.0, -1.0], [0.5, 2.0], [3.0, 0.0]]
    f32 = "float32"
    params = {"w_q": square, "w_k": square, "w_v": square, "w_o": square, "w1": square, "b1": row, "w2": square, "b2": row}
    params |= dict.fromkeys(("gain1", "bias1", "gain2", "bias2"), row)
    return {
        "embedding": {"arguments": [([0, 2], "int64"), (x, f32)], "options": {}},
        "positional": {"arguments": [(3, None), (4, None)], "options": {}},
        "rotary": {"arguments": [(x, f32)], "options": {}},
        "softmax": {"arguments": [(x, f32)], "options": {}},
        "attention": {"arguments": [(x, f32)] * 3, "options": {"causal": True}},
        "multi_head_attention": {"arguments": [(x, f32), *[(square, f32)] * 4], "options": {"n_heads": 2}},
        "feed_forward": {"arguments": [(x, f32), (square, f32), (row, f32), (square, f32), (row, f32)], "options": {}},
        "activation": {"arguments": [(x, f32)], "options": {}},
        "layer_norm": {"arguments": [(x, f32), (row, f32), (row, f32)], "options": {}},
        "rms_norm": {"arguments": [(x, f32), (row, f32)], "options": {}},
        "encoder_block": {"arguments": [(x, f32)], "params": params, "options": {"n_heads": 1}},
    }


def uses_erf(phase: str, variant: dict[str, object]) -> bool:
    return (phase, str(variant.get("activation"))) in ERF


@pytest.mark.parametrize("erf", [False, True], ids=["numpy only", "with scipy for erf"])
def test_files_run_where_the_package_is_not(tmp_path: Path, erf: bool) -> None:
    names = []
    for number, (phase, variant) in enumerate(ALL):
        if uses_erf(phase, variant) == erf:
            name = f"{phase}_{number}"
            kernel_of(phase, variant).save(tmp_path / f"{name}.py")
            (tmp_path / f"{name}.json").write_text(json.dumps({"function": phase, **calls()[phase]}))
            names.append(name)
    (tmp_path / "alone.py").write_text(ALONE)
    done = subprocess.run(
        [sys.executable, "-I", str(tmp_path / "alone.py"), str(tmp_path), *names], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found["results"]) == set(names)
    assert not {"kernelproof", "sympy", "mpmath", "hypothesis"} & set(found["imported"])
    assert ("scipy" in found["imported"]) == erf


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("phase", "variant"), ALL, ids=name_of)
def test_a_file_imports_nothing_else(phase: str, variant: dict[str, object], dtype: str) -> None:
    source = kernel_of(phase, variant, dtype).source
    tree = ast.parse(source)
    imports = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imports |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    expected = {"math", "numpy"} | ({"scipy.special"} if uses_erf(phase, variant) else set())
    expected |= {"os", "sys", "collections", "concurrent.futures", "threading", "types", "threadpoolctl"} if "_each(" in source else set()
    assert imports == expected | ({"ml_dtypes"} if (phase, dtype) == ("positional", "bfloat16") else set())


@pytest.mark.parametrize(("phase", "variant"), ALL, ids=name_of)
def test_the_docstring_says_what_the_file_rests_on(phase: str, variant: dict[str, object]) -> None:
    kernel = kernel_of(phase, variant, "float16")
    docstring = ast.get_docstring(ast.parse(kernel.source), clean=False) or ""
    derivation = kernel.derivation
    for formula in definition_equations(derivation):
        assert text(formula) in docstring
    for clausal in derivation.clauses:
        assert f"{text(clausal.lines[0].theorem.left)} = {text(clausal.kernel)}" in docstring
    for shape in signature(phase, variant).shapes:
        assert f"    {shape}\n" in docstring
    for statement in derivation.statements:
        assert f"    {statement.id}: " in docstring and text(statement.theorem.conclusion) in docstring
    assert set(derivation.licences) <= set(kernel.licences)
    for licence in kernel.licences or ("the definition itself",):
        assert f"    {licence}\n" in docstring.split("Licensed by:")[1]
    assert " ".join(error_bound_text("float16").split()) in " ".join(docstring.split())
    assert derivation.fingerprint() in docstring and f"kernelproof {__version__}" in docstring
    for name, value in derivation.variant.items():
        assert f"{name}={value}" in docstring.splitlines()[0]


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_bound_in_words_names_the_format(dtype: str) -> None:
    words = error_bound_text(dtype)
    assert ("float64" if dtype == "float64" else "float32") in words
    assert ("stored in" in words) == (dtype in ("float16", "bfloat16"))


@pytest.mark.parametrize(("phase", "variant"), ALL, ids=name_of)
def test_the_last_line_is_the_hash_of_the_rest(phase: str, variant: dict[str, object]) -> None:
    source = kernel_of(phase, variant).source
    above, _, last = source.rpartition("\n\n\n# sha256 of the text above, up to the blank lines: ")
    assert hashlib.sha256(f"{above}\n".encode()).hexdigest() == last.strip()
    assert not any(line.endswith((" ", "\t")) for line in source.splitlines())


def test_the_same_bytes_in_every_process() -> None:
    """Nothing depends on the order of sets, on addresses or on what was generated before."""
    code = (
        "import hashlib, sys\nfrom kernelproof.numeric.kernel import generate\n"
        "sys.path.insert(0, 'tests/numeric')\nfrom numeric_cases import ALL\n"
        "for phase, variant in ALL[:: int(sys.argv[1])]:\n"
        "    print(phase, sorted(variant.items()), hashlib.sha256(generate(phase, **variant).source.encode()).hexdigest())\n"
    )
    outputs = []
    for seed, step in (("0", "1"), ("4242", "-1")):
        command, environment = [sys.executable, "-c", code, step], {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        outputs.append(sorted(done.stdout.splitlines()))
    assert outputs[0] == outputs[1] and len(outputs[0]) == len(ALL)


def test_different_kernels_are_different_files() -> None:
    sources = [kernel_of(phase, variant, dtype).source for phase, variant in ALL for dtype in DTYPES]
    assert len(set(sources)) == len(sources)


def test_scores_and_weights_are_computed_once() -> None:
    source = kernel_of("attention").source
    # one function multiplies queries by keys; a tile's weights meet the values and a column of ones, at once or added to what was there
    assert source.count("np.swapaxes") == 1 and source.count("_scores(") == 3
    assert source.count("np.matmul") == 1 + 4 + 2 and source.count("POWER(weights") == source.count("np.exp(weights") == 1
    heads = kernel_of("multi_head_attention").source
    assert heads.count("np.matmul") == source.count("np.matmul") + 4 and heads.count("_attend(") == 2


def test_tables_are_rounded_once_and_powers_are_products() -> None:
    assert kernel_of("rotary").source.count(".astype(work)") == 2
    source = kernel_of("activation", {"activation": "gelu_tanh"}).source
    assert "x * x * x" in source and "**" not in source.split('"""')[2]
