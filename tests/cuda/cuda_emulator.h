// Runs plain CUDA C++ on the CPU: the text of a kernel is compiled by g++ behind this header and executed thread by thread.
//
// What it does: every thread of a block is a fiber. A shuffle, a __syncwarp and an instruction of a whole warp are meetings of 32 lanes,
// __syncthreads one of the block; who comes is checked: all do, none has returned, all are at the same place. Blocks run one after the
// other. The order of blocks, warps and lanes is a schedule: 0 forward, 1 backward, 2 one warp runs ahead until it waits for the others,
// more are shuffles by that seed. Shared memory is as large as the launch says, full of NaN for every block, and its ends are guarded.
// Under a sanitizer of g++ fibers and barriers are told to it, so that its data races are those of the kernel's threads.
// Guarantees: threads that part at a meeting are reported, not hung. Cannot see: the accuracy of the device's elementary functions, how an
// instruction rounds inside, warps that run on without their lanes, weak memory, races between blocks, what is read from registers before
// it is set, and any speed.

#pragma once

#include <ucontext.h>
#include <xmmintrin.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <random>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#define KP_UNSEEN __attribute__((no_sanitize("thread"), noinline))
#else
#define KP_UNSEEN
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

#define KP_EMULATED
#define __global__
#define __device__
#define __forceinline__ inline
#define __shared__ static
#define __launch_bounds__(...)
#define __align__(size) alignas(size)
#define __grid_constant__
#define KP_DYNAMIC_SHARED(name) unsigned char* name = emulator::shared_memory()

struct EmulatedIndex {
    unsigned x, y, z;
};

namespace emulator {

constexpr int lanes = 32, words = 12;
constexpr size_t stack_bytes = 128 * 1024, guard_bytes = 256;

// Where a thread stands. swapcontext asks the system for the mask of signals at each switch, which is most of what it does; where no
// sanitizer has to follow, the registers that a call keeps are enough.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
struct Context {
    void** top = nullptr;
};
__attribute__((naked, noinline)) inline void swap(Context*, Context*)
{
    asm("pushq %rbp\n pushq %rbx\n pushq %r12\n pushq %r13\n pushq %r14\n pushq %r15\n movq %rsp, (%rdi)\n movq (%rsi), %rsp\n"
        "popq %r15\n popq %r14\n popq %r13\n popq %r12\n popq %rbx\n popq %rbp\n ret");
}
inline void begin(Context& made, char* stack, void (*enter)())
{
    made.top = reinterpret_cast<void**>(stack + stack_bytes) - 8;  // a multiple of 16 away, as a call leaves it
    std::fill(made.top, made.top + 8, nullptr);
    made.top[6] = reinterpret_cast<void*>(enter);
}
#else
using Context = ucontext_t;
inline void swap(Context* from, Context* to) { swapcontext(from, to); }
inline void begin(Context& made, char* stack, void (*enter)())
{
    getcontext(&made);
    made.uc_stack.ss_sp = stack;
    made.uc_stack.ss_size = stack_bytes;
    made.uc_link = nullptr;
    makecontext(&made, enter, 0);
}
#endif

enum class State { ready, meeting, waiting, done, blocked };
constexpr int states = 5;

struct Lane {
    Context context;
    char* stack = nullptr;
    void* fiber = nullptr;
    State state = State::done;
    long place = 0;
    EmulatedIndex thread{};
    uint32_t in[words] = {}, out[words] = {};
    struct Copies* copies = nullptr;
    // of a barrier in shared memory: which one is waited for, the phase, and whether it was asked before
    int barrier = 0;
    unsigned parity = 0;
    bool asked = false;
};

struct Warp {
    Lane* lane;
    void (*action)(Warp&, long);
    char clock[2];
    int turn;
};

struct Block {
    Context scheduler;
    Lane* lane = nullptr;
    Warp* warp = nullptr;
    Lane* current = nullptr;
    Warp* current_warp = nullptr;
    void (*body)(void*) = nullptr;
    void* closure = nullptr;
    unsigned char* shared = nullptr;
    size_t shared_bytes = 0;
    char clock[2] = {}, start = 0;
    int turn = 0, turns = 0;
    void* fiber = nullptr;
    long conflicts = 0, loads = 0, products = 0;
    EmulatedIndex index{}, size{}, grid{};
};

Block* block;
char error[400];

KP_UNSEEN inline void report(const char* text)
{
    if (error[0] == 0) {
        std::snprintf(error, sizeof error, "%s", text);
    }
}

KP_UNSEEN inline unsigned char* shared_memory() { return block->shared; }
KP_UNSEEN inline EmulatedIndex thread_index() { return block->current->thread; }
KP_UNSEEN inline EmulatedIndex block_index() { return block->index; }
KP_UNSEEN inline EmulatedIndex block_size() { return block->size; }
KP_UNSEEN inline EmulatedIndex grid_size() { return block->grid; }

// What a sanitizer must know: which stack is in use, and what a barrier orders.
KP_UNSEEN inline void switch_context(Context* from, Context* to, void* fiber, const void* stack, bool last)
{
#if defined(__SANITIZE_THREAD__)
    __tsan_switch_to_fiber(fiber, 1);
#endif
#if defined(__SANITIZE_ADDRESS__)
    void* own = nullptr;
    __sanitizer_start_switch_fiber(last ? nullptr : &own, stack, stack_bytes);
    swap(from, to);
    __sanitizer_finish_switch_fiber(own, nullptr, nullptr);
#else
    (void)fiber, (void)stack, (void)last;
    swap(from, to);
#endif
}
inline void release(void* clock)
{
#if defined(__SANITIZE_THREAD__)
    __tsan_release(clock);
#endif
    (void)clock;
}
inline void acquire(void* clock)
{
#if defined(__SANITIZE_THREAD__)
    __tsan_acquire(clock);
#endif
    (void)clock;
}

#if defined(__SANITIZE_ADDRESS__)
const void* scheduler_stack;
size_t scheduler_bytes;
#endif

KP_UNSEEN inline void yield(bool last = false)
{
    Lane* mine = block->current;
#if defined(__SANITIZE_ADDRESS__)
    void* own = nullptr;
    __sanitizer_start_switch_fiber(last ? nullptr : &own, scheduler_stack, scheduler_bytes);
    swap(&mine->context, &block->scheduler);
    __sanitizer_finish_switch_fiber(own, nullptr, nullptr);
#else
    switch_context(&mine->context, &block->scheduler, block->fiber, nullptr, last);
#endif
}

KP_UNSEEN inline void enter()
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_bytes);
#endif
    acquire(&block->start);
    block->body(block->closure);
    release(&block->start);
    block->current->state = State::done;
    yield(true);
}

