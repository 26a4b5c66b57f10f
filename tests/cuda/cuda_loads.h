// What the hardware's loads by maps mean on the CPU, after the PTX manual.
//
// What it does: a load is as late as it may be: its place holds NaN from its start on, and its bytes come only when nothing else can run, of
// several loads now the first and now the last one; what lies outside the array comes as zeros. It is an error that a load has no map, or
// a place that is misaligned or outside shared memory, that loads bring more bytes than their barrier expects, and that nobody waits
// for one. To a sanitizer the start of a load is a write of its thread. Cannot see: memory that threads themselves write or read where a load
// does, without a fence; what a map of the driver's means on hardware.

#pragma once

#include "cuda_barriers.h"
#include "tensor_map.h"

namespace emulator {

constexpr int most_loads = 256;

struct Load {
    TensorMap map;
    int from[axes];
    size_t to;
    int barrier;
    bool pending;
};

Load loads[most_loads];
int landed;

KP_UNSEEN inline void begin_loads()
{
    landed = 0;
    for (Load& load : loads) {
        load.pending = false;
    }
}

// Where the byte of a box lies that has number `byte` before pieces are exchanged.
KP_UNSEEN inline size_t place_of(const Load& load, size_t byte)
{
    const size_t address = load.to + byte + shared_start;
    return load.map.exchanged ? (address ^ (address >> 7 & 7) << 4) - shared_start : load.to + byte;
}

KP_UNSEEN inline size_t bytes_of(const TensorMap& map)
{
    size_t entries = 2;
    for (int axis = 0; axis < axes; ++axis) {
        entries *= map.box[axis];
    }
    return entries;
}

// What a load needs to know, kept until it comes; null where it may not be started.
KP_UNSEEN inline const Load* kept_load(void* to, const void* map, const int (&from)[axes], void* barrier)
{
    int number = 0;
    while (number < most_loads && loads[number].pending) {
        ++number;
    }
    const auto* words = static_cast<const volatile uint64_t*>(map);
    if (number == most_loads || words[0] != map_mark) {
        report("a load by what is no map, or too many loads");
        return nullptr;
    }
    Load& load = loads[number];
    for (size_t word = 0; word < sizeof(TensorMap) / 8; ++word) {
        reinterpret_cast<volatile uint64_t*>(&load.map)[word] = words[word];
    }
    for (int axis = 0; axis < axes; ++axis) {
        load.from[axis] = from[axis];
    }
    load.to = static_cast<size_t>(static_cast<unsigned char*>(to) - block->shared);
    load.barrier = barrier_at(barrier);
    if ((load.to + shared_start) % (load.map.exchanged ? 1024 : 128) != 0 || load.to + bytes_of(load.map) > block->shared_bytes) {
        report("a load to a place that is misaligned or outside shared memory");
        return nullptr;
    }
    load.pending = load.barrier >= 0;
    return load.pending ? &load : nullptr;
}

KP_UNSEEN inline void release_for(const Load& load) { release(&barriers[load.barrier].clock[barriers[load.barrier].phase & 1]); }
KP_UNSEEN inline size_t size_of(const Load* load) { return load == nullptr ? 0 : bytes_of(load->map); }

inline void start_load(void* to, const void* map, const int (&from)[axes], void* barrier)
{
    const Load* load = kept_load(to, map, from, barrier);
    static const unsigned char poison[16] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    const size_t size = size_of(load);
    for (size_t byte = 0; byte < size; byte += 16) {
        write_bytes(static_cast<unsigned char*>(to) + byte, poison);
    }
    if (load != nullptr) {
        release_for(*load);
    }
}

// The bytes of a load come; its barrier is told.
KP_UNSEEN inline void finish_load(Load& load)
{
    const TensorMap& map = load.map;
    const size_t row_bytes = map.box[0] * 2, total = bytes_of(map);
    for (size_t byte = 0; byte < total; byte += 2) {
        size_t rest = byte / row_bytes;
        int64_t offset = 0;
        bool inside = true;
        for (int axis = 0; axis < axes; ++axis) {
            const int64_t step = axis == 0 ? static_cast<int64_t>(byte % row_bytes / 2) : static_cast<int64_t>(rest % map.box[axis]);
            rest = axis == 0 ? rest : rest / map.box[axis];
            const int64_t at = load.from[axis] + step;
            inside = inside && at >= 0 && at < static_cast<int64_t>(map.length[axis]);
            offset += at * (axis == 0 ? 2 : static_cast<int64_t>(map.stride[axis - 1]));
        }
        const auto* source = reinterpret_cast<const volatile uint16_t*>(map.address + offset);
        *reinterpret_cast<volatile uint16_t*>(block->shared + place_of(load, byte)) = inside ? *source : uint16_t{0};
    }
    Barrier& barrier = barriers[load.barrier];
    if (barrier.bytes < static_cast<long>(total)) {
        report("loads bring more bytes than their barrier expects");
    }
    barrier.bytes -= static_cast<long>(total);
    end_phase_if_over(barrier);
    load.pending = false;
}

// Nothing can run: one load comes for which a thread waits. False where there is none.
KP_UNSEEN inline bool land()
{
    for (int at = 0; at < most_loads; ++at) {
        Load& load = loads[landed % 2 ? most_loads - 1 - at : at];
        for (unsigned thread = 0; load.pending && thread < block->size.x; ++thread) {
            if (block->lane[thread].state == State::blocked && block->lane[thread].barrier == load.barrier) {
                ++landed;
                finish_load(load);
                return true;
            }
        }
    }
    report("threads wait at a barrier, and no arrival and no load ends its phase");
    return false;
}

KP_UNSEEN inline void end_loads()
{
    if (std::any_of(loads, loads + most_loads, [](const Load& load) { return load.pending; })) {
        report("a load was not waited for");
    }
}

}  // namespace emulator

inline void kp_copy_box(
    void* shared, const void* map, int column, int row, int lead2, int lead1, int lead0, unsigned long long* barrier)
{
    emulator::start_load(shared, map, {column, row, lead2, lead1, lead0}, barrier);
}
