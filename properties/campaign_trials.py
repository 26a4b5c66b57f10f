"""What a campaign tries: every registered wrong kernel, every right one in every dtype that it takes, the libraries.

What it does: one :class:`Trial` a kernel and dtype, in the order of the registries. The right NumPy kernels live with the tests; they are
loaded from that folder. Guarantees: nothing of a library is imported before its trial is made. Cannot see: kernels that nobody registered.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kernelproof.properties.capabilities import cache_of, everything
from kernelproof.properties.mutants.parts import Right, Wrong
from kernelproof.properties.right_libraries import ALL_TYPES, RIGHT_LIBRARIES, RightLibrary
from kernelproof.properties.shapes import forward_of, phase_shape
from kernelproof.properties.targets import Target, memory_target
from kernelproof.symbolic.errors import InputError
from kernelproof.symbolic.registry import check_variant

Kind = Literal["wrong", "right", "library"]
KINDS: tuple[Kind, ...] = ("wrong", "right", "library")
#: where the right NumPy kernels are, seen from the repository's root, and the modules that register them
FOLDER = "tests/properties"
MODULES = {"right_kernels": "RIGHT", "right_gradients": "RIGHT_GRADIENTS", "unseen_registry": "RIGHT"}
DEFINITION = "matches_definition"


@dataclass(frozen=True)
class Trial:
    """One kernel in one dtype. ``only`` are the short names of the properties that count, none for all; ``first`` those tried first;
    ``libraries`` those that it is of, whose units may be their own; ``most`` so many examples of each property, 0 for all.
    """

    kind: Kind
    phase: str
    title: str
    dtype: str
    make: Callable[[], Target]
    variant: Mapping[str, object] = field(default_factory=dict)
    profile: str = "quick"
    only: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    note: str = ""
    libraries: tuple[str, ...] = ()
    most: int = 0

    @property
    def key(self) -> str:
        """What tells a trial from all others, for records."""
        variant = ",".join(f"{name}={value}" for name, value in self.variant.items())
        return " | ".join((self.kind, self.phase, variant, self.title, self.dtype))


def numpy_target(function: Callable[..., Any], phase: str, variant: Mapping[str, object]) -> Target:
    """A NumPy kernel that takes all that its phase has."""
    chosen = check_variant(forward_of(phase), variant)
    shape = phase_shape(phase, chosen)
    return memory_target(function, phase=phase, variant=chosen, supports=sorted({*everything(shape), *cache_of(shape, function)}))


def wrong_trials(kernels: Sequence[Wrong]) -> list[Trial]:
    """The trials of wrong kernels, in float32."""

    def make(kernel: Wrong) -> Callable[[], Target]:
        return lambda: numpy_target(kernel.function, kernel.phase, kernel.variant)

    return [
        Trial(
            "wrong",
            kernel.phase,
            kernel.id,
            "float32",
            make(kernel),
            kernel.variant,
            kernel.profile,
            kernel.names,
            tuple(name for name in (kernel.seen_by, *kernel.names, DEFINITION) if name),
            kernel.reference,
        )
        for kernel in kernels
    ]


def right_trials(kernels: Sequence[Right], dtypes: Sequence[str] = ALL_TYPES) -> list[Trial]:
    """The trials of right NumPy kernels. A position table has the type that its kernel gives, so it is tried in float32 alone."""

    def make(kernel: Right) -> Callable[[], Target]:
        return lambda: numpy_target(kernel.function, kernel.phase, kernel.variant)

    return [
        Trial("right", kernel.phase, kernel.style, dtype, make(kernel), kernel.variant)
        for kernel in kernels
        for dtype in (("float32",) if kernel.phase == "positional" else dtypes)
        if dtype in kernel.dtypes
    ]


def library_trials(rows: Sequence[RightLibrary] = RIGHT_LIBRARIES) -> list[Trial]:
    """The trials of libraries and of the generated kernels; one that is not installed raises when it is made."""

    def make(row: RightLibrary, dtype: str) -> Callable[[], Target]:
        def made() -> Target:
            if row.missing:
                raise InputError(f"trying {row.title}: {', '.join(row.missing)} is not installed")
            return row.make(dtype)

        return made

    return [
        Trial(
            "library", row.phase, row.title, dtype, make(row, dtype), row.variant,
            note=row.note, libraries=tuple(reversed(row.needs)), most=row.most,
        )
        for row in rows
        for dtype in row.dtypes
    ]


@dataclass(frozen=True)
class RightKernels:
    """The registered right NumPy kernels; ``strict`` says why some are convicted all the same, by ``phase: style``, and ``waiting`` why
    some cannot be run, by function.
    """

    kernels: tuple[Right, ...]
    strict: Mapping[str, str]
    waiting: Mapping[str, str]


def right_kernels(folder: str = FOLDER) -> RightKernels:
    """What a folder registers; InputError where it is another one."""
    for name in MODULES:
        if not (Path(folder) / f"{name}.py").is_file():
            raise InputError(
                f"looking for the right kernels: {folder!r} has no {name}.py; call this from the repository's root, or give --right FOLDER"
            )
    if folder not in sys.path:
        sys.path.insert(0, folder)
    modules = {name: importlib.import_module(name) for name in MODULES}
    strict: dict[str, str] = {}
    waiting: dict[str, str] = {}
    for module in modules.values():
        strict |= {f"{phase}: {style}": why for (phase, style), why in getattr(module, "STRICT", {}).items()}
        waiting |= getattr(module, "WAITING", {})
    kernels = tuple(kernel for name, module in modules.items() for kernel in getattr(module, MODULES[name]))
    return RightKernels(kernels, strict, waiting)
