"""Translation validation: the source of a kernel itself, in many digits, against the definition of its phase.

What it does: executes the bytes of ``kernel.source`` in :data:`WORKING`-digit arithmetic (:mod:`exact_execution`), with the sizes of
blocks at 2 and 3 where the file has any (a few calls as they are), and compares each result with the definition's
(:mod:`exact_definition`; of a gradient kernel each gradient with its derived definition's, :mod:`exact_gradients`): relative to
1 + \\|expected\\| they must agree to :data:`AGREEING` digits. Calls that a kernel must refuse are tried too. Guarantees: algebra is judged
apart from rounding, for nothing is rounded; what of the file did not run is listed. A pass is called *instance*, never proof. Cannot
see: rounding, overflow, order of summation, threads; NumPy itself; a fault of the definition.

``python -m kernelproof.numeric.validation [PHASE…]`` prints the table for all variants and dtypes and exits with 1 when one fails.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import mpmath
import numpy as np
from tabulate import tabulate

from kernelproof.numeric.exact_array import ExactArray
from kernelproof.numeric.exact_calls import Call, calls
from kernelproof.numeric.exact_definition import by_definition, difference, digits_of
from kernelproof.numeric.exact_execution import Coverage, Execution
from kernelproof.numeric.exact_gradients import gradient_calls, gradient_refusals, gradients_by_definition, parts_of
from kernelproof.numeric.exact_kinds import BFLOAT16, promoted
from kernelproof.numeric.exact_refusals import refusals
from kernelproof.numeric.gradient_forms import gradient_program
from kernelproof.numeric.kernel import Kernel, generate
from kernelproof.numeric.rounding import FORMATS, Array
from kernelproof.symbolic.errors import InputError
from kernelproof.symbolic.registry import has_gradient, phases, variants_of

WORKING, AGREEING = 60, 45
BLOCKS = (2, 3)
AS_THEY_ARE = 3
HEADERS = ("phase", "variant", "dtype", "blocks", "calls", "entries", "digits", "refused", "lines", "branches", "verdict")


@dataclass(frozen=True)
class Validation:
    """The outcome: calls and entries compared, the worst difference, bad calls refused, coverage, and every failure in words."""

    phase: str
    variant: Mapping[str, object]
    dtype: str
    sha256: str
    blocks: tuple[int, ...]
    calls: int
    entries: int
    worst: Any
    refused: int
    bad: int
    coverage: Coverage
    failures: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether something was compared and nothing failed."""
        return self.entries > 0 and not self.failures

    @property
    def digits(self) -> int:
        """The digits to which the worst entry agrees, of :data:`WORKING`; 0 for one that is missing or not finite."""
        return digits_of(self.worst, WORKING)

    @property
    def row(self) -> tuple[str, ...]:
        """The cells under :data:`HEADERS`."""
        variant, blocks = shown(self.variant), ", ".join(map(str, self.blocks))
        of = self.coverage
        return (
            self.phase, variant, self.dtype, blocks or "none", str(self.calls), str(self.entries), str(self.digits),
            f"{self.refused} of {self.bad}", f"{len(of.executable & of.lines)} of {len(of.executable)}",
            f"{len(of.outcomes)} of {of.branches}", "pass" if self.passed else "FAIL",
        )

    @property
    def summary(self) -> str:
        """The outcome in a line."""
        said = f"the source itself, in {WORKING} digits, agrees with the definition to {self.digits} digits on {self.calls} calls"
        refused = f"refuses {self.refused} of {self.bad} bad calls"
        covered = f"branches covered {len(self.coverage.outcomes)} of {self.coverage.branches}"
        return "; ".join([said, refused, covered, *self.failures[:1]])

    @property
    def remarks(self) -> list[str]:
        """Failures, and what of the file did not run."""
        return [*self.failures, *(f"not reached: {missing}" for missing in self.coverage.missing)]

    def __str__(self) -> str:
        return "\n".join([table([self]), *self.remarks])


def shown(variant: Mapping[str, object]) -> str:
    """The values of a variant; a flag or a number with its name."""
    return ", ".join(str(value) if isinstance(value, str) else f"{name} {value}" for name, value in variant.items())


