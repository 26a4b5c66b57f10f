"""``python -m kernelproof.reports.kernels``: every generated NumPy kernel, verified and validated, as a table.

What it does: goes through every phase and variant of the registry, forward and gradient, generates the kernel, runs its source in 60
digits against the definition (:mod:`kernelproof.numeric.validation`) and verifies it as anyone's kernel, in a process of its own. Writes
Markdown. Guarantees: each row names the hash of the source that was tried, and which source of ours tried it; with ``--record`` a later
call goes on where this one ended, and tries a kernel anew when its hash has changed; Ctrl-C writes what is there. Cannot see: other
processors and versions of NumPy than the one named; whether a change of the properties matters to a row that was recorded before it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tabulate import tabulate

from kernelproof.numeric.kernel import Kernel, generate
from kernelproof.numeric.processor import processor
from kernelproof.numeric.validation import shown, validate
from kernelproof.properties.campaign import source
from kernelproof.properties.profiles import PROFILES
from kernelproof.properties.verdict import Verdict
from kernelproof.properties.verify import verify_target, versions
from kernelproof.reports.progress import Steps
from kernelproof.symbolic.errors import InputError
from kernelproof.symbolic.registry import has_gradient, phases, variants_of

DTYPES = ("float32", "float64", "float16", "bfloat16")
HEADERS = (
    "phase", "variant", "kernel", "sha256", "dtype", "in 60 digits", "verify",
    "passed", "not applicable", "inconclusive", "examples", "worst",
)
ABOUT = (
    "Every NumPy kernel that `kernelproof generate` writes: each phase, in the variants that the registry goes through (all combinations "
    "of its choices, and samples of what has an open range), forward and gradient. *In 60 digits*: the source itself, run in 60-digit "
    "arithmetic with blocks of 2 and 3, agrees with the definition to so many digits (an *instance*, no proof). *Verify*: the verdict of "
    "`kernelproof verify generated:PHASE`, with how many properties passed, did not apply, or had no finite bound in any example, the "
    "examples, and the largest error over its bound."
)


@dataclass(frozen=True)
class Job:
    """A kernel to be tried."""

    phase: str
    variant: tuple[tuple[str, object], ...]
    vjp: bool
    dtype: str
    profile: str

    @property
    def name(self) -> str:
        """What a person calls it."""
        return f"{self.phase}{' gradient' if self.vjp else ''} {shown(dict(self.variant))} {self.dtype}".replace("  ", " ")

    @property
    def key(self) -> str:
        """What tells it from all others, for records."""
        return json.dumps([self.phase, dict(self.variant), self.vjp, self.dtype, self.profile])


@dataclass(frozen=True)
class Row:
    """What came out. ``digits`` is 0 where the validation failed; ``failed`` names properties that failed or erred."""

    key: str
    sha256: str
    digits: int
    verdict: str
    passed: int
    not_applicable: int
    inconclusive: int
    failed: tuple[str, ...]
    examples: int
    worst: float
    source: str

    @property
    def good(self) -> bool:
        """Whether both say so."""
        return self.digits > 0 and self.verdict == "pass"


def jobs(names: Sequence[str], dtypes: Sequence[str], profile: str, kinds: Sequence[bool] = (False, True)) -> Iterator[Job]:
    """Every kernel of these phases, in the order of the registry; those of gradients where there are any."""
    for phase in names:
        for vjp in kinds:
            for variant in variants_of(phase) if not vjp or has_gradient(phase) else ():
                for dtype in dtypes:
                    yield Job(phase, tuple(variant.items()), vjp, dtype, profile)


def hash_of(job: Job) -> str:
    """The SHA-256 of the kernel's source."""
    return _digest(generate(job.phase, dtype=job.dtype, vjp=job.vjp, **dict(job.variant)))  # type: ignore[arg-type]


def _digest(kernel: Kernel) -> str:
    return hashlib.sha256(kernel.source.encode()).hexdigest()


def tried(job: Job, seed: int, here: str) -> Row:
    """A kernel, generated, validated and verified."""
    variant = dict(job.variant)
    kernel = generate(job.phase, dtype=job.dtype, vjp=job.vjp, **variant)  # type: ignore[arg-type]
    validation = validate(kernel, seed)
    verdict: Verdict = verify_target(
        f"generated:{job.phase}", phase=job.phase, variant=variant, vjp=job.vjp, dtype=job.dtype, profile=job.profile, seed=seed
    )
    if verdict.interrupted:
        raise KeyboardInterrupt
    return Row(
        job.key,
        _digest(kernel),
        validation.digits if validation.passed else 0,
        verdict.verdict,
        verdict.count("pass"),
        verdict.count("not_applicable"),
        verdict.count("inconclusive"),
        tuple(found.id for found in verdict.properties if found.verdict in ("fail", "error")),
        sum(found.examples for found in verdict.properties),
        max((found.worst for found in verdict.properties if found.worst is not None), default=0.0),
        here,
    )


