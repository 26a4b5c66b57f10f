// What the driver makes of an array for the hardware's loads, on the CPU: the same function, with a content of our own.
//
// What it does: cuTensorMapEncodeTiled with the driver's own parameters, for formats of 16 bits; a map holds them as they came. What the
// driver's documentation asks for is asked for here: addresses, lengths, strides, boxes, and that a row of a box fits the exchange of its
// pieces. A stride of 0 is refused, for nothing says that it is allowed. Cannot see: what the driver refuses beyond that; its header also
// says that each stride includes the one before it, and heads that lie closer than rows, as (positions, heads, d) has them, do not.

#pragma once

#include <cstdint>
#include <cstring>

namespace emulator {

constexpr int axes = 5;

struct TensorMap {
    uint64_t mark, address, length[axes], stride[axes - 1];
    uint32_t box[axes], exchanged;
    uint64_t unused[2];
};
static_assert(sizeof(TensorMap) == 128, "a map has 128 bytes");
constexpr uint64_t map_mark = 0x70616d726f736e65;
constexpr int invalid_value = 1, format_float16 = 6, format_bfloat16 = 9, exchange_none = 0, exchange_128 = 3;

}  // namespace emulator

#ifdef KP_DRIVER
extern "C" int cuTensorMapEncodeTiled(
    void* map, int format, uint32_t rank, void* address, const uint64_t* length, const uint64_t* stride, const uint32_t* box,
    const uint32_t* every, int interleave, int exchange, int fetch, int outside)
{
    using namespace emulator;
    const auto at = reinterpret_cast<uintptr_t>(address);
    bool good = reinterpret_cast<uintptr_t>(map) % 64 == 0 && at != 0 && at % 16 == 0 && rank == axes;
    good = good && (format == format_float16 || format == format_bfloat16) && interleave == 0 && fetch >= 0 && fetch <= 3 && outside == 0;
    good = good && (exchange == exchange_none || exchange == exchange_128) && box[0] * 2 % 16 == 0 && (exchange == 0 || box[0] * 2 <= 128);
    for (int axis = 0; good && axis < axes; ++axis) {
        good = length[axis] > 0 && length[axis] <= 1ull << 32 && box[axis] > 0 && box[axis] <= 256 && every[axis] == 1;
        good = good && (axis == axes - 1 || (stride[axis] > 0 && stride[axis] % 16 == 0 && stride[axis] < 1ull << 40));
    }
    if (!good) {
        return invalid_value;
    }
    TensorMap made{};
    made.mark = map_mark, made.address = at, made.exchanged = exchange == exchange_128;
    std::memcpy(made.length, length, sizeof made.length);
    std::memcpy(made.stride, stride, sizeof made.stride);
    std::memcpy(made.box, box, sizeof made.box);
    std::memcpy(map, &made, sizeof made);
    return 0;
}
#endif
