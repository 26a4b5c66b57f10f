// What the one-instruction wrappers of a kernel text mean on the CPU, after the PTX manual.
//
// What it does: ldmatrix and mma exchange between the 32 lanes as the manual lays out their fragments; every lane reads its own row, the
// banks that the eight rows of a matrix lie in are counted. An asynchronous copy is as late as it may be: its place holds NaN from the
// moment it is started, and its bytes come at the wait that covers it. Addresses that are no multiple of 16, and places outside shared
// memory, are errors. Cannot see: how the hardware's mma rounds (here: products exact, sums in float32 in the order of k).

#pragma once

namespace emulator {

struct Copy {
    unsigned char* to;
    unsigned char bytes[16];
    long group;
};

struct Copies {
    std::vector<Copy> pending;
    std::vector<size_t> unfenced;
    long group = 0;
};

// pieces of shared memory that a copy brought and asynchronous products do not see yet
constexpr size_t most_pieces = 256 * 1024 / 16;
char unfenced[most_pieces];

KP_UNSEEN inline void begin_copies() { std::memset(unfenced, 0, sizeof unfenced); }

KP_UNSEEN inline void clear_copies(Lane& lane)
{
    delete lane.copies;
    lane.copies = nullptr;
}

KP_UNSEEN inline Copies& copies()
{
    if (block->current->copies == nullptr) {
        block->current->copies = new Copies;
    }
    return *block->current->copies;
}

KP_UNSEEN inline bool in_shared(const void* address, const char* what)
{
    const auto* at = static_cast<const unsigned char*>(address);
    if (reinterpret_cast<uintptr_t>(address) % 16 != 0) {
        report((std::string("misaligned: ") + what + " needs 16-byte addresses").c_str());
        return false;
    }
#if !defined(__SANITIZE_ADDRESS__)
    if (at < block->shared || at + 16 > block->shared + block->shared_bytes) {
        report((std::string(what) + " outside shared memory").c_str());
        return false;
    }
#endif
    return at != nullptr;
}

// writes that every sanitizer sees
inline void write_bytes(volatile unsigned char* to, const unsigned char* bytes)
{
    for (int at = 0; at < 16; ++at) {
        to[at] = bytes[at];
    }
}

inline void start_copy(void* to, const void* from, int bytes)
{
    if (!in_shared(to, "cp.async")) {
        return;
    }
    if (bytes > 0 && reinterpret_cast<uintptr_t>(from) % 16 != 0) {
        report("misaligned: cp.async needs 16-byte addresses");
        return;
    }
    Copy copy{static_cast<unsigned char*>(to), {}, copies().group};
    const auto* source = static_cast<const volatile unsigned char*>(from);
    for (int at = 0; at < bytes; ++at) {
        copy.bytes[at] = source[at];
    }
    static const unsigned char poison[16] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    write_bytes(copy.to, poison);
    copies().pending.push_back(copy);
}

KP_UNSEEN inline void mark_unfenced(Copies& mine, const unsigned char* to)
{
    const auto piece = static_cast<size_t>(to - block->shared) / 16;
    if (piece < most_pieces) {
        unfenced[piece] = 1;
        mine.unfenced.push_back(piece);
    }
}

// What this thread's copies brought is seen by asynchronous products.
KP_UNSEEN inline void show_copies()
{
    for (const size_t piece : copies().unfenced) {
        unfenced[piece] = 0;
    }
    copies().unfenced.clear();
}

// Lets the copies arrive, but for the last `pending` groups that were ended and what is in none.
inline void finish_copies(int pending)
{
    Copies& mine = copies();
    std::vector<Copy> left;
    for (const Copy& copy : mine.pending) {
        if (copy.group < mine.group - pending) {
            write_bytes(copy.to, copy.bytes);
            mark_unfenced(mine, copy.to);
        } else {
            left.push_back(copy);
        }
    }
    mine.pending.swap(left);
}

inline void load_matrices(unsigned (&part)[4], const void* row, int line, bool transposed)
{
    unsigned char bytes[16] = {};
    if (in_shared(row, "ldmatrix")) {
        for (int at = 0; at < 16; ++at) {
            bytes[at] = static_cast<const volatile unsigned char*>(row)[at];
        }
    }
    const auto address = reinterpret_cast<uintptr_t>(row);
    bring(bytes, 16);
    bring(&address, sizeof address, 4);
    meet(
        line * 2 + transposed,
        [](Warp& warp, long place) {
            ++block->loads;
            for (int matrix = 0; matrix < 4; ++matrix) {
                uint16_t entry[8][8];
                unsigned banks = 0;
                for (int at = 0; at < 8; ++at) {
                    uintptr_t from;
                    std::memcpy(entry[at], warp.lane[8 * matrix + at].in, 16);
                    std::memcpy(&from, warp.lane[8 * matrix + at].in + 4, sizeof from);
                    const unsigned bank = 1u << (from / 16 % 8);
                    block->conflicts += (banks & bank) != 0;
                    banks |= bank;
                }
                for (int lane = 0; lane < lanes; ++lane) {
                    const int major = lane / 4, minor = lane % 4 * 2;
                    const uint32_t low = place % 2 ? entry[minor][major] : entry[major][minor];
                    const uint32_t high = place % 2 ? entry[minor + 1][major] : entry[major][minor + 1];
                    warp.lane[lane].out[matrix] = low | high << 16;
                }
            }
        },
        false);
    take(part, 16);
}

// the 16-bit formats as tables
inline const float* table(int mantissa, int bias)
{
    static std::vector<float> found[2];
    std::vector<float>& mine = found[mantissa == 10];
    if (mine.empty()) {
        Exactly exactly;
        mine.resize(1 << 16);
        for (int bits = 0; bits < 1 << 16; ++bits) {
            mine[bits] = decode(static_cast<uint16_t>(bits), mantissa, bias);
        }
    }
    return mine.data();
}

template <int MANTISSA, int BIAS>
void multiply_matrices(Warp& warp, long)
{
    ++block->products;
    Exactly exactly;
    const float* number = table(MANTISSA, BIAS);
    float a[16][16], b[16][8];
    for (int lane = 0; lane < lanes; ++lane) {
        const int major = lane / 4, minor = lane % 4 * 2;
        const uint32_t* in = warp.lane[lane].in;
        for (int high = 0; high < 2; ++high) {
            for (int part = 0; part < 4; ++part) {
                a[major + part % 2 * 8][minor + part / 2 * 8 + high] = number[in[part] >> 16 * high & 0xffff];
            }
            for (int part = 0; part < 2; ++part) {
                b[minor + part * 8 + high][major] = number[in[4 + part] >> 16 * high & 0xffff];
            }
        }
    }
    for (int lane = 0; lane < lanes; ++lane) {
        const int major = lane / 4, minor = lane % 4 * 2;
        float c[4];
        std::memcpy(c, warp.lane[lane].in + 6, sizeof c);
        for (int at = 0; at < 4; ++at) {
            for (int k = 0; k < 16; ++k) {
                c[at] += a[major + at / 2 * 8][k] * b[k][minor + at % 2];
            }
        }
        std::memcpy(warp.lane[lane].out, c, sizeof c);
    }
}

template <int MANTISSA, int BIAS>
void product(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1, int line)
{
    bring(a, 16);
    bring(&b0, 4, 4);
    bring(&b1, 4, 5);
    bring(c, 16, 6);
    meet(line * 2, multiply_matrices<MANTISSA, BIAS>, false);
    take(c, 16);
}

}  // namespace emulator

inline void kp_ldmatrix_x4(unsigned (&part)[4], const void* row, int line = __builtin_LINE())
{
    emulator::load_matrices(part, row, line, false);
}
inline void kp_ldmatrix_x4_trans(unsigned (&part)[4], const void* row, int line = __builtin_LINE())
{
    emulator::load_matrices(part, row, line, true);
}
inline void kp_cp16(void* shared, const void* global, int bytes) { emulator::start_copy(shared, global, bytes); }
inline void kp_cp_commit() { ++emulator::copies().group; }
template <int PENDING>
void kp_cp_wait()
{
    emulator::finish_copies(PENDING);
}
// flushes as ex2.approx.ftz does
inline float kp_exp2(float x)
{
    const float power = std::exp2(x);
    return power < 0x1p-126f ? 0.0f : power;
}
