"""The rows of a GPU: a kernel is generated, held to its bound on the work, compared with rivals, and timed against each by events.

Guarantees: a kernel beyond its bound is not timed but called wrong; the source whose hash stands in a row is the one that was timed, with
its constants set; the check computes with the numbers that the device was handed, under what is assumed of CuPy's arithmetic; heads other
than the last agree with a rival, where one gives them, or the kernel is called wrong; a device that stopped computing ends the run, and the
rows after it say so. Cannot see: against the bound, heads other than the last, and rows other than some.
"""

from __future__ import annotations

import hashlib
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from kernelproof.numeric.kernel import Kernel, generate
from kernelproof.numeric.precision import assuming_library
from kernelproof.reports.speed.checking import BEYOND, Check, check
from kernelproof.reports.speed.cuda.arrays import Drawn, Given, stored, values_of
from kernelproof.reports.speed.cuda.causes import with_causes
from kernelproof.reports.speed.cuda.events import EFFORT, Events, Timer
from kernelproof.reports.speed.cuda.workloads import WIDTH, CudaWorkload, last, operations, result_shapes, traffic
from kernelproof.reports.speed.measuring import compared
from kernelproof.reports.speed.model import ELSEWHERE, FAILED, MEASURED, NOT_BUILT, NOT_THERE, WRONG, Aim, Comparison, Row
from kernelproof.reports.speed.paired import Effort
from kernelproof.reports.speed.rivals import Rival, build
from kernelproof.reports.speed.workloads import Inputs, Workload
from kernelproof.symbolic.errors import InputError


class Machine(Timer, Protocol):
    """What of a device the rows need: :class:`kernelproof.reports.speed.cuda.device.Device`."""

    @property
    def capability(self) -> int:
        """Compute capability, 90 for 9.0."""

    def upload(self, array: Any) -> Any:
        """The array on the device."""

    def download(self, array: Any) -> Any:
        """The array in NumPy."""

    def zeros_like(self, array: Any) -> Any:
        """Zeros on the device."""

    def peak(self, call: Callable[[], object]) -> int:
        """Bytes that a call takes at most."""

    def alive(self) -> bool:
        """Whether it still computes."""

    def free(self) -> None:
        """Give back memory that nothing holds."""


def switched(kernel: Kernel, constants: Mapping[str, object]) -> Kernel:
    """The kernel with constants of its file set. InputError where the file has no such line."""
    source = kernel.source
    for name, value in constants.items():
        lines = source.split("\n")
        at = [number for number, line in enumerate(lines) if line.startswith(f"{name} = ")]
        if len(at) != 1:
            raise InputError(f"setting {name} of {kernel.name} in {kernel.dtype}: its file has {len(at)} such constants; expected one")
        lines[at[0]] = f"{name} = {value!r}"
        source = "\n".join(lines)
    return kernel if source == kernel.source else replace(kernel, source=source)


@dataclass(frozen=True)
class Seen:
    """A kernel on the whole work of the device, as a function of NumPy arrays, looked at in the last head alone."""

    kernel: Kernel
    machine: Machine
    given: Given

    @property
    def dtype(self) -> str:
        """The kernel's."""
        return self.kernel.dtype

    @property
    def error_bound(self) -> Any:
        """The kernel's."""
        return self.kernel.error_bound

    def result(self, found: Any) -> Any:
        """What of a result is looked at, as float32 in NumPy."""
        if isinstance(found, tuple):
            return tuple(map(self.result, found))
        return values_of(self.machine.download(last(found)), self.dtype)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """The call with another gradient of the result, zero in heads that are not looked at: what the check of a gradient kernel asks."""
        *others, grad_out = self.given.device.arguments
        other = self.machine.zeros_like(grad_out)
        last(other)[...] = self.machine.upload(stored(arguments[-1], self.dtype))
        return self.result(self.kernel(*others, other, **options))


