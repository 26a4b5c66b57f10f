"""Certificates checked from scratch: derive again, regenerate, compare byte for byte, look at the theorems again.

What it does: reads ``NAME.certificate.json`` and the kernel file beside it. Guarantees: the file is never executed before it equals
the regenerated text; every theorem is replayed from its JSON by the second checker (*checked*) and looked at in 50 digits
(*instance*); the kernel is run on a few inputs against its derived bound (*sampled*), and its source in many digits against the
definition (*instance*). Cannot see: what neither checker can, listed in TRUST.md.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from kernelproof import __version__
from kernelproof.numeric.instance import check_statement
from kernelproof.numeric.kept_kernels import Wanted
from kernelproof.numeric.kernel import Kernel, generated_anew, require_generable
from kernelproof.numeric.rechecking import as_derivation, replayed, statements_of
from kernelproof.numeric.rounding import Array
from kernelproof.numeric.samples import sample_call, with_gradient
from kernelproof.numeric.validation import validate
from kernelproof.symbolic.errors import InputError
from kernelproof.symbolic.registry import check_variant
from kernelproof.symbolic.serialise import fingerprint

FORMAT = "kernelproof certificate 1"
FIELDS = ("format", "version", "phase", "variant", "backend", "dtype", "derivation", "source", "licences", "theorems", "file")
KINDS = {"variant": dict, "licences": list, "theorems": list}
#: only in the certificate of a gradient kernel
VJP = "vjp"


@dataclass(frozen=True)
class CertificateCheck:
    """Whether everything held, and one line for each thing looked at."""

    ok: bool
    lines: list[str]


def read(path: Path) -> dict[str, Any]:
    """The certificate; InputError where it is missing, no certificate, or another version's."""
    text = _bytes(path)
    if text is None:
        raise InputError(f"checking {path}: there is no such file that can be read; give the NAME.certificate.json that generate wrote")
    try:
        data = json.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise InputError(f"checking {path}: it is not JSON ({' '.join(str(error).split())}); give a NAME.certificate.json") from None
    if isinstance(data, dict) and isinstance(data.get("version"), str) and data["version"] != __version__:
        raise InputError(
            f"checking {path}: made by kernelproof {data['version']}, this is {__version__}; check it with that version or generate anew"
        )
    missing = [name for name in FIELDS if not isinstance(data, dict) or name not in data]
    if missing:
        raise InputError(f"checking {path}: the fields {', '.join(missing)} are missing; give a NAME.certificate.json that generate wrote")
    wrong = [name for name in FIELDS if not isinstance(data[name], KINDS.get(name, str))]
    wrong += [VJP] if not isinstance(data.get(VJP, False), bool) else []
    if wrong or data["format"] != FORMAT:
        what = f"the field {wrong[0]} has the wrong type" if wrong else f"the format is {data['format']!r}, not {FORMAT!r}"
        raise InputError(f"checking {path}: {what}; give a NAME.certificate.json that generate wrote")
    return data  # type: ignore[no-any-return]


def _bytes(path: Path) -> bytes | None:
    """What is in a file; nothing where there is none that can be read."""
    try:
        return path.read_bytes()
    except (OSError, ValueError):
        return None


def check(path: Path) -> CertificateCheck:
    """Check a certificate and the kernel file beside it."""
    path = Path(path)
    data = read(path)
    try:
        variant: dict[str, Any] = check_variant(data["phase"], data["variant"])
        require_generable(data["phase"], data["backend"], data["dtype"])
        options = tuple(sorted(variant.items()))
        # never a source that was kept on disk
        kernel = generated_anew(Wanted(data["phase"], options, data["backend"], data["dtype"], bool(data.get(VJP, False))))
    except InputError as error:
        raise InputError(f"checking {path}: {error}") from None
    lines: list[str] = []
    ok = True

    def look(held: bool, what: str) -> bool:
        nonlocal ok
        ok = ok and held
        lines.append(f"{'ok  ' if held else 'FAIL'} {what}")
        return held

    look(kernel.origin.fingerprint() == data["derivation"], "derived again: the derivation has the fingerprint of the certificate")
    look(fingerprint(kernel.source) == data["source"], "regenerated: the source has the fingerprint of the certificate")
    made = kernel.certificate
    look(all(made[name] == data[name] for name in ("licences", "theorems")), "the licences and theorems are those of the derivation")
    file = path.parent / Path(data["file"]).name
    found_there = _bytes(file)
    same = found_there == kernel.source.encode()
    equal = f"{file.name} equals the regenerated text byte for byte"
    look(same, equal if found_there is not None else f"{data['file']!r} is there beside the certificate")
    rows = replayed(kernel.origin)
    wrong = [row.detail for row in rows if row.verdict != "pass"]
    fault = f": {wrong[0]}" if wrong else ""
    look(bool(rows) and not wrong, f"checked: {len(rows)} theorems and lines replayed by the second checker from their JSON alone{fault}")
    found = [check_statement(as_derivation(kernel.origin), statement) for statement in statements_of(kernel.origin)]
    failed = [result.theorem_id for result in found if result.verdict == "fail"]
    passed = sum(result.verdict == "pass" for result in found)
    fails = f"; fails: {failed}" if failed else ""
    look(bool(passed) and not failed, f"instance: {passed} of {len(found)} statements hold at random sizes in 50 digits{fails}")
    if same and data["backend"] == "numpy":
        if data["dtype"] == "bfloat16" and find_spec("ml_dtypes") is None:
            raise InputError(f"checking {path}: bfloat16 in NumPy needs the package ml_dtypes; install it: pip install ml_dtypes")
        worst = worst_ratio(kernel)
        look(worst <= 1, f"sampled: worst error over bound {worst:.3g} on five inputs")
        found_exactly = validate(kernel)
        look(found_exactly.passed, f"instance: {found_exactly.summary}")
    elif same:
        lines.append("--   not run: the cupy backend is not executed by check")
    return CertificateCheck(ok, lines)


def worst_ratio(kernel: Kernel) -> float:
    """The largest error over bound on five random inputs; infinite for a result that is not finite, or bounds that say nothing."""
    worst, concluded = 0.0, False
    for seed in range(5):
        arguments, options = sample_call(kernel.phase, kernel.variant, kernel.dtype, seed)
        if kernel.vjp:
            arguments = with_gradient(kernel.phase, kernel.variant, arguments, options, seed)
        expected, bound = kernel.error_bound(*arguments, **options)
        results = kernel(*arguments, **options)
        for result, wanted, most in zip(_flat(results), _flat(expected), _flat(bound), strict=True):
            if result.shape != wanted.shape:
                return math.inf
            known = np.isfinite(most)
            concluded = concluded or bool(known.any())
            worst = max(worst, float(_ratios(result, wanted, most)[known].max(initial=0)))
    return worst if concluded else math.inf


def _ratios(result: Array, expected: Array, bound: Array) -> Array:
    """Error over bound, entry by entry; infinite where there must be no error and is one."""
    with np.errstate(all="ignore"):
        error = np.abs(result.astype(expected.dtype) - expected)
        ratio = np.where(error <= bound, error / np.where(bound > 0, bound, 1), np.where(bound > 0, error / bound, np.inf))
    return np.where(np.isnan(ratio), np.inf, ratio)


def _flat(result: Any) -> list[Array]:
    """The arrays of a result: one, or those of a tuple and of mappings in it."""
    if not isinstance(result, tuple):
        return [np.asarray(result)]
    parts = [part.values() if isinstance(part, dict) else [part] for part in result]
    return [np.asarray(array) for part in parts for array in part]