// Waits for the other lanes of the warp. Once all have come, `action` makes what they get (`out`) of what they brought (`in`).
KP_UNSEEN inline void meet(long place, void (*action)(Warp&, long), bool orders)
{
    Lane* mine = block->current;
    Warp* warp = block->current_warp;
    mine->state = State::meeting;
    mine->place = place;
    warp->action = action;
    char* clock = &warp->clock[warp->turn];
    if (orders) {
        release(clock);
    }
    yield();
    if (orders) {
        acquire(clock);
    }
}

KP_UNSEEN inline void wait_for_block(int line)
{
    Lane* mine = block->current;
    mine->state = State::waiting;
    mine->place = line;
    // two clocks in turn: with one, an early thread's next arrival would order what it does not
    char* clock = &block->clock[block->turn];
    release(clock);
    yield();
    acquire(clock);
}

// byte by byte, for a sanitizer sees calls of memcpy wherever they stand
KP_UNSEEN inline void bring(const void* value, size_t bytes, int at = 0)
{
    auto* to = reinterpret_cast<volatile unsigned char*>(block->current->in + at);
    for (size_t byte = 0; byte < bytes; ++byte) {
        to[byte] = static_cast<const unsigned char*>(value)[byte];
    }
}
KP_UNSEEN inline void take(void* value, size_t bytes)
{
    const auto* from = reinterpret_cast<const volatile unsigned char*>(block->current->out);
    for (size_t byte = 0; byte < bytes; ++byte) {
        static_cast<unsigned char*>(value)[byte] = from[byte];
    }
}

bool goes_on(const Lane& lane);
bool land();

