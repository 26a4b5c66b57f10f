"""Findings as JSON, as text for a terminal, and as JUnit XML.

Guarantees: strict JSON (infinities and NaN as strings); large arrays are summarised, small ones given in full; XML
without characters that XML forbids.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

import numpy as np

from kernelproof.properties.model import Finding
from kernelproof.properties.values import Array

#: arrays of more elements are summarised
MOST_ELEMENTS = 4096
MOST_PRINTED = 200
#: control characters that XML 1.0 cannot hold, not even escaped
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def jsonable(value: object) -> Any:
    """``value`` as plain data for strict JSON."""
    if isinstance(value, np.generic):
        value = np.asarray(value)
    if isinstance(value, np.ndarray):
        return _summary(value) if value.size > MOST_ELEMENTS else jsonable(_plain(value).tolist())
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def _plain(array: Array) -> Array:
    """bfloat16 as float32, which holds every value of it; a long double, which Python's numbers do not hold, as the nearest float64."""
    if array.dtype.kind == "V":
        return array.astype(np.float32)
    return array.astype(np.float64) if array.dtype == np.longdouble else array


def _summary(array: Array) -> dict[str, Any]:
    flat = _plain(array).reshape(-1)
    with np.errstate(all="ignore"):
        extremes = {"min": flat.min(), "max": flat.max()}
    known = {"shape": list(array.shape), "dtype": array.dtype.name, **extremes, "first": flat[:8]}
    return {name: jsonable(value) for name, value in known.items()}


def array_text(value: object) -> str:
    """An input or a result for reading."""
    if not isinstance(value, np.ndarray):
        return str(value)
    shown = np.array2string(_plain(value), threshold=MOST_PRINTED, max_line_width=110, precision=9, separator=", ")
    return (
        f"{value.dtype.name}{list(value.shape)} {shown}"
        if value.ndim < 2
        else f"{value.dtype.name}{list(value.shape)}\n{shown}"
    )


def counterexample_text(name: str, theorem: str, message: str, finding: Finding, reproducer: str) -> str:
    """A failure for the terminal."""
    lines = [f"FAILED {name}", f"  {theorem}"]
    lines += [f"  {message}"] if message else []
    if finding.inputs is not None:
        inputs = {**finding.inputs.tensors, **finding.inputs.options, **finding.inputs.extras}
        lines += [f"  {key} = {_indented(array_text(value))}" for key, value in inputs.items()]
    if finding.observed is not None:
        lines.append(f"  observed = {_indented(array_text(finding.observed))}")
    if finding.expected is not None:
        lines.append(f"  expected = {_indented(array_text(finding.expected))}")
    return "\n".join([*lines, "  this program shows it:", "", reproducer.rstrip()])


def _indented(text: str) -> str:
    return text.replace("\n", "\n    ")


def junit_text(suite: str, rows: Sequence[tuple[str, str, float, str, str]], told: Mapping[str, object] | None = None) -> str:
    """Rows are (id, verdict, seconds, message, reproducer); ``told`` becomes the properties of the suite. Valid under Jenkins' schema."""
    verdicts = [row[1] for row in rows]
    top = ElementTree.Element(
        "testsuite",
        name=_printable(suite),
        tests=str(len(rows)),
        failures=str(verdicts.count("fail")),
        errors=str(verdicts.count("error")),
        skipped=str(verdicts.count("inconclusive") + verdicts.count("not_applicable")),
        time=f"{sum(row[2] for row in rows):.3f}",
    )
    if told:
        listed = ElementTree.SubElement(top, "properties")
        for key, value in told.items():
            ElementTree.SubElement(listed, "property", name=_printable(key), value=_printable(str(value)))
    kinds = {"fail": "failure", "error": "error", "inconclusive": "skipped", "not_applicable": "skipped"}
    for name, verdict, seconds, message, reproducer in rows:
        phase, _, short = name.partition(".")
        case = ElementTree.SubElement(top, "testcase", classname=phase, name=short, time=f"{seconds:.3f}")
        if verdict in kinds:
            outcome = ElementTree.SubElement(case, kinds[verdict], message=_printable(f"{verdict}: {message}"), type=verdict)
            outcome.text = _printable(reproducer)
    ElementTree.indent(top)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(top, encoding="unicode") + "\n"


def _printable(text: str) -> str:
    return _FORBIDDEN.sub("�", text)
