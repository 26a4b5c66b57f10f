"""Certificates checked from scratch: derive again, regenerate, compare byte for byte, look at the theorems again.

What it does: reads ``NAME.certificate.json`` and the kernel file beside it. Guarantees: the file is never executed before it equals
the regenerated text; every theorem is replayed from its log through the core and looked at in 50 digits (*instance*); the kernel is
run on a few inputs against its derived bound (*sampled*). Cannot see: a fault of the core itself, which replays its own logs; a
checker that shares no code with it is not built yet.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kernelproof import __version__
from kernelproof.numeric.instance import check_derivation
from kernelproof.numeric.kernel import Kernel, generate
from kernelproof.numeric.samples import sample_call
from kernelproof.symbolic.core.theorem import replay
from kernelproof.symbolic.errors import InputError, ProofError
from kernelproof.symbolic.serialise import fingerprint

FIELDS = ("format", "version", "phase", "variant", "backend", "dtype", "derivation", "source", "file")


@dataclass(frozen=True)
class CertificateCheck:
    """Whether everything held, and one line for each thing looked at."""

    ok: bool
    lines: list[str]


def read(path: Path) -> dict[str, Any]:
    """The certificate; InputError where it is missing, no certificate, or another version's."""
    if not path.is_file():
        raise InputError(f"checking {path}: there is no such file; give the NAME.certificate.json that generate wrote")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise InputError(f"checking {path}: it is not JSON ({' '.join(str(error).split())}); give a NAME.certificate.json") from None
    missing = [name for name in FIELDS if not isinstance(data, dict) or name not in data]
    if missing:
        raise InputError(f"checking {path}: the fields {', '.join(missing)} are missing; give a NAME.certificate.json that generate wrote")
    if data["version"] != __version__:
        raise InputError(
            f"checking {path}: made by kernelproof {data['version']}, this is {__version__}; check it with that version or generate anew"
        )
    return data  # type: ignore[no-any-return]


def check(path: Path) -> CertificateCheck:
    """Check a certificate and the kernel file beside it."""
    path = Path(path)
    data = read(path)
    if not isinstance(data["variant"], dict) or not all(isinstance(data[name], str) for name in FIELDS if name != "variant"):
        raise InputError(f"checking {path}: a field has the wrong type; give a NAME.certificate.json that generate wrote")
    kernel = generate(data["phase"], backend=data["backend"], dtype=data["dtype"], **data["variant"])
    lines: list[str] = []
    ok = True

    def look(held: bool, what: str) -> bool:
        nonlocal ok
        ok = ok and held
        lines.append(f"{'ok  ' if held else 'FAIL'} {what}")
        return held

    look(kernel.derivation.fingerprint() == data["derivation"], "derived again: the derivation has the fingerprint of the certificate")
    look(fingerprint(kernel.source) == data["source"], "regenerated: the source has the fingerprint of the certificate")
    file = path.parent / Path(data["file"]).name
    same = file.is_file() and file.read_bytes() == kernel.source.encode()
    look(same, f"{file.name} equals the regenerated text byte for byte" if file.is_file() else f"{file.name} is there beside the certificate")
    look(_replays(kernel), f"{len(kernel.theorems)} theorems and the kernel form replayed from their logs by the core")
    found = check_derivation(kernel.derivation)
    failed = [result.theorem_id for result in found if result.verdict == "fail"]
    passed = sum(result.verdict == "pass" for result in found)
    look(not failed, f"instance: {passed} of {len(found)} statements hold at random sizes in 50 digits" + (f"; fails: {failed}" if failed else ""))
    if same and data["backend"] == "numpy":
        worst = worst_ratio(kernel)
        look(worst <= 1, f"sampled: worst error over bound {worst:.3g} on five inputs")
    elif same:
        lines.append("--   not run: the cupy backend is not executed by check")
    lines.append("--   no second, independent checker yet: a fault of the core itself would not be seen")
    return CertificateCheck(ok, lines)


def _replays(kernel: Kernel) -> bool:
    try:
        for statement in kernel.theorems:
            replay(statement.theorem)
        for clausal in kernel.derivation.clauses:
            for line in clausal.lines:
                replay(line.theorem)
    except ProofError:
        return False
    return True


def worst_ratio(kernel: Kernel) -> float:
    """The largest error over bound on five random inputs."""
    worst = 0.0
    for seed in range(5):
        arguments, options = sample_call(kernel.phase, kernel.variant, kernel.dtype, seed)
        expected, bound = kernel.error_bound(*arguments, **options)
        error = np.abs(np.asarray(kernel(*arguments, **options)).astype(expected.dtype) - expected)
        ratio = np.where(np.isfinite(bound), np.where(error == 0, 0, error / np.where(bound > 0, bound, np.finfo(np.float64).tiny)), 0)
        worst = max(worst, float(ratio.max(initial=0)))
    return worst