def page(done: Sequence[tuple[Job, Row]], asked: int, profile: str) -> str:
    """The Markdown of what was run."""
    bad = [(job, row) for job, row in done if not row.good]
    found = ", ".join(f"{name} {version}" for name, version in versions().items())
    sources = ", ".join(f"{name} ({count} rows)" for name, count in Counter(row.source for _, row in done).items())
    rows = [
        (
            job.phase, shown(dict(job.variant)), "gradient" if job.vjp else "forward", row.sha256[:12], job.dtype,
            str(row.digits) if row.digits else "FAIL", row.verdict,
            row.passed, row.not_applicable, row.inconclusive, row.examples, f"{row.worst:.2g}",
        )
        for job, row in done
    ]
    lines = [
        "# Generated kernels, verified", "",
        "Made by `make nightly-kernels`, that is `python -m kernelproof.reports.kernels`; do not edit.", "", ABOUT, "",
        f"Profile {profile}, seed 0. Versions: {found}, on {processor()}. Source of the properties: {sources or 'none'}.", "",
        f"{len(done)} of {asked} kernels were tried: {len(done) - len(bad)} pass both, {len(bad)} do not.", "",
        *(f"- {job.name}: {', '.join(row.failed) or row.verdict}{'' if row.digits else '; not in 60 digits'}" for job, row in bad),
        *([""] if bad else []), str(tabulate(rows, HEADERS, tablefmt="github", disable_numparse=True)), "",
    ]
    return "\n".join(lines)


def _read(record: Path | None) -> dict[str, Row]:
    """The last row of each key."""
    if record is None or not record.exists():
        return {}
    rows = [Row(**(line | {"failed": tuple(line["failed"])})) for line in map(json.loads, record.read_text(encoding="utf-8").splitlines())]
    return {row.key: row for row in rows}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("kernelproof.reports.kernels", description="every generated NumPy kernel, verified and validated")
    parser.add_argument("phase", nargs="*", metavar="PHASE", help=f"one of {', '.join(phases())}; all without")
    parser.add_argument("--profile", choices=tuple(PROFILES), default="standard", help="of verify (default: standard)")
    parser.add_argument("--dtype", action="append", choices=DTYPES, help="may be repeated (default: float32)")
    parser.add_argument("--only", choices=("forward", "gradient"), help="these kernels alone")
    parser.add_argument("--record", type=Path, help="JSON lines: what was run is read from there and added to it")
    parser.add_argument("-o", "--output", type=Path, help="the Markdown file (default: standard output)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0 when all pass, 1 when one does not, 2 for a name that there is not, 130 after Ctrl-C."""
    arguments = _parser().parse_args(argv)
    if unknown := [name for name in arguments.phase if name not in phases()]:
        print(f"kernelproof: phase {unknown[0]!r}: there is no such phase; expected one of {', '.join(phases())}", file=sys.stderr)
        return 2
    kinds = {"forward": (False,), "gradient": (True,), None: (False, True)}[arguments.only]
    todo = list(jobs(arguments.phase or list(phases()), arguments.dtype or ["float32"], arguments.profile, kinds))
    known, here, done, interrupted = _read(arguments.record), source(), [], False
    try:
        with Steps(len(todo), shown=True) as steps:
            for job in todo:
                steps.start(job.name)
                row = known.get(job.key)
                if row is None or row.sha256 != hash_of(job):
                    row = tried(job, 0, here)
                    if arguments.record:
                        arguments.record.parent.mkdir(parents=True, exist_ok=True)
                        with arguments.record.open("a", encoding="utf-8") as file:
                            file.write(json.dumps(asdict(row)) + "\n")
                done.append((job, row))
    except KeyboardInterrupt:
        interrupted = True
    except InputError as error:
        print(f"kernelproof: {error}", file=sys.stderr)
        return 2
    text = page(done, len(todo), arguments.profile)
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8")
    else:
        print(text)
    return 130 if interrupted else int(not all(row.good for _, row in done))


if __name__ == "__main__":
    sys.exit(main())
