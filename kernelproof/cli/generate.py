"""``kernelproof generate``: write a kernel and its certificate."""

from __future__ import annotations

import argparse
from typing import Any

from kernelproof.cli.files import require_writable


def execute(arguments: argparse.Namespace) -> int:
    require_writable(arguments.output, "the kernel")
    from kernelproof.numeric.kernel import generate
    from kernelproof.symbolic.registry import parse_variant

    variant: dict[str, Any] = parse_variant(arguments.phase, arguments.variant)
    kernel = generate(arguments.phase, backend=arguments.backend, dtype=arguments.dtype, vjp=arguments.vjp, **variant)
    source, certificate = kernel.save(arguments.output)
    print(f"kernel       {source}")
    print(f"certificate  {certificate}")
    print(f"licensed by  {', '.join(kernel.licences) or 'the definition itself'}")
    return 0
