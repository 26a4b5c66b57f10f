// What barriers in shared memory and the exchange of registers mean on the CPU, after the PTX manual.
//
// What it does: a barrier counts arrivals and bytes of its phase. It is an error to arrive at or wait for a barrier that was not made or was
// written over, to use one from another thread before it was shown and a barrier of the block came, that more arrivals come than a phase has, and to ask for counts of
// registers that the hardware has not. Threads that arrive or wait let others run first, and the first answer to a wait is no. To a
// sanitizer arrivals come before the waits that they end. Cannot see: how long a wait takes, clusters, when registers are there.

#pragma once

namespace emulator {

constexpr int most_barriers = 64;
constexpr uint64_t barrier_mark = 0x7265697272616221;

struct Barrier {
    size_t place;
    long arrivals, left, bytes, phase;
    const Lane* maker;
    int made;  // how many barriers of the block came before
    bool shown;
    char clock[2];
};

Barrier barriers[most_barriers];
int barrier_count;
int registers[32];  // of a thread, by warp

KP_UNSEEN inline void begin_barriers()
{
    barrier_count = 0;
    for (unsigned warp = 0; warp < block->size.x / lanes; ++warp) {
        registers[warp] = static_cast<int>(65536 / block->size.x / 8 * 8);
    }
}

// The number of the barrier at a place, -1 where there is none.
KP_UNSEEN inline int barrier_at(const void* at)
{
    const auto place = static_cast<size_t>(static_cast<const unsigned char*>(at) - block->shared);
    for (int number = 0; number < barrier_count; ++number) {
        if (barriers[number].place == place) {
            if (*static_cast<const volatile uint64_t*>(at) != barrier_mark) {
                report("a barrier in shared memory was written over");
            }
            if (barriers[number].maker != block->current && (!barriers[number].shown || barriers[number].made == block->turns)) {
                report("a barrier is used before kp_barrier_show, or before a barrier of the block behind it");
            }
            return number;
        }
    }
    report("there is no barrier at this place");
    return -1;
}

KP_UNSEEN inline void make_barrier(void* at, unsigned arrivals)
{
    const auto place = static_cast<size_t>(static_cast<unsigned char*>(at) - block->shared);
    if (place % 8 != 0 || place + 8 > block->shared_bytes || barrier_count == most_barriers) {
        report("a barrier is misaligned or outside shared memory");
        return;
    }
    Barrier& made = barriers[barrier_count++];
    made.place = place, made.arrivals = made.left = arrivals, made.bytes = made.phase = 0, made.maker = block->current;
    made.made = block->turns, made.shown = false;
    *static_cast<volatile uint64_t*>(at) = barrier_mark;
}

KP_UNSEEN inline void show_barriers()
{
    for (int number = 0; number < barrier_count; ++number) {
        barriers[number].shown = barriers[number].shown || barriers[number].maker == block->current;
    }
}

KP_UNSEEN inline void end_phase_if_over(Barrier& barrier)
{
    if (barrier.left == 0 && barrier.bytes == 0) {
        ++barrier.phase;
        barrier.left = barrier.arrivals;
    }
}

KP_UNSEEN inline bool is_over(int number, unsigned parity) { return (barriers[number].phase & 1) != static_cast<long>(parity); }

KP_UNSEEN inline void arrive_at(void* at, long bytes)
{
    const int number = barrier_at(at);
    if (number < 0) {
        return;
    }
    Barrier& barrier = barriers[number];
    if (barrier.left == 0) {
        report("more arrivals at a barrier than it was made for");
        return;
    }
    release(&barrier.clock[barrier.phase & 1]);
    --barrier.left;
    barrier.bytes += bytes;
    end_phase_if_over(barrier);
    if (bytes == 0) {
        yield();  // whom this lets go on may do so before what this thread does next
    }
}

KP_UNSEEN inline bool ask_barrier(void* at, unsigned parity)
{
    const int number = barrier_at(at);
    Lane& lane = *block->current;
    if (number < 0 || parity > 1) {
        report("a parity is 0 or 1");
        return true;
    }
    if (!is_over(number, parity)) {
        lane.asked = !lane.asked;
        if (lane.asked) {
            yield();
            return false;
        }
        lane.state = State::blocked, lane.barrier = number, lane.parity = parity;
        yield();
    }
    lane.asked = false;
    acquire(&barriers[number].clock[parity]);
    return true;
}

KP_UNSEEN inline bool goes_on(const Lane& lane) { return lane.state == State::blocked && is_over(lane.barrier, lane.parity); }

KP_UNSEEN inline void change_registers(int count, bool more)
{
    if (count < 24 || count > 256 || count % 8 != 0) {
        report("counts of registers are multiples of 8 from 24 to 256");
    }
    meet(
        -1000 - 2 * count - more,
        [](Warp& warp, long place) {
            const int number = static_cast<int>(&warp - block->warp), count = static_cast<int>(-1000 - place) / 2;
            if ((-1000 - place) % 2 ? count < registers[number] : count > registers[number]) {
                report("fewer registers are more, or more are fewer");
            }
            registers[number] = count;
        },
        false);
}

KP_UNSEEN inline void end_registers()
{
    int sum = 0;
    for (unsigned warp = 0; warp < block->size.x / lanes; ++warp) {
        sum += registers[warp] * lanes;
        if (registers[warp] != registers[warp / 4 * 4]) {
            report("the warps of a group have different counts of registers");
        }
    }
    if (sum > 65536) {
        report("threads ask for more registers than there are");
    }
}

}  // namespace emulator

inline void kp_barrier_init(unsigned long long* barrier, unsigned arrivals) { emulator::make_barrier(barrier, arrivals); }
inline void kp_barrier_show() { emulator::show_barriers(); }
inline void kp_barrier_arrive(unsigned long long* barrier) { emulator::arrive_at(barrier, 0); }
inline void kp_barrier_expect(unsigned long long* barrier, unsigned bytes) { emulator::arrive_at(barrier, bytes); }
inline bool kp_barrier_over(unsigned long long* barrier, unsigned parity) { return emulator::ask_barrier(barrier, parity); }
template <int COUNT>
void kp_fewer_registers()
{
    emulator::change_registers(COUNT, false);
}
template <int COUNT>
void kp_more_registers()
{
    emulator::change_registers(COUNT, true);
}
