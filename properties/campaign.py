"""``python -m kernelproof.properties.campaign``: the nightly table of what the properties are worth, over many seeds.

What it does: tries every registered wrong kernel, every right one in every dtype, and the libraries, seed by seed, and writes a Markdown
table. A wrong kernel is tried until a property convicts it, in the profile that its row names, then in ``standard``; a right one on all
properties of its phase. The examples of a seed are drawn once for all kernels of a phase, variant and dtype. Guarantees: rows stand in the
order of the registries; Ctrl-C writes the table of what was run; with ``--record`` a later call goes on where this one ended; what was
not run is not in the table; every row of a record says of which source it is, and the table counts the sources. Cannot see: whether a
change of the source matters to a row.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import importlib
import json
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TextIO, cast

from threadpoolctl import threadpool_limits

from kernelproof.numeric.precision import assuming_library
from kernelproof.properties.campaign_table import campaign_table
from kernelproof.properties.campaign_trials import (
    FOLDER,
    KINDS,
    RightKernels,
    Trial,
    library_trials,
    right_kernels,
    right_trials,
    wrong_trials,
)
from kernelproof.properties.kept_references import keeping_references
from kernelproof.properties.model import Setting
from kernelproof.properties.mutants.registry import WRONG
from kernelproof.properties.mutants.unseen import WAITING
from kernelproof.properties.profiles import PROFILES
from kernelproof.properties.shapes import PHASES, forward_of
from kernelproof.properties.shared_examples import SharedExamples, short
from kernelproof.properties.targets import Target
from kernelproof.properties.verify import versions
from kernelproof.symbolic.errors import InputError
from kernelproof.symbolic.registry import check_variant

LAYERS = ("symbolic", "numeric", "properties")
LIBRARIES = ("torch", "jax", "onnx", "onnxruntime", "ml_dtypes")


@dataclass(frozen=True)
class Outcome:
    """One trial under one seed. Of a wrong kernel: the property that convicted it, after so many examples. Of a right one: what was not a
    pass, and how many properties were tried. ``unusable`` says why it could not be run; ``source`` which source of ours did it.
    """

    key: str
    seed: int
    profile: str = "quick"
    convicted_by: str | None = None
    message: str = ""
    examples: int = 0
    tried: int = 0
    alarms: tuple[tuple[str, str], ...] = ()
    inconclusive: tuple[str, ...] = ()
    errors: tuple[tuple[str, str], ...] = ()
    unusable: str = ""
    source: str = ""


class Examples:
    """The examples in use, by setting and seed; the last ``most`` are kept."""

    def __init__(self, most: int = 1) -> None:
        self._most = most
        self._found: dict[tuple[object, ...], SharedExamples] = {}

    def of(self, trial: Trial, target: Target, profile: str, seed: int) -> SharedExamples:
        """The examples for a trial."""
        variant = check_variant(forward_of(trial.phase), trial.variant)
        key = (trial.phase, tuple(sorted(variant.items())), trial.dtype, target.capabilities, profile, seed)
        if key not in self._found:
            setting = Setting(trial.phase, variant, trial.dtype, target.capabilities, PROFILES[profile])
            self._found[key] = SharedExamples(setting, seed)
            while len(self._found) > self._most:
                del self._found[next(iter(self._found))]
        return self._found[key]


def outcome(trial: Trial, seed: int, shared: Examples | None = None) -> Outcome:
    """A trial under a seed."""
    with assuming_library(trial.libraries):
        return _outcome(trial, seed, shared or Examples())


def _outcome(trial: Trial, seed: int, shared: Examples) -> Outcome:
    try:
        target = trial.make()
        examples = shared.of(trial, target, trial.profile, seed)
        known = examples.properties
    except InputError as error:
        return Outcome(trial.key, seed, trial.profile, unusable=str(error))
    if trial.kind != "wrong":
        found = list(examples.judged(target.call, [one for one in known if not trial.only or short(one) in trial.only], trial.most))
        return Outcome(
            trial.key,
            seed,
            trial.profile,
            examples=sum(one.examples for one in found),
            tried=sum(one.verdict != "not_applicable" for one in found),
            alarms=tuple((one.property_id, one.message) for one in found if one.verdict == "fail"),
            inconclusive=tuple(one.property_id for one in found if one.verdict == "inconclusive"),
            errors=tuple((one.property_id, one.message) for one in found if one.verdict == "error"),
        )
    tried = 0
    for profile in dict.fromkeys((trial.profile, "standard")):
        examples = shared.of(trial, target, profile, seed)
        chosen = [one for one in examples.ordered(trial.first) if not trial.only or short(one) in trial.only]
        for judgement in examples.judged(target.call, chosen):
            tried += judgement.examples
            if judgement.verdict == "fail":
                return Outcome(trial.key, seed, profile, judgement.property_id, judgement.message, tried)
    return Outcome(trial.key, seed, "standard", examples=tried)


def run(trials: Sequence[Trial], seeds: Iterable[int], done: dict[tuple[str, int], Outcome]) -> Iterator[Outcome]:
    """The outcomes that are not there yet, seed by seed; kernels of one setting follow each other."""
    groups: dict[tuple[str, str, str, str], list[Trial]] = {}
    for trial in trials:
        groups.setdefault((trial.phase, str(sorted(trial.variant.items(), key=str)), trial.dtype, trial.profile), []).append(trial)
    for seed in seeds:
        shared = Examples()
        for group in groups.values():
            for trial in group:
                if (trial.key, seed) not in done:
                    yield outcome(trial, seed, shared)


# -- the command ------------------------------------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("kernelproof.properties.campaign", description="what the properties are worth, over many seeds")
    parser.add_argument("--seeds", type=int, default=10, help="so many seeds, from 0 (default: 10)")
    parser.add_argument("--phase", action="append", default=[], help="this phase and its gradients alone; may be repeated")
    parser.add_argument("--only", action="append", default=[], choices=KINDS, help="these kernels alone; may be repeated")
    parser.add_argument("--dtype", action="append", default=[], help="right kernels in this dtype alone; may be repeated")
    parser.add_argument("--right", default=FOLDER, help=f"the folder that registers the right NumPy kernels (default: {FOLDER})")
    parser.add_argument("--table", action="store_true", help="run nothing; write the table of what the record holds")
    parser.add_argument("--record", help="JSON lines, compressed if it ends in .gz: what was run is read from there and added to it")
    parser.add_argument("-o", "--output", help="the Markdown file (default: standard output)")
    return parser


def _trials(arguments: argparse.Namespace) -> tuple[list[Trial], RightKernels]:
    for phase in arguments.phase:
        if phase not in PHASES:
            raise InputError(f"choosing what to try: phase {phase!r} is not known; choose from {', '.join(PHASES)}")
    if arguments.seeds < 1:
        raise InputError(f"choosing the seeds: {arguments.seeds} is not positive; give 1 or more")
    right = right_kernels(arguments.right)
    every = [*wrong_trials(WRONG), *right_trials(right.kernels), *library_trials()]
    kinds = arguments.only or KINDS
    chosen = [
        trial
        for trial in every
        if trial.kind in kinds
        and (not arguments.phase or forward_of(trial.phase) in arguments.phase)
        and (trial.kind == "wrong" or not arguments.dtype or trial.dtype in arguments.dtype)
    ]
    return chosen, right


def _versions() -> dict[str, str]:
    found = dict(versions())
    for name in LIBRARIES:
        # not imported for its version alone
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def source() -> str:
    """A short name for the source of the layers that decide a trial."""
    digest = hashlib.sha256()
    folders = [Path(getattr(importlib.import_module(f"kernelproof.{layer}"), "__file__", "")).parent for layer in LAYERS]
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def _opened(path: Path, mode: str) -> TextIO:
    """The record; one called ….gz is compressed."""
    if path.suffix == ".gz":
        return cast(TextIO, gzip.open(path, f"{mode}t", encoding="utf-8"))
    return cast(TextIO, path.open(mode, encoding="utf-8"))


def _recorded(path: Path, header: dict[str, str]) -> dict[tuple[str, int], Outcome]:
    """What a record holds; InputError where it was made with other versions."""
    done: dict[tuple[str, int], Outcome] = {}
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with _opened(path, "w") as file:
            file.write(json.dumps({"versions": header}) + "\n")
        return done
    with _opened(path, "r") as file:
        first, *lines = file.read().splitlines()
    if json.loads(first).get("versions") != header:
        raise InputError(f"reading the record {str(path)!r}: it was made with other versions; move it away to begin anew")
    for line in lines:
        row = json.loads(line)
        pairs = {name: tuple(tuple(pair) for pair in row.pop(name)) for name in ("alarms", "errors")}
        kept = Outcome(**row | pairs | {"inconclusive": tuple(row["inconclusive"])})
        done[kept.key, kept.seed] = kept
    return done


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0 when all wrong kernels were convicted and no right one, 1 when not, 130 after Ctrl-C."""
    arguments = _parser().parse_args(argv)
    warnings.simplefilter("ignore")
    began, interrupted = time.perf_counter(), False
    try:
        header = _versions()
        trials, right = _trials(arguments)
        record = Path(arguments.record) if arguments.record else None
        done = _recorded(record, header) if record else {}
    except InputError as error:
        print(f"kernelproof: {error}", file=sys.stderr)
        return 2
    here = source()
    total, before = sum((trial.key, seed) not in done for trial in trials for seed in range(arguments.seeds)), len(done)
    try:
        with threadpool_limits(1), keeping_references():
            for found in run([] if arguments.table else trials, range(arguments.seeds), dict(done)):
                done[found.key, found.seed] = found = replace(found, source=here)
                if record:
                    with _opened(record, "a") as file:
                        file.write(json.dumps(asdict(found)) + "\n")
                bad = "unusable" if found.unusable else "ALARM" if found.alarms else "ERROR" if found.errors else found.convicted_by or ""
                place = f"{len(done) - before}/{total}, {time.perf_counter() - began:.0f} s, seed {found.seed}"
                print(f"{place}: {found.key}: {bad}", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        interrupted = True
    mine = {trial.key for trial in trials}
    rows = [replace(one) for one in done.values() if one.key in mine and one.seed < arguments.seeds]
    text, ok = campaign_table(trials, rows, right.strict, header, arguments.seeds, {**WAITING, **right.waiting})
    if arguments.output:
        Path(arguments.output).write_text(text, encoding="utf-8")
    else:
        print(text)
    return 130 if interrupted else int(not ok)


if __name__ == "__main__":
    sys.exit(main())
