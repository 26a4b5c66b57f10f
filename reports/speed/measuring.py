"""The measurement itself: workload by workload, kernel first checked, then timed against each rival in turn.

Guarantees: a kernel beyond its bound is not timed but called wrong; a rival whose result is something else is not compared; what cannot be
built or is not installed stands in the table with its reason; rows come out one by one, so that an interrupted run keeps what it has.
"""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from kernelproof.numeric.kernel import Kernel, generate
from kernelproof.numeric.tuning import tuned
from kernelproof.reports.speed.causes import with_causes
from kernelproof.reports.speed.checking import BEYOND, Check, check
from kernelproof.reports.speed.model import DIFFERS, ELSEWHERE, FAILED, MEASURED, NOT_BUILT, NOT_THERE, WRONG, Aim, Comparison, Row
from kernelproof.reports.speed.paired import Effort, Pair, paired
from kernelproof.reports.speed.rivals import NotThere, Rival, build
from kernelproof.reports.speed.workloads import Inputs, Workload, inputs_of
from kernelproof.symbolic.errors import InputError

#: results of a rival may differ by so much of the largest entry; it only shows that the same function is compared
ALIKE = 2.0**-6
Generate = Callable[..., Kernel]
Pairing = Callable[[Callable[[], object], Callable[[], object], Effort], Pair]


@dataclass(frozen=True)
class Bench:
    """How a run is made; the functions are parameters so that a test can put its own in their place."""

    rivals: Sequence[str]
    effort: Effort = field(default_factory=Effort)
    generate: Generate = generate
    pairing: Pairing = paired
    check: Callable[[Workload, Kernel, Inputs, Any], Check] = check
    build: Callable[[str, Workload, Inputs], Rival] = build
    #: told what is being done
    say: Callable[[str], None] = lambda _: None

    def rows(self, workloads: Sequence[Workload]) -> Iterator[Row]:
        """One row for each workload."""
        for workload in workloads:
            yield self.row(workload)

    def row(self, workload: Workload) -> Row:
        """Measure one workload."""
        plain = Row(
            workload.name, workload.phase, workload.vjp, dict(workload.variant), dict(workload.sizes), dict(workload.options), NOT_BUILT
        )
        self.say(f"{workload.name}: generating")
        try:
            kernel = self.generate(workload.phase, dtype=workload.dtype, vjp=workload.vjp, **workload.variant)
        except InputError as error:
            return replace(plain, error=str(error))
        plain = replace(plain, kernel=hashlib.sha256(kernel.source.encode()).hexdigest()[:12], tuned=dict(tuned(workload.kind)))
        if workload.megabytes is not None:
            return self._memory(workload, plain)
        inputs = inputs_of(workload)
        self.say(f"{workload.name}: checking")
        try:
            result = kernel(*inputs.arguments, **inputs.options)
            found = self.check(workload, kernel, inputs, result)
        except Exception as error:
            return replace(plain, status=WRONG, error=f"{type(error).__name__}: {error}")
        plain = replace(plain, check=found.verdict, checked=found.how, worst_error_over_bound=found.worst)
        if found.verdict == BEYOND:
            return replace(plain, status=WRONG, error=f"{found.worst:.3g} times its bound: {found.how}; not timed")
        comparisons = [self._comparison(workload, kernel, inputs, result, name) for name in self.rivals]
        times = [one.ours_seconds for one in comparisons if one.ours_seconds is not None]
        return replace(
            plain, status=MEASURED, seconds=statistics.median(times) if times else None,
            comparisons=with_causes(workload.kind, comparisons), aims=_error_aims(workload, kernel, result),
        )

    def _comparison(self, workload: Workload, kernel: Kernel, inputs: Inputs, result: Any, name: str) -> Comparison:
        self.say(f"{workload.name}: against {name}")
        return compared(
            name, workload.targets.get(name), lambda: self.build(name, workload, inputs), result,
            lambda theirs: self.pairing(lambda: kernel(*inputs.arguments, **inputs.options), theirs, self.effort),
        )

    def _memory(self, workload: Workload, plain: Row) -> Row:
        from kernelproof.reports.speed.memory import measured_apart

        assert workload.megabytes is not None
        self.say(f"{workload.name}: memory, in a process of its own")
        found = measured_apart(workload)
        if found is None:
            return replace(plain, error="the process that measures memory ended without a result")
        aims = (
            Aim("peak beyond the inputs, MB (tracemalloc)", found["traced"] / 1e6, workload.megabytes, "the result among it"),
            *(() if found["resident"] is None else (
                Aim("peak beyond the inputs, MB (resident set)", found["resident"] / 1e6, workload.megabytes, "the result among it"),
            )),
        )
        without = {name: reason for name, reason in workload.without.items() if name in self.rivals}
        left_out = tuple(Comparison(name, NOT_THERE, f"left out: {reason}") for name, reason in without.items())
        check_words = {"check": found["check"], "checked": found["how"], "worst_error_over_bound": found["worst"]}
        if found["check"] == BEYOND:
            return replace(plain, status=WRONG, error=f"beyond its bound: {found['how']}", **check_words)
        return replace(plain, status=MEASURED, seconds=found["seconds"], comparisons=left_out, aims=aims, **check_words)


