// The generated text includes this name; the 16-bit types are the emulator's, and its products are of this format.
#include "cuda_emulator.h"

inline void kp_mma_m16n8k16(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1, int line = __builtin_LINE())
{
    emulator::product<7, 127>(c, a, b0, b1, line);
}
inline unsigned kp_pack(float low, float high)
{
    return __float2bfloat16_rn(low).bits | static_cast<unsigned>(__float2bfloat16_rn(high).bits) << 16;
}
inline void kp_wgmma_scores(float (&c)[16][4], unsigned long long a, unsigned long long b, int add, int line = __builtin_LINE())
{
    emulator::warpgroup_product<7, 127>(c, nullptr, a, b, add, line);
}
template <int FRAGMENTS>
void kp_wgmma_values(float (&c)[FRAGMENTS][4], const unsigned (&a)[4], unsigned long long b, int add, int line = __builtin_LINE())
{
    emulator::warpgroup_product<7, 127>(c, a, 0, b, add, line);
}
