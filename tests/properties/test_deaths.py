"""A target that dies is a failed property with its input, and the others still run; one that dies while it is imported is unusable."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from isolated_kernels import DEATHS, LIMITS, SHORT, SOFTMAX, isolated, verdicts, wide_only

from kernelproof.__main__ import main
from kernelproof.properties import search, watched
from kernelproof.symbolic.errors import InputError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="workers are started on POSIX systems alone")


@pytest.fixture
def few_deaths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MOST_DEATHS", 2)


@pytest.mark.parametrize("death", DEATHS)
def test_a_death_is_a_failure_with_its_input_and_the_rest_still_runs(
    few_deaths: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, death: str
) -> None:
    monkeypatch.setattr(watched, "PIECE_SECONDS", 1)
    statement, told = DEATHS[death]
    with isolated(tmp_path, wide_only(statement), SHORT if death == "hangs" else LIMITS) as target:
        (wide, narrow), interrupted = verdicts(target)
    assert not interrupted
    assert wide.verdict == "fail"
    assert told in wide.message
    assert wide.counterexample is not None
    assert wide.counterexample.finding.inputs is not None
    assert wide.counterexample.finding.inputs.tensors["x"].shape[-1] > 6
    assert (narrow.verdict, narrow.examples) == ("pass", 8)


@pytest.mark.parametrize("death", ["segfault", "leaves", "hangs", "eats"])
def test_the_program_fails_by_its_assertion_and_passes_once_the_kernel_is_right(few_deaths: None, tmp_path: Path, death: str) -> None:
    with isolated(tmp_path, wide_only(DEATHS[death][0]), SHORT if death == "hangs" else LIMITS) as target:
        wide = verdicts(target)[0][0]
    assert wide.counterexample is not None

    def run() -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-I", "-c", wide.counterexample.reproducer]  # type: ignore[union-attr]
        return subprocess.run(program, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=60)

    wrong = run()
    assert wrong.returncode == 1
    assert "AssertionError: the target" in wrong.stderr
    assert "observed:" in wrong.stdout
    (tmp_path / "kernels.py").write_text(SOFTMAX)
    mended = run()
    assert mended.returncode == 0, mended.stderr


def test_shrinking_ends_after_so_many_deaths(few_deaths: None, tmp_path: Path) -> None:
    note = tmp_path / "deaths"
    with isolated(tmp_path, wide_only(f"open({str(note)!r}, 'a').write('x'); os.abort()")) as target:
        verdicts(target)
    # and one more, so that what is shown is what happens
    assert len(note.read_text()) == 3


def test_a_death_is_made_small_where_it_is_first_met(tmp_path: Path) -> None:
    with isolated(tmp_path, wide_only("os.abort()")) as target:
        wide = verdicts(target, max_seconds=0.5)[0][0]
    assert wide.counterexample is not None
    assert wide.counterexample.case.size("n") < 12


def test_what_is_printed_does_not_reach_standard_output(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    noisy = SOFTMAX.replace("    e = ", "    print('loud'); print('louder', file=sys.stderr); os.system('echo child')\n    e = ", 1)
    with isolated(tmp_path, "print('importing')\n" + noisy) as target:
        assert [found.verdict for found in verdicts(target)[0]] == ["pass", "pass"]
    captured = capfd.readouterr()
    assert captured.out == ""
    assert {"importing", "loud", "louder", "child"} <= set(captured.err.split())


def test_standard_streams_that_it_closes_are_its_own(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with isolated(tmp_path, "import os\nos.closerange(0, 3)\n" + SOFTMAX) as target:
        assert [found.verdict for found in verdicts(target)[0]] == ["pass", "pass"]
    print("still here")
    assert "still here" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("ctypes.string_at(0)", "importing it killed its process: SIGSEGV"),
        ("os._exit(0)", "importing it ended its process with exit code 0"),
        ("sys.exit(0)", "raised SystemExit: 0"),
        ("raise KeyboardInterrupt", "raised KeyboardInterrupt"),
        ("while True: pass", "importing it did not come back within 1 s"),
        ("kept = [np.ones(10**6) for _ in range(400)]", "importing it used"),
        ("import no_such_thing", "No module named 'no_such_thing'"),
        ("del f", "has no 'f'"),
    ],
)
def test_a_target_that_cannot_be_imported_is_an_input_error(tmp_path: Path, statement: str, told: str) -> None:
    limits = replace(LIMITS, load_seconds=1.0 if "while" in statement else 20.0)
    with pytest.raises(InputError) as caught, isolated(tmp_path, f"{SOFTMAX}{statement}\n", limits):
        pass
    assert told in str(caught.value)
    assert "loading the target" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_command_line_exits_2_with_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "kernels.py").write_text(f"{SOFTMAX}ctypes.string_at(0)\n")
    assert main(["verify", f"{tmp_path / 'kernels.py'}:f", "--phase", "softmax", "--profile", "quick"]) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert "SIGSEGV" in captured.err
