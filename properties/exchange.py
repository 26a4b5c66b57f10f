"""Arrays on their way between two processes: small ones inside the message, large ones through memory that both see.

Guarantees: the other side gets the same bits in the same layout (strides, order, what lies between and around the entries of a view), in
memory of its own, so nothing that one side does to an array reaches the other unseen.
Cannot see: that two arrays share memory; each arrives alone.

Anonymous memory (``memfd_create``) instead of ``multiprocessing.shared_memory``: it has no name, so nothing is left behind when a process
is killed, and no second process has to keep count of it.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import tempfile
from typing import Any, NamedTuple

import numpy as np

from kernelproof.properties.values import Array

#: bytes from which an array goes through shared memory; below, copying into the pipe is as fast
SHARED_FROM = 1 << 16
#: a view of a much larger array travels without it
MOST_AROUND = 1 << 12


class Packed(NamedTuple):
    """An array as a message: ``data`` holds its memory, or is None where it lies ``at`` a place of the arena.

    ``order`` is C or F for an array that owns its memory, else empty: a view at ``offset`` with ``strides``.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    order: str
    offset: int
    strides: tuple[int, ...]
    writable: bool
    size: int
    data: bytes | None
    at: int


class Arena:
    """Memory that both processes see; it grows on demand and ends with the last of them."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._map: mmap.mmap | None = None
        self._used = 0

    @classmethod
    def create(cls) -> Arena:
        """A new one, empty."""
        if hasattr(os, "memfd_create"):
            return cls(os.memfd_create("kernelproof"))
        with tempfile.TemporaryFile() as file:
            return cls(os.dup(file.fileno()))

    def reset(self) -> None:
        """Let the next message begin at the front."""
        self._used = 0

    def put(self, memory: Array) -> int:
        """Copy bytes in; returns where they are."""
        at = self._used
        self._used = -(-(at + memory.nbytes) // 64) * 64
        if self._used > os.fstat(self.descriptor).st_size:
            os.ftruncate(self.descriptor, max(self._used, 1 << 20))
        self.bytes_at(at, memory.nbytes)[...] = memory
        return at

    def bytes_at(self, at: int, size: int) -> Array:
        """The bytes themselves, not a copy."""
        if self._map is None or at + size > len(self._map):
            self._map = mmap.mmap(self.descriptor, os.fstat(self.descriptor).st_size)
        return np.frombuffer(self._map, dtype=np.uint8, count=size, offset=at)

    def close(self) -> None:
        """Give the memory back."""
        self._map = None
        os.close(self.descriptor)


def pack(array: Array, arena: Arena) -> Packed:
    """The array as a message to the other side."""
    owner = _owner(array)
    order = "C" if array.flags.c_contiguous else "F" if array.flags.f_contiguous else ""
    if owner is not array:
        order = ""
    memory = memory_of(array)
    large = memory.nbytes >= SHARED_FROM
    return Packed(
        dtype=array.dtype,
        shape=array.shape,
        order=order if array.size else "C",
        offset=array.ctypes.data - memory.ctypes.data if array.size else 0,
        strides=array.strides,
        writable=array.flags.writeable,
        size=memory.nbytes,
        data=None if large else memory.tobytes(),
        at=arena.put(memory) if large else 0,
    )


def unpack(packed: Packed, arena: Arena) -> Array:
    """The array, in new memory."""
    if packed.order:
        array: Array = np.empty(packed.shape, packed.dtype, order="F" if packed.order == "F" else "C")
        memory_of(array)[...] = sent(packed, arena)
    else:
        memory = np.empty(packed.size, np.uint8)
        memory[...] = sent(packed, arena)
        array = np.ndarray(packed.shape, packed.dtype, memory, packed.offset, packed.strides)
    array.flags.writeable = packed.writable
    return array


def sent(packed: Packed, arena: Arena) -> Array:
    """The bytes that travelled."""
    if packed.data is None:
        return arena.bytes_at(packed.at, packed.size)
    return np.frombuffer(packed.data, dtype=np.uint8)


def memory_of(array: Array) -> Array:
    """All bytes of the memory that the array looks at, as they lie there; valid as long as the array lives."""
    if not array.size:
        return np.empty(0, np.uint8)
    owner = _owner(array)
    if owner.flags.c_contiguous or owner.flags.f_contiguous:
        return (owner if owner.flags.c_contiguous else owner.T).reshape(-1).view(np.uint8)
    low, high = np.lib.array_utils.byte_bounds(owner)
    return np.ctypeslib.as_array((ctypes.c_uint8 * (high - low)).from_address(low))


def _owner(array: Array) -> Array:
    """The array whose memory ``array`` looks at, unless that is far larger or not NumPy's: then itself."""
    owner = array
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    if owner is array or (owner.size and owner.nbytes <= 4 * array.nbytes + MOST_AROUND):
        return owner
    return array
