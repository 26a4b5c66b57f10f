"""Running saved counterexamples again: the property, the target of today, exactly the inputs of then.

Guarantees: nothing is drawn, each property runs on the arrays of the file; the same file and target give the same verdict; whatever is
wrong with the file is an :class:`InputError` before the target is loaded. Cannot see: whether the property still says what it said
when the file was written; it is found by its id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from kernelproof.numeric.precision import assumed_precision, assuming
from kernelproof.properties.against import against_id, compared
from kernelproof.properties.isolation import isolated_target
from kernelproof.properties.model import Case, Finding, Property, Setting, held
from kernelproof.properties.profiles import PROFILES
from kernelproof.properties.registry import properties_of
from kernelproof.properties.reproducer import reproducer
from kernelproof.properties.runner import run_property
from kernelproof.properties.saved import Saved, read_saved
from kernelproof.properties.shapes import vjp_of
from kernelproof.properties.targets import Target
from kernelproof.properties.verdict import PropertyVerdict, Verdict
from kernelproof.properties.verify import DEFAULT_SEED, checked_variant, versions
from kernelproof.symbolic.errors import InputError

#: of one counterexample; one example takes far less unless the target hangs
SECONDS = 600.0
PROFILE = PROFILES["quick"]


def replay_target(
    spec: str,
    file: Path,
    *,
    phase: str,
    backend: str = "numpy",
    variant: Mapping[str, object] | None = None,
    supports: Sequence[str] | None = None,
    dtype: str | None = None,
    against: str | None = None,
    max_seconds: float | None = None,
    vjp: bool = False,
    precision: str = "",
) -> Verdict:
    """The verdict on the target that ``spec`` names, on the counterexamples of a file and nothing else."""
    phase = vjp_of(phase) if vjp else phase
    chosen = checked_variant(phase, variant or {})
    saved, whole = read_saved(file, phase, chosen, dtype)
    dtype = saved[0].case.dtype
    circumstances = whole.get("versions")
    changes = precision or str(circumstances.get("precision", "") if isinstance(circumstances, Mapping) else "")
    with (
        assuming(changes),
        isolated_target(spec, phase=phase, variant=chosen, backend=backend, dtype=dtype, supports=supports) as target,
        compared(against, phase, chosen, dtype) as also,
    ):
        return replay(target, saved, also, whole, SECONDS if max_seconds is None else max_seconds)


def replay(target: Target, saved: Sequence[Saved], also: Iterable[Property], whole: Mapping[str, Any], seconds: float = SECONDS) -> Verdict:
    """The verdict on a loaded target; one row a counterexample, in the order of the file."""
    known = {found.id: found for found in (*properties_of(target.phase, target.variant), *also)}
    for one in saved:
        if one.property_id not in known:
            needed = one.property_id == against_id(target.phase)
            advice = "give --against OTHER, as when it was saved" if needed else "write the file again with this version"
            raise InputError(f"replaying {one.property_id}: {target.phase} has no such property here; {advice}")
    rows: list[PropertyVerdict] = []
    interrupted = False
    for one in saved:
        if interrupted:
            break
        row, interrupted = again(target, known[one.property_id], one, seconds)
        rows.append(row)
    seed = whole.get("seed")
    return Verdict(
        target=target.name,
        phase=target.phase,
        variant=dict(target.variant),
        profile=str(whole.get("profile", PROFILE.name)),
        seed=seed if isinstance(seed, int) else DEFAULT_SEED,
        dtype=saved[0].case.dtype,
        versions=versions(target.backend, target.packages),
        properties=tuple(rows),
        interrupted=interrupted,
        isolation=target.isolation,
        conventions=target.conventions,
        precision=assumed_precision(saved[0].case.dtype),
    )


def again(target: Target, subject: Property, saved: Saved, seconds: float) -> tuple[PropertyVerdict, bool]:
    """The runner does it, with a strategy that has one example."""

    def reproduce(found: Property, case: Case, finding: Finding) -> str:
        return reproducer(target, found.id, found.theorem, case, finding)

    lacking = sorted({name for name, _ in saved.case.options} - target.capabilities)
    needing = replace(subject, draw=lambda draw, setting: draw(st.just(saved.case)), needs=subject.needs | frozenset(lacking))
    setting = Setting(target.phase, target.variant, saved.case.dtype, target.capabilities, PROFILE)
    with held(saved.case, saved.inputs):
        found, interrupted = run_property(needing, target.call, setting, seed=DEFAULT_SEED, seconds=seconds, reproduce=reproduce)
    if found.counterexample is not None:
        found = replace(found, counterexample=replace(found.counterexample, given=saved.inputs))
    return found, interrupted
