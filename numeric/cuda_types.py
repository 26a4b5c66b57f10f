"""Formats and small functions of the CUDA texts.

What it does: for each storage type the C types, the conversions and the header; literals that carry their type, so that no float
expression is promoted to double by a constant; the device functions that kernels may use. Guarantees: 16-bit types are storage
only: they are widened exactly on reading and rounded once on writing.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Types:
    """The C types of a file: what is computed in, what arrays of the user hold; and the array types of the module cp."""

    real: str
    stored: str
    compute: str
    array: str
    header: str = ""
    widen: str = ""
    narrow: str = ""
    narrow_double: str = ""

    @property
    def converts(self) -> bool:
        """Whether arrays of the user hold another format than the one computed in."""
        return self.real != self.stored


TYPES = {
    "float32": Types("float", "float", "float32", "float32"),
    "float64": Types("double", "double", "float64", "float64"),
    "float16": Types("float", "__half", "float32", "float16", "cuda_fp16.h", "__half2float", "__float2half_rn", "__double2half"),
    "bfloat16": Types(
        "float", "__nv_bfloat16", "float32", "uint16", "cuda_bf16.h", "__bfloat162float", "__float2bfloat16_rn", "__double2bfloat16",
    ),
}

#: elementary functions by C type
FUNCTIONS = {
    "float": {name: f"{name}f" for name in ("exp", "log", "sqrt", "sin", "cos", "tanh", "erf")},
    "double": {name: name for name in ("exp", "log", "sqrt", "sin", "cos", "tanh", "erf")},
}
INFINITY = {"float": "__int_as_float(0x7f800000)", "double": "__longlong_as_double(0x7ff0000000000000LL)"}

#: device functions: text, and the others that each needs
HELPERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "kp_infinity": ("""
static __device__ __forceinline__ {real} kp_infinity({real})
{
    return {infinity};
}
""", ()),
    "kp_divisor": ("""
// x/0 = 0, as in the derivation: a divisor of zero becomes infinite.
static __device__ __forceinline__ {real} kp_divisor({real} value)
{
    return value == {zero} ? kp_infinity({real}()) : value;
}
""", ("kp_infinity",)),
    "kp_max": ("""
// The larger one; NaN wins, as in NumPy.
static __device__ __forceinline__ {real} kp_max({real} left, {real} right)
{
    return left > right || left != left ? left : right;
}
""", ()),
    "kp_warp_sum": ("""
// Every lane of the warp gets the sum over all lanes.
static __device__ __forceinline__ {real} kp_warp_sum({real} value)
{
    for (int offset = 16; offset > 0; offset /= 2) {
        value += __shfl_xor_sync(0xffffffffu, value, offset);
    }
    return value;
}
""", ()),
    "kp_lines_sum": ("""
// Every warp of a block has part of 32 sums, one in each lane: the first warp gets the sums over all. All threads of the block meet here.
static __device__ __forceinline__ {real} kp_lines_sum({real}* sums, {real} value)
{
    sums[threadIdx.x] = value;
    __syncthreads();
    for (unsigned half = blockDim.x / 64; half > 0; half /= 2) {
        if (threadIdx.x / 32 < half) {
            sums[threadIdx.x] += sums[threadIdx.x + 32 * half];
        }
        __syncthreads();
    }
    return sums[threadIdx.x];
}
""", ()),
    "kp_warp_max": ("""
// Every lane of the warp gets the maximum over all lanes.
static __device__ __forceinline__ {real} kp_warp_max({real} value)
{
    for (int offset = 16; offset > 0; offset /= 2) {
        value = kp_max(value, __shfl_xor_sync(0xffffffffu, value, offset));
    }
    return value;
}
""", ("kp_max",)),
}


def literal(value: Fraction, real: str) -> str:
    """A number of the program as a literal of the C type."""
    shown = f"{value.numerator}.0" if value.denominator == 1 else repr(float(value))
    typed = shown + ("f" if real == "float" else "")
    return f"({typed})" if value < 0 else typed


def helpers_text(used: set[tuple[str, str]]) -> str:
    """The device functions that are used, (name, C type), with those they need, in a fixed order."""
    wanted = set(used)
    for name in reversed(HELPERS):
        for real in ("float", "double"):
            if (name, real) in wanted:
                wanted |= {(needed, real) for needed in HELPERS[name][1]}
    parts = []
    for name, (text, _) in HELPERS.items():
        for real in ("float", "double"):
            if (name, real) in wanted:
                filled = text.replace("{real}", real).replace("{infinity}", INFINITY[real]).replace("{zero}", literal(Fraction(0), real))
                parts.append(filled.strip("\n"))
    return "\n\n".join(parts)
