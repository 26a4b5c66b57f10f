"""``kernelproof derive``: print a derivation or a gradient, and with ``--check`` look at its theorems again, independently.

Each look is labelled as what it is: the second checker's replay is a *checked* proof; the others are evidence at random concrete sizes
and say so.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kernelproof.numeric.rechecking import Row


def execute(arguments: argparse.Namespace) -> int:
    from kernelproof.symbolic.registry import derive, gradient, parse_variant

    variant = parse_variant(arguments.phase, arguments.variant)
    source = gradient(arguments.phase, **variant) if arguments.vjp else derive(arguments.phase, **variant)
    text = source.render(arguments.format)
    if arguments.check is None:
        print(text)
        return 0

    from kernelproof.numeric.rechecking import KINDS, recheck

    rows = recheck(source, full=arguments.check == "full")
    print(_with_check(text, rows, KINDS, arguments.format))
    verdicts = [row.verdict for row in rows]
    return 0 if "pass" in verdicts and "fail" not in verdicts else 1


def _with_check(text: str, rows: Sequence[Row], kinds: dict[str, str], form: str) -> str:
    """The derivation with the looks after it, or for JSON inside it."""
    shown = [look for look in kinds if any(row.look == look for row in rows)]
    if form == "json":
        results = [{"theorem": row.theorem, "look": row.look, "verdict": row.verdict, "detail": row.detail} for row in rows]
        whole = json.loads(text) | {"check": {"looks": {look: kinds[look] for look in shown}, "results": results}}
        return json.dumps(whole, indent=2, ensure_ascii=False, allow_nan=False)

    from tabulate import tabulate

    by_theorem: dict[str, dict[str, Row]] = {}
    for row in rows:
        by_theorem.setdefault(row.theorem, {})[row.look] = row
    table = tabulate(
        [
            (theorem, *(found[look].verdict.replace("_", " ") if look in found else "" for look in shown))
            for theorem, found in by_theorem.items()
        ],
        headers=("theorem", *shown),
        tablefmt="github" if form == "markdown" else "simple",
        disable_numparse=True,
    )
    lines = [*(f"{look}: {kinds[look]}" for look in shown), "", *table.splitlines(), "", *_counts(rows, shown)]
    lines += [f"{row.theorem}, {row.look}: {row.verdict}: {row.detail}" for row in rows if row.verdict in ("fail", "unknown")]
    if form == "latex":
        lines = [f"% {line}".rstrip() for line in lines]
    return "\n".join([text.rstrip("\n"), "", *lines])


def _counts(rows: Sequence[Row], shown: Sequence[str]) -> list[str]:
    """``replay: 12 pass``, one line for each look."""
    lines = []
    for look in shown:
        verdicts = [row.verdict for row in rows if row.look == look]
        counted = ", ".join(f"{verdicts.count(word)} {word.replace('_', ' ')}" for word in dict.fromkeys(sorted(verdicts)))
        lines.append(f"{look}: {counted}")
    return lines