// Runs the lanes of one warp until each waits for something or has returned; false where they part.
inline bool step(Warp& warp, std::vector<int>& order)
{
    for (int number : order) {
        Lane& lane = warp.lane[number];
        if (goes_on(lane)) {
            lane.state = State::ready;
        }
        if (lane.state == State::ready) {
            block->current = &lane;
            block->current_warp = &warp;
            switch_context(&block->scheduler, &lane.context, lane.fiber, lane.stack, false);
        }
    }
    int count[states] = {};
    for (int number = 0; number < lanes; ++number) {
        ++count[static_cast<int>(warp.lane[number].state)];
    }
    const int meeting = count[static_cast<int>(State::meeting)], done = count[static_cast<int>(State::done)];
    if (meeting == 0 || count[static_cast<int>(State::ready)] + count[static_cast<int>(State::blocked)] > 0) {
        return error[0] == 0;
    }
    if (meeting < lanes) {
        report(done ? "some lanes of a warp have returned and the others wait at an instruction of the whole warp"
                    : "lanes of a warp part: some wait at an instruction of the whole warp, others at a barrier");
        return false;
    }
    for (int number = 1; number < lanes; ++number) {
        if (warp.lane[number].place != warp.lane[0].place) {
            report("lanes of a warp meet at different instructions");
            return false;
        }
    }
    if (warp.action != nullptr) {
        warp.action(warp, warp.lane[0].place);
    }
    for (int number = 0; number < lanes; ++number) {
        warp.lane[number].state = State::ready;
    }
    warp.turn ^= 1;
    return error[0] == 0;
}

inline bool all_of_warp(const Warp& warp, State state)
{
    return std::all_of(warp.lane, warp.lane + lanes, [&](const Lane& lane) { return lane.state == state; });
}

// Runs one block until all threads have returned.
inline bool run_block(int schedule, std::mt19937& random)
{
    const int warps = static_cast<int>(block->size.x) / lanes;
    std::vector<int> order(lanes), turns(warps);
    std::iota(order.begin(), order.end(), 0);
    std::iota(turns.begin(), turns.end(), 0);
    if (schedule == 1) {
        std::reverse(order.begin(), order.end());
        std::reverse(turns.begin(), turns.end());
    }
    while (true) {
        for (int turn : turns) {
            Warp& warp = block->warp[turn];
            do {
                if (schedule > 2) {
                    std::shuffle(order.begin(), order.end(), random);
                }
                if (!step(warp, order)) {
                    return false;
                }
            } while (schedule == 2 && warp.lane[0].state == State::ready);
        }
        if (schedule > 2) {
            std::shuffle(turns.begin(), turns.end(), random);
        }
        int count[states] = {};
        for (unsigned thread = 0; thread < block->size.x; ++thread) {
            ++count[static_cast<int>(block->lane[thread].state)];
        }
        const int waiting = count[static_cast<int>(State::waiting)], done = count[static_cast<int>(State::done)];
        if (done == static_cast<int>(block->size.x)) {
            return true;
        }
        if (count[static_cast<int>(State::ready)] > 0) {
            continue;
        }
        if (count[static_cast<int>(State::blocked)] > 0) {
            if (!std::any_of(block->lane, block->lane + block->size.x, goes_on) && !land()) {
                return false;
            }
            continue;
        }
        if (done > 0) {
            report("some threads of a block have returned and the others wait at __syncthreads");
            return false;
        }
        for (int thread = 1; thread < waiting; ++thread) {
            if (block->lane[thread].place != block->lane[0].place) {
                report("threads of a block wait at different __syncthreads");
                return false;
            }
        }
        for (int thread = 0; thread < waiting; ++thread) {
            block->lane[thread].state = State::ready;
        }
        block->turn ^= 1;
        ++block->turns;
    }
}

void clear_copies(Lane& lane);
void begin_products(unsigned warps);
void end_products();
void begin_copies();
void begin_barriers();
void begin_loads();
void begin_held(unsigned threads);
void end_registers();
void end_loads();

template <class... A, size_t... I>
void call(void (*kernel)(A...), void** parameters, std::index_sequence<I...>)
{
    kernel(*static_cast<std::remove_cv_t<A>*>(parameters[I])...);
}

