"""The Python of attention in tiles, as text for kernel files.

What it does: data. ``_in_tiles`` lays leading axes out as three sizes and strides and launches on CuPy's current stream; nothing is copied,
not even where more than three leading axes remain: then it launches once for each place along the first. A mask is broadcast by strides and
handed over in its own format. None where arguments have other shapes, which the checks of the file then tell, or the device is older than
compute capability 7.0, which may not have the shared memory. Guarantees: no array of queries × keys is made. Lines that end in
``#? NAME`` stand only with that need; ``{held}`` is the format of the arrays that it is given and makes. Cannot see: whether results of
more than 2^31 blocks are wanted; those go another way.
"""

from __future__ import annotations

LAUNCH = '''
def _in_tiles(q, k, v, causal, mask, scale{more}):
    """The result, by the kernel that goes through the scores in tiles; None where it does not fit the arguments or the device."""
    if min(q.ndim, k.ndim, v.ndim) < 2 or q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:  #! grouped
    if min(q.ndim, k.ndim, v.ndim) < 3 or q.shape[-1] != k.shape[-1] or k.shape[-3:-1] != v.shape[-3:-1]:  #? grouped
        return None
    if q.shape[-3] % k.shape[-3] if k.shape[-3] else q.shape[-3]:  #? grouped
        return None  #? grouped
    (n, d), (m, e), device = q.shape[-2:], v.shape[-2:], int(cp.cuda.Device().compute_capability)
    try:
        lead = cp.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])  #! grouped
        lead = (*cp.broadcast_shapes(q.shape[:-3], k.shape[:-3], v.shape[:-3]), q.shape[-3])  #? grouped
    except ValueError:
        return None
    width = next((width for width in TILED_NAMES if e <= width), max(TILED_NAMES))
    contract = TILED_LAUNCH[TILED_NAMES[width]]
    blocks = -(-n // contract["rows"]) * -(-e // width)
    if device < 70 or max(n, m, d, e) >= 2**30 or blocks * math.prod(lead) >= 2**31:
        return None
    scale = (1.0 / math.sqrt(d) if d else 1.0) if scale is None else float(scale)
    dtype = cp.result_type(q, k, v)  #! turned
    q, k, v = (part.astype({held}, copy=False) for part in (q, k, v))  #! turned
    dtype, v = {held}, v.astype({held}, copy=False)  # what is turned stays in the format computed in  #? turned
    wide = sum(2**place for place, part in enumerate((q, k, v)) if _in_fours(part))
    kind, mask = (0, None) if mask is None else _kind_of(mask, (*lead, n, m))
    out = cp.empty((*lead, n, e), dtype={held})
    if not out.size:
        return out.astype(dtype, copy=False)
    shape = out.shape  #? grouped
    lead = (*lead[:-1], k.shape[-3], lead[-1] // k.shape[-3])  # attention.grouped  #? grouped
    q, k, v = q.reshape((*q.shape[:-3], *lead[-2:], n, d)), k[..., None, :, :], v[..., None, :, :]  #? grouped
    mask, out = (part if part is None else part.reshape((*lead, n, part.shape[-1])) for part in (mask, out))  #? grouped
    sinks = sinks.astype({held}, copy=False).reshape(lead[-2:])  #? sink #? grouped
    sinks = sinks.astype({held}, copy=False)  #? sink #! grouped
    slopes = _slopes(math.prod(lead[-2:])).astype(COMPUTE).reshape(lead[-2:])  #? alibi #? grouped
    slopes = _slopes(lead[-1]).astype(COMPUTE)  #? alibi #! grouped
    arrays = [cp.broadcast_to(part, lead + part.shape[-2:]) for part in (q, k, v)] + [mask]
    arrays.append(cp.broadcast_to(sinks, lead))  #? sink
    arrays.append(cp.broadcast_to(slopes, lead))  #? alibi
    offset = {offset}  # key j and query j - offset stand at one place
    ahead = offset if causal else m  # query i sees keys j <= i + ahead  #! window
    ahead = offset  # query i sees keys j <= i + ahead, of those the last  #? window
    numbers = [*map(cp.int32, (n, m, d, e, ahead)), cp.int32(wide), cp.int32(kind), COMPUTE(scale)]  #! alibi
    numbers = [*map(cp.int32, (n, m, d, e, ahead, offset)), cp.int32(wide), cp.int32(kind), COMPUTE(scale)]  #? alibi
    _tiles(TILED_NAMES[width], blocks, lead, [*arrays, out], numbers)
    return out.astype(dtype, copy=False)  #! grouped
    return out.reshape(shape).astype(dtype, copy=False)  #? grouped


def _tiles(name, blocks, lead, arrays, numbers):
    """Launch for leading axes that become three; else for each place along the first of them."""
    merged = _merged(lead, [(array, True) for array in arrays])
    if len(merged) > 3:
        for at in range(lead[0]):
            _tiles(name, blocks, lead[1:], [array if array is None else array[at] for array in arrays], numbers)
        return
    merged = [(1, (0,) * len(arrays))] * (3 - len(merged)) + merged
    arguments = [cp.int64(merged[1][0]), cp.int64(merged[2][0]), *numbers]
    for place, array in enumerate(arrays):
        own = [] if array is None or place == len(arrays) - 1 else [step // array.itemsize for step in array.strides[len(lead) :]]
        strides = [*(along[place] for _, along in merged), *([0, 0] if array is None else own)]
        arguments += [cp.uint64(0) if array is None else array, *map(cp.int64, strides)]
    contract, kernel = TILED_LAUNCH[name], TILED_MODULE.get_function(name)
    kernel.max_dynamic_shared_size_bytes = contract["shared"]
    grid = blocks * math.prod(size for size, _ in merged)
    kernel((grid,), (contract["block"],), tuple(arguments), shared_mem=contract["shared"])


def _in_fours(array):
    """Whether four entries of a row may be read at once: rows in one piece, at addresses for that."""
    steps = [step for size, step in zip(array.shape[:-1], array.strides) if size > 1]
    fits = min(4 * array.itemsize, 16)
    return array.strides[-1] == array.itemsize and array.data.ptr % fits == 0 and not any(step % fits for step in steps)


def _kind_of(mask, shape):
    """(the number of a mask's format, the mask along the scores, by strides)."""
    mask = cp.asarray(mask)
    kind = {"bool": 1, "float16": 2, "bfloat16": 3, "float32": 4, "float64": 5}.get(mask.dtype.name, 0)
    if not kind:
        raise TypeError(f"{phase}: mask of dtype {mask.dtype}; expected bool (True = may attend) or floating (added to the scores)")
    try:
        return kind, cp.broadcast_to(mask, shape)
    except ValueError:
        message = f"{phase}: mask of shape {mask.shape}; expected one that broadcasts to the scores' shape {shape}"
        raise ValueError(message) from None
'''
#: positions by rotation of queries and keys, before the kernel; FIRST and SECOND are the channels of a pair
TURNED = '''
def _turned(x):
    """Channels turned in pairs by the positions of their rows (base 10000); in float64, rounded once."""
    n, h = x.shape[-2], x.shape[-1] // 2
    frequencies = cp.exp(-cp.arange(h, dtype=cp.float64) / (h or 1) * math.log(10000.0))
    angles = cp.arange(n, dtype=cp.float64)[:, None] * frequencies
    sines, cosines, one, two, out = cp.sin(angles), cp.cos(angles), x[..., FIRST], x[..., SECOND], cp.empty(x.shape, dtype=x.dtype)
    out[..., FIRST] = one * cosines - two * sines
    out[..., SECOND] = one * sines + two * cosines
    return out
'''
#: the channels of a pair by layout
PAIRS = {"halves": (":h", "h:"), "interleaved": ("0::2", "1::2")}
TURN = (
    "if d % 2:",
    '    raise ValueError(f"attention: q and k have width {d}; expected an even width, channels turn in pairs")',
    "q, k = (_turned({part}) for part in (q, k))  # attention.rotary",
)
#: where other kernels of the file go on
CALL = ("out = _in_tiles(q, k, v, causal, mask, scale{more})", "if out is not None:", "    return out")
#: where there are none
CALL_ALONE = (
    "out = _in_tiles(q, k, v, causal, mask, scale{more})",
    "if out is None:",
    '    message = f"attention: q {q.shape}, k {k.shape}, v {v.shape}; expected fewer than 2^30 queries, keys and channels"',
    '    raise ValueError(f"{message}, on a device of compute capability 7.0 or more")',
    "return out.astype(dtype, copy=False)",
)
