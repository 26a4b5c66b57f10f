"""The shapes of JSON values: the exact type that is expected, or an error. True is not 1, and 1.0 is not 1."""

from __future__ import annotations

import json
from typing import Any

from .errors import CheckError


def parsed(document: str) -> Any:
    """A JSON text. A key that stands twice in an object, a number that is not an integer, NaN: errors."""
    try:
        return json.loads(document, object_pairs_hook=_object, parse_float=_no_number, parse_constant=_no_number)
    except (ValueError, RecursionError) as problem:
        raise CheckError(f"no JSON of this format: {type(problem).__name__}: {problem}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise CheckError("an object has a key twice")
    return made


def _no_number(written: str) -> Any:
    raise CheckError(f"{written[:20]} is not an integer")


def integer(value: Any, what: str) -> int:
    """An integer."""
    if type(value) is not int:
        raise CheckError(f"{what}: expected an integer, got {_short(value)}")
    return value


def text(value: Any, what: str) -> str:
    """A text."""
    if type(value) is not str:
        raise CheckError(f"{what}: expected a text, got {_short(value)}")
    return value


def array(value: Any, what: str, length: int | None = None) -> list[Any]:
    """An array, of a length if one is given."""
    if type(value) is not list or length not in (None, len(value)):
        raise CheckError(f"{what}: expected an array{'' if length is None else f' of {length}'}, got {_short(value)}")
    return value


def mapping(value: Any, what: str) -> dict[str, Any]:
    """An object."""
    if type(value) is not dict or not all(type(key) is str for key in value):
        raise CheckError(f"{what}: expected an object, got {_short(value)}")
    return value


def fields(value: Any, what: str, names: tuple[str, ...]) -> list[Any]:
    """The values of an object with exactly these keys."""
    if set(mapping(value, what)) != set(names):
        raise CheckError(f"{what}: expected the keys {', '.join(names)}, got {_short(sorted(value))}")
    return [value[name] for name in names]


def _short(value: Any) -> str:
    """What kind of thing a value is, never longer than a line."""
    shown = repr(value) if isinstance(value, (str, bool, float)) or value is None else type(value).__name__
    return shown if len(shown) < 60 else shown[:57] + "…"
