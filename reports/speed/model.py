"""What a benchmark found, as data: rows, comparisons, and their strict JSON.

Guarantees: a verdict on a target follows from the numbers that stand beside it; reading back what was written gives equal objects; a file
that is none of ours is refused in one line. Cannot see: how the numbers came about.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from kernelproof.symbolic.errors import InputError

FORMAT = "kernelproof speed 1"
MEASURED, NOT_THERE, FAILED, DIFFERS = "measured", "not there", "failed", "differs"
#: of a comparison: the part of the result that was held to its bound agrees with the rival's, the rest does not
ELSEWHERE = "differs elsewhere"
NOT_BUILT, WRONG = "not built", "wrong"
MET, MISSED = "met", "missed"


@dataclass(frozen=True)
class Comparison:
    """Our kernel against one rival. ``ratio`` is ours / theirs, the median of ``rounds``; ``low`` and ``high`` its quartiles."""

    rival: str
    status: str
    what: str = ""
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    rounds: int = 0
    ours_seconds: float | None = None
    theirs_seconds: float | None = None
    target: float | None = None
    #: the ratio that the floor alone would have, where the floor was measured in the same run
    floor: float | None = None
    cause: str = ""

    @property
    def verdict(self) -> str:
        """``met`` or ``missed``; nothing where there is no target or no ratio."""
        if self.target is None or self.ratio is None:
            return ""
        return MET if self.ratio <= self.target else MISSED


@dataclass(frozen=True)
class Aim:
    """Something beside time: a largest error, or memory beyond the inputs in megabytes."""

    name: str
    value: float
    target: float
    note: str = ""

    @property
    def verdict(self) -> str:
        """``met`` or ``missed``."""
        return MET if self.value <= self.target else MISSED


@dataclass(frozen=True)
class Row:
    """One workload: which kernel was timed, how it was checked, what came out."""

    name: str
    phase: str
    vjp: bool
    variant: Mapping[str, object]
    sizes: Mapping[str, int]
    options: Mapping[str, object]
    status: str
    #: the first twelve digits of the SHA-256 of the kernel's source
    kernel: str = ""
    tuned: Mapping[str, int] = field(default_factory=dict)
    check: str = ""
    checked: str = ""
    worst_error_over_bound: float | None = None
    seconds: float | None = None
    error: str = ""
    dtype: str = "float32"
    #: constants of the kernel's file that were set otherwise than generated
    constants: Mapping[str, object] = field(default_factory=dict)
    #: operations and bytes of the work, seconds of the call's host code, where the row is one of a GPU
    figures: Mapping[str, float] = field(default_factory=dict)
    comparisons: tuple[Comparison, ...] = ()
    aims: tuple[Aim, ...] = ()

    def comparison(self, rival: str) -> Comparison | None:
        """The comparison with a rival, None where there is none."""
        return next((one for one in self.comparisons if one.rival == rival), None)


@dataclass(frozen=True)
class Table:
    """A run: the machine it was made on, and its rows. ``complete`` is false where it was interrupted.

    ``cuda`` are the rows of a GPU, with what is to be known of it as their machine.
    """

    machine: Mapping[str, Any]
    rows: tuple[Row, ...]
    complete: bool = True
    cuda: Table | None = None

    @property
    def ok(self) -> bool:
        """Whether something was measured, and no kernel or rival was wrong."""
        rows = (*self.rows, *(self.cuda.rows if self.cuda else ()))
        return any(row.status == MEASURED for row in rows) and all(row.status != WRONG for row in rows)

    def counted(self) -> tuple[int, int]:
        """How many targets were met, and how many were missed."""
        verdicts = [one.verdict for row in self.rows for one in row.comparisons]
        verdicts += [one.verdict for row in self.rows for one in row.aims]
        return verdicts.count(MET), verdicts.count(MISSED)

    def to_json(self) -> str:
        """Strict JSON; verdicts are written out, and read again from their numbers."""
        data = {"format": FORMAT, **self._data(), **({"cuda": self.cuda._data()} if self.cuda else {})}
        return json.dumps(_strict(data), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def _data(self) -> dict[str, Any]:
        rows = []
        for row in self.rows:
            data = asdict(row)
            data["comparisons"] = [{**asdict(one), "verdict": one.verdict} for one in row.comparisons]
            data["aims"] = [{**asdict(one), "verdict": one.verdict} for one in row.aims]
            rows.append(data)
        return {"machine": dict(self.machine), "complete": self.complete, "rows": rows}


def _strict(value: Any) -> Any:
    """Infinities and NaN as strings."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {name: _strict(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(part) for part in value]
    return value


def read_table(path: Path) -> Table:
    """A table from its JSON; InputError where it is none."""
    doing = f"reading the measurements of {path}"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{doing}: {' '.join(str(error).split())}; give a file that 'kernelproof bench --json' wrote") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise InputError(f"{doing}: expected the format {FORMAT!r}; give a file that 'kernelproof bench --json' wrote")
    try:
        return replace(_table(data), cuda=_table(data["cuda"]) if "cuda" in data else None)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{doing}: a field is missing or unknown ({error}); measure again with 'kernelproof bench --json'") from None


def _table(data: Mapping[str, Any]) -> Table:
    return Table(data["machine"], tuple(_row(row) for row in data["rows"]), data["complete"])


def _row(data: Mapping[str, Any]) -> Row:
    def parts(name: str, kind: Any) -> tuple[Any, ...]:
        return tuple(kind(**{key: value for key, value in one.items() if key != "verdict"}) for one in data[name])

    worst = data["worst_error_over_bound"]
    plain = {**data, "worst_error_over_bound": float(worst) if isinstance(worst, str) else worst}
    return Row(**{**plain, "comparisons": parts("comparisons", Comparison), "aims": parts("aims", Aim)})
