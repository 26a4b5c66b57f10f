"""The campaign: from each theorem false neighbours, refuted by a numeric witness, none of which may be proved or accepted.

What it does: for every theorem of every phase and gradient, takes neighbours (:mod:`.neighbours`) until enough are refuted in a world in
which their hypotheses hold; the others are counted as true or undecided, and dropped. Each false one is put to the attacks of
:mod:`.attacks` and to the second checker. Guarantees: a false neighbour that got through is in the result, with its proof.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from kernelproof.symbolic.checker import CheckError, check
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.logs import size as size_of
from kernelproof.symbolic.phase import Derivation, Gradient
from kernelproof.symbolic.soundness.attacks import by_arithmetic, by_sums_of_products, forged, rerun, states
from kernelproof.symbolic.soundness.evaluator import Evaluation, World
from kernelproof.symbolic.soundness.neighbours import KINDS, Neighbour, neighbours
from kernelproof.symbolic.soundness.worlds import Setting, setting, worlds
from kernelproof.symbolic.trust import derivations_and_gradients

#: false neighbours that every theorem must have
LEAST = 10
#: whether an attack got the neighbour through; None where it cannot be tried
Attack = Callable[[Theorem, Neighbour], bool | None]


@dataclass
class Count:
    """What the campaign saw of a phase."""

    theorems: int = 0
    neighbours: int = 0
    dropped: int = 0
    accepted: dict[str, int] = field(default_factory=dict)
    tried: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    few: list[str] = field(default_factory=list)
    holes: list[tuple[str, str, Neighbour]] = field(default_factory=list)

    @property
    def refuted(self) -> int:
        """Neighbours with a numeric witness against them."""
        return self.neighbours - self.dropped


def _by_log(theorem: Theorem, wanted: Neighbour) -> bool:
    found = rerun(theorem, wanted)
    return found is not None and states(found, wanted)


def _by_checker(theorem: Theorem, wanted: Neighbour) -> bool:
    try:
        check(forged(theorem, wanted))
    except CheckError:
        return False
    return True


ATTACKS: dict[str, Attack] = {
    "arithmetic": by_arithmetic, "sums": by_sums_of_products, "edited log": _by_log, "checker": _by_checker,
}


def owners(every_variant: bool = True) -> Iterator[Derivation | Gradient]:
    """Derivations and gradients; of each phase only the first variant, unless all are wanted."""
    seen: set[tuple[str, bool]] = set()
    for owner in derivations_and_gradients():
        key = (owner.phase, isinstance(owner, Gradient))
        if every_variant or key not in seen:
            seen.add(key)
            yield owner


def refuted(about: Setting, there: list[tuple[World, Evaluation]], one: Neighbour) -> bool:
    """Whether a world shows that the neighbour is false."""
    if one.missing is not None:
        others = islice(worlds(about, range(12), largest=2, but=one.missing), 4)
        return any(not world.holds(one.conclusion) for world in others)
    return any(not evaluation.holds(one.conclusion, world.variables) for world, evaluation in there)


def telling(about: Setting, count: int) -> list[World]:
    """Worlds in which a difference is likely to show: those with the fewest empty ranges and the most different sizes."""
    found = list(islice(worlds(about, range(80), largest=2), 8 * count))

    def empty_ranges(world: World) -> tuple[int, int]:
        sizes = [value for var, value in world.variables.items() if var.kind == "size"]
        return sum(not value for value in sizes), -len(set(sizes))

    return sorted(found, key=empty_ranges)[:count]


def campaign(
    owners: Iterable[Derivation | Gradient], wanted: int = LEAST, witnesses: int = 3, heavy: int = 1, limit: int = 150
) -> dict[str, Count]:
    """Counts by phase: so many false neighbours of each theorem, each with that many worlds to refute it.

    What takes long is tried with ``heavy`` of the neighbours of a theorem only: moving sums about, and checking logs of more steps than
    ``limit``.
    """
    counts: dict[str, Count] = {}
    for owner in owners:
        count = counts.setdefault(owner.phase + (" gradient" if isinstance(owner, Gradient) else ""), Count())
        for found in owner.statements:
            about = setting(owner, found)
            there = [(world, Evaluation(world)) for world in telling(about, witnesses)]
            false, size = 0, size_of(about.theorem)
            count.theorems += 1
            for one in neighbours(about.theorem.hypotheses, about.theorem.conclusion, seed=len(found.id)):
                count.neighbours += 1
                if not refuted(about, there, one):
                    count.dropped += 1
                    continue
                false += 1
                count.kinds[one.kind] += 1
                for name, attack in ATTACKS.items():
                    if false <= heavy or name not in ("sums", "checker") or (name == "checker" and size <= limit):
                        through = attack(about.theorem, one)
                        count.tried[name] = count.tried.get(name, 0) + (through is not None)
                        if through:
                            count.accepted[name] = count.accepted.get(name, 0) + 1
                            count.holes.append((found.id, name, one))
                if false == wanted:
                    break
            if false < LEAST:
                count.few.append(f"{found.id} ({false})")
    return counts


def table(counts: dict[str, Count]) -> str:
    """The counts as text, a line for each phase and a last one for all."""
    head = ("", "theorems", "neighbours", "true or undecided", "refuted", *(f"{name}: accepted/tried" for name in ATTACKS))
    rows = [head, *(_row(name, [count]) for name, count in counts.items()), _row("all", list(counts.values()))]
    widths = [max(len(row[place]) for row in rows) for place in range(len(head))]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    kinds = {kind: sum(count.kinds[kind] for count in counts.values()) for kind in KINDS}
    return "\n".join([*lines, "", "refuted, by kind: " + ", ".join(f"{kind} {number}" for kind, number in kinds.items())])


def _row(name: str, counts: list[Count]) -> tuple[str, ...]:
    numbers = [sum(getattr(count, column) for count in counts) for column in ("theorems", "neighbours", "dropped", "refuted")]
    attacks = [f"{sum(c.accepted.get(attack, 0) for c in counts)}/{sum(c.tried.get(attack, 0) for c in counts)}" for attack in ATTACKS]
    return name, *map(str, numbers), *attacks