def compared(
    name: str, target: float | None, make: Callable[[], Rival], result: Any, pair_with: Callable[[Callable[[], object]], Pair],
    whole: Callable[[], Any] | None = None,
) -> Comparison:
    """Our kernel, which gave ``result``, against a rival: built, looked at, timed. What goes wrong is a status with its reason: whatever
    a rival raises is its own failure. ``whole`` calls our kernel for all of its result, where ``result`` is a part.
    """
    try:
        rival = make()
    except NotThere as reason:
        return Comparison(name, NOT_THERE, str(reason), target=target)
    except Exception as error:
        return Comparison(name, FAILED, f"{type(error).__name__}: {error}".splitlines()[0][:200], target=target)
    try:
        if rival.result is not None:
            theirs = rival.call()
            if (apart := _apart(result, rival.result(theirs))) > ALIKE:
                return Comparison(name, DIFFERS, f"{rival.what}: its result is {apart:.2g} of the largest entry away", target=target)
            if whole is not None and rival.apart is not None and not (apart := rival.apart(whole(), theirs)) <= ALIKE:
                what = f"{rival.what}: outside of the part that was checked its result is {apart:.2g} of the largest entry away"
                return Comparison(name, ELSEWHERE, what, target=target)
            del theirs  # memory that the timed calls may need
        pair = pair_with(rival.call).scaled(rival.scale)
    except Exception as error:
        return Comparison(name, FAILED, f"{rival.what}: {type(error).__name__}: {error}".splitlines()[0][:200], target=target)
    low, high = pair.quartiles
    return Comparison(
        name, MEASURED, rival.what, pair.ratio, low, high, len(pair.ours),
        statistics.median(pair.ours), statistics.median(pair.theirs), target,
    )


def _apart(ours: Any, theirs: Any) -> float:
    """The largest difference of two results over the largest entry; infinite where the shapes differ, or for what is no number."""
    if isinstance(ours, tuple):
        return max((_apart(mine, other) for mine, other in zip(ours, theirs, strict=True)), default=0.0)
    mine, other = np.asarray(ours), np.asarray(theirs)
    if mine.shape != other.shape:
        return float("inf")
    largest = float(np.abs(mine).max(initial=0)) or 1.0
    apart = float(np.abs(mine - other).max(initial=0)) / largest
    return float("inf") if np.isnan(apart) else apart


def _error_aims(workload: Workload, kernel: Kernel, result: Any) -> tuple[Aim, ...]:
    if workload.error is None:
        return ()
    from kernelproof.reports.speed.table_error import FAR, largest_error, textbook_error

    n, d = workload.sizes["n"], workload.sizes["d"]
    near = largest_error(np.asarray(result), 0)
    far = largest_error(np.asarray(kernel(64, d, start=FAR - 64)), FAR - 64)
    return (
        Aim("largest error", near, workload.error, f"textbook: {textbook_error(n, d):.1e}"),
        Aim(f"largest error up to position {FAR:.0e}", far, workload.error),
    )
