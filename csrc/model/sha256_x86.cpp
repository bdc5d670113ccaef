// SHA-256 with the SHA extensions of x86 (Intel's "SHA Extensions" instruction set reference describes the scheme: the
// state lies in two registers as ABEF and CDGH, sha256rnds2 does two rounds, sha256msg1/msg2 extend the message).
#include "model/sha256.hpp"

#if defined(__x86_64__) && defined(__GNUC__)

#include <cpuid.h>
#include <immintrin.h>

namespace spk::sha256_detail {

bool has_x86() {
    static const bool found = [] {
        unsigned a = 0, b = 0, c = 0, d = 0;
        if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSSE3) || !(c & bit_SSE4_1)) return false;
        return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & (1u << 29)) != 0;
    }();
    return found;
}

__attribute__((target("sha,sse4.1,ssse3"))) void compress_x86(State& state, const std::uint8_t* data,
                                                              std::size_t blocks) {
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
    const auto* constants = reinterpret_cast<const __m128i*>(kRoundConstants.data());
    __m128i low = _mm_shuffle_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(&state[0])), 0xb1);   // CDAB
    __m128i high = _mm_shuffle_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(&state[4])), 0x1b);  // EFGH
    __m128i abef = _mm_alignr_epi8(low, high, 8);
    __m128i cdgh = _mm_blend_epi16(high, low, 0xf0);
    for (; blocks > 0; --blocks, data += 64) {
        const __m128i abef_before = abef, cdgh_before = cdgh;
        __m128i w[4];
        for (int i = 0; i < 4; ++i) {
            w[i] = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(data) + i), swap);
        }
        for (int i = 0; i < 16; ++i) {
            const __m128i now = w[i & 3];
            const __m128i sum = _mm_add_epi32(now, _mm_loadu_si128(constants + i));
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));
            // Four words further: w[t] from w[t-16], w[t-15], w[t-7] and w[t-2].
            const __m128i last = w[(i + 3) & 3];
            const __m128i seven = _mm_alignr_epi8(last, w[(i + 2) & 3], 4);
            const __m128i part = _mm_add_epi32(_mm_sha256msg1_epu32(now, w[(i + 1) & 3]), seven);
            w[i & 3] = _mm_sha256msg2_epu32(part, last);
        }
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    low = _mm_shuffle_epi32(abef, 0x1b);   // FEBA
    high = _mm_shuffle_epi32(cdgh, 0xb1);  // DCHG
    _mm_storeu_si128(reinterpret_cast<__m128i*>(&state[0]), _mm_blend_epi16(low, high, 0xf0));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(&state[4]), _mm_alignr_epi8(high, low, 8));
}

}  // namespace spk::sha256_detail

#else

namespace spk::sha256_detail {

bool has_x86() { return false; }
void compress_x86(State& state, const std::uint8_t* data, std::size_t blocks) {
    compress_portable(state, data, blocks);
}

}  // namespace spk::sha256_detail

#endif
