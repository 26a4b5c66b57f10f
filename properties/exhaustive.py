"""All positions of a long table are distinct: ``separation`` as a property of ``positional``, of a length that the profile chooses.

What it does: one example a run, nothing drawn. Shorter tables come first, so that what is shown is small; the target is read in blocks, in
its worker. Guarantees: a failure names the first two positions that share a row though they are further apart than rounding can hide;
rows that rounding alone makes equal, as in 16-bit formats, make it inconclusive, with the first collision said.
Cannot see: what ``separation`` cannot; another width, base or start than those tried. The table is judged in the format it comes in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from kernelproof.properties.call import Call, TargetRaised
from kernelproof.properties.model import Case, Finding, Inputs, Property, Setting
from kernelproof.properties.separation import Positions, positions_of
from kernelproof.properties.targets import Target
from kernelproof.symbolic.errors import InputError

ID = "positional.uniqueness_exhaustive"
#: positions and width by profile, and the seconds of a run from which they are worth it
LENGTHS = {"quick": (4096, 64, 0.0), "standard": (100_000, 128, 20.0), "thorough": (1_000_000, 512, 180.0)}
#: tables that are tried before, where the profile's is longer
SHORTER = (4096, 65536)


def exhaustive_properties(phase: str, variant: Mapping[str, object]) -> list[Property]:
    """The property, for the phase that has positions."""
    if phase != "positional":
        return []
    return [
        Property(
            id=ID,
            title="All positions of a long table have different rows, every pair of them",
            theorem="p ≠ q ⊢ row p ≠ row q, for all p, q < N: positional.distance, less the rounding bound; else every row's bits hashed",
            phase=phase,
            draw=_draw,
            check=_check,
        )
    ]


def length(setting: Setting) -> tuple[int, int]:
    """How many positions, and how wide, for a profile and its seconds."""
    names = list(LENGTHS)
    known = names[: names.index(setting.profile.name) + 1] if setting.profile.name in LENGTHS else names[:1]
    count, width, _ = next((LENGTHS[name] for name in reversed(known) if setting.profile.seconds >= LENGTHS[name][2]), LENGTHS[names[0]])
    return count, width


def _draw(draw: DrawFn, setting: Setting) -> Case:
    count, width = length(setting)
    sizes = {"n": count, "d": width}
    if setting.variant.get("layout") == "halves":
        sizes["h"] = width // 2
    return draw(
        st.just(Case("positional", tuple(sizes.items()), variant=tuple(sorted(setting.variant.items())), dtype=setting.dtype))
    )


def _check(call: Call, case: Case, setting: Setting) -> Finding:
    target = Target(
        name="the target", function=call.function, origin="memory", place="", attribute="", phase="positional",
        variant=dict(case.variant), capabilities=setting.capabilities, remote=call,
    )
    count, width = case.size("n"), case.size("d")
    for tried in (*(short for short in SHORTER if short < count), count):
        try:
            found = positions_of(target, tried, width, until=setting.ends)
        except InputError as error:
            return Finding(ok=True, vacuous=True, message=str(error))
        except TargetRaised as error:
            if error.text.startswith("returned shape"):
                return Finding(ok=True, vacuous=True, message="the result has another shape than the contract's")
            raise
        if found.verdict != "pass":
            break
    return _told(found, setting)


def _told(found: Positions, setting: Setting) -> Finding:
    """With a program that asks for the two rows alone, where the target can start anywhere."""
    near = found.nearest
    if found.collision is None:
        left = near.distance - near.error
        return Finding(ok=True, ratio=min(found.subtracted / left, 1.0) if left > 0 and found.decided_by == "separation" else 0.0)
    p, q = found.collision.p, found.collision.q
    if found.collision.explained:
        told = f"positions {p} and {q} have the same row in {found.dtype}, and rounding alone can make them equal"
        return Finding(ok=True, vacuous=True, message=told)
    alone = "start" in setting.capabilities
    rows = f"np.concatenate([np.asarray(target(1, d_model, start=at)) for at in ({p}, {q})])"
    return replace(
        found.finding(),
        ratio=math.inf,
        message=f"positions {p} and {q} have the same row (the first collision of {found.positions}), though they are further apart than "
        "rounding can hide",
        inputs=Inputs({}, {"n_positions": 1 if alone else q + 1, "d_model": found.width}),
        script=f"observed = {rows}" if alone else f"observed = np.asarray(target(n_positions, d_model))[[{p}, {q}]]",
        assertion="(observed[0] + 0).tobytes() != (observed[1] + 0).tobytes()",
    )
