"""The kill table: which property convicts each registered wrong kernel, and what the usual check would have said.

What it does: on each of ``mutants.registry`` the properties that its row names are searched in order until one fails; the examples
are those of these searches up to the failure. Beside it stands the usual test: one random input (as many keys as queries), compared
with the reference by ``np.allclose``, called plainly and with every option (causal, mask, …); a check catches a wrong kernel if either
call differs. Guarantees: the same seed and versions give the same table. Cannot see: wrong kernels that nobody registered; the table
says what the properties are worth on these. A check that rejects the generated kernel on the same input catches nothing by rejecting
others: the phases where it does are named and counted apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from tabulate import tabulate

from kernelproof.numeric.gradient_reference import gradient_reference
from kernelproof.numeric.kernel import generate
from kernelproof.properties.call import Call, TargetRaised
from kernelproof.properties.capabilities import cache_of, everything
from kernelproof.properties.model import Case, Inputs, MaskRecipe, Recipe, Setting, build
from kernelproof.properties.mutants.gradient_block_parts import right_gradient
from kernelproof.properties.mutants.parts import Kernel, Wrong
from kernelproof.properties.mutants.registry import WRONG
from kernelproof.properties.profiles import PROFILES
from kernelproof.properties.registry import properties_of
from kernelproof.properties.runner import run_property
from kernelproof.properties.shapes import PHASES, PhaseShape, forward_of, is_vjp, phase_shape, vjp_of
from kernelproof.properties.targets import memory_target
from kernelproof.properties.telling import PLAIN
from kernelproof.properties.tolerance import expected_of
from kernelproof.properties.values import Array
from kernelproof.properties.verify import versions
from kernelproof.symbolic.errors import InputError
from kernelproof.symbolic.registry import check_variant

DTYPE = "float32"
#: name -> relative and absolute tolerance
CHECKS = {"1e-2": (1e-2, 1e-2), "1e-3": (1e-3, 1e-3), "1e-4": (1e-4, 1e-4), "default": (1e-5, 1e-8)}
#: sizes of the usual test, larger than what properties mostly draw
SIZES = {"n": 16, "m": 16, "e": 16, "h": 32, "heads": 4, "f": 4, "vocab": 50}
WIDTH = 16
BATCH = (2,)
OPTIONS: dict[str, object] = {"causal": True, "mask": MaskRecipe("bool"), "scale": 0.5, "eps": 1e-3, "base": 100.0, "start": 3}
SECONDS = 60.0


@dataclass(frozen=True)
class Kill:
    """One wrong kernel. ``property_id`` is None where no property that its row names saw it; ``caught`` has the usual checks."""

    mutant: Wrong
    property_id: str | None
    examples: int
    caught: dict[str, bool]

    def to_json(self) -> dict[str, Any]:
        """The row as plain data."""
        return {
            "mutant": self.mutant.id,
            "phase": self.mutant.phase,
            "variant": dict(self.mutant.variant),
            "reference": self.mutant.reference,
            "profile": self.mutant.profile,
            "property": self.property_id,
            "examples": self.examples,
            "allclose": self.caught,
        }


@dataclass(frozen=True)
class KillTable:
    """All rows, and for each check the phases whose generated kernel it rejects too."""

    rows: tuple[Kill, ...]
    seed: int
    false_alarms: dict[str, tuple[str, ...]]

    @property
    def ok(self) -> bool:
        """Whether every wrong kernel was convicted."""
        return all(row.property_id is not None for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        """The table as plain data for strict JSON."""
        alarms = {name: list(phases) for name, phases in self.false_alarms.items()}
        rows = [row.to_json() for row in self.rows]
        return {"dtype": DTYPE, "seed": self.seed, "versions": versions(), "mutants": rows, "rejects_generated": alarms}

    def __str__(self) -> str:
        shown = [
            (
                f"{row.mutant.phase}: {row.mutant.id}",
                (row.property_id or "not convicted").partition(".")[2] or "not convicted",
                row.examples,
                *("caught" if row.caught[name] else "-" for name in CHECKS),
            )
            for row in self.rows
        ]
        headers = ("wrong kernel", "convicted by", "examples", *(f"allclose {name}" for name in CHECKS))
        table: str = tabulate(shown, headers, disable_numparse=True, colalign=("left", "left", "right", *("left",) * len(CHECKS)))
        total = len(self.rows)
        lines = [f"convicted by a property that names the fault: {sum(row.property_id is not None for row in self.rows)} of {total}"]
        for name in CHECKS:
            alarms = self.false_alarms[name]
            line = f"caught by allclose {name} on one random input: {sum(row.caught[name] for row in self.rows)} of {total}"
            if alarms:
                fair = [row for row in self.rows if row.mutant.phase not in alarms]
                line += f"; it rejects the generated kernel of {', '.join(alarms)} too: "
                line += f"without these {sum(row.caught[name] for row in fair)} of {len(fair)}"
            lines.append(line)
        return "\n\n".join([table, "\n".join(lines)])


def kill_table(phases: Sequence[str] = (), seed: int = 0, show: Callable[[str], None] = lambda text: None) -> KillTable:
    """The table for some phases, or all. ``show`` is told each wrong kernel before it is tried. InputError for an unknown phase."""
    for phase in phases:
        if forward_of(phase) not in PHASES:
            raise InputError(f"making the kill table: phase {phase!r} is not known; choose from {', '.join(PHASES)}")
    chosen = [mutant for mutant in WRONG if not phases or {mutant.phase, forward_of(mutant.phase)} & set(phases)]
    rows = []
    for mutant in chosen:
        show(f"{mutant.phase}: {mutant.id}")
        rows.append(_killed(mutant, seed))
    used = {(row.mutant.phase, tuple(row.mutant.variant.items())) for row in rows}
    alarms = {(phase, name) for phase, variant in used for name, caught in _generated(phase, dict(variant), seed).items() if caught}
    judged = (*PHASES, *map(vjp_of, PHASES))
    return KillTable(tuple(rows), seed, {name: tuple(phase for phase in judged if (phase, name) in alarms) for name in CHECKS})


def _generated(phase: str, variant: dict[str, object], seed: int) -> dict[str, bool]:
    """Of the kernel with nothing wrong: the generated one, or the plain one of ``gradient_block_parts``."""
    if is_vjp(phase):
        return usual(right_gradient(forward_of(phase), variant), phase, variant, seed)
    return usual(generate(phase, dtype=DTYPE, **cast(dict[str, Any], variant)), phase, variant, seed)


def _killed(mutant: Wrong, seed: int) -> Kill:
    chosen = check_variant(forward_of(mutant.phase), mutant.variant)
    shape = phase_shape(mutant.phase, chosen)
    features = sorted({*everything(shape), *cache_of(shape, mutant.function)})
    target = memory_target(mutant.function, phase=mutant.phase, variant=chosen, supports=features)
    profile = replace(PROFILES[mutant.profile], shrink_seconds=0.0)
    setting = Setting(mutant.phase, chosen, DTYPE, target.capabilities, profile)
    known = {found.id: found for found in properties_of(mutant.phase, chosen)}
    caught, examples = usual(mutant.function, mutant.phase, mutant.variant, seed), 0
    # one that names no property is tried on all, the one that was seen to convict it first
    first = f"{mutant.phase}.{mutant.seen_by}"
    for subject in [known[f"{mutant.phase}.{name}"] for name in mutant.names] or sorted(known.values(), key=lambda one: one.id != first):
        found, interrupted = run_property(subject, target.call, setting, seed=seed, seconds=SECONDS, reproduce=lambda *_: "")
        if interrupted:
            raise KeyboardInterrupt
        examples += found.examples
        if found.verdict == "fail":
            return Kill(mutant, subject.id, examples, caught)
    return Kill(mutant, None, examples, caught)


def usual(function: Kernel, phase: str, variant: dict[str, object], seed: int) -> dict[str, bool]:
    """Whether each check rejects the function, on one random input, called plainly or with all options."""
    chosen = check_variant(forward_of(phase), variant)
    shape = phase_shape(phase, chosen)
    call = Call(function, shape)
    rejected = dict.fromkeys(CHECKS, False)
    for options in ({}, {name: OPTIONS[name] for name in shape.options}):
        inputs = build(_random(phase, shape, chosen, options, seed))
        try:
            pairs = _results(call, phase, chosen, inputs)
        except TargetRaised:
            return dict.fromkeys(CHECKS, True)
        for name, (relative, absolute) in CHECKS.items():
            same = all(one.shape == two.shape and np.allclose(one, two, rtol=relative, atol=absolute) for one, two in pairs)
            rejected[name] = rejected[name] or not same
    return rejected


def _results(call: Call, phase: str, variant: dict[str, object], inputs: Inputs) -> list[tuple[Array, Array]]:
    """What came out beside what should have, for the result or for every gradient."""
    if not is_vjp(phase):
        return [(call(inputs.tensors, inputs.options), expected_of(phase, variant, inputs, DTYPE).value)]
    found = call.gradients(inputs.tensors, inputs.options)
    expected = gradient_reference(forward_of(phase), variant, inputs.tensors, inputs.options, DTYPE)
    return [(found[name], approx.value) for name, approx in expected.items()]


def _random(phase: str, shape: PhaseShape, variant: dict[str, object], options: dict[str, object], seed: int) -> Case:
    sizes = {name: SIZES.get(name, WIDTH) for name in shape.sizes}
    if ("d", ("h", 2)) in shape.derived:
        sizes["h"] = WIDTH // 2
    sizes |= {name: math.prod(part if isinstance(part, int) else sizes[part] for part in parts) for name, parts in shape.derived}
    recipes = tuple((one.name, Recipe("ids") if one.below else Recipe("normal", PLAIN[one.role])) for one in shape.tensors)
    return Case(
        phase=phase,
        sizes=tuple(sizes.items()),
        batch=BATCH,
        lead=shape.lead,
        recipes=recipes,
        options=tuple(options.items()),
        variant=tuple(sorted(variant.items())),
        dtype=DTYPE,
        seed=seed,
    )
