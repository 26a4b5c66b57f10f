// Runs plain CUDA C++ on the CPU: the text of a kernel is compiled by g++ behind this header and executed lane by lane.
//
// What it does: every lane of a warp is a fiber. A shuffle is a meeting of all 32 lanes, which is checked: all come, none has
// returned, all ask for the same exchange. The order in which lanes, warps and blocks run is a schedule: 0 forward, 1 backward,
// others shuffled by that seed. 16-bit types are stored as bits and rounded to nearest, ties to even.
// Guarantees: a kernel that lets lanes part at a shuffle is reported, not hung. Cannot see: shared memory and __syncthreads (the
// generated kernels have none), the accuracy of the device's own elementary functions, and any speed.

#pragma once

#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <random>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __forceinline__ inline

struct EmulatedIndex {
    unsigned x, y, z;
};
EmulatedIndex threadIdx, blockIdx, blockDim, gridDim;

namespace emulator {

constexpr int lanes = 32;
constexpr size_t stack_bytes = 64 * 1024;

struct Lane {
    ucontext_t context;
    std::vector<char> stack = std::vector<char>(stack_bytes);
    bool done = false, waiting = false;
    int exchange = 0;
};

struct Warp {
    std::vector<Lane> lane = std::vector<Lane>(lanes);
    ucontext_t scheduler;
    int current = 0, turn = 0;
    uint64_t slots[2][lanes] = {};
    void (*body)(void*) = nullptr;
    void* closure = nullptr;
};

Warp* warp;
std::string error;

inline void enter()
{
    warp->body(warp->closure);
    warp->lane[warp->current].done = true;
    swapcontext(&warp->lane[warp->current].context, &warp->scheduler);
}

// Waits for the other lanes; the turn of the slots that were written before it.
inline int meet(int exchange)
{
    Lane& mine = warp->lane[warp->current];
    mine.waiting = true;
    mine.exchange = exchange;
    const int turn = warp->turn;
    swapcontext(&mine.context, &warp->scheduler);
    return turn;
}

// Runs the lanes of one warp until all have returned.
inline bool run_warp(unsigned first_thread, std::vector<int> order, int schedule, std::mt19937& random)
{
    for (Lane& lane : warp->lane) {
        lane.done = lane.waiting = false;
        getcontext(&lane.context);
        lane.context.uc_stack.ss_sp = lane.stack.data();
        lane.context.uc_stack.ss_size = stack_bytes;
        lane.context.uc_link = nullptr;
        makecontext(&lane.context, enter, 0);
    }
    warp->turn = 0;
    while (true) {
        if (schedule > 1) {
            std::shuffle(order.begin(), order.end(), random);
        }
        for (int lane : order) {
            if (!warp->lane[lane].done) {
                warp->current = lane;
                threadIdx = {first_thread + static_cast<unsigned>(lane), 0, 0};
                swapcontext(&warp->scheduler, &warp->lane[lane].context);
            }
        }
        const auto done = std::count_if(warp->lane.begin(), warp->lane.end(), [](const Lane& lane) { return lane.done; });
        if (done == lanes) {
            return true;
        }
        if (done > 0) {
            error = std::to_string(done) + " lanes of a warp have returned and the others wait at a shuffle";
            return false;
        }
        for (Lane& lane : warp->lane) {
            if (lane.exchange != warp->lane[0].exchange) {
                error = "lanes of a warp meet at different shuffles";
                return false;
            }
            lane.waiting = false;
        }
        warp->turn ^= 1;
    }
}

template <class... A, size_t... I>
void call(void (*kernel)(A...), void** parameters, std::index_sequence<I...>)
{
    kernel(*static_cast<std::remove_cv_t<A>*>(parameters[I])...);
}

// Runs a kernel; 0, or 1 with a text in `error`.
template <class... A>
int launch(void (*kernel)(A...), unsigned grid, unsigned block, int schedule, void** parameters)
{
    error.clear();
    if (block % lanes != 0) {
        error = "the block is not a whole number of warps";
        return 1;
    }
    struct Closure {
        void (*kernel)(A...);
        void** parameters;
    } closure{kernel, parameters};
    Warp state;
    warp = &state;
    state.closure = &closure;
    state.body = [](void* given) {
        auto* found = static_cast<Closure*>(given);
        call(found->kernel, found->parameters, std::index_sequence_for<A...>{});
    };
    gridDim = {grid, 1, 1};
    blockDim = {block, 1, 1};
    std::mt19937 random(static_cast<unsigned>(schedule));
    std::vector<unsigned> warps(static_cast<size_t>(grid) * (block / lanes));
    std::vector<int> order(lanes);
    std::iota(warps.begin(), warps.end(), 0u);
    std::iota(order.begin(), order.end(), 0);
    if (schedule == 1) {
        std::reverse(warps.begin(), warps.end());
        std::reverse(order.begin(), order.end());
    } else if (schedule > 1) {
        std::shuffle(warps.begin(), warps.end(), random);
    }
    for (unsigned number : warps) {
        blockIdx = {number / (block / lanes), 0, 0};
        if (!run_warp(number % (block / lanes) * lanes, order, schedule, random)) {
            return 1;
        }
    }
    return 0;
}

// A number in a 16-bit format with so many bits of mantissa, to nearest and ties to even.
inline uint16_t encode(double value, int mantissa, int bias)
{
    const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
    const int exponents = 15 - mantissa;
    const uint16_t infinite = static_cast<uint16_t>(((1 << exponents) - 1) << mantissa);
    const double size = std::fabs(value);
    if (std::isnan(value)) {
        return static_cast<uint16_t>(sign | infinite | (1 << (mantissa - 1)));
    }
    if (size == 0) {
        return sign;
    }
    const int exponent = std::isinf(size) ? bias + 1 : std::max(std::ilogb(size), 1 - bias);
    if (exponent > bias) {
        return sign | infinite;
    }
    // the quotient is exact; nearbyint rounds ties to even, and a carry into the exponent is right as it stands
    const double units = std::nearbyint(std::ldexp(size, mantissa - exponent));
    return static_cast<uint16_t>(sign | (((exponent + bias - 1) << mantissa) + static_cast<int>(units)));
}

inline float decode(uint16_t bits, int mantissa, int bias)
{
    const int field = (bits & 0x7fff) >> mantissa, fraction = bits & ((1 << mantissa) - 1);
    const int top = (1 << (15 - mantissa)) - 1;
    double size = field == 0 ? std::ldexp(fraction, 1 - bias - mantissa) : std::ldexp(fraction + (1 << mantissa), field - bias - mantissa);
    if (field == top) {
        size = fraction ? std::nan("") : HUGE_VAL;
    }
    return static_cast<float>(bits & 0x8000 ? -size : size);
}

}  // namespace emulator

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int offset)
{
    static_assert(sizeof(T) <= sizeof(uint64_t));
    if (mask != 0xffffffffu) {
        emulator::error = "a shuffle of a part of the warp";
    }
    const int lane = emulator::warp->current, partner = lane ^ offset;
    std::memcpy(&emulator::warp->slots[emulator::warp->turn][lane], &value, sizeof(T));
    const int turn = emulator::meet(offset);
    T other;
    std::memcpy(&other, &emulator::warp->slots[turn][partner % emulator::lanes], sizeof(T));
    return other;
}

