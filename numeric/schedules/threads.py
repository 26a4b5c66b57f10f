"""The text that shares blocks among threads, for kernel files.

What it does: ``_each(count, work)`` calls work(0) … work(count − 1), on as many threads as the process may use cores, with one BLAS thread
each; the calling thread takes part. Guarantees: what a block computes does not depend on the number of threads; without threadpoolctl
there is one thread, for BLAS would use the same cores again; a forked child makes its own threads; an exception of a block reaches the
caller after all threads have stopped. Cannot see: whether blocks write to the same memory; the schedules see to that.
"""

from __future__ import annotations

IMPORTS = ("import os", "from collections import deque", "from concurrent.futures import ThreadPoolExecutor")
#: an import that may fail, so it stands after the others
OPTIONAL_IMPORT = """
try:
    from threadpoolctl import ThreadpoolController
except ImportError:
    ThreadpoolController = None  # one thread then
""".strip()
CONSTANTS = ("THREADS = 0  # 0: as many as this process may use cores",)
HELPER = '''
_pools = {}


def _each(count, work):
    """work(0), …, work(count - 1) on several threads, BLAS on one in each; results do not depend on how many there are."""
    threads = 1 if ThreadpoolController is None else min(count, THREADS or _cores())
    if threads < 2:
        for number in range(count):
            work(number)
        return
    key = os.getpid(), threads  # a forked child has no threads yet
    if key not in _pools:
        _pools[key] = ThreadpoolController(), ThreadPoolExecutor(threads - 1)
    blas, pool = _pools[key]
    waiting = deque(range(count))

    def share():
        with np.errstate(all="ignore"):
            while True:
                try:
                    number = waiting.popleft()
                except IndexError:
                    return
                work(number)

    with blas.limit(limits=1, user_api="blas"):
        others = [pool.submit(share) for _ in range(threads - 1)]
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
