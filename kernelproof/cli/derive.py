"""``kernelproof derive``: print a derivation, and with ``--check`` the instance check of its theorems.

The instance check is evidence at random concrete sizes, never a proof, and every form of the output says so.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kernelproof.cli.unbuilt import refuse

if TYPE_CHECKING:
    from kernelproof.numeric.instance import InstanceResult

KIND = "instance: random concrete sizes, 50-digit arithmetic"
LIMIT = "The independent second checker is not built yet: nothing in this table is a re-proof."


def execute(arguments: argparse.Namespace) -> int:
    refuse({"--vjp": arguments.vjp, "--check=full": arguments.check == "full"})
    from kernelproof.symbolic.registry import derive, parse_variant

    variant = parse_variant(arguments.phase, arguments.variant)
    derivation = derive(arguments.phase, **variant)
    text = derivation.render(arguments.format)
    if arguments.check is None:
        print(text)
        return 0

    from kernelproof.numeric.instance import check_derivation

    results = check_derivation(derivation)
    print(_with_check(text, results, arguments.format))
    verdicts = [result.verdict for result in results]
    return 0 if "pass" in verdicts and "fail" not in verdicts else 1


def _with_check(text: str, results: Sequence[InstanceResult], form: str) -> str:
    """The derivation with the check after it, or for JSON inside it."""
    if form == "json":
        rows = [{"theorem": r.theorem_id, "verdict": r.verdict, "detail": r.detail} for r in results]
        whole = json.loads(text) | {"check": {"kind": KIND, "reproof": False, "results": rows}}
        return json.dumps(whole, indent=2, ensure_ascii=False, allow_nan=False)

    from tabulate import tabulate

    table = tabulate(
        [(result.theorem_id, result.verdict, result.detail) for result in results],
        headers=("theorem", "verdict", "detail"),
        tablefmt="github" if form == "markdown" else "simple",
        disable_numparse=True,
    )
    lines = [KIND, "", *table.splitlines(), "", LIMIT]
    if form == "latex":
        lines = [f"% {line}".rstrip() for line in lines]
    return "\n".join([text.rstrip("\n"), "", *lines])