def table(found: list[Validation]) -> str:
    """Validations under one another."""
    right = ("left",) * 3 + ("right",) * 7 + ("left",)
    return str(tabulate([one.row for one in found], HEADERS, disable_numparse=True, colalign=right))


def validate(kernel: Kernel, seed: int = 0, rounds: int = 1) -> Validation:
    """The source of a kernel on ``rounds`` draws of its calls.

    Raises InputError for a CuPy kernel and for a phase without calls in :mod:`exact_calls`. A file that needs a name which the
    substitute does not have fails, with that name.
    """
    if kernel.backend != "numpy":
        raise InputError(f"validating {kernel.phase}: backend {kernel.backend}; expected numpy, the only one whose source is executed here")
    drawn = gradient_calls if kernel.vjp else calls
    given = [call for number in range(rounds) for call in drawn(kernel.phase, kernel.variant, kernel.dtype, seed + number)]
    # a kernel takes inputs of other types than its own too
    other = "float32" if kernel.dtype == BFLOAT16 else BFLOAT16
    given += [call for call in drawn(kernel.phase, kernel.variant, other, seed)[:3] if call.kinds(kernel.phase)] if rounds else []
    bad = (gradient_refusals if kernel.vjp else refusals)(kernel.phase, kernel.variant)
    failures: list[str] = []
    worst, entries, made, refused = mpmath.mpf(0), 0, 0, 0
    execution = Execution(kernel.source, kernel.name, WORKING)
    blocks = BLOCKS if execution.has_blocks else ()
    runs = [execution]
    expected = [_expected(kernel, call) for call in given]
    for size in (*blocks, None):
        execution = runs[0]
        if size is not None:
            # the last size of blocks without threads, where the file has the choice
            execution = Execution(kernel.source, kernel.name, WORKING, threads=1 if size == BLOCKS[-1] else 2)
            execution.set_blocks(size)
            runs.append(execution)
        # with sizes as the file has them, where others were tried, a few calls: each is one block
        few = AS_THEY_ARE if blocks and size is None else None
        for call, wanted in list(zip(given, expected, strict=True))[:few]:
            off, count, failure = _compared(kernel, execution, call, wanted)
            worst, entries, made = max(worst, off), entries + count, made + 1
            failures += [f"{call.label}{f' in blocks of {size}' if size else ''}: {failure}"] if failure else []
    for call in bad:
        failure = _refused(kernel, execution, call)
        refused += not failure
        failures += [f"{call.label}: {failure}"] if failure else []
    assert execution.source == kernel.source  # what ran is what is handed out
    return Validation(
        kernel.name, kernel.variant, kernel.dtype, execution.sha256, blocks, made, entries, worst, refused, len(bad),
        reduce(Coverage.joined, (run.coverage for run in runs)), tuple(failures),
    )


def _expected(kernel: Kernel, call: Call) -> dict[str, Array]:
    """The result by definition, or the gradients by the names of their inputs."""
    if kernel.gradient is None:
        return {"": by_definition(kernel.derivation, call.tensors, call.options, WORKING)}
    return gradients_by_definition(kernel.derivation, kernel.gradient, call.tensors, call.options, WORKING)


def _compared(kernel: Kernel, execution: Execution, call: Call, expected: Mapping[str, Array]) -> tuple[Any, int, str]:
    """The difference, the number of entries, and what is wrong if something is."""
    try:
        result = execution.call(call.arguments(kernel.phase), call.keywords())
    except Exception as error:
        return mpmath.inf, 0, f"it raised {type(error).__name__}: {error}"
    if kernel.gradient is not None:
        parts = parts_of(result, gradient_program(kernel.phase, kernel.variant))
        if isinstance(parts, str):
            return mpmath.inf, 0, parts
        found = [_agrees(kernel, call, parts[name], expected[name], f"the gradient of {name}") for name in expected]
        return max(off for off, _, _ in found), sum(count for _, count, _ in found), next((told for *_, told in found if told), "")
    if isinstance(result, tuple) and call.options.get("past_k") is not None:
        result, *kept = result
        if not all(_is_joined(part, call, name) for part, name in zip(kept, "kv", strict=True)):
            return mpmath.inf, 0, "the keys or values that it gives back are not the earlier ones with the new ones behind them"
    if not isinstance(result, ExactArray):
        return mpmath.inf, 0, f"the result is of type {type(result).__name__}; expected an array"
    return _agrees(kernel, call, result, expected[""], "the result")


