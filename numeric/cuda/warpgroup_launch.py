"""The Python by which a file hands arrays to the loads of the kernel of warpgroups, as text for kernel files.

What it does: data. The hardware finds a box of an array by a map of 128 bytes, which the driver makes (``cuTensorMapEncodeTiled``); CuPy
has no call for it, so ``_map_encoder`` asks the driver's library itself. A file imports math, NumPy and CuPy alone, and reaches ctypes
through NumPy. A map has five axes: columns, rows and three of heads; an axis along which heads share what they read has length 1, for
nothing says that a stride of 0 is allowed. Guarantees: what the driver asks for (addresses and strides are multiples of 16, strides
positive and below 2^40, boxes of at most 256 rows and 128 bytes) holds of what ``_rows`` and ``_forward`` leave; a driver without the call
has the other kernel used; a map that the driver refuses is an error that names the array. Cannot see: what the driver writes into a map.
"""

from __future__ import annotations

#: the driver's numbers of formats (CUtensorMapDataType)
FORMATS = {"float16": 6, "bfloat16": 9}

TEXT = '''
def _map_encoder():
    """The driver's function that makes maps of arrays, None where there is none."""
    try:
        return np.ctypeslib.ctypes.CDLL("libcuda.so.1").cuTensorMapEncodeTiled  # NumPy's ctypes: a file imports little
    except (OSError, AttributeError):
        return None


def _forward(array):
    """The array, or a copy of it, whose axes go forward: maps have no strides that are negative, or 0 from row to row."""
    steps = [step for size, step in zip(array.shape[:-2], array.strides) if size > 1]
    rows = array.shape[-2] < 2 or array.strides[-2] > 0
    return array if rows and all(step >= 0 for step in steps) else array.copy(order="C")


def _tensor_map(encode, label, array, leads, rows):
    """A map for loads of `rows` rows and 64 columns, as a kernel takes it; `leads`: size and stride of each axis of heads, 0 if shared."""
    ctypes = np.ctypeslib.ctypes
    n, d = array.shape[-2:]
    sizes = [d, n, *(size if step else 1 for size, step in reversed(leads))]
    steps = [array.strides[-2] if n > 1 else d * array.itemsize, *((step or d) * array.itemsize for _, step in reversed(leads))]
    room = np.zeros(32, dtype=np.uint64)
    begin = -room.ctypes.data % 128 // 8  # the driver wants a multiple of 64, its header one of 128
    words = room[begin : begin + 16]
    longs, ints = ctypes.c_uint64 * 5, ctypes.c_uint32 * 5
    # format, axes, where, lengths, strides, box, every entry; not interleaved, pieces of 128 bytes exchanged, by 256 bytes, zeros outside
    status = encode(
        ctypes.c_void_p(words.ctypes.data), FORMAT, 5, ctypes.c_void_p(array.data.ptr), longs(*sizes), longs(*steps),
        ints(64, rows, 1, 1, 1), ints(1, 1, 1, 1, 1), 0, 3, 3, 0,
    )
    if status:
        shown = f"lengths {sizes}, strides of {steps} bytes, {rows} rows of 64 columns at a time"
        raise RuntimeError(f"attention: a tensor map of {label}: cuTensorMapEncodeTiled gave {status} for {shown}; expected 0")
    return words.view([("words", np.uint64, 16)])  # one entry: CuPy hands it over by value
'''
