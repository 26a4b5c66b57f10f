"""``kernelproof verify``: test a target against the theorems of its phase, or run saved counterexamples again."""

from __future__ import annotations

import argparse
import json
import sys

from kernelproof.cli.files import require_writable, write
from kernelproof.cli.unbuilt import refuse


def execute(arguments: argparse.Namespace) -> int:
    refuse({"--vjp": arguments.vjp})
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
    }
    if arguments.replay is not None:
        verdict = replay_target(arguments.target, arguments.replay, **chosen)
    else:
        search = {"profile": arguments.profile, "seed": arguments.seed, "progress": sys.stderr.isatty()}
        verdict = verify_target(arguments.target, **chosen, **search)
    if arguments.json is not None:
        write(arguments.json, json.dumps(verdict.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    if arguments.junit is not None:
        write(arguments.junit, verdict.junit())
    print(verdict.table())
    for text in filter(None, (_remarks(arguments, verdict.remarks()), verdict.counterexamples_text())):
        print(f"\n{text}")
    return verdict.exit_code(arguments.strict)


def _remarks(arguments: argparse.Namespace, remarks: str) -> str:
    """Why a row is neither passed nor failed: all of a replay, which is short, else the one that the user asked for."""
    asked = f"{arguments.phase}." if arguments.replay is not None else f"{arguments.phase}.against:"
    return "\n".join(line for line in remarks.splitlines() if line.startswith(asked))
