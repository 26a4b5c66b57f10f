"""The outcomes of a campaign as a Markdown page.

Guarantees: rows in the order of the registries, whatever the order of the runs; every number is counted from outcomes; a kernel or seed
that was not run is named as such. Cannot see: when the outcomes were made.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from kernelproof.properties.campaign_trials import Trial

if TYPE_CHECKING:
    from kernelproof.properties.campaign import Outcome

Found = Mapping[str, Sequence["Outcome"]]


def campaign_table(
    trials: Sequence[Trial],
    outcomes: Sequence[Outcome],
    strict: Mapping[str, str],
    versions: Mapping[str, str],
    seeds: int,
    waiting: Mapping[str, str] | None = None,
) -> tuple[str, bool]:
    """The page, and whether all that was run is as it should be. ``strict`` and ``waiting``: see ``RightKernels``."""
    found: dict[str, list[Outcome]] = {trial.key: [] for trial in trials}
    for one in sorted(outcomes, key=lambda one: one.seed):
        found[one.key].append(one)
    wrong, right, library = ([trial for trial in trials if trial.kind == kind] for kind in ("wrong", "right", "library"))
    survived = [trial for trial in wrong if any(one.convicted_by is None and not one.unusable for one in found[trial.key])]
    alarmed = [trial for trial in (*right, *library) if any(one.alarms or one.errors for one in found[trial.key])]
    unknown = [trial for trial in alarmed if _name(trial) not in strict]
    parts = [
        "# Measured power",
        "Made by `make nightly-power`, that is `python -m kernelproof.properties.campaign`; do not edit. A wrong kernel is tried with the "
        "profile that its row names, and with `standard` where that does not see it, until a property convicts it; a right one with "
        "`quick` on all properties of its phase. Times are not limited, so that a busy machine changes nothing.",
        "Versions: " + ", ".join(f"{name} {value}" for name, value in versions.items()) + f". Seeds asked for: {seeds}."
        + _sources(outcomes),
        _summary(wrong, right, library, found, strict),
        "## Wrong kernels",
        "Author: a row `Bnn` of the catalogue of real bugs, `own`, or `unseen`: by someone who had not seen the suite. Examples: the "
        "median over the seeds, up to the conviction and with it, in the order in which the properties were tried.",
        _table(WRONG_HEAD, (_wrong_row(one, found[one.key]) for one in wrong if _run(found[one.key]))),
    ]
    if survived:
        parts += ["### Not convicted under some seed", _lines(f"{_title(one)}: seeds {_survived(found[one.key])}" for one in survived)]
    parts += [
        "## Right NumPy kernels",
        "Alarms: properties that failed, counted over the seeds. Inconclusive ones had no finite bound in any example.",
        _table(HEAD, (_right_row(one, found[one.key]) for one in right if _run(found[one.key]))),
        "## Libraries and generated kernels",
        "The conventions are those that the adapters state with a verdict, and those noted here.",
        _table((*HEAD, "note"), ((*_right_row(one, found[one.key]), one.note) for one in library if _run(found[one.key]))),
    ]
    if alarmed:
        parts += ["### Alarms", _lines(_alarms(alarmed, found, strict))]
    left = [*_left(trials, found), *(f"`{name}`, by someone who had not seen the suite: {why}" for name, why in (waiting or {}).items())]
    if left:
        parts += ["## Not run", _lines(left)]
    return "\n\n".join(parts) + "\n", not survived and not unknown


def _sources(outcomes: Sequence[Outcome]) -> str:
    """Of how many versions of our source the rows are."""
    counts = Counter(one.source for one in outcomes if one.source)
    told = ", ".join(f"{name}: {count}" for name, count in sorted(counts.items()))
    return f" Rows by the source of ours that made them: {told}." if told else ""


#: kernels without time that are named one by one
FEW = 12
KIND_NAMES = {"wrong": "wrong kernels", "right": "right NumPy kernels", "library": "libraries and generated kernels"}
WRONG_HEAD = ("phase", "kernel", "author", "convicted", "by, mostly", "examples", "profile")
HEAD = ("phase", "kernel", "dtype", "seeds", "properties", "alarms", "inconclusive", "examples")


def _summary(wrong: Sequence[Trial], right: Sequence[Trial], library: Sequence[Trial], found: Found, strict: Mapping[str, str]) -> str:
    lines = []
    for title, chosen in (
        ("by someone who had not seen the suite", [one for one in wrong if one.note == "unseen"]),
        ("by the authors of the suite", [one for one in wrong if one.note != "unseen"]),
    ):
        runs = [one for trial in chosen for one in _run(found[trial.key])]
        kernels = sum(bool(_run(found[trial.key])) for trial in chosen)
        convicted = sum(one.convicted_by is not None for one in runs)
        lines.append(f"Wrong kernels {title}: {kernels}, {len(runs)} runs, {convicted} convicted; seeds: {_range(runs)}.")
    for title, those in (("Right NumPy kernels", right), ("Functions of libraries and generated kernels", library)):
        runs = [one for trial in those for one in _run(found[trial.key])]
        tried = [trial for trial in those if _run(found[trial.key])]
        known = sum(bool(one.alarms) for trial in tried if _name(trial) in strict for one in found[trial.key])
        alarms = sum(bool(one.alarms) for one in runs)
        lines.append(
            f"{title}: {len({(one.phase, one.title, str(one.variant)) for one in tried})} in {len(tried)} combinations with a dtype, "
            f"{len(runs)} runs, {alarms} with an alarm ({known} of them known and explained below), "
            f"{sum(bool(one.errors) for one in runs)} with an error of ours; "
            f"{sum(one.tried for one in runs)} properties on {sum(one.examples for one in runs)} examples; seeds: {_range(runs)}."
        )
    return _lines(lines)


def _range(runs: Sequence[Outcome]) -> str:
    seen = Counter(one.seed for one in runs)
    most = max(seen.values(), default=0)
    whole = [seed for seed, count in sorted(seen.items()) if count == most]
    part = [f"{seed} ({count} of {most} runs)" for seed, count in sorted(seen.items()) if count < most]
    return ", ".join([*map(str, whole), *part]) or "none"


def _run(runs: Sequence[Outcome]) -> list[Outcome]:
    return [one for one in runs if not one.unusable]


def _wrong_row(trial: Trial, runs: Sequence[Outcome]) -> tuple[str, ...]:
    made = _run(runs)
    hits = [one for one in made if one.convicted_by is not None]
    by = Counter((one.convicted_by or "").removeprefix(f"{trial.phase}.") for one in hits).most_common(1)
    profile = Counter(one.profile for one in hits).most_common(1)
    middle = str(statistics.median_low([one.examples for one in hits])) if hits else "–"
    word = by[0][0] if by else "–"
    return (trial.phase, _kernel(trial), trial.note, f"{len(hits)} of {len(made)}", word, middle, profile[0][0] if profile else "–")


def _right_row(trial: Trial, runs: Sequence[Outcome]) -> tuple[str, ...]:
    made = _run(runs)
    alarms = Counter(name.removeprefix(f"{trial.phase}.") for one in made for name, _ in one.alarms)
    vague = Counter(name.removeprefix(f"{trial.phase}.") for one in made for name in one.inconclusive)
    return (
        trial.phase,
        _kernel(trial),
        trial.dtype,
        str(len(made)),
        str(max((one.tried for one in made), default=0)),
        ", ".join(f"{name} ×{count}" for name, count in sorted(alarms.items())) or "0",
        ", ".join(f"{name} ×{count}" for name, count in sorted(vague.items())) or "0",
        str(sum(one.examples for one in made)),
    )


def _alarms(trials: Iterable[Trial], found: Found, strict: Mapping[str, str]) -> Iterable[str]:
    for trial in trials:
        for one in found[trial.key]:
            for name, message in (*one.alarms, *((name, f"an error of ours: {text}") for name, text in one.errors)):
                yield f"{_title(trial)}, {trial.dtype}, seed {one.seed}: `{name}`: {message}"
        if _name(trial) in strict:
            yield f"{_title(trial)}, {trial.dtype}: known: {strict[_name(trial)]}"


def _left(trials: Sequence[Trial], found: Found) -> Iterable[str]:
    for trial in trials:
        reasons = {one.unusable for one in found[trial.key] if one.unusable}
        for reason in sorted(reasons):
            yield f"{_title(trial)}, {trial.dtype}: {reason}"
    untried = [trial for trial in trials if not found[trial.key]]
    for kind, dtype in dict.fromkeys((trial.kind, trial.dtype) for trial in untried):
        names = [_title(trial) for trial in untried if (trial.kind, trial.dtype) == (kind, dtype)]
        shown = "; ".join(names) if len(names) <= FEW else f"{len(names)} kernels"
        yield f"No time: {KIND_NAMES[kind]} in {dtype}: {shown}"


def _survived(runs: Sequence[Outcome]) -> str:
    return ", ".join(str(one.seed) for one in _run(runs) if one.convicted_by is None)


def _name(trial: Trial) -> str:
    return f"{trial.phase}: {trial.title}"


def _title(trial: Trial) -> str:
    return f"{trial.phase}: {_kernel(trial)}"


def _kernel(trial: Trial) -> str:
    variant = ", ".join(f"{name}={value}" for name, value in trial.variant.items())
    return f"{trial.title} ({variant})" if variant else trial.title


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join(lines)


def _lines(items: Iterable[str]) -> str:
    return "\n".join(f"- {item.replace(chr(10), ' ')}" for item in items)
