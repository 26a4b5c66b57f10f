"""The finding for a target that ended its process, blocked it, or used too much memory.

Guarantees: the program that shows it calls the target in a child process, so it ends with a failed assertion and not as the target does.
Cannot see: whether the child of a program that has imported the target behaves as a fresh process; threads do not survive a fork.
"""

from __future__ import annotations

from kernelproof.properties.call import TargetDied, call_text
from kernelproof.properties.model import Case, Finding

#: exit codes of the child: it came back, it grew too large
_BACK, _GREW = 77, 78
_CHILD = """\
import faulthandler, os, threading, time
{before}
child = os.fork()
if not child:
    faulthandler.enable()
    {guard}
    try:
        {call}
        os._exit({back})
    finally:
        os._exit(1)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
observed = "a result" if code == {back} else f"{told}\""""
_WATCH = """\
def watch(limit):
    def used():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    start = used()
    while used() - start < limit:
        time.sleep(0.01)
    os._exit({grew})"""
#: what stands before, in the child, and what is said of its end
_GUARD = {
    "end": ("", "pass", "the process of the target ended with {code}"),
    "time": ("", "faulthandler.dump_traceback_later({limit:g}, exit=True)", "no result within {limit:g} s"),
    "memory": (
        _WATCH.format(grew=_GREW),
        "threading.Thread(target=watch, args=({limit:.0f},), daemon=True).start()",
        "more than {limit:.0f} bytes taken",
    ),
}


def died_finding(error: TargetDied, case: Case) -> Finding:
    """The inputs at which it died, and the program."""
    before, guard, told = _GUARD[error.cause]
    if error.cause != "end":
        told = told.format(limit=error.limit)
    script = _CHILD.format(
        before=before,
        guard=guard.format(limit=error.limit),
        call=call_text(case.shape, error.inputs),
        told=told,
        back=_BACK,
    )
    return Finding(
        ok=False,
        observed=error.text,
        expected="a result",
        message=f"the target {error.text}",
        inputs=error.inputs,
        script=script,
        assertion='observed == "a result"',
    )
