// What the wrappers of a warpgroup's asynchronous products mean on the CPU, after the PTX manual.
//
// What it does: a product reads its factors from shared memory as its descriptors say (rows of 128 bytes, pieces exchanged by bits 7 to 9 of
// the address, for a transposed factor panels of 64 columns), 16 rows of it for each warp. It is as late as it may be: its sums are NaN from
// its start until the wait that covers it, and what it read must then still be there, in shared memory and in registers. It is an error to
// start one on sums that no fence and no product came before, to read what an asynchronous copy brought without kp_proxy_fence after it, to
// write sums in flight, and for the warps of a group to start different products. Cannot see: how the hardware rounds inside (here: sums in
// float32 in the order of k), plain stores to shared memory without a proxy fence, a fence that came before the registers were written,
// what a compiler moves (kp_hold does nothing here), other exchanges than that of 128 bytes.

#pragma once

namespace emulator {

constexpr int group_warps = 4, depth = 16;
// where shared memory begins for addresses in it: no multiple of 1024, as a launch may have it
constexpr unsigned shared_start = 1024 + 128;

struct Product {
    float* sums[lanes];
    const unsigned* left[lanes];
    unsigned kept[lanes][4];
    std::vector<float> value[lanes];
    std::vector<uint16_t> read;
    unsigned long long a, b;
    int columns;
    bool registers;
    long group;
};

struct Products {
    std::vector<Product> pending;
    long group = 0, fences = 0, started = 0;
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
}

KP_UNSEEN inline void end_products()
{
    const std::vector<Products>& all = products();
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

// the entry of a factor that a descriptor means: `by` counts rows of a left factor or columns of a right one, `k` what is summed over
inline const unsigned char* entry_of(unsigned long long matrix, int by, int k, bool transposed)
{
    const unsigned start = matrix % 16384 * 16, panel = (matrix >> 16) % 16384 * 16, eight = (matrix >> 32) % 16384 * 16;
    unsigned address = transposed ? start + by / 64 * panel + k / 8 * eight + k % 8 * 128 + by % 64 * 2
                                  : start + by / 8 * eight + by % 8 * 128 + k * 2;
    address ^= (address >> 7 & 7) << 4;
    return block->shared + static_cast<int>(address - shared_start);
}

KP_UNSEEN inline bool descriptor_holds(unsigned long long matrix)
{
    if (matrix >> 62 != 1 || (matrix >> 49 & 7) != 0) {
        report("a descriptor of another exchange than that of 128 bytes");
        return false;
    }
    return true;
}

KP_UNSEEN inline uint16_t entry_at(unsigned long long matrix, int by, int k, bool transposed)
{
    const unsigned char* at = entry_of(matrix, by, k, transposed);
    if (at < block->shared || at + 2 > block->shared + block->shared_bytes) {
        report("a product reads outside shared memory");
        return 0;
    }
    const auto piece = static_cast<size_t>(at - block->shared) / 16;
    if (piece < most_pieces && unfenced[piece]) {
        report("a product reads what a copy brought and no kp_proxy_fence has shown it");
    }
    uint16_t bits;
    std::memcpy(&bits, at, sizeof bits);
    return bits;
}

// What a warp's part of a product has in its factors: of the left one 16 rows, then the right one.
KP_UNSEEN inline std::vector<uint16_t> factors(const Product& product, int warp)
{
    std::vector<uint16_t> read;
    for (int row = 0; row < (product.registers ? 0 : 16); ++row) {
        for (int k = 0; k < depth; ++k) {
            read.push_back(entry_at(product.a, warp % group_warps * 16 + row, k, false));
        }
    }
    for (int lane = 0; product.registers && lane < 16 * 16; ++lane) {
        // row, k of the fragment: who has it, and where
        const int row = lane / 16, k = lane % 16, owner = row % 8 * 4 + k % 8 / 2;
        read.push_back(static_cast<uint16_t>(product.kept[owner][row / 8 + k / 8 * 2] >> 16 * (k % 2)));
    }
    for (int column = 0; column < product.columns; ++column) {
        for (int k = 0; k < depth; ++k) {
            read.push_back(entry_at(product.b, column, k, product.registers));
        }
    }
    return read;
}

// Reads in the thread's own name, for a sanitizer: a part of the right factor, and of the left one.
inline void touch(const Product& product, int warp, int lane)
{
    unsigned sum = 0;
    const auto see = [&](unsigned long long matrix, int by, int k, bool transposed) {
        sum += *static_cast<const volatile unsigned char*>(entry_of(matrix, by, k, transposed));
    };
    for (int at = lane; at < product.columns * depth; at += lanes) {
        see(product.b, at / depth, at % depth, product.registers);
    }
    for (int at = lane; !product.registers && at < 16 * depth; at += lanes) {
        see(product.a, warp % group_warps * 16 + at / depth, at % depth, false);
    }
    static volatile unsigned sink;
    (void)sink;
    (void)sum;
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
            }
        }
    }
    mine.pending.swap(left);
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
    meet(-100 - pending, [](Warp& warp, long place) { finish_products(warp, -100 - place); }, false);
}

}  // namespace emulator

inline void kp_wgmma_fence()
{
    emulator::meet(-50, [](emulator::Warp& warp, long) { ++emulator::products()[&warp - emulator::block->warp].fences; }, false);
}
inline void kp_wgmma_commit()
{
    emulator::meet(-51, [](emulator::Warp& warp, long) { ++emulator::products()[&warp - emulator::block->warp].group; }, false);
}
template <int PENDING>
void kp_wgmma_wait()
{
    emulator::wait_for_products(PENDING);
}
inline void kp_proxy_fence() { emulator::show_copies(); }
KP_UNSEEN inline unsigned kp_shared_address(const void* place)
{
    return static_cast<unsigned>(static_cast<const unsigned char*>(place) - emulator::block->shared) + emulator::shared_start;
}
inline void kp_hold(float&) {}
inline void kp_hold(unsigned&) {}