def _agrees(kernel: Kernel, call: Call, result: ExactArray, expected: Array, what: str) -> tuple[Any, int, str]:
    """As :func:`_compared`, of one array."""
    with mpmath.workdps(WORKING):
        off = difference(result.values, expected)
    if result.shape != expected.shape:
        return off, 0, f"{what} has shape {result.shape}; expected {expected.shape}"
    promised = _promised(kernel, call)
    if str(result.dtype) != promised:
        return off, expected.size, f"{what} has dtype {result.dtype}; expected {promised}"
    digits = digits_of(off, WORKING)
    whose = "it agrees" if what == "the result" else f"{what} agrees"
    return off, expected.size, "" if digits >= AGREEING else f"{whose} with the definition to {digits} digits; expected {AGREEING}"


def _is_joined(part: ExactArray, call: Call, name: str) -> bool:
    """Whether keys or values given back are the earlier ones, then the new ones."""
    whole = np.concatenate([call.options[f"past_{name}"], call.tensors[name]], axis=-2)
    return part.shape == whole.shape and all(got == want for got, want in zip(part.values.ravel(), whole.ravel().tolist(), strict=True))


def _promised(kernel: Kernel, call: Call) -> str:
    """The dtype of the result: that of the arrays together, or of the kernel where there are none."""
    kinds = [kind for kind in call.kinds(kernel.phase) if kind.floating]
    return str(promoted(kinds, [])) if kinds else kernel.dtype


def _refused(kernel: Kernel, execution: Execution, call: Call) -> str:
    """What is wrong where a bad call is not refused by the file's own words."""
    try:
        execution.call(call.arguments(kernel.phase), call.keywords())
    except Exception as error:
        own = bool(error.args) and str(error.args[0]).startswith(f"{kernel.name}: ")
        return "" if own else f"refused, but not by the file: {type(error).__name__}: {error}"
    return "it was accepted; expected an error"


def kernels(names: list[str], dtypes: list[str], vjp: bool = False) -> Iterator[Kernel]:
    """The NumPy kernels of these phases, in all variants and dtypes; with ``vjp`` those of the gradients that there are."""
    for name in names:
        for variant in variants_of(name):
            for dtype in dtypes if not vjp or has_gradient(name) else ():
                yield generate(name, dtype=dtype, vjp=vjp, **variant)  # type: ignore[arg-type]


def main(given: list[str] | None = None) -> int:
    """The command: 0 when all pass, 1 when one fails, 2 for a name that there is not."""
    parser = argparse.ArgumentParser(prog="python -m kernelproof.numeric.validation", description="the source itself, in many digits")
    parser.add_argument("phase", nargs="*", metavar="PHASE", help=f"one of {', '.join(phases())}; all without")
    parser.add_argument("--dtype", action="append", choices=list(FORMATS), help="one of the dtypes, may be repeated; all without")
    parser.add_argument("--rounds", type=int, default=1, help="draws of random numbers (default 1)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draws (default 0)")
    parser.add_argument("--vjp", action="store_true", help="the gradient kernels")
    arguments = parser.parse_args(given)
    if unknown := [name for name in arguments.phase if name not in phases()]:
        parser.error(f"phase {unknown[0]!r}: there is no such phase; expected one of {', '.join(phases())}")
    todo = list(kernels(arguments.phase or list(phases()), arguments.dtype or list(FORMATS), arguments.vjp))
    found = [validate(kernel, arguments.seed, arguments.rounds) for kernel in _shown(todo)]
    print(table(found))
    remarks = {f"{one.phase} {shown(one.variant)}: {remark}" for one in found for remark in one.remarks}
    print("\n".join(sorted(remarks)))
    return 0 if all(one.passed for one in found) else 1


def _shown(todo: list[Kernel]) -> Iterator[Kernel]:
    """The kernels, with a bar on standard error where that is a terminal."""
    from rich.console import Console
    from rich.progress import track

    yield from track(todo, "validating", console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())


if __name__ == "__main__":
    sys.exit(main())