// CuPy compiles with -ftz=true: numbers of float below the least normal one are zeros, before an operation and after it.
constexpr unsigned flush_to_zero = 0x8040;
bool flushes;

// What does not flush on the device: conversions and products of 16-bit formats.
struct Exactly {
    unsigned before = _mm_getcsr();
    Exactly() { _mm_setcsr(before & ~flush_to_zero); }
    ~Exactly() { _mm_setcsr(before); }
};

// Runs a kernel; 0, or 1 with a text in `error`.
template <class... A>
int launch(void (*kernel)(A...), unsigned grid, unsigned threads, unsigned shared, int schedule, void** parameters)
{
    error[0] = 0;
    const unsigned control = _mm_getcsr();
    _mm_setcsr(flushes ? control | flush_to_zero : control);
    if (threads % lanes != 0) {
        report("the block is not a whole number of warps");
        return 1;
    }
    struct Closure {
        void (*kernel)(A...);
        void** parameters;
    } closure{kernel, parameters};
    static Block state;
    block = &state;
    state.closure = &closure;
    state.body = [](void* given) {
        auto* found = static_cast<Closure*>(given);
        call(found->kernel, found->parameters, std::index_sequence_for<A...>{});
    };
    state.grid = {grid, 1, 1};
    state.size = {threads, 1, 1};
    state.conflicts = state.loads = state.products = 0;
    std::vector<Lane> lane(threads);
    std::vector<Warp> warp(threads / lanes);
    state.lane = lane.data();
    state.warp = warp.data();
    static char* memory = nullptr;  // kept from launch to launch: new pages are slow
    static size_t kept = 0;
    if (kept < threads) {
        std::free(memory);
        memory = static_cast<char*>(std::malloc(stack_bytes * threads));
        kept = threads;
    }
    // exactly as large as the launch says: a sanitizer sees its ends, and a pattern behind it is looked at without one
    unsigned char* room = static_cast<unsigned char*>(std::malloc(128 + shared + guard_bytes));
    unsigned char* base = room + (128 - reinterpret_cast<uintptr_t>(room) % 128) % 128;
    unsigned char* exact = nullptr;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    if (posix_memalign(reinterpret_cast<void**>(&exact), 128, shared ? shared : 1) == 0) {
        base = exact;
    }
#endif
    state.shared = base;
    state.shared_bytes = shared;
#if defined(__SANITIZE_THREAD__)
    state.fiber = __tsan_get_current_fiber();
#endif
    std::mt19937 random(static_cast<unsigned>(schedule));
    std::vector<unsigned> blocks(grid);
    std::iota(blocks.begin(), blocks.end(), 0u);
    if (schedule == 1) {
        std::reverse(blocks.begin(), blocks.end());
    } else if (schedule > 2) {
        std::shuffle(blocks.begin(), blocks.end(), random);
    }
    bool good = true;
    for (unsigned number : blocks) {
        state.index = {number, 0, 0};
        acquire(&state.start);
        std::memset(base, 0xff, exact ? shared : shared + guard_bytes);
        release(&state.start);
        for (unsigned thread = 0; thread < threads; ++thread) {
            Lane& mine = lane[thread];
            mine.stack = memory + thread * stack_bytes;
            mine.state = State::ready;
            mine.thread = {thread, 0, 0};
            mine.asked = false;
            clear_copies(mine);
            begin(mine.context, mine.stack, enter);
#if defined(__SANITIZE_THREAD__)
            mine.fiber = __tsan_create_fiber(0);
#endif
        }
        for (unsigned at = 0; at < threads / lanes; ++at) {
            warp[at] = {&lane[at * lanes], nullptr, {}, 0};
        }
        begin_copies();
        begin_held(threads);
        begin_products(threads / lanes);
        begin_barriers();
        begin_loads();
        good = run_block(schedule, random);
        end_products();
        end_registers();
        end_loads();
        for (unsigned at = 0; !exact && at < guard_bytes; ++at) {
            if (base[shared + at] != 0xff) {
                report("a kernel wrote behind its shared memory");
            }
        }
#if defined(__SANITIZE_THREAD__)
        for (Lane& mine : lane) {
            __tsan_destroy_fiber(mine.fiber);
        }
#endif
        good = good && error[0] == 0;
        if (!good) {
            break;
        }
    }
    acquire(&state.start);
    for (Lane& mine : lane) {
        clear_copies(mine);
    }
    std::free(exact);
    std::free(room);
    _mm_setcsr(control);
    return good ? 0 : 1;
}

