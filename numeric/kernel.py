"""Generated kernels: ``generate(phase, …)`` gives a callable that knows its source, its theorems, its bound and its certificate.

Guarantees: the source comes from the last line of the derivation and nothing else; the same call gives the same bytes. The function
is made by executing that source.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kernelproof import __version__
from kernelproof.numeric.kernel_file import error_bound_text, kernel_source
from kernelproof.numeric.reference import reference
from kernelproof.numeric.rounding import FORMATS, Array
from kernelproof.numeric.signatures import PARAMS, SIGNATURES
from kernelproof.symbolic.errors import InputError, NotBuiltYet
from kernelproof.symbolic.phase import Derivation, Statement
from kernelproof.symbolic.registry import derive, phase as phase_of
from kernelproof.symbolic.serialise import fingerprint

BACKENDS = ("numpy", "cupy")


@dataclass(frozen=True)
class ErrorBound:
    """The rounding-error bound of a kernel: in words, and for given arguments as (reference, bound)."""

    phase: str
    variant: Mapping[str, object]
    dtype: str

    @property
    def statement(self) -> str:
        """The bound in words."""
        return error_bound_text(self.dtype)

    def __call__(self, *arguments: Any, **options: Any) -> tuple[Array, Array]:
        """(reference, bound): |kernel(…) − reference| ≤ bound, entry by entry. Arguments as for the kernel."""
        names = [name.strip() for name in SIGNATURES[self.phase].call.split(", *")[0].split(",")]
        tensors = {name: np.asarray(value) for name, value in zip(names, arguments, strict=True) if name != "params"}
        if "params" in names:
            tensors.update({name: np.asarray(arguments[names.index("params")][name]) for name in PARAMS})
        found = reference(self.phase, self.variant, tensors, options, self.dtype)
        return found.value, found.error

    def __str__(self) -> str:
        return self.statement


@dataclass(frozen=True)
class Kernel:
    """A generated kernel. Call it as the contract says for its phase."""

    derivation: Derivation
    backend: str
    dtype: str
    source: str

    @property
    def phase(self) -> str:
        return self.derivation.phase

    @property
    def variant(self) -> dict[str, object]:
        return dict(self.derivation.variant)

    @property
    def theorems(self) -> tuple[Statement, ...]:
        """The theorems of the phase; ``licences`` of the derivation are those the form rests on."""
        return self.derivation.statements

    @property
    def error_bound(self) -> ErrorBound:
        """The rounding-error bound."""
        return ErrorBound(self.phase, self.variant, self.dtype)

    @cached_property
    def function(self) -> Callable[..., Any]:
        """The function that the source defines."""
        namespace: dict[str, Any] = {"__name__": f"kernelproof_generated_{self.phase}"}
        exec(compile(self.source, f"<kernelproof {self.phase} {self.backend} {self.dtype}>", "exec"), namespace)
        made: Callable[..., Any] = namespace[self.phase]
        return made

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self.function(*arguments, **options)

    @property
    def certificate(self) -> dict[str, Any]:
        """Everything that ``kernelproof check`` needs to derive, regenerate and verify again."""
        return {
            "format": "kernelproof certificate 1",
            "version": __version__,
            "phase": self.phase,
            "variant": self.variant,
            "backend": self.backend,
            "dtype": self.dtype,
            "derivation": self.derivation.fingerprint(),
            "source": fingerprint(self.source),
            "licences": list(self.derivation.licences),
            "theorems": [found.id for found in self.theorems],
        }

    def save(self, path: str | Path) -> tuple[Path, Path]:
        """Write the file and, beside it, ``NAME.certificate.json``; the two paths."""
        target = Path(path)
        if not target.parent.is_dir():
            raise InputError(f"saving the kernel to {target}: the folder {target.parent} does not exist; create it first")
        certificate = target.with_name(f"{target.stem}.certificate.json")
        target.write_text(self.source, encoding="utf-8")
        data = {**self.certificate, "file": target.name}
        certificate.write_text(json.dumps(data, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
        return target, certificate


def generate(phase: str, backend: str = "numpy", dtype: str = "float32", vjp: bool = False, **variant: object) -> Kernel:
    """A kernel for a phase, from the last line of its derivation.

    Raises InputError for an unknown phase, variant, backend or dtype.
    """
    phase_of(phase)
    if backend not in BACKENDS:
        raise InputError(f"generating {phase}: backend {backend!r}; expected one of {', '.join(BACKENDS)}")
    if dtype not in FORMATS:
        raise InputError(f"generating {phase}: dtype {dtype!r}; expected one of {', '.join(FORMATS)}")
    if vjp:
        raise NotBuiltYet(f"generating {phase} with vjp: gradient kernels are not built yet in this version; leave vjp out")
    derivation = derive(phase, **variant)
    if backend == "cupy":
        from kernelproof.numeric.cupy_file import cupy_source

        return Kernel(derivation, backend, dtype, cupy_source(derivation, dtype))
    return Kernel(derivation, backend, dtype, kernel_source(derivation, dtype))
