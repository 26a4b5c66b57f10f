"""What is measured on a GPU: rows like those of the CPU, with a format, switched constants, and counts of operations and bytes.

Targets are ratios of times ours / theirs, as everywhere in the benchmark; they are written here as what is aimed at in throughput: 0.6 of
FLASH is a ratio of at most 1/0.6. Attention has 16384 tokens in all and 2048 columns over all heads, as papers have it: each array of a
16-bit format then takes 67 MB, more than the L2 cache of any device so far. Guarantees: rows are in groups, those that say the most first
and those of a kernel that no device has run yet last, so that an interrupted run is worth the most. Cannot see: which of the kernels of a
file a call takes; a width or device that does not fit the one on tensor cores goes to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from kernelproof.reports.speed.workloads import Workload
from kernelproof.symbolic.errors import InputError
from kernelproof.symbolic.registry import phase as phase_of

#: bytes of an entry
WIDTH: Mapping[str, int] = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}
TOKENS, COLUMNS = 16384, 2048
#: operations of a gradient of attention, over those of its forward: five products instead of two
GRADIENT_PRODUCTS = 2.5


@dataclass(frozen=True)
class CudaWorkload(Workload):
    """A row on a GPU. ``constants`` of the generated file are set before it is run; ``peak`` is the aim for memory beyond the inputs, in
    sizes of the result.
    """

    constants: Mapping[str, object] = field(default_factory=dict)
    #: the one compute capability that has the row's kernel, 90 for 9.0; 0: any
    capability: int = 0
    peak: float | None = None

    @property
    def name(self) -> str:
        """The row's name, unique among those of the GPU: kind, format, switches, what is not at its default, sizes."""
        kind, _, sizes = super().name.partition(":")
        words = kind.split()
        at = 2 if self.vjp else 1
        return " ".join((*words[:at], self.dtype, *(_SWITCHES[name] for name in self.constants), *words[at:])) + f":{sizes}"


#: constants of generated files that rows switch, in words
_SWITCHES = {"ON_WARPGROUPS": "warpgroups"}


def operations(workload: Workload) -> float | None:
    """Floating-point operations of the products that the work needs, as papers count them; None where it has none.

    4 n² d for each head, half of it where causal, 2.5 times as much for a gradient; what a kernel computes anew is not counted.
    """
    if workload.phase != "attention":
        return None
    heads, n, d = (workload.sizes[name] for name in ("heads", "n", "d"))
    return 4.0 * heads * n * n * d * (0.5 if workload.causal else 1) * (GRADIENT_PRODUCTS if workload.vjp else 1)


def traffic(workload: Workload) -> float:
    """Bytes that the work must move: every input read once, every result written once."""
    width = WIDTH[workload.dtype]
    if workload.phase == "positional":
        return float(width * workload.sizes["n"] * workload.sizes["d"])
    read = sum(prod(shape) for shape in shapes(workload).values())
    return float(width * (read + sum(prod(shape) for shape in result_shapes(workload))))


def shapes(workload: Workload) -> dict[str, tuple[int, ...]]:
    """The arrays of the call by name, in the kernel's order; none for a table of positions, which is called with its sizes."""
    made = _SHAPES[workload.phase](workload.sizes)
    if workload.vjp:
        made["grad_out"] = next(iter(made.values()))
    return made


_SHAPES: Mapping[str, Callable[[Mapping[str, int]], dict[str, tuple[int, ...]]]] = {
    "attention": lambda s: dict.fromkeys(("q", "k", "v"), (s["heads"], s["n"], s["d"])),
    "layer_norm": lambda s: {"x": (s["rows"], s["d"]), "gain": (s["d"],), "bias": (s["d"],)},
    "positional": lambda s: {},
}


def result_shapes(workload: Workload) -> list[tuple[int, ...]]:
    """The arrays that the call gives."""
    made = shapes(workload)
    if workload.phase == "positional":
        return [(workload.sizes["n"], workload.sizes["d"])]
    return [made[name] for name in made if name != "grad_out"] if workload.vjp else [next(iter(made.values()))]


