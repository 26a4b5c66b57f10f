"""Peak memory of one call, in a process of its own: ``python -m kernelproof.reports.speed.memory``, JSON on both sides.

What it does: generates the kernel, makes the inputs, calls it once on a small piece of work so that imports and thread pools are there,
then calls it on the whole work with tracemalloc on, and reads the peak of the resident set; short calls are timed again without it.
Guarantees: both peaks are beyond what was there before the call, inputs among it, and hold the result. Cannot see: the resident peak
where the system keeps none that can be set back (only Linux does).
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from kernelproof.reports.speed.workloads import Workload

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
SECONDS = 600
#: seconds for calls that are only timed
BRIEF = 0.5


def measured_apart(workload: Workload, who: str = "kernel") -> dict[str, Any] | None:
    """Seconds, peaks in bytes, and the check, from a fresh process; None where it died, as for lack of memory."""
    told = json.dumps({"workload": {**asdict(workload), "targets": {}, "without": {}}, "who": who})
    command = [sys.executable, "-m", "kernelproof.reports.speed.memory"]
    try:
        done = subprocess.run(command, input=told, capture_output=True, text=True, timeout=SECONDS, check=True)
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (subprocess.SubprocessError, ValueError, IndexError):
        return None
    return found


def measure(call: Callable[[], Any]) -> tuple[Any, dict[str, Any]]:
    """The result of a call, its seconds, and its peaks in bytes beyond what was there before."""
    _set_back()
    before = _resident("VmRSS")
    tracemalloc.start()
    started = time.perf_counter()
    result = call()
    seconds = time.perf_counter() - started
    traced = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    peak = _resident("VmHWM")
    return result, {"seconds": seconds, "traced": traced, "resident": None if before is None or peak is None else max(0, peak - before)}


def timed(call: Callable[[], Any], first: float) -> float:
    """The median seconds of calls without tracemalloc, as many as half a second has room for; the first call's where that is none."""
    found = []
    for _ in range(min(21, int(BRIEF / max(first, 1e-6)))):
        started = time.perf_counter()
        call()
        found.append(time.perf_counter() - started)
    return statistics.median(found) if found else first


def _set_back() -> None:
    """The peak of the resident set is the present one from here on."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return


def _resident(field: str) -> int | None:
    try:
        lines = _STATUS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(f"{field}:")]
    return int(found[0]) * 1024 if found else None


def main() -> int:
    """Read a workload, measure, write."""
    from kernelproof.reports.speed.checking import check
    from kernelproof.reports.speed.rivals import build
    from kernelproof.reports.speed.workloads import inputs_of

    told = json.loads(sys.stdin.read())
    workload = Workload(**told["workload"])
    inputs = inputs_of(workload)
    small = inputs_of(replace(workload, sizes={**workload.sizes, "n": 64}))
    if told["who"] != "kernel":
        build(told["who"], replace(workload, sizes={**workload.sizes, "n": 64}), small).call()
        rival = build(told["who"], workload, inputs).call
        _, found = measure(rival)
        print(json.dumps({**found, "seconds": timed(rival, found["seconds"])}))
        return 0
    from kernelproof.numeric.kernel import generate

    kernel = generate(workload.phase, dtype=workload.dtype, vjp=workload.vjp, **dict(told["workload"]["variant"]))
    kernel(*small.arguments, **small.options)

    def call() -> Any:
        return kernel(*inputs.arguments, **inputs.options)

    result, found = measure(call)
    found["seconds"] = timed(call, found["seconds"])
    checked = check(workload, kernel, inputs, result)
    print(json.dumps({**found, "check": checked.verdict, "how": checked.how, "worst": checked.worst}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
