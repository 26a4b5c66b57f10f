"""What seeded faults are put into: files of forward and of gradient kernels, and the calls that judge them, by key.

What it does: a :class:`Target` is data: the variant of the file, the names of its text and contract, the calls, and the arithmetic that the
bound assumes. Guarantees: a right file of each key in :data:`RIGHT` passes every tier. Cannot see: variants that no row names.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from kernelproof.numeric.cupy_file import cupy_source
from kernelproof.numeric.cupy_gradient_file import cupy_gradient_source
from kernelproof.symbolic.registry import derive, gradient

#: from the name of a module beside this file to the module
Near = Callable[[str], ModuleType]
#: names of a text and of its contract
PRINTED, TILED, TENSOR, WARPGROUP = ((f"{name}CUDA", f"{name}LAUNCH") for name in ("", "TILED_", "TENSOR_", "WARPGROUP_"))


@dataclass(frozen=True)
class Target:
    """``shown`` stands behind a kernel's name in the table, ``calls`` get the modules beside this file, phase, dtype and variant.

    ``texts`` are the names of what is compiled, as far as the file has it. ``some`` of the calls are enough for a sanitizer, a process each
    launch, where they are many; ``shares``: threads share memory, so that they may race. ``golden`` begins the names of golden files that
    the text must hold; ``only`` takes kernels of other widths away.
    ``precision`` is what the bound assumes of a format, None for what it assumes by itself. ``architectures`` are those that the text is
    for, none where it is for all, and ``most_shared`` the bytes of shared memory that a block may have there.
    """

    shown: str
    variant: dict[str, object]
    calls: Callable[[Near, str, str, dict[str, object]], list[Any]]
    gradient: bool = False
    texts: tuple[tuple[str, str], ...] = (PRINTED,)
    some: int = 0
    shares: bool = True
    golden: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    most_shared: int = 99 * 1024
    capability: str = "90"
    precision: Callable[[Near, str], str | None] = lambda near, dtype: None
    only: Callable[[str], str] = lambda source: source

    def source(self, phase: str, dtype: str) -> str:
        """The file that faults are put into."""
        found = gradient(phase, **self.variant) if self.gradient else derive(phase, **self.variant)
        return self.only((cupy_gradient_source if self.gradient else cupy_source)(found, dtype))

    def judged(self, near: Near, phase: str, dtype: str) -> Callable[[dict[str, Any], Any], None]:
        """What calls the function of a file, its names given, and holds the result of a call to the bound."""
        cases, own = near("cases"), self.precision(near, dtype)
        if not self.gradient:
            bounds = cases.Bounds(derive(phase, **self.variant), dtype, own)

            def forward(space: dict[str, Any], call: Any) -> None:
                bounds.check(call, space[phase](*cases.arguments(phase, call, dtype), **call.options), None)

            return forward
        given = near("gradient_cases")
        assumed = () if own is None else (own,)
        limits = given.Bounds(gradient(phase, **self.variant), dtype, *assumed)

        def backward(space: dict[str, Any], call: Any) -> None:
            limits.check(call, given.flat(space[f"{phase}_vjp"](*given.arguments(phase, call, dtype), **call.options)))

        return backward


def _one_width(kernel: str) -> Callable[[str], str]:
    """Of several widths of a forward kernel only the first stays."""

    def only(source: str) -> str:
        source = re.sub(rf'\n// a block has[^\n]*\nextern "C" __global__ void [^\n]*attention_{kernel}128\((?:.*\n)*?}}\n', "\n", source)
        source = re.sub(rf'    "attention_{kernel}128": [^\n]*\n', "", source)
        return source.replace(f', 128: "attention_{kernel}128"', "")

    return only


def _switched(source: str) -> str:
    """The file that uses the kernel of warpgroups, one width of both kernels on tensor cores left."""
    source = source.replace("\nON_WARPGROUPS = False\n", "\nON_WARPGROUPS = True\n")
    return _one_width("tensor")(_one_width("warpgroup")(source))


def _long(near: Near, phase: str, dtype: str, variant: dict[str, object]) -> list[Any]:
    """Calls that fit tensor cores, one of them through many tiles."""
    given, cases = near("tensor_cases"), near("cases")
    return [*given.few(cases, dtype, 64), *given.long(cases, dtype, 64)]


def _all(near: Near, phase: str, dtype: str, variant: dict[str, object]) -> list[Any]:
    return [*near("cases").calls(phase, derive(phase).variant, dtype)]


def _gradients(near: Near, phase: str, dtype: str, variant: dict[str, object]) -> list[Any]:
    near("cases")
    return [*near("gradient_cases").few(phase, dtype, variant)]


def _tensor_gradients(near: Near, phase: str, dtype: str, variant: dict[str, object]) -> list[Any]:
    return [*near("tensor_gradient_cases").few(near("cases"), dtype, 64)]


def _around(vjp: bool) -> Callable[[Near, str, str, dict[str, object]], list[Any]]:
    """Calls for what stands around attention."""
    return lambda near, phase, dtype, variant: [*near("inside_cases").calls(near("cases"), phase, dtype, vjp)]


def _gradient_of_one_width(source: str) -> str:
    """The file with the kernels for heads of width 64."""
    source = re.sub(r'\n// a block has[^\n]*\nextern "C" __global__ void [^\n]*_tensor_[a-z]*128\((?:.*\n)*?}\n', "\n", source)
    source = re.sub(r'    "[a-z_]*_tensor_[a-z]*128": [^\n]*\n', "", source)
    return re.sub(r'(, )?128: \("[^"]*", "[^"]*"\)(?(1)|, )', "", source)


TARGETS: dict[str, Target] = {
    "tiled": Target(
        " in tiles", {"window": 70}, lambda near, phase, dtype, variant: [*near("tiled_cases").few(near("cases"), dtype, variant)],
        texts=(TILED,), only=_one_width("tiled"),
    ),
    "tensor": Target(
        " on tensor cores", {"causal_alignment": "bottom_right"},
        lambda near, phase, dtype, variant: [*near("tensor_cases").few(near("cases"), dtype, 64)],
        texts=(TENSOR,), golden=("wrappers",), precision=lambda near, dtype: "", only=_one_width("tensor"),
    ),
    "warpgroup": Target(
        " by products of warpgroups", {"causal_alignment": "bottom_right"}, _long, texts=(WARPGROUP,),
        golden=("wrappers", "warpgroup"), precision=lambda near, dtype: "", only=_switched, architectures=("sm_90a",),
        most_shared=227 * 1024,
    ),
    # the printer's attention is what an old device gets; its threads share nothing but registers of a warp
    "": Target("", {}, _all, some=4, shares=False, capability="50"),
    "inside": Target(" around attention", {}, _around(False), texts=(PRINTED, TILED), some=3),
    "gradient": Target(" gradient", {}, _gradients, gradient=True),
    # threads share nothing but registers of a warp
    "gradient apart": Target(" gradient", {}, _gradients, gradient=True, shares=False),
    "gradient inside": Target(" gradient around attention", {}, _around(True), gradient=True, texts=(PRINTED, TILED), some=3),
    "gradient bent": Target(
        " gradient with soft-cap, sinks and rotary positions", {"softcap": 2.0, "sinks": True, "rotary": "interleaved"}, _gradients,
        gradient=True,
    ),
    "gradient tensor": Target(
        " gradient on tensor cores", {"grouped_query": True, "causal_alignment": "bottom_right"}, _tensor_gradients, gradient=True,
        texts=(TENSOR,), golden=("wrappers",), only=_gradient_of_one_width,
        precision=lambda near, dtype: str(near("tensor_gradient_cases").precision(dtype)),
    ),
    "gradient mean": Target(
        " gradient with the mean of rows without keys", {"softcap": 2.0, "fully_masked": "mean"}, _gradients, gradient=True,
    ),
}
#: phase, dtype and key: without a fault every tier must be silent about these
RIGHT = (
    ("attention", "float16", "tensor"), ("attention", "bfloat16", "tensor"), ("attention", "float16", "warpgroup"),
    ("attention", "bfloat16", "warpgroup"), ("attention", "float32", "tiled"),
    ("attention", "float64", "tiled"), ("attention", "float32", ""), ("softmax", "float32", ""),
    ("attention", "float32", "gradient"), ("attention", "float64", "gradient"), ("attention", "float32", "gradient bent"),
    ("attention", "float16", "gradient bent"), ("attention", "float32", "gradient mean"), ("attention", "bfloat16", "gradient mean"),
    ("embedding", "float32", "gradient"), ("layer_norm", "float32", "gradient"), ("attention", "float16", "gradient tensor"),
    ("attention", "bfloat16", "gradient tensor"),
    *((phase, "float32", "") for phase in ("embedding", "positional", "rotary", "feed_forward", "activation", "layer_norm", "rms_norm")),
    ("rms_norm", "bfloat16", ""), ("feed_forward", "float16", ""), ("rotary", "bfloat16", ""), ("positional", "float16", ""),
    *((phase, "float32", "gradient") for phase in ("feed_forward", "rms_norm")),
    ("feed_forward", "bfloat16", "gradient"), ("rms_norm", "float16", "gradient"),
    *((phase, "float32", "gradient apart") for phase in ("softmax", "activation", "rotary")), ("rotary", "float16", "gradient apart"),
    *((phase, "float32", key) for phase in ("multi_head_attention", "encoder_block") for key in ("inside", "gradient inside")),
    ("encoder_block", "bfloat16", "inside"), ("multi_head_attention", "float16", "gradient inside"),
)
