// Registers that asynchronous products have: what kp_hold and kp_wgmma_fence must have seen of them, on the CPU.
//
// What it does: kp_hold is no instruction, but keeps a compiler from moving what is done with a register across a product. Here it notes the
// register's value and the moment, by address and thread. A product's left factor, and sums that it adds to, must have been held since they
// were written, and before the last fence: else a compiler may write them later, or the fence stands too early. Sums that were waited
// for must be held before they are written, before a product takes them and before the thread ends. Cannot see: sums that are only read
// too early, here or by a compiler, registers that are read between a fence and a product.

#pragma once

namespace emulator {

struct Held {
    const void* at;
    uint32_t value;
    long moment;
    bool waited;  // for as sums of a product, and not held since
};

// of a thread, by address; a hash table with places that are tried one after the other
constexpr size_t most_held = 512;
struct HeldTable {
    Held entry[most_held];
};

inline std::vector<HeldTable>& held_tables()
{
    static std::vector<HeldTable> all;
    return all;
}

HeldTable* held_of;
long moment;

// before the block's threads begin
inline void begin_held(unsigned threads)
{
    held_tables().assign(threads, HeldTable{});
    held_of = held_tables().data();
    moment = 0;
}

KP_UNSEEN inline Held* held_at(unsigned thread, const void* at)
{
    const auto start = reinterpret_cast<uintptr_t>(at) / 4;
    for (size_t step = 0; step < most_held; ++step) {
        Held& entry = held_of[thread].entry[(start + step) % most_held];
        if (entry.at == at || entry.at == nullptr) {
            return &entry;
        }
    }
    report("too many registers are held");
    return nullptr;
}

KP_UNSEEN inline void hold(const void* at)
{
    Held* entry = held_at(block->current->thread.x, at);
    if (entry == nullptr) {
        return;
    }
    const uint32_t value = *static_cast<const volatile uint32_t*>(at);
    if (entry->waited && entry->value != value) {
        report("sums were written after they were waited for and before kp_hold");
    }
    entry->at = at, entry->value = value, entry->moment = ++moment, entry->waited = false;
}

// A product left this value in a register.
KP_UNSEEN inline void mark_waited(unsigned thread, const void* at)
{
    Held* entry = held_at(thread, at);
    if (entry != nullptr) {
        entry->at = at, entry->value = *static_cast<const volatile uint32_t*>(at), entry->waited = true;
    }
}

KP_UNSEEN inline bool is_waited(unsigned thread, const void* at)
{
    const Held* entry = held_at(thread, at);
    return entry != nullptr && entry->waited;
}

// Whether a register was held since it was written, and before a fence.
KP_UNSEEN inline bool held_before(unsigned thread, const void* at, long fence)
{
    const Held* entry = held_at(thread, at);
    return entry != nullptr && entry->at == at && entry->value == *static_cast<const volatile uint32_t*>(at) && entry->moment < fence;
}

inline void end_held()
{
    for (const HeldTable& table : held_tables()) {
        if (std::any_of(table.entry, table.entry + most_held, [](const Held& entry) { return entry.waited; })) {
            report("sums were waited for and never held by kp_hold");
        }
    }
}

}  // namespace emulator

inline void kp_hold(float& x) { emulator::hold(&x); }
inline void kp_hold(unsigned& x) { emulator::hold(&x); }
