"""The Python of attention's gradient on tensor cores, as text for gradient files.

What it does: data. ``_gradients_on_tensor_cores`` looks whether the arguments fit the kernels (no mask, d = e of a width that is there,
nothing empty, a scale that is positive and neither tiny nor huge, a device of compute capability 8.0 or more), lays leading axes out as
three sizes and strides without copying, and launches both kernels on CuPy's current stream; None where they do not fit, and the file goes
on with its other kernels. The axis before the last two of queries is the members of a group, of length 1 where there is none; keys and
values have no such axis. Guarantees: keys and values that are broadcast along another axis are read where they are; gradients are float32,
along all leading axes. Cannot see: wrong shapes; the checks of the file say what is wrong with those.
"""

LAUNCH = '''
def _launch_tensor(name, blocks, lead, arrays, numbers, rest):
    """Run a tensor-core kernel: ``blocks`` for each entry of the batch, over arrays that all have the leading axes ``lead``."""
    merged = _merged(lead, [(array, True) for array in arrays])
    merged = [(1, (0,) * len(arrays))] * (3 - len(merged)) + merged
    arguments = [cp.int64(merged[1][0]), cp.int64(merged[2][0]), *numbers]
    for place, array in enumerate(arrays):
        arguments += [array, *(cp.int64(along[place]) for _, along in merged), cp.int64(array.strides[-2] // array.itemsize)]
    contract, kernel = TENSOR_LAUNCH[name], TENSOR_MODULE.get_function(name)
    kernel.max_dynamic_shared_size_bytes = contract["shared"]
    kernel((blocks * math.prod(lead),), (contract["block"],), (*arguments, *rest), shared_mem=contract["shared"])


def _gradients_on_tensor_cores(q, k, v, grad_out, causal, mask, scale):
    """Gradients of queries (…, group, n, d), keys and values (…, m, d) by the tensor-core kernels; None where the arguments do not fit."""
    n, d, group, m = q.shape[-2], q.shape[-1], q.shape[-3], k.shape[-2]
    if mask is not None or d not in TENSOR_NAMES or not k.shape[-1] == v.shape[-1] == d or m != v.shape[-2]:
        return None
    scale = 1.0 / math.sqrt(d) if scale is None else float(scale)
    if not 2.0**-60 < scale < 2.0**60 or max(n, m) >= 2**30 or int(cp.cuda.Device().compute_capability) < 80:
        return None
    try:
        lead = cp.broadcast_shapes(q.shape[:-3], k.shape[:-2], v.shape[:-2])
    except ValueError:
        return None
    names, heads = TENSOR_NAMES[d], math.prod(lead)
    of_queries, of_keys = (-(-length // TENSOR_LAUNCH[name]["rows"]) for length, name in zip((n, m), names))
    if grad_out.shape != (*lead, group, n, d) or not heads * group * n * m or max(of_queries * group, of_keys) * heads >= 2**31:
        return None
    queries, gradients = (cp.broadcast_to(_rows(part), (*lead, group, n, d)) for part in (q, grad_out))
    keys, values = (cp.broadcast_to(_rows(part), (*lead, m, d)) for part in (k, v))
    if len(_merged(lead, [(array, True) for array in (queries, keys, values, gradients)])) > 2:  # and the members of a group are one more
        queries, keys, values, gradients = (cp.ascontiguousarray(array) for array in (queries, keys, values, gradients))
    padded = -(-n // 64) * 64
    d_q, rows = cp.empty((*lead, group, n, d), dtype=cp.float32), cp.empty((*lead, group, 3, padded), dtype=cp.float32)
    d_k, d_v = (cp.empty((*lead, m, d), dtype=cp.float32) for _ in range(2))
    ahead = AHEAD if causal else m  # query i sees keys j <= i + ahead
    numbers = (*map(cp.int32, (n, m, ahead, padded)), cp.float32(scale / math.log(2)), cp.float32(scale))
    shared = tuple(cp.broadcast_to(part[..., None, :, :], (*lead, group, m, d)) for part in (keys, values))
    arrays = (queries, *shared, gradients)
    _launch_tensor(names[0], of_queries, (*lead, group), arrays, numbers, (d_q, rows))
    members = (cp.int32(group), *(cp.int64(part.strides[-3] // part.itemsize) for part in (queries, gradients)))
    arrays = (queries[..., 0, :, :], keys, values, gradients[..., 0, :, :])
    _launch_tensor(names[1], of_keys, lead, arrays, (*numbers, *members), (rows, d_k, d_v))
    return d_q, d_k, d_v
'''

PLAIN_LINES = (
    "found = None",
    "if min(q.ndim, k.ndim, v.ndim, grad_out.ndim) > 1:",
    "    found = _gradients_on_tensor_cores(q[..., None, :, :], k, v, grad_out[..., None, :, :], causal, mask, scale)",
    "if found is not None:",
    "    d_q, d_k, d_v = found",
    "    d_q = d_q[..., 0, :, :]",
)
#: heads that share keys and values are members of a group (attention.vjp of grouped queries sums over them)
GROUPED = (
    "found, heads = None, k.shape[-3] if k.ndim > 2 else 0",
    "shares = [part.shape[-3] % heads if heads and part.ndim > 2 else 1 for part in (q, grad_out)]",
    "if not any(shares) and v.ndim > 2 and v.shape[-3] == heads:",
    "    split, grad = (part.reshape((*part.shape[:-3], heads, part.shape[-3] // heads, *part.shape[-2:])) for part in (q, grad_out))",
    "    found = _gradients_on_tensor_cores(split, k, v, grad, causal, mask, scale)",
    "if found is not None:",
    "    d_q, d_k, d_v = found",
    "    d_q = d_q.reshape((*d_q.shape[:-4], q.shape[-3], *d_q.shape[-2:]))",
)