def last(array: Any) -> Any:
    """What of a result is looked at: the last head of one with heads, where an offset is largest; all of another."""
    return array[len(array) - 1 :] if getattr(array, "ndim", 0) == 3 else array


_FLASH = {"flash": 1 / 0.6}
_TUNED = {"flash": 1.0, "cudnn": 1.0}
_GRADIENT = {"flash": 1 / 0.8}
_BANDWIDTH = {"copy": 1 / 0.8}
_ON_WARPGROUPS: Mapping[str, object] = {"ON_WARPGROUPS": True}
_CAUSAL: Mapping[str, object] = {"causal": True}
_NOT_HERE = {"compile": "it takes long to compile, so it is asked in one forward row of a kind", "cupy": "it is asked in float32 alone"}
_NOT_FUSED = dict.fromkeys(("flash", "cudnn"), "it has 16-bit formats alone")
#: the memory of a kernel beyond its inputs, in sizes of its result: scores would take n / d of them, and more
_PEAK = 2.0


def _attention(dtype: str, n: int, d: int, causal: bool, targets: Mapping[str, float], **more: Any) -> CudaWorkload:
    sizes = {"heads": TOKENS // n * (COLUMNS // d), "n": n, "d": d}
    compiled = dtype == "float16" and (n, d, causal) == (4096, 64, False) and "constants" not in more
    without = {name: why for name, why in _NOT_HERE.items() if name != "compile" or not compiled}
    options = _CAUSAL if causal else {}
    return CudaWorkload("attention", sizes, dtype=dtype, targets=targets, options=options, without=without, peak=_PEAK, **more)


_GRID = [(n, d, causal) for n in (4096, 16384) for d in (128, 64) for causal in (False, True)]


def _in_16_bits(targets: Mapping[str, float], **more: Any) -> tuple[CudaWorkload, ...]:
    return tuple(_attention(dtype, *sizes, targets, **more) for dtype in ("float16", "bfloat16") for sizes in _GRID)


def _ordinary(options: Mapping[str, object]) -> CudaWorkload:
    """In float32, which no tensor core multiplies without loss."""
    without = {**_NOT_FUSED, "compile": _NOT_HERE["compile"]}
    sizes = {"heads": 32, "n": 4096, "d": 64}
    return CudaWorkload("attention", sizes, targets={"cupy": 1 / 5}, options=options, without=without, peak=_PEAK)


#: rows that share a process in a session on a device: an access outside of memory takes all later rows of its process along
GROUPS: Mapping[str, tuple[CudaWorkload, ...]] = {
    "forward": _in_16_bits(_FLASH),
    "gradient": _in_16_bits(_GRADIENT, vjp=True),
    "float32": (_ordinary({}), _ordinary(_CAUSAL)),
    "bytes": (
        CudaWorkload("layer_norm", {"rows": 131072, "d": 1024}, targets=_BANDWIDTH),
        CudaWorkload("positional", {"n": 524288, "d": 512}, targets=_BANDWIDTH),
    ),
    "warpgroups": _in_16_bits(_TUNED, constants=_ON_WARPGROUPS, capability=90),
}
CUDA_WORKLOADS: tuple[CudaWorkload, ...] = tuple(row for rows in GROUPS.values() for row in rows)
#: the environment variable that names one group, for a run of its rows alone
ONE_GROUP = "KERNELPROOF_CUDA_ROWS"


def chosen(phases: Sequence[str], group: str = "") -> list[CudaWorkload]:
    """The rows of these phases, all without any; ``PHASE.vjp`` means its gradient rows alone. Of one group, where it is named.
    InputError for an unknown phase or group.
    """
    for name in phases:
        phase_of(name.removesuffix(".vjp"))
    if group and group not in GROUPS:
        raise InputError(f"{ONE_GROUP}={group}: there is no such group of rows; expected one of {', '.join(GROUPS)}")
    rows = GROUPS[group] if group else CUDA_WORKLOADS
    return [row for row in rows if not phases or row.phase in phases or row.kind in phases]
