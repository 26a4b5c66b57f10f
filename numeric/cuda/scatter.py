"""The embedding's gradient in CUDA: each token's gradient added to the row that the token picked, without atomic operations.

What it does: the tokens are sorted by their ids, which keeps the order of those with one id; a thread for each entry of the table walks
the segment of its row and adds up the gradients of its column, in the order of the tokens. Guarantees: the same bits on every run; a row
that no token picked is zero; any number of tokens, 0 included. Cannot see: ids out of range, which the file refuses before; speed: a row
that most tokens pick is added up by as many threads as there are columns.
"""

from __future__ import annotations

from kernelproof.numeric.cuda.gradient_plan import GradientPlan
from kernelproof.numeric.cuda_kernel import BLOCK, REGISTERS, KernelText
from kernelproof.numeric.cuda_types import TYPES
from kernelproof.numeric.gradient_signature import vjp_name
from kernelproof.numeric.signatures import Signature
from kernelproof.symbolic.phase import Gradient

KERNEL = '''
// one thread for each entry; out: Σ over the tokens i that picked row v, in their order, of grad_out[i, c]
extern "C" __global__ void {name}(
    const long long d, const long long vocab,
    const long long* __restrict__ order, const long long order_by0,
    const long long* __restrict__ starts, const long long starts_by0,
    const {stored}* __restrict__ grad_out, const long long grad_out_by0, const long long grad_out_by1,
    {stored}* __restrict__ out, const long long out_by0, const long long out_by1)
{
    const long long first = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    const long long stride = (long long)gridDim.x * blockDim.x;
    for (long long entry = first; entry < vocab * d; entry += stride) {
        const long long v = entry / d;
        const long long c = entry % d;
        const long long end = starts[(v + 1) * starts_by0];
        {real} total = {zero};
        for (long long at = starts[v * starts_by0]; at < end; ++at) {
            total += {widened};
        }
        out[v * out_by0 + c * out_by1] = {narrowed};
    }
}
'''
LINES = (
    "vocab, d = table.shape",
    'order = cp.argsort(ids, kind="stable").astype(cp.int64, copy=False) if ids.size else ids',
    "starts = cp.searchsorted(ids[order], cp.arange(vocab + 1)).astype(cp.int64, copy=False)",
    "(d_table,) = _launch(",
    '    "{name}", vocab * d, (d, vocab),',
    "    (),",
    "    ((order, (ids.size,), False), (starts, (vocab + 1,), False), (grad_out, (ids.size, d), False)),",
    "    ((None, (vocab, d), STORED),),",
    ")",
)


def embedding_gradient(found: Gradient, signature: Signature, dtype: str) -> GradientPlan | None:
    """The plan of the embedding's gradient."""
    if found.phase != "embedding":
        return None
    name, types = f"{vjp_name(found.phase)}_entries", TYPES[dtype]
    read = "grad_out[order[at * order_by0] * grad_out_by0 + c * grad_out_by1]"
    places = {
        "{name}": name, "{stored}": types.stored, "{real}": types.real, "{zero}": "0.0f" if types.real == "float" else "0.0",
        "{widened}": f"{types.widen}({read})" if types.converts else read,
        "{narrowed}": f"{types.narrow}(total)" if types.converts else "total",
    }
    text = KERNEL.strip()
    for place, code in places.items():
        text = text.replace(place, code)
    launch = {"block": BLOCK, "lanes": 1, "shared": 0, "registers": REGISTERS["entries"], "local": 0}
    kernel = KernelText(name, text, ("d", "vocab"), (), (), (), (), launch)
    lines = tuple(line.replace("{name}", name) for line in LINES)
    return GradientPlan((kernel,), lines, ("embedding.vjp", "embedding.token_order"), rounded=True)
