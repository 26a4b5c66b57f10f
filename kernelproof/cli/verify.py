"""``kernelproof verify``: test a target against the theorems of its phase."""

from __future__ import annotations

import argparse
import json
import sys

from kernelproof.cli.files import require_writable, write
from kernelproof.cli.unbuilt import refuse


def execute(arguments: argparse.Namespace) -> int:
    refuse(
        {
            "--vjp": arguments.vjp,
            "--against": arguments.against is not None,
            "--replay": arguments.replay is not None,
        }
    )
    for path in (arguments.json, arguments.junit):
        if path is not None:
            require_writable(path, "the verdict")
    from kernelproof.properties.verify import verify_target
    from kernelproof.symbolic.registry import parse_variant

    verdict = verify_target(
        arguments.target,
        phase=arguments.phase,
        backend=arguments.backend,
        variant=parse_variant(arguments.phase, arguments.variant),
        supports=arguments.supports,
        dtype=arguments.dtype,
        profile=arguments.profile,
        max_seconds=arguments.max_seconds,
        seed=arguments.seed,
        progress=sys.stderr.isatty(),
    )
    if arguments.json is not None:
        write(arguments.json, json.dumps(verdict.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    if arguments.junit is not None:
        write(arguments.junit, verdict.junit())
    print(verdict.table())
    counterexamples = verdict.counterexamples_text()
    if counterexamples:
        print(f"\n{counterexamples}")
    return verdict.exit_code(arguments.strict)
