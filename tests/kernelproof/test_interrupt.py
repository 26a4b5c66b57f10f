"""Ctrl-C on the real command: what is known so far is printed and written, and the exit code says that it was interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KERNEL = """\
import pathlib, time
import numpy as np
calls = 0
def softmax(x):
    global calls
    calls += 1
    if calls == 30:
        pathlib.Path({note!r}).touch()
        time.sleep(60)
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_prints_and_writes_what_is_known(tmp_path: Path) -> None:
    note, written = tmp_path / "called", tmp_path / "verdict.json"
    (tmp_path / "kernel.py").write_text(KERNEL.format(note=str(note)))
    command = [sys.executable, "-m", "kernelproof", "verify", "kernel.py:softmax", "--phase", "softmax", "--profile", "thorough"]
    run = subprocess.Popen(
        [*command, "--json", str(written)], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    try:
        ends = time.monotonic() + 120
        while not note.exists() and run.poll() is None and time.monotonic() < ends:
            time.sleep(0.05)
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=60)
    finally:
        run.kill()
    assert run.returncode == 130, err
    assert "Traceback" not in err
    verdicts = {found["id"]: found["verdict"] for found in json.loads(written.read_text())["properties"]}
    assert "pass" in verdicts.values() and "inconclusive" in verdicts.values() and "fail" not in verdicts.values()
    assert all(name in out for name in verdicts)
    assert "interrupted" in out
