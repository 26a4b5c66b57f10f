"""``kernelproof verify``: test a target against the theorems of its phase, or run saved counterexamples again."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING

from kernelproof.cli.files import require_writable, write

if TYPE_CHECKING:
    from kernelproof.properties.verdict import Verdict

#: counterexamples shown in full
MOST_SHOWN = 3


def execute(arguments: argparse.Namespace) -> int:
    began = time.perf_counter()
    for path in (arguments.json, arguments.junit):
        if path is not None:
            require_writable(path, "the verdict")
    from kernelproof.properties.replay import replay_target
    from kernelproof.properties.verify import verify_target
    from kernelproof.symbolic.registry import parse_variant

    chosen = {
        "phase": arguments.phase,
        "backend": arguments.backend,
        "variant": parse_variant(arguments.phase, arguments.variant),
        "supports": arguments.supports,
        "dtype": arguments.dtype,
        "max_seconds": arguments.max_seconds,
        "against": arguments.against,
        "vjp": arguments.vjp,
        "precision": arguments.precision,
    }
    if arguments.replay is not None:
        verdict = replay_target(arguments.target, arguments.replay, **chosen)
    else:
        search = {"profile": arguments.profile, "seed": arguments.seed, "progress": sys.stderr.isatty(), "began": began}
        verdict = verify_target(arguments.target, **chosen, **search)
    if arguments.json is not None:
        write(arguments.json, json.dumps(verdict.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    if arguments.junit is not None:
        write(arguments.junit, verdict.junit())
    print(verdict.table())
    shown = None if arguments.replay is not None else MOST_SHOWN
    why = str(verdict.forensics or "")
    for text in filter(None, (verdict.reasons(), verdict.counterexamples_text(shown), why, verdict.summary(), _next(arguments, verdict))):
        print(f"\n{text}")
    return verdict.exit_code(arguments.strict)


def _next(arguments: argparse.Namespace, verdict: Verdict) -> str:
    """What a person does now."""
    if verdict.verdict == "fail" and arguments.replay is None:
        if arguments.json is None:
            return "to keep the counterexamples: add --json FILE; then --replay FILE runs them again, without a search, after a change"
        return f"to run these counterexamples again after a change: the same command with --replay {arguments.json}"
    return ""