@dataclass
class CudaBench:
    """How a run is made; the functions are parameters so that a test can put its own in their place."""

    rivals: Sequence[str]
    machine: Machine
    effort: Effort = EFFORT
    generate: Callable[..., Kernel] = generate
    check: Callable[[Workload, Any, Inputs, Any], Check] = check
    build: Callable[[str, Workload, Inputs], Rival] = build
    say: Callable[[str], None] = lambda _: None
    #: the row in which the device stopped computing
    lost: str = ""
    drawn: Drawn = field(init=False)

    def __post_init__(self) -> None:
        self.drawn = Drawn(self.machine.upload)

    def row(self, workload: CudaWorkload) -> Row:
        """Measure one row."""
        plain = Row(
            workload.name, workload.phase, workload.vjp, dict(workload.variant), dict(workload.sizes), dict(workload.options), NOT_BUILT,
            dtype=workload.dtype, constants=dict(workload.constants),
        )
        if self.lost:
            return replace(plain, status=NOT_THERE, error=f"not run: the device stopped computing in the row {self.lost}")
        if workload.capability not in (0, self.machine.capability):
            needs = f"compute capability {workload.capability // 10}.{workload.capability % 10}"
            return replace(plain, status=NOT_THERE, error=f"not run: its kernel is of {needs} alone")
        self.say(f"{workload.name}: generating")
        try:
            made = self.generate(workload.phase, backend="cupy", dtype=workload.dtype, vjp=workload.vjp, **workload.variant)
            kernel = switched(made, workload.constants)
        except InputError as error:
            return replace(plain, error=str(error))
        plain = replace(plain, kernel=hashlib.sha256(kernel.source.encode()).hexdigest()[:12])
        try:
            return self._measured(workload, kernel, plain)
        except Exception as error:
            self.lost = "" if self.machine.alive() else workload.name
            return replace(plain, status=WRONG, error=f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
        finally:
            if not self.lost:
                self.machine.free()

    def _measured(self, workload: CudaWorkload, kernel: Kernel, plain: Row) -> Row:
        given = self.drawn.inputs(workload)
        seen = Seen(kernel, self.machine, given)

        def ours() -> Any:
            return kernel(*given.device.arguments, **given.device.options)

        self.say(f"{workload.name}: checking")
        result = seen.result(ours())
        looked_at = Inputs({name: last(value) for name, value in given.host.named.items()}, workload.options)
        with assuming_library(("cupy",)):
            found = self.check(workload, seen, looked_at, result)
        plain = replace(plain, check=found.verdict, checked=_how(workload, found.how), worst_error_over_bound=found.worst)
        if found.verdict == BEYOND:
            return replace(plain, status=WRONG, error=f"{found.worst:.3g} times its bound: {plain.checked}; not timed")
        aims = _memory_aims(workload, self.machine.peak(ours))
        host = min(self.machine.host_seconds(ours) for _ in range(3))
        comparisons = []
        for name in self.rivals:
            comparisons.append(self._comparison(workload, given, result, ours, name))
            if comparisons[-1].status == ELSEWHERE:
                error = f"where it was checked it is within its bound and agrees with {name}, elsewhere it does not; not timed further"
                return replace(plain, status=WRONG, error=error, comparisons=tuple(comparisons))
        times = [one.ours_seconds for one in comparisons if one.ours_seconds is not None]
        work = operations(workload)
        return replace(
            plain, status=MEASURED, seconds=statistics.median(times) if times else self.machine.seconds(ours, host), aims=aims,
            comparisons=with_causes(comparisons),
            figures={**({"operations": work} if work else {}), "bytes": traffic(workload), "host_seconds": host},
        )

    def _comparison(self, workload: CudaWorkload, given: Given, result: Any, ours: Callable[[], Any], name: str) -> Comparison:
        self.say(f"{workload.name}: against {name}")
        target = workload.targets.get(name)
        if self.lost:
            return Comparison(name, NOT_THERE, "the device stopped computing", target=target)
        pairing = Events(self.machine)
        found = compared(
            name, target, lambda: self.build(name, workload, given.device), result, lambda theirs: pairing(ours, theirs, self.effort), ours
        )
        if found.status == FAILED and not self.machine.alive():
            self.lost = f"{workload.name}, against {name}"
        return found


def _how(workload: Workload, how: str) -> str:
    return f"in the last head, {how}" if workload.phase == "attention" else how


def _memory_aims(workload: CudaWorkload, peak: int) -> tuple[Aim, ...]:
    if workload.peak is None:
        return ()
    result = sum(math.prod(shape) for shape in result_shapes(workload)) * WIDTH[workload.dtype]
    return (Aim("peak beyond the inputs, in sizes of the result", peak / result, workload.peak, f"{peak / 1e6:.1f} MB in CuPy's pool"),)
