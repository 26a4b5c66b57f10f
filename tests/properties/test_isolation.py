"""Where a target runs, what crosses to it and back, and that its process ends: what a call does shows as it does in one process."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from isolated_kernels import LIMITS, SOFTMAX, gone, in_memory, isolated, remote_of, verdicts, wide_only

from kernelproof.numeric.kernel import generate
from kernelproof.properties import search
from kernelproof.properties.call import TargetDied, TargetRaised
from kernelproof.properties.harness import harness_properties
from kernelproof.properties.isolation import PROCESS, isolated_function, isolated_target
from kernelproof.properties.model import Inputs
from kernelproof.properties.targets import load_target
from kernelproof.properties.verdict import Verdict
from kernelproof.properties.watched import INSIDE

pytestmark = pytest.mark.skipif(os.name != "posix", reason="workers are started on POSIX systems alone")


def test_a_named_target_is_never_imported_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "only_there.py").write_text(SOFTMAX.replace("def f(x)", "def f(x, *, temperature=1)"))
    before = set(sys.modules)
    with isolated_target("only_there:f", phase="softmax", variant={}) as target:
        assert target.call({"x": np.zeros((2, 4), np.float32)}, {}).tolist() == [[0.25] * 4] * 2
        assert target.isolation == PROCESS
        assert not {name for name in set(sys.modules) - before if "only_there" in name}
        assert (target.origin, target.place, target.attribute) == ("module", "only_there", "f")
        with pytest.raises(RuntimeError, match=r"Target\.call"):
            target.function(np.zeros(3))


WRONG = {
    "inputs_unchanged": SOFTMAX.replace("    e = np.exp(x -", "    x -= 1\n    e = np.exp(x -"),
    "deterministic": "out = {}\n"
    + SOFTMAX.replace(
        "return e / e.sum(-1, keepdims=True)",
        "out.setdefault(x.shape, np.empty_like(x))[...] = e / e.sum(-1, keepdims=True)\n    return out[x.shape]",
    ),
    "shape_and_dtype": SOFTMAX.replace("return e /", "return 1.0 * e.astype(float) /"),
    "views_equal_copies": SOFTMAX.replace(
        "    e = np.exp",
        "    x = np.lib.stride_tricks.as_strided(x, x.shape, np.empty(x.shape, x.dtype).strides)"
        " if min(x.strides, default=0) > 0 else x\n    e = np.exp",
    ),
}
REUSING = """\
import numpy as np
out = None
def f(x):
    global out
    out = x + 1 if out is None else np.add(x, 1, out=out)
    x[0] = 9
    return out