inline void __syncwarp(unsigned = 0xffffffffu)
{
    emulator::meet(-1);
}

inline float __int_as_float(int bits)
{
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

inline double __longlong_as_double(long long bits)
{
    double value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

struct __half {
    uint16_t bits;
};
struct __nv_bfloat16 {
    uint16_t bits;
};

inline float __half2float(__half value) { return emulator::decode(value.bits, 10, 15); }
inline __half __float2half_rn(float value) { return {emulator::encode(value, 10, 15)}; }
inline __half __double2half(double value) { return {emulator::encode(value, 10, 15)}; }
inline float __bfloat162float(__nv_bfloat16 value) { return emulator::decode(value.bits, 7, 127); }
inline __nv_bfloat16 __float2bfloat16_rn(float value) { return {emulator::encode(value, 7, 127)}; }
inline __nv_bfloat16 __double2bfloat16(double value) { return {emulator::encode(value, 7, 127)}; }

extern "C" const char* emulator_error() { return emulator::error.c_str(); }
extern "C" void emulator_half(const float* values, uint16_t* bits, float* back, long long count)
{
    for (long long at = 0; at < count; ++at) {
        bits[at] = __float2half_rn(values[at]).bits;
        back[at] = __half2float(__half{bits[at]});
    }
}
extern "C" void emulator_bfloat16(const float* values, uint16_t* bits, float* back, long long count)
{
    for (long long at = 0; at < count; ++at) {
        bits[at] = __float2bfloat16_rn(values[at]).bits;
        back[at] = __bfloat162float(__nv_bfloat16{bits[at]});
    }
}
