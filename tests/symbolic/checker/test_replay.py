"""Every theorem of the package replays in the second checker, which states the same as the core; and it needs nothing but itself."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from replays import derived, documents, handmade, handmade_document, mirrored

import kernelproof.symbolic.checker as checker
from kernelproof.symbolic.checker import CheckError, Statement, check
from kernelproof.symbolic.checker.document import FORMAT
from kernelproof.symbolic.checker.rules import RULES
from kernelproof.symbolic.core import theorem as core
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.printing.derivation import as_json
from kernelproof.symbolic.registry import derive
from kernelproof.symbolic.serialise import FORMAT as WRITTEN_FORMAT

ROOT = Path(__file__).parents[3]
FOLDER = Path(checker.__file__).parent


def stated(theorem: Theorem) -> Statement:
    """What the core's theorem says, in the checker's terms."""
    return Statement(frozenset(map(mirrored, theorem.hypotheses)), mirrored(theorem.conclusion), theorem.axioms)


@pytest.mark.parametrize("name", derived())
def test_a_derivation_replays_and_states_what_the_core_states(name: str) -> None:
    theorems, document = derived()[name]
    report = check(document)
    assert list(report.theorems) == list(theorems) and report.steps == len(document["steps"])
    assert all(report.theorems[key] == stated(theorem) for key, theorem in theorems.items())
    assert check(json.dumps(document)) == report


def test_the_handmade_theorems_use_every_rule_and_replay() -> None:
    document = handmade_document()
    report = check(document)
    assert {step["rule"] for step in document["steps"]} == set(RULES)
    assert all(report.theorems[key] == stated(theorem) for key, theorem in handmade().items())


def test_rules_and_format_are_those_of_the_core() -> None:
    assert {name: count for name, (count, _) in RULES.items()} == {name: rule.premises for name, rule in core.RULES.items()}
    assert FORMAT == WRITTEN_FORMAT


def test_all_derivations_replay_in_seconds() -> None:
    every = documents()
    start = time.perf_counter()
    steps = sum(check(document).steps for document in every.values())
    assert steps > 1000 and time.perf_counter() - start < 10


def run(arguments: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Python in a process of its own, without site-packages."""
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONSTARTUP")}
    command = [sys.executable, "-S", "-E" if not environment else "-s", *arguments]
    kept |= {"PYTHONIOENCODING": "utf-8", **environment}
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", cwd=folder, env=kept, timeout=60)


def test_nothing_but_the_checker_and_the_standard_library_is_loaded() -> None:
    code = (
        "import sys\n"
        "import kernelproof.symbolic.checker.__main__\n"
        "names = sorted(name for name in sys.modules if name.partition('.')[0] == 'kernelproof')\n"
        "others = sorted({name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names) - {'kernelproof', '__main__'})\n"
        "print(*names, '|', *others)\n"
    )
    ran = run(["-c", code], ROOT, PYTHONPATH=str(ROOT))
    assert ran.returncode == 0, ran.stderr
    names, others = ran.stdout.split("|")
    files = {f"kernelproof.symbolic.checker.{path.stem}" for path in FOLDER.glob("*.py")} - {"kernelproof.symbolic.checker.__init__"}
    assert set(names.split()) == files | {"kernelproof", "kernelproof.symbolic", "kernelproof.symbolic.checker"}
    assert others.split() == []


def test_the_source_imports_itself_and_the_standard_library_only() -> None:
    imported = {
        found
        for path in FOLDER.glob("*.py")
        for found in re.findall(r"^\s*(?:from|import)\s+(\.?\w*)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    inside = {f".{path.stem}" for path in FOLDER.glob("*.py")}
    assert imported <= inside | sys.stdlib_module_names and {".nodes", "json"} <= imported


def test_a_copy_of_the_folder_runs_with_bare_python(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "checker", ignore=shutil.ignore_patterns("__pycache__"))
    derivation = derive("softmax")
    (tmp_path / "whole.json").write_text(json.dumps(as_json(derivation)), encoding="utf-8")
    (tmp_path / "proofs.json").write_text(json.dumps(as_json(derivation)["proofs"]), encoding="utf-8")
    whole, proofs = (run(["-m", "checker", name], tmp_path, PYTHONPATH=str(tmp_path)) for name in ("whole.json", "proofs.json"))
    assert whole.returncode == proofs.returncode == 0, whole.stderr + proofs.stderr
    assert whole.stdout == proofs.stdout
    line = next(line for line in whole.stdout.splitlines() if line.startswith("softmax.row_sum_one: "))
    assert line.startswith("softmax.row_sum_one: n > 0 ⊢ sum(i < n: softmax(n := n, x := j. x[j])[i]) = 1")
    assert whole.stdout.startswith("definition softmax(n: size, x[n]): softmax(…)[j] = exp(x[j]) / sum(i < n: exp(x[i]))\n")


@pytest.mark.parametrize("content", [b"{", b"\xff", b'{"format": "kernelproof proofs 2"}', b"[" * 100_000, b"null", None])
def test_a_file_that_is_no_proof_is_refused(tmp_path: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]) -> None:
    from kernelproof.symbolic.checker.__main__ import main

    if content is not None:
        (tmp_path / "file.json").write_bytes(content)
    assert main([str(tmp_path / "file.json")]) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and "not verified" in captured.err


def test_a_forged_file_is_refused_with_the_step_and_the_rule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from kernelproof.symbolic.checker.__main__ import main

    document = json.loads(json.dumps(handmade_document()))
    place = next(place for place, step in enumerate(document["steps"]) if step["rule"] == "cases")
    document["steps"][place]["premises"].reverse()
    (tmp_path / "file.json").write_text(json.dumps(document), encoding="utf-8")
    assert main([str(tmp_path / "file.json")]) == 1
    assert f"step {place}, rule 'cases': " in capsys.readouterr().err


def test_a_check_error_is_what_a_caller_catches() -> None:
    with pytest.raises(CheckError, match="format"):
        check({**handmade_document(), "format": "kernelproof proofs 0"})
