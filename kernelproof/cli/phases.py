"""``kernelproof phases``: what there is."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kernelproof.symbolic.phase import Phase


def execute(arguments: argparse.Namespace) -> int:
    from kernelproof.properties.registry import property_table
    from kernelproof.symbolic.registry import phases

    print("\n\n".join("\n".join(_lines(phase, property_table(name))) for name, phase in phases().items()))
    return 0


def _lines(phase: Phase, properties: Iterable[tuple[str, str]]) -> list[str]:
    lines = [f"{phase.name}: {phase.title}", f"  {phase.summary}"]
    variants = [
        (f"{option.name}={_choices(option.default, option.choices)}{f'|{option.more.shown}' if option.more else ''}", option.meaning)
        for option in (*phase.variants.values(), *phase.opened.values())
    ]
    for heading, rows in (
        ("variants", variants),
        ("theorems", list(phase.theorem_titles.items())),
        ("properties", list(properties)),
    ):
        if rows:
            width = max(len(key) for key, _ in rows)
            lines += [f"  {heading}", *(f"    {key:<{width}}  {text}".rstrip() for key, text in rows)]
    return lines


def _choices(default: object, choices: Iterable[object]) -> str:
    """The values as they are typed, the default first."""
    others = [choice for choice in choices if choice != default or type(choice) is not type(default)]
    return "|".join([f"{_typed(default)} (default)", *map(_typed, others)])


def _typed(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)
