"""The Python of attention on tensor cores, as text for kernel files.

What it does: data. ``_on_tensor_cores`` looks whether the arguments fit the kernel (no mask, d = e of a width that is there, a scale that
is positive and neither tiny nor huge, a device of compute capability 8.0 or more), lays leading axes out as three sizes and strides without
copying, and launches on CuPy's current stream; None where they do not fit, and the file goes on with its other kernels. Keys and values
that are broadcast along an axis of heads are read where they are. Guarantees: rows that do not lie at 16-byte addresses are copied first.
For the kernel of warpgroups the text of :mod:`warpgroup_launch` comes with it. Cannot see: wrong shapes; the checks of the file say what is
wrong with those.
"""

LOADER = '''
def _stored(array):
    """An array of CuPy, of NumPy or of anything on the device with DLPack; bfloat16 as its 16 bits."""
    foreign = not isinstance(array, cp.ndarray) and hasattr(array, "__dlpack_device__") and int(array.__dlpack_device__()[0]) == 2
    array = cp.from_dlpack(array) if foreign else cp.asarray(array)
    return array.view(cp.uint16) if array.dtype.name == "bfloat16" else array
'''

ROWS = '''
def _rows(array):
    """The array, or a copy of it, with rows in one piece at 16-byte addresses."""
    steps = [step for size, step in zip(array.shape[:-1], array.strides) if size > 1]
    whole = array.shape[-1] < 2 or array.strides[-1] == array.itemsize
    return array if whole and array.data.ptr % 16 == 0 and not any(step % 16 for step in steps) else array.copy(order="C")
'''

LAUNCH = ROWS + '''

def _on_tensor_cores(q, k, v, causal, mask, scale, sums=False):
    """The result, and with ``sums`` the log-sum-exp of each row, by the tensor-core kernel; None where it does not fit the arguments."""
    d = q.shape[-1] if min(q.ndim, k.ndim, v.ndim) > 1 else 0
    if mask is not None or d not in TENSOR_NAMES or not k.shape[-1] == v.shape[-1] == d or k.shape[-2] != v.shape[-2]:
        return None
    n, m, scale = q.shape[-2], k.shape[-2], 1.0 / math.sqrt(d) if scale is None else float(scale)
    if not 2.0**-60 < scale < 2.0**60 or max(n, m) >= 2**30 or int(cp.cuda.Device().compute_capability) < 80:
        return None
    try:
        lead = cp.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])
    except ValueError:
        return None
    out, totals = cp.empty((*lead, n, d), dtype=STORED), cp.empty((*lead, n), dtype=cp.float32) if sums else None
    kernels, contracts, names, encode = TENSOR_MODULE, TENSOR_LAUNCH, TENSOR_NAMES, None
    if ON_WARPGROUPS and m and int(cp.cuda.Device().compute_capability) == 90:
        encode = _map_encoder()
    if encode is not None:
        kernels, contracts, names = WARPGROUP_MODULE, WARPGROUP_LAUNCH, WARPGROUP_NAMES
        q, k, v = (_forward(part) for part in (q, k, v))
    contract = contracts[names[d]]
    blocks = -(-n // contract["rows"]) * math.prod(lead)
    if blocks >= 2**31:
        return None
    arrays = [(cp.broadcast_to(_rows(part), lead + part.shape[-2:]), True) for part in (q, k, v)] + [(out, True)]
    merged = _merged(lead, arrays)
    if len(merged) > 3:
        arrays = [(cp.ascontiguousarray(part), True) for part, _ in arrays]
        merged = _merged(lead, arrays)
    merged = [(1, (0, 0, 0, 0))] * (3 - len(merged)) + merged
    ahead = AHEAD if causal else m  # query i sees keys j <= i + ahead
    arguments = [cp.int64(merged[1][0]), cp.int64(merged[2][0]), *map(cp.int32, (n, m, ahead)), cp.float32(scale / math.log(2))]
    for place, (array, _) in enumerate(arrays):
        leads = [(size, along[place]) for size, along in merged]
        if encode is not None and place < 3 and blocks:
            rows = contract["rows"] if place == 0 else WARPGROUP_KEYS
            arguments += [_tensor_map(encode, "qkv"[place], array, leads, rows), *(cp.int32(step != 0) for _, step in leads)]
        else:
            arguments += [array, *(cp.int64(step) for _, step in leads), cp.int64(array.strides[-2] // array.itemsize)]
    if blocks:
        kernel = kernels.get_function(names[d])
        kernel.max_dynamic_shared_size_bytes = contract["shared"]
        arguments.append(cp.uint64(0) if totals is None else totals)
        kernel((blocks,), (contract["block"],), tuple(arguments), shared_mem=contract["shared"])
    return (out, totals) if sums else out


def attention_with_sums(q, k, v, *, causal=False, scale=None):
    """The result, and for each row log(sum over the keys it sees of exp(score)) in float32, -inf where it sees none; on tensor cores."""
    q, k, v = (_stored(part) for part in (q, k, v))
    for label, array in (("q", q), ("k", k), ("v", v)):
        if array.dtype != STORED:
            raise TypeError(f"attention_with_sums: {label} of dtype {array.dtype}; expected EXPECTED")
    found = _on_tensor_cores(q, k, v, causal, None, scale, sums=True)
    if found is None:
        shown = f"q {q.shape}, k {k.shape}, v {v.shape}, scale {scale}"
        expected = f"(..., n, d), (..., m, d), (..., m, d), d of {tuple(TENSOR_NAMES)}, scale > 0"
        raise ValueError(f"attention_with_sums: {shown}; expected {expected}, on a device of compute capability 8.0 or more")
    return found
'''

