"""The text that shares blocks among threads, for kernel files.

What it does: ``_each(count, work)`` calls work(0) … work(count − 1), on as many threads as the process may use cores, with one BLAS thread
each; the calling thread takes part. Guarantees: what a block computes does not depend on the number of threads, one included; calls of
all kernels of a process go one after the other, for the limit on BLAS is the process's, and overlapping ones would not put it back; a
forked child has threads and a lock of its own; where no thread can be started any more, the calling one does it all; an exception of a
block reaches the caller after all threads have stopped. A single block is left to the threads of BLAS, and so is everything without
threadpoolctl. Cannot see: whether blocks write to the same memory, the schedules see to that; other products of the process, which have
one thread meanwhile; a limit on BLAS that another thread holds, which threadpoolctl leaves alone.
"""

from __future__ import annotations

IMPORTS = (
    "import os", "import sys", "from collections import deque", "from concurrent.futures import ThreadPoolExecutor",
    "from threading import Lock", "from types import ModuleType",
)
#: an import that may fail, so it stands after the others
OPTIONAL_IMPORT = """
try:
    from threadpoolctl import ThreadpoolController
except ImportError:
    ThreadpoolController = None  # one thread then
""".strip()
CONSTANTS = ("THREADS = 0  # 0: as many as this process may use cores",)
HELPER = '''
# the locks and threads of all kernels of this process, whichever file they are in
_shared = sys.modules.setdefault("_kernelproof_blocks", ModuleType("_kernelproof_blocks")).__dict__.setdefault("by_process", {})


def _each(count, work):
    """work(0), …, work(count - 1) on several threads, BLAS on one in each; results do not depend on how many there are."""
    if count < 2 or ThreadpoolController is None:
        for number in range(count):
            work(number)
        return
    process = os.getpid()  # a forked child has no threads yet
    if process not in _shared:
        _shared.setdefault(process, (Lock(), ThreadpoolController(), {}))
    lock, blas, pools = _shared[process]
    waiting, others, threads = deque(range(count)), [], min(count, THREADS or _cores())

    def share():
        with np.errstate(all="ignore"):
            while True:
                try:
                    number = waiting.popleft()
                except IndexError:
                    return
                work(number)

    with lock, blas.limit(limits=1, user_api="blas"):
        if threads not in pools:
            pools[threads] = ThreadPoolExecutor(threads)
        try:
            for _ in range(threads - 1):
                others.append(pools[threads].submit(share))
        except RuntimeError:
            pass  # the interpreter is ending: no more threads
        try:
            share()
        finally:
            waiting.clear()
            failures = [other.exception() for other in others]
    for failure in failures:
        if failure is not None:
            raise failure


def _cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
'''
