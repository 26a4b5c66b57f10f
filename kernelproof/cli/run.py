"""``kernelproof run``: the main job on a text, ending with the path of its report."""

from __future__ import annotations

import argparse


def execute(arguments: argparse.Namespace) -> int:
    from kernelproof.main_job import run

    written = run(
        arguments.text_file,
        arguments.output,
        tokenizer=arguments.tokenizer,
        max_tokens=arguments.max_tokens,
        seed=arguments.seed,
        progress=True,
    )
    print(written.path)
    return 130 if written.interrupted else 0 if written.ok else 1
