// What the wrappers of a warpgroup's asynchronous products mean on the CPU, after the PTX manual.
//
// What it does: a product reads its factors from shared memory as its descriptors say (rows of 128 bytes, pieces exchanged by bits 7 to 9 of
// the address, for a transposed factor panels of 64 columns), 16 rows of it for each warp. It is as late as it may be: its sums are NaN from
// its start until the wait that covers it, and what it read must then still be there, in shared memory and in registers. It is an error to
// start one on sums that no fence and no product came before, to read what an asynchronous copy brought without kp_proxy_fence after it, to
// write sums in flight, and for the warps of a group to start different products; registers must be held (cuda_held.h). Cannot see: how the
// hardware rounds inside (here: sums in float32 in the order of k), plain stores to shared memory without a proxy fence, other exchanges
// than that of 128 bytes.

#pragma once

#include "cuda_factors.h"
#include "cuda_held.h"

namespace emulator {

struct Products {
    std::vector<Product> pending;
    long group = 0, fences = 0, started = 0, fence = 0;
    uint64_t history = 0;
};

// of the current block, by warp
inline std::vector<Products>& products()
{
    static std::vector<Products> all;
    return all;
}

KP_UNSEEN inline void begin_products(unsigned warps)
{
    products().assign(warps, Products{});
    for (unsigned warp = 0; warp < warps; ++warp) {
        started[warp].count = 0;
        started[warp].group = 0;
    }
}

KP_UNSEEN inline void end_products()
{
    const std::vector<Products>& all = products();
    end_held();
    for (size_t warp = 0; warp < all.size(); ++warp) {
        if (!all[warp].pending.empty()) {
            report("a product of a warpgroup was not waited for");
        }
        const Products& first = all[warp / group_warps * group_warps];
        if (all[warp].history != first.history || all[warp].started != first.started) {
            report("the warps of a group start different products");
        }
    }
}

constexpr uint32_t in_flight = 0xffffabcd;

// Whether the sums are as the product left them when it started.
KP_UNSEEN inline void untouched(const Product& product)
{
    for (int lane = 0; lane < lanes; ++lane) {
        for (size_t at = 0; at < product.value[lane].size(); ++at) {
            uint32_t found;
            std::memcpy(&found, product.sums[lane] + at, sizeof found);
            if (found != in_flight) {
                report("sums in flight were written");
                return;
            }
        }
    }
}

// What a product has of registers was held after it was written or waited for, and before the fence.
KP_UNSEEN inline void check_held(const Product& product, int warp, long fence, bool chained, bool adds)
{
    bool held = true, waited = false;
    for (int lane = 0; lane < lanes; ++lane) {
        const unsigned thread = static_cast<unsigned>(warp * lanes + lane);
        for (int at = 0; product.registers && at < 4; ++at) {
            held = held && held_before(thread, product.left[lane] + at, fence);
        }
        for (int at = 0; !chained && at < product.columns / 2; ++at) {
            waited = waited || is_waited(thread, product.sums[lane] + at);
            held = held && (!adds || held_before(thread, product.sums[lane] + at, fence));
        }
    }
    if (waited) {
        report("sums were waited for and not held by kp_hold before the next product");
    } else if (!held) {
        report("registers of a product were not held between being written and kp_wgmma_fence");
    }
}

template <int MANTISSA, int BIAS>
KP_UNSEEN void start_product(Warp& warp, long line)
{
    const int number = static_cast<int>(&warp - block->warp);
    Products& mine = products()[number];
    Product product{};
    int add = 0;
    for (int lane = 0; lane < lanes; ++lane) {
        const uint32_t* in = warp.lane[lane].in;
        unsigned long long own[4];
        std::memcpy(own, in, sizeof own);
        product.sums[lane] = reinterpret_cast<float*>(own[0]);
        product.left[lane] = reinterpret_cast<const unsigned*>(own[1]);
        if (lane == 0) {
            product.a = own[1];
            product.b = own[2];
            product.columns = static_cast<int>(in[8] & 0xffff);
            product.registers = in[8] >> 16 & 1;
            add = in[8] >> 17;
        } else if (own[2] != product.b || (!product.registers && own[1] != product.a)) {
            report("lanes of a warp have different descriptors");
        }
        for (int at = 0; product.registers && at < 4; ++at) {
            product.kept[lane][at] = product.left[lane][at];
        }
    }
    ++block->products;
    ++mine.started;
    mine.history = mine.history * 1000003 + product.b + static_cast<uint64_t>(line);
    product.group = mine.group;
    if (!descriptor_holds(product.b) || !(product.registers || descriptor_holds(product.a))) {
        return;
    }
    const Product* before = nullptr;
    for (const Product& other : mine.pending) {
        before = other.sums[0] == product.sums[0] ? &other : before;
    }
    if (before != nullptr) {
        untouched(*before);
    }
    if (before == nullptr && mine.fences == 0) {
        report("a product on registers that no kp_wgmma_fence came before");
    }
    check_held(product, number, mine.fence, before != nullptr, add);
    product.read = factors(product, number);
    Exactly exactly;
    const float* of = table(MANTISSA, BIAS);
    const uint16_t* a = product.read.data();
    const uint16_t* b = a + 16 * depth;
    for (int lane = 0; lane < lanes; ++lane) {
        std::vector<float>& value = product.value[lane];
        value.assign(product.columns / 2, 0.0f);
        for (int at = 0; at < product.columns / 2; ++at) {
            const int row = lane / 4 + at / 2 % 2 * 8, column = at / 4 * 8 + lane % 4 * 2 + at % 2;
            float sum = !add ? 0.0f : before ? before->value[lane][at] : product.sums[lane][at];
            for (int k = 0; k < depth; ++k) {
                sum += of[a[row * depth + k]] * of[b[column * depth + k]];
            }
            value[at] = sum;
        }
        for (int at = 0; at < product.columns / 2; ++at) {
            std::memcpy(product.sums[lane] + at, &in_flight, sizeof in_flight);
        }
    }
    mine.pending.push_back(std::move(product));
    note_started(number, mine.pending);
}

// The products but for those of the last `pending` groups are done: nothing that they have in use may have changed.
KP_UNSEEN inline void finish_products(Warp& warp, long pending)
{
    const int number = static_cast<int>(&warp - block->warp);
    Products& mine = products()[number];
    std::vector<Product> left;
    for (Product& product : mine.pending) {
        if (product.group >= mine.group - pending) {
            left.push_back(std::move(product));
            continue;
        }
        for (int lane = 0; lane < lanes; ++lane) {
            for (int at = 0; product.registers && at < 4; ++at) {
                if (product.kept[lane][at] != product.left[lane][at]) {
                    report("a register of a left factor was written before its product was waited for");
                }
            }
        }
        untouched(product);
        if (factors(product, number) != product.read) {
            report("shared memory was written before the product that reads it was waited for");
        }
    }
    for (Product& product : mine.pending) {
        const bool last = std::none_of(left.begin(), left.end(), [&](const Product& other) { return other.sums[0] == product.sums[0]; });
        for (int lane = 0; last && !product.value[lane].empty() && lane < lanes; ++lane) {
            for (size_t at = 0; at < product.value[lane].size(); ++at) {
                product.sums[lane][at] = product.value[lane][at];
                mark_waited(static_cast<unsigned>(number * lanes + lane), product.sums[lane] + at);
            }
        }
    }
    mine.pending.swap(left);
    note_started(number, mine.pending);
    mine.fences = 0;
}

template <int MANTISSA, int BIAS, int FRAGMENTS>
void warpgroup_product(float (&c)[FRAGMENTS][4], const unsigned* left, unsigned long long a, unsigned long long b, int add, int line)
{
    const unsigned long long own[3] = {reinterpret_cast<unsigned long long>(&c[0][0]), left ? reinterpret_cast<unsigned long long>(left) : a, b};
    const unsigned word = FRAGMENTS * 8 | (left != nullptr) << 16 | (add != 0) << 17;
    bring(own, sizeof own);
    bring(&word, sizeof word, 8);
    Product seen{};
    seen.a = a, seen.b = b, seen.columns = FRAGMENTS * 8, seen.registers = left != nullptr;
    const int thread = static_cast<int>(thread_index().x);
    touch(seen, thread / lanes, thread % lanes);
    meet(line * 4, start_product<MANTISSA, BIAS>, false);
}

inline void wait_for_products(int pending)
{
    touch_again(pending);
    // what the lanes' parts of a product read is read when one of them goes on
    meet(-100 - pending, [](Warp& warp, long place) { finish_products(warp, -100 - place); }, true);
}

}  // namespace emulator

inline void kp_wgmma_fence()
{
    emulator::meet(
        -50,
        [](emulator::Warp& warp, long) {
            emulator::Products& mine = emulator::products()[&warp - emulator::block->warp];
            ++mine.fences;
            mine.fence = ++emulator::moment;
        },
        false);
}
inline void kp_wgmma_commit()
{
    emulator::meet(
        -51,
        [](emulator::Warp& warp, long) {
            const long number = &warp - emulator::block->warp;
            emulator::started[number].group = ++emulator::products()[number].group;
        },
        false);
}
template <int PENDING>
void kp_wgmma_wait()
{
    emulator::wait_for_products(PENDING);
}
inline void kp_proxy_fence() { emulator::show_copies(); }
