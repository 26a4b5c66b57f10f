"""Generated kernels: ``generate(phase, …)`` gives a callable that knows its source, its theorems, its bound and its certificate.

With ``vjp`` the kernel is that of the phase's gradient, from its derived definitions. Guarantees: the source comes from the last line of
the derivation, or from those definitions, and nothing else; the same call gives the same bytes. The function is made by executing that
source.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from kernelproof import __version__
from kernelproof.numeric.error_bounds import ErrorBound, GradientErrorBound
from kernelproof.numeric.gradient_file import gradient_licences, gradient_source
from kernelproof.numeric.gradient_signature import vjp_name
from kernelproof.numeric.kept_kernels import Kept, Wanted, cache_folder, keep, kept
from kernelproof.numeric.kernel_file import kernel_source, licences_of
from kernelproof.numeric.rounding import FORMATS
from kernelproof.numeric.tuning import apply
from kernelproof.symbolic.errors import InputError
from kernelproof.symbolic.phase import Derivation, Gradient, Statement
from kernelproof.symbolic.registry import check_variant, derive
from kernelproof.symbolic.registry import gradient as gradient_of
from kernelproof.symbolic.registry import phase as phase_of
from kernelproof.symbolic.serialise import fingerprint

BACKENDS = ("numpy", "cupy")


@dataclass(frozen=True)
class Kernel:
    """A generated kernel. Call it as the contract says for its phase; with ``vjp`` it is the gradient kernel ``PHASE_vjp``.

    ``options`` is the full variant; ``kept`` stands where the source was read from disk, and the derivation is made when it is asked for.
    """

    phase: str
    options: tuple[tuple[str, object], ...]
    backend: str
    dtype: str
    source: str
    vjp: bool = False
    kept: Kept | None = None

    @property
    def variant(self) -> dict[str, object]:
        return dict(self.options)

    @property
    def name(self) -> str:
        """The name of the function in the file."""
        return vjp_name(self.phase) if self.vjp else self.phase

    @cached_property
    def origin(self) -> Derivation | Gradient:
        """What the source was generated from: the derivation of the phase, or of its gradient.

        Raises InputError where a source from disk says that it came from another one.
        """
        found = gradient_of(self.phase, **self.variant) if self.vjp else derive(self.phase, **self.variant)
        if self.kept is not None and self.kept.derivation != found.fingerprint():
            raise InputError(
                f"deriving {self.name}: its source, kept in {cache_folder()}, came from a derivation with another fingerprint; "
                "delete that folder and generate anew"
            )
        return found

    @property
    def derivation(self) -> Derivation:
        """The derivation of the phase."""
        return self.origin if isinstance(self.origin, Derivation) else derive(self.phase, **self.variant)

    @property
    def gradient(self) -> Gradient | None:
        """The derivation of the gradient, None where the kernel is that of the phase itself."""
        return self.origin if isinstance(self.origin, Gradient) else None

    @property
    def theorems(self) -> tuple[Statement, ...]:
        """The theorems of the phase, or of its gradient; :attr:`licences` are those the form rests on."""
        return self.origin.statements

    @property
    def licences(self) -> tuple[str, ...]:
        """Ids of the theorems that license the form: the derivation's and the schedule's."""
        return self.kept.licences if self.kept is not None else _licences(self.origin, self.backend, self.dtype)

    @property
    def error_bound(self) -> ErrorBound | GradientErrorBound:
        """The rounding-error bound; of a gradient kernel one for each gradient."""
        kind = GradientErrorBound if self.vjp else ErrorBound
        return kind(self.phase, self.variant, self.dtype)

    @cached_property
    def function(self) -> Callable[..., Any]:
        """The function that the source defines."""
        namespace: dict[str, Any] = {"__name__": f"kernelproof_generated_{self.name}"}
        exec(compile(self.source, f"<kernelproof {self.name} {self.backend} {self.dtype}>", "exec"), namespace)
        apply(f"{self.phase}.vjp" if self.vjp else self.phase, namespace)  # block sizes of this machine, where some were found
        made: Callable[..., Any] = namespace[self.name]
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
            "derivation": self.origin.fingerprint(),
            "source": fingerprint(self.source),
            "licences": list(self.licences),
            "theorems": [found.id for found in self.theorems],
            **({"vjp": True} if self.vjp else {}),
        }

    def save(self, path: str | Path) -> tuple[Path, Path]:
        """Write the file and, beside it, ``NAME.certificate.json``; the two paths."""
        target = Path(path)
        if not target.parent.is_dir():
            raise InputError(f"saving the kernel to {target}: the folder {target.parent} does not exist; create it first")
        if os.path.isdir(target) or not target.name:
            raise InputError(f"saving the kernel to {target}: that is a folder; expected the name of a file, such as {self.name}.py")
        certificate = target.with_name(f"{target.stem}.certificate.json")
        try:
            # newlines as they are: the file must equal the regenerated text byte for byte on every system
            target.write_text(self.source, encoding="utf-8", newline="\n")
            certificate.write_text(self.certificate_text(target.name), encoding="utf-8", newline="\n")
        except OSError as error:
            raise InputError(f"saving the kernel to {target}: {error.strerror or error}; choose a place that can be written") from None
        return target, certificate

    def certificate_text(self, file: str) -> str:
        """The certificate of the kernel under this file name, as it is written."""
        return json.dumps({**self.certificate, "file": file}, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def generate(phase: str, backend: str = "numpy", dtype: str = "float32", vjp: bool = False, **variant: object) -> Kernel:
    """A kernel for a phase, from the last line of its derivation; with ``vjp`` for its gradient, from the derived definitions.

    Raises InputError for an unknown phase, variant, backend or dtype, and for a phase without a gradient.
    """
    require_generable(phase, backend, dtype)
    wanted = Wanted(phase, tuple(sorted(check_variant(phase, variant).items())), backend, dtype, vjp)
    known = kept(wanted)
    if known is not None:
        return Kernel(phase, wanted.variant, backend, dtype, known.source, vjp, known)
    made = generated_anew(wanted)
    if cache_folder() is not None:
        keep(wanted, Kept(made.source, made.origin.fingerprint(), made.licences))
    return made


def require_generable(phase: str, backend: str, dtype: str) -> None:
    """InputError for an unknown phase, backend or dtype."""
    phase_of(phase)
    if backend not in BACKENDS:
        raise InputError(f"generating {phase}: backend {backend!r}; expected one of {', '.join(BACKENDS)}")
    if dtype not in FORMATS:
        raise InputError(f"generating {phase}: dtype {dtype!r}; expected one of {', '.join(FORMATS)}")


def generated_anew(wanted: Wanted) -> Kernel:
    """The same from the derivation, whatever is kept on disk. InputError for a phase without a gradient."""
    variant = dict(wanted.variant)
    if wanted.vjp:
        found = gradient_of(wanted.phase, **variant)
        if wanted.backend == "cupy":
            from kernelproof.numeric.cupy_gradient_file import cupy_gradient_source

            source = cupy_gradient_source(found, wanted.dtype)
        else:
            source = gradient_source(found, wanted.dtype)
    elif wanted.backend == "cupy":
        from kernelproof.numeric.cupy_file import cupy_source

        source = cupy_source(derive(wanted.phase, **variant), wanted.dtype)
    else:
        source = kernel_source(derive(wanted.phase, **variant), wanted.dtype)
    return Kernel(wanted.phase, wanted.variant, wanted.backend, wanted.dtype, source, wanted.vjp)


def _licences(origin: Derivation | Gradient, backend: str, dtype: str) -> tuple[str, ...]:
    if isinstance(origin, Derivation):
        return licences_of(origin, backend, dtype)
    if backend == "cupy":
        from kernelproof.numeric.cupy_gradient_file import cupy_gradient_licences

        return cupy_gradient_licences(origin, dtype)
    return gradient_licences(origin)