// A number in a 16-bit format with so many bits of mantissa, to nearest and ties to even.
__attribute__((noinline)) inline uint16_t encode(double value, int mantissa, int bias)
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

__attribute__((noinline)) inline float decode(uint16_t bits, int mantissa, int bias)
{
    const int field = (bits & 0x7fff) >> mantissa, fraction = bits & ((1 << mantissa) - 1);
    const int top = (1 << (15 - mantissa)) - 1;
    double size = field == 0 ? std::ldexp(fraction, 1 - bias - mantissa) : std::ldexp(fraction + (1 << mantissa), field - bias - mantissa);
    if (field == top) {
        size = fraction ? std::nan("") : HUGE_VAL;
    }
    return static_cast<float>(bits & 0x8000 ? -size : size);
}

// no conversion of the number before numbers below the least normal one are kept
template <class T>
__attribute__((noinline)) uint16_t encode_there(const T* value, int mantissa, int bias)
{
    return encode(static_cast<double>(*value), mantissa, bias);
}
template <class T>
uint16_t encode_exactly(T value, int mantissa, int bias)
{
    Exactly exactly;
    return encode_there(&value, mantissa, bias);
}
inline float decode_exactly(uint16_t bits, int mantissa, int bias)
{
    Exactly exactly;
    return decode(bits, mantissa, bias);
}

}  // namespace emulator

#define threadIdx emulator::thread_index()
#define blockIdx emulator::block_index()
#define blockDim emulator::block_size()
#define gridDim emulator::grid_size()

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int offset)
{
    static_assert(sizeof(T) <= sizeof(uint64_t));
    if (mask != 0xffffffffu) {
        emulator::report("a shuffle of a part of the warp");
    }
    emulator::bring(&value, sizeof(T));
    emulator::meet(
        offset,
        [](emulator::Warp& warp, long given) {
            for (int lane = 0; lane < emulator::lanes; ++lane) {
                std::memcpy(warp.lane[lane].out, warp.lane[(lane ^ given) % emulator::lanes].in, sizeof(T));
            }
        },
        false);
    T other;
    emulator::take(&other, sizeof(T));
    return other;
}

inline void __syncwarp(unsigned = 0xffffffffu) { emulator::meet(-1, nullptr, true); }
inline void __syncthreads(int line = __builtin_LINE()) { emulator::wait_for_block(line); }

using std::max;
using std::min;
inline float __fmul_rn(float left, float right) { return left * right; }
inline double __dmul_rn(double left, double right) { return left * right; }

inline float __int_as_float(int bits)
{
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

inline float __uint_as_float(unsigned bits) { return __int_as_float(static_cast<int>(bits)); }
inline unsigned __float_as_uint(float value)
{
    unsigned bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
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

inline float __half2float(__half value) { return emulator::decode_exactly(value.bits, 10, 15); }
inline __half __float2half_rn(float value) { return {emulator::encode_exactly(value, 10, 15)}; }
inline __half __double2half(double value) { return {emulator::encode_exactly(value, 10, 15)}; }
inline float __bfloat162float(__nv_bfloat16 value) { return emulator::decode_exactly(value.bits, 7, 127); }
inline __nv_bfloat16 __float2bfloat16_rn(float value) { return {emulator::encode_exactly(value, 7, 127)}; }
inline __nv_bfloat16 __double2bfloat16(double value) { return {emulator::encode_exactly(value, 7, 127)}; }

#include "cuda_wrappers.h"
#include "cuda_warpgroup.h"
#include "cuda_loads.h"

extern "C" const char* emulator_error() { return emulator::error; }
// loads by ldmatrix, banks that met twice in one, products by mma: of the last launch
extern "C" void emulator_counts(long long* counts)
{
    counts[0] = emulator::block->loads;
    counts[1] = emulator::block->conflicts;
    counts[2] = emulator::block->products;
}
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
