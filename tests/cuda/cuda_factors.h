// What a product of a warpgroup reads, on the CPU: places in shared memory, and 16 rows of registers for each warp.
//
// What it does: a descriptor is where a matrix begins, how far panels and groups of eight rows lie apart, and an exchange of the pieces of rows
// of 128 bytes by bits 7 to 9 of the address; no other exchange is known. What copies brought and no kp_proxy_fence has shown may not be
// read. ``touch`` reads in the name of a thread, for a sanitizer: when a product starts and when it is waited for. Cannot see: whether
// a descriptor means the same on hardware.

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

// of each warp, what its threads look up themselves: the products that are not finished
struct Started {
    int count;
    long group;
    struct {
        unsigned long long a, b;
        int columns;
        bool registers;
        long group;
    } product[64];
};
Started started[32];

KP_UNSEEN inline void note_started(int warp, const std::vector<Product>& pending)
{
    Started& mine = started[warp];
    mine.count = 0;
    for (const Product& product : pending) {
        auto& noted = mine.product[mine.count++];
        noted.a = product.a, noted.b = product.b, noted.columns = product.columns, noted.registers = product.registers;
        noted.group = product.group;
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
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
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
    (void)sum;
#endif
    (void)product, (void)warp, (void)lane;
}

// What products read they read up to the wait: a sanitizer sees who writes in between.
KP_UNSEEN inline bool in_use(int number, int pending, Product& seen)
{
    const Started& mine = started[block->current->thread.x / lanes];
    if (number >= mine.count || mine.product[number].group >= mine.group - pending) {
        return false;
    }
    seen.a = mine.product[number].a, seen.b = mine.product[number].b;
    seen.columns = mine.product[number].columns, seen.registers = mine.product[number].registers;
    return true;
}

inline void touch_again(int pending)
{
    Product seen{};
    const int thread = static_cast<int>(thread_index().x);
    for (int number = 0; in_use(number, pending, seen); ++number) {
        touch(seen, thread / lanes, thread % lanes);
    }
}

}  // namespace emulator

KP_UNSEEN inline unsigned kp_shared_address(const void* place)
{
    return static_cast<unsigned>(static_cast<const unsigned char*>(place) - emulator::block->shared) + emulator::shared_start;
}
