"""Maps of arrays for the hardware's loads: what files ask of the driver is what its header declares, and holds its rules.

The driver is a stand-in that has the rules of its documentation; what the real one writes into a map, and whether it refuses more, is not
seen here.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernelproof.numeric.cuda.warpgroup_launch import FORMATS
from kernelproof.numeric.cupy_file import cupy_source
from kernelproof.symbolic.registry import derive

pytestmark = pytest.mark.cuda
#: numbers and order of parameters, as the text of a file and the stand-in have them
DECLARED = """
#include <cuda.h>
#include "tensor_map.h"
static_assert(CU_TENSOR_MAP_DATA_TYPE_FLOAT16 == %d && CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 == %d);
static_assert(CU_TENSOR_MAP_DATA_TYPE_FLOAT16 == emulator::format_float16);
static_assert(CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 == emulator::format_bfloat16);
static_assert(CU_TENSOR_MAP_INTERLEAVE_NONE == 0 && CU_TENSOR_MAP_SWIZZLE_NONE == emulator::exchange_none);
static_assert(CU_TENSOR_MAP_SWIZZLE_128B == 3 && emulator::exchange_128 == 3 && CU_TENSOR_MAP_L2_PROMOTION_L2_256B == 3);
static_assert(CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE == 0 && sizeof(CUtensorMap) == 128 && alignof(CUtensorMap) <= 128);
static_assert(CUDA_SUCCESS == 0 && CUDA_ERROR_INVALID_VALUE == emulator::invalid_value);
CUresult (*function)(CUtensorMap*, CUtensorMapDataType, uint32_t, void*, const cuuint64_t*, const cuuint64_t*, const uint32_t*,
    const uint32_t*, CUtensorMapInterleave, CUtensorMapSwizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill) = cuTensorMapEncodeTiled;
"""


@pytest.fixture(scope="module")
def space(emulation: Any, compiler: Any) -> dict[str, Any]:
    """What a file defines."""
    return emulation.namespace_of(cupy_source(derive("attention"), "float16"), emulation.stand_in(compiler))  # type: ignore[no-any-return]


def stored(emulation: Any, *shape: int) -> Any:
    return np.zeros(shape, dtype=np.float16).view(emulation.Array)


def test_the_driver_declares_what_is_asked_of_it(neighbour: Any, tmp_path: Path) -> None:
    source = tmp_path / "declared.cpp"
    source.write_text(DECLARED % (FORMATS["float16"], FORMATS["bfloat16"]), encoding="utf-8")
    command = ["g++", "-std=c++17", "-fsyntax-only", *neighbour("nvrtc").includes(), "-I", str(Path(__file__).parent), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr


def test_a_map_tells_where_rows_and_heads_lie(space: dict[str, Any], emulation: Any) -> None:
    """Positions before heads; the axis of heads is the map's third, and one that is shared has length 1."""
    array = stored(emulation, 5, 3, 64).swapaxes(0, 1)
    made = space["_tensor_map"](space["_map_encoder"](), "k", array, [(7, 0), (1, 0), (3, 64)], 128)
    assert made.shape == (1,) and made.dtype.itemsize == 128 and made.ctypes.data % 128 == 0
    words = made.view(np.uint64).tolist()
    assert words[1:11] == [array.data.ptr, 64, 5, 3, 1, 1, 3 * 128, 128, 128, 128]
    assert made.view(np.uint32)[22:28].tolist() == [64, 128, 1, 1, 1, 1]
    one_row = space["_tensor_map"](space["_map_encoder"](), "k", array[:, :1], [(1, 0)] * 3, 128)
    assert one_row.view(np.uint64)[7] == 128, "one row may have any stride"


@pytest.mark.parametrize(("rows", "leads"), [(300, [(1, 0)] * 3), (128, [(1, 0), (1, 0), (2, 12)]), (128, [(1, 0), (1, 0), (2, 2**40)])])
def test_a_refused_map_is_an_error_that_names_the_array(
    rows: int, leads: list[tuple[int, int]], space: dict[str, Any], emulation: Any
) -> None:
    with pytest.raises(RuntimeError, match=r"a tensor map of v: cuTensorMapEncodeTiled gave 1 for lengths \[64, 5, .*; expected 0"):
        space["_tensor_map"](space["_map_encoder"](), "v", stored(emulation, 2, 5, 64), leads, rows)


def test_what_a_map_cannot_have_is_copied(space: dict[str, Any], emulation: Any) -> None:
    array = stored(emulation, 2, 5, 64)
    heads, rows = (np.broadcast_to(array[0, :1], shape, subok=True) for shape in ((4, 1, 64), (5, 64)))
    kept = (array, array[:, ::2], array.swapaxes(0, 1), array[:1], array[0], heads)
    copied = (array[::-1], array[:, ::-1], rows)
    assert all(space["_forward"](part) is part for part in kept)
    for part in copied:
        made = space["_forward"](part)
        assert made.flags.c_contiguous and (made == part).all()
