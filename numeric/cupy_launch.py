"""The Python helpers of a generated CuPy file, as text: they bring arrays to the parameters of a CUDA kernel.

What it does: data. ``_launch`` broadcasts the batch axes of all arrays without copying, merges those that every array steps
through alike, and hands over three sizes and, for each array, a pointer and one stride an axis in entries. An absent array is a
null pointer. Only where more than three batch axes remain after merging are arrays copied.
"""

MERGED = '''
def _merged(batch, arrays):
    """The batch axes as (size, stride in entries of each array); neighbours that all arrays step through alike are one axis."""
    merged = []
    for place, size in enumerate(batch):
        steps = tuple(array.strides[place] // array.itemsize if batched and array is not None else 0 for array, batched in arrays)
        if merged and merged[-1][1] == tuple(step * size for step in steps):
            merged[-1] = (merged[-1][0] * size, steps)
        elif size != 1:
            merged.append((size, steps))
    return merged
'''

LAUNCH = '''
def _launch(name, count, sizes, numbers, tensors, results):
    """Run a kernel. Tensors are (array or None, own shape, has batch axes), results (array to fill or None, own shape, dtype)."""
    leads = [array.shape[: max(array.ndim - len(own), 0)] for array, own, batched in tensors if batched and array is not None]
    batch = cp.broadcast_shapes(*leads)
    plain = not any(batched for _, _, batched in tensors)
    made = [cp.empty(batch + own, dtype=dtype) if array is None else array for array, own, dtype in results]
    arrays = [(None if array is None else cp.broadcast_to(array, batch * batched + own), batched) for array, own, batched in tensors]
    arrays += [(array, not plain) for array in made]
    merged = _merged(batch, arrays)
    if len(merged) > 3:
        own = len(tensors)
        copied = [(array if array is None else cp.ascontiguousarray(array), batched) for array, batched in arrays[:own]]
        arrays = copied + arrays[own:]
        merged = _merged(batch, arrays)
    merged = [(1, (0,) * len(arrays))] * (3 - len(merged)) + merged
    arguments = [] if plain else [size for size, _ in merged]
    arguments = [*map(cp.int64, (*arguments, *sizes)), *numbers]
    for place, (array, batched) in enumerate(arrays):
        strides = [along[place] for _, along in merged] if batched else []
        if array is None:
            arguments += [cp.uint64(0), *map(cp.int64, strides + [0] * len(tensors[place][1]))]
        else:
            steps = [step // array.itemsize for step in array.strides[len(batch) * batched :]]
            arguments += [array, *map(cp.int64, strides + steps)]
    contract = LAUNCH[name]
    threads = count * math.prod(batch) * contract["lanes"]
    if threads:
        blocks = min(-(-threads // contract["block"]), 65536)
        MODULE.get_function(name)((blocks,), (contract["block"],), tuple(arguments), shared_mem=contract["shared"])
    return tuple(made)

''' + MERGED

WIDENED = '''
def _widened(bits):
    """bfloat16, held as its 16 bits, to float32: exact."""
    return (bits.astype(cp.uint32) << 16).view(cp.float32)
'''

NARROWED = '''
def _narrowed(values):
    """float32 to bfloat16, as its 16 bits: the nearest value, of two the one with an even last bit."""
    bits = values.astype(cp.float32, copy=False).view(cp.uint32)
    nearest = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(cp.uint16)
    return cp.where(cp.isnan(values), cp.uint16(0x7FFF), nearest)
'''

LOADED = '''
def _loaded(array):
    """An array of CuPy, of NumPy or of anything on the device with DLPack; bfloat16 as its 16 bits."""
    foreign = not isinstance(array, cp.ndarray) and hasattr(array, "__dlpack_device__") and int(array.__dlpack_device__()[0]) == 2
    array = cp.from_dlpack(array) if foreign else cp.asarray(array)
    return array.view(cp.uint16) if array.dtype.name == "bfloat16" else array
'''
