"""How verdicts and statuses look: a mark, words, and what they mean; the same in Markdown, HTML and figures.

Guarantees: no verdict depends on colour alone; a verdict this file does not know is printed as it is, never dropped.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from kernelproof.reports.model import PropertyRow


@dataclass(frozen=True)
class Look:
    """A verdict's mark, words and tone; the tone names a colour of style.css."""

    mark: str
    words: str
    tone: str
    meaning: str


_LOOKS = {
    "pass": Look("✓", "pass", "good", "held on every example, with an error below a bound that means something"),
    "fail": Look("✗", "fail", "bad", "a counterexample was found"),
    "inconclusive": Look("≈", "inconclusive", "doubt", "the error bound was too wide to mean anything"),
    "not_applicable": Look("–", "not applicable", "quiet", "the kernel claims no such feature; not counted as a pass"),
    "error": Look("!", "error", "bad", "our own harness failed; this says nothing about the kernel"),
    "proved": Look("■", "proved", "good", "derived by the rules of the trusted core, for all sizes"),
    "checked": Look("◆", "checked", "good", "decided for all sizes by a program outside the trusted core"),
    "instance": Look("◧", "instance", "doubt", "decided for some fixed sizes only; not a proof"),
    "sampled": Look("◌", "sampled", "doubt", "tested on random numbers; not a proof"),
    "assumed": Look("△", "assumed", "doubt", "taken without a proof"),
}


def look(verdict: str) -> Look:
    """How ``verdict`` (or a theorem's status) is shown."""
    return _LOOKS.get(verdict, Look("?", verdict, "quiet", "unknown to this version"))


def ratio(value: float | None) -> str:
    """A worst error over its bound, in few digits."""
    if value is None:
        return "—"
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞"
    if 0.95 < value < 1.05 and value != 1:  # rounding must not hide which side of the bound it is on
        close = f"{value:.3f}"
        return close if close != "1.000" else ("<1" if value < 1 else ">1")
    return f"{value:.2g}" if value < 100 else f"{value:.3g}"


def seconds(value: float) -> str:
    """A duration in seconds."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def tally(rows: Iterable[PropertyRow]) -> tuple[tuple[str, int], ...]:
    """How many rows have each verdict, worst first."""
    counts = Counter(row.verdict for row in rows)
    order = ["fail", "error", *sorted(set(counts) - set(_LOOKS)), "inconclusive", "pass", "not_applicable"]
    return tuple((verdict, counts[verdict]) for verdict in order if counts[verdict])


def worst_ratio(rows: Iterable[PropertyRow]) -> float | None:
    """The largest error over its bound; NaN counts as larger than all."""
    values = [row.worst_error_over_bound for row in rows if row.worst_error_over_bound is not None]
    return max(values, key=lambda value: math.inf if math.isnan(value) else value, default=None)