"""
COUNTING = "calls = []\n" + SOFTMAX.replace("e / e", "calls.append(1) or len(calls) * e / e")


@pytest.mark.parametrize(("name", "source"), [*WRONG.items(), ("deterministic", COUNTING), ("", SOFTMAX)])
def test_memory_types_and_order_of_calls_show_as_in_one_process(tmp_path: Path, name: str, source: str) -> None:
    with isolated(tmp_path, source) as target:
        found = verdicts(target, harness_properties("softmax"))[0]
    here = verdicts(load_target(f"{tmp_path / 'kernels.py'}:f", phase="softmax", variant={}), harness_properties("softmax"))[0]
    assert [(one.id, one.verdict, one.message) for one in found] == [(one.id, one.verdict, one.message) for one in here]
    assert not name or (f"softmax.{name}", "fail") in [(one.id, one.verdict) for one in found]


def test_large_arrays_and_results_that_are_still_held(tmp_path: Path) -> None:
    with isolated(tmp_path, REUSING) as target:
        first, second = (Inputs({"x": np.full((300, 300), value, np.float32)}, {}) for value in (1, 2))
        held = target.call.raw(first)
        assert (held == 2).all()
        assert (first.tensors["x"][0] == 9).all() and (first.tensors["x"][1:] == 1).all()
        again = target.call.raw(second)
        assert (again == 3).all() and (held == 3).all(), "the second call wrote over the first result"
        kept = target.call({"x": second.tensors["x"] + 1}, {})
        target.call.raw(second)
        assert kept[1, 1] == 4, "a copy is nobody else's"


def test_what_the_target_raises_is_told_as_in_one_process(tmp_path: Path) -> None:
    with isolated(tmp_path, SOFTMAX + "def f(x):\n    raise ValueError('two\\nlines')\n") as target:
        x = np.zeros(3, np.float32)
        with pytest.raises(TargetRaised, match="raised ValueError: two lines") as caught:
            target.call({"x": x}, {})
        assert caught.value.inputs.tensors["x"] is x
        assert not isinstance(caught.value, TargetDied)


def test_a_lambda_travels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MOST_DEATHS", 2)
    pytest.importorskip("cloudpickle", reason="functions in memory travel through cloudpickle")
    power = 2.0
    with isolated_function(in_memory(lambda x: x**power + os.getpid() * 0), limits=LIMITS) as target:
        assert target.isolation == PROCESS
        assert target.call({"x": np.full(3, 3.0, np.float32)}, {}).tolist() == [9, 9, 9]
    with isolated_function(in_memory(lambda x: os.abort()), limits=LIMITS) as target:
        assert [found.verdict for found in verdicts(target)[0]] == ["fail", "fail"]


def test_a_function_that_does_not_travel_runs_here() -> None:
    lock = threading.Lock()

    def locked(x: Any) -> Any:
        with lock:
            return x

    with isolated_function(in_memory(locked)) as target:
        assert target.isolation.startswith("none (")
        assert target.call({"x": np.ones(2)}, {}).tolist() == [1, 1]


def test_without_cloudpickle_a_function_runs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with isolated_function(in_memory(lambda x: x)) as target:
        assert target.isolation == "none (cloudpickle is not installed)"
        assert target.remote is None


def test_a_module_that_verifies_its_own_function_while_it_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cloudpickle", reason="functions in memory travel through cloudpickle")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    checks = "from test_isolation_seen import seen\nseen(f)\n"
    (tmp_path / "checks_itself.py").write_text(SOFTMAX + checks)
    told: list[str] = []

    def seen(function: Callable[..., Any]) -> None:
        with isolated_function(in_memory(function), limits=LIMITS) as target:
            told.extend([target.isolation, str(target.call({"x": np.zeros(2, np.float32)}, {}).tolist())])

    module = ModuleType("test_isolation_seen")
    module.seen = seen  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "test_isolation_seen", module)
    monkeypatch.delitem(sys.modules, "checks_itself", raising=False)
    importlib.import_module("checks_itself")
    assert told == [PROCESS, "[0.5, 0.5]"], "its source is not run a second time: there it would not find its helper"


@pytest.mark.parametrize("named", [True, False])
def test_a_generated_kernel_is_ours_and_runs_here(named: bool) -> None:
    by_name, in_hand = isolated_target("generated:softmax", phase="softmax", variant={}), isolated_function(in_memory(generate("softmax")))
    with by_name if named else in_hand as target:
        assert target.isolation == "none (a generated kernel is ours)"
        assert target.remote is None


def test_no_worker_starts_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(INSIDE, "1")
    with isolated(tmp_path, SOFTMAX) as target:
        assert target.isolation == "none (this is a worker already)"
        assert target.call({"x": np.zeros(2, np.float32)}, {}).tolist() == [0.5, 0.5]


def test_the_verdict_says_where_the_target_ran() -> None:
    found = Verdict("m:f", "softmax", {}, "quick", 0, "float32", {"numpy": "2"}, (), isolation="none (no reason)")
    assert found.to_json()["versions"] == {"numpy": "2", "isolation": "none (no reason)"}
    assert "isolation: none (no reason)" in found.table()


def test_ctrl_c_kills_the_worker(tmp_path: Path) -> None:
    with isolated(tmp_path, wide_only("while True: pass"), replace(LIMITS, seconds=60.0)) as target:
        pid = remote_of(target).pid
        assert pid is not None
        timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        found, interrupted = verdicts(target)
        timer.join()
        assert interrupted
        assert [one.verdict for one in found] == ["inconclusive", "inconclusive"]
        assert gone(pid)
        assert remote_of(target).pid is None


def test_the_worker_and_its_children_end_with_the_block(tmp_path: Path) -> None:
    source = SOFTMAX + "import subprocess\nchild = subprocess.Popen(['sleep', '60']).pid\ndef f(x):\n    return np.array([child])\n"
    with isolated(tmp_path, source) as target:
        pid, child = remote_of(target).pid, int(target.call({"x": np.zeros(1)}, {})[0])
        assert pid is not None and not Path(f"/proc/{child}/stat").read_text().endswith("Z")
    assert gone(pid) and gone(child)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_worker_does_not_outlive_its_parent(tmp_path: Path) -> None:
    (tmp_path / "kernels.py").write_text(SOFTMAX + "def f(x):\n    while True: pass\n")
    program = (
        "import numpy as np\nfrom kernelproof.properties.isolation import isolated_target\n"
        f"with isolated_target({str(tmp_path / 'kernels.py') + ':f'!r}, phase='softmax', variant={{}}) as target:\n"
        "    print(target.call.remote.pid, flush=True)\n    target.call({'x': np.zeros(3)}, {})\n"
    )
    root = Path(__file__).parents[2]
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=root)
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    time.sleep(0.3)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert gone(worker)
