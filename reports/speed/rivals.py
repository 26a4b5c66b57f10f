"""What the kernels are timed against: one row for each rival, and a table of builders by kind of work in its module.

A builder gets the workload and its inputs and gives a :class:`Rival`: what is called, in words, and the call. Guarantees: conversion to
the rival's own arrays happens before anything is timed; a rival whose packages are missing is named as not installed, and one that has no
such function as not there. Cannot see: whether a library would be faster with other settings; what is called stands in the row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module, metadata
from importlib.util import find_spec
from typing import Any

from kernelproof.reports.speed.workloads import Inputs, Workload
from kernelproof.symbolic.errors import InputError


@dataclass(frozen=True)
class Rival:
    """What is called, and the call. ``result`` makes NumPy arrays of what the call gives; None where the call computes something else.

    ``scale`` is what the time of a call is multiplied by, where the call does another amount of work. ``apart`` takes the whole of our
    result and what the call gave, where they are, and says how far they are apart: ``result`` may give a part of a large one.
    """

    what: str
    call: Callable[[], Any]
    result: Callable[[Any], Any] | None = None
    scale: float = 1.0
    apart: Callable[[Any, Any], float] | None = None


Builder = Callable[[Workload, Inputs], Rival]
CPU, CUDA = "cpu", "cuda"


@dataclass(frozen=True)
class RivalRow:
    """A rival: its title in tables, the module that builds it, the packages it needs, where it runs, the table of its builders."""

    title: str
    module: str
    packages: tuple[str, ...] = ()
    place: str = CPU
    builders: str = "BUILDERS"


RIVALS: Mapping[str, RivalRow] = {
    "numpy": RivalRow("textbook NumPy", "with_numpy"),
    "torch": RivalRow("PyTorch", "with_torch", ("torch",)),
    "onnxruntime": RivalRow("ONNX Runtime", "with_onnxruntime", ("onnx", "onnxruntime")),
    "products": RivalRow("bare products", "products"),
    "flash": RivalRow("SDPA FLASH", "cuda.with_torch", ("torch",), CUDA, "FLASH"),
    "cudnn": RivalRow("SDPA CUDNN", "cuda.with_torch", ("torch",), CUDA, "CUDNN"),
    "compile": RivalRow("torch.compile", "cuda.with_torch", ("torch",), CUDA, "COMPILED"),
    "cupy": RivalRow("textbook CuPy", "cuda.with_cupy", ("cupy",), CUDA),
    "gemm": RivalRow("matrix product", "cuda.with_torch", ("torch",), CUDA, "PRODUCT"),
    "copy": RivalRow("copy", "cuda.with_cupy", ("cupy",), CUDA, "COPY"),
}


class NotThere(Exception):
    """A rival that cannot be timed on this work; the text says why."""


def check_rivals(names: Sequence[str], place: str = CPU) -> list[str]:
    """Those of the names that run in this place, all of them where no name is given; InputError for an unknown one."""
    for name in names:
        if name not in RIVALS:
            raise InputError(f"bench --against {name}: there is no such rival; expected names out of {','.join(RIVALS)}")
    return [name for name, row in RIVALS.items() if row.place == place and (not names or name in names)]


def missing_packages(name: str) -> list[str]:
    """The packages of a rival that are not installed."""
    return [package for package in RIVALS[name].packages if find_spec(package) is None]


def build(name: str, workload: Workload, inputs: Inputs) -> Rival:
    """The rival's call on this work. NotThere where it has none."""
    if missing := missing_packages(name):
        raise NotThere(f"not installed: {', '.join(missing)}")
    if name in workload.without:
        raise NotThere(f"left out: {workload.without[name]}")
    row = RIVALS[name]
    builders: Mapping[str, Builder] = getattr(import_module(f"kernelproof.reports.speed.{row.module}"), row.builders)
    if workload.kind not in builders:
        raise NotThere("has no such function")
    return builders[workload.kind](workload, inputs)


def version_of(package: str) -> str:
    """The installed version of a package, empty where there is none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
