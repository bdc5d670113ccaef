// Vectors of 32 bytes, on x86-64 with AVX2.
#pragma once

#if !defined(SPK_ISA)
#define SPK_ISA avx2
#endif
#define SPK_VECTOR_BYTES 32
#include <immintrin.h>

#include "kernels/generic/vector_base.hpp"

namespace spk::kernels::SPK_ISA {

// kLanes16 weights, or counts, as 16 bits each.
SPK_INLINE v16 widen_weights(const void* from) {
    return reinterpret_cast<v16>(_mm256_cvtepi8_epi16(_mm_loadu_si128(static_cast<const __m128i*>(from))));
}
SPK_INLINE v16 widen_counts(const void* from) {
    return reinterpret_cast<v16>(_mm256_cvtepu8_epi16(_mm_loadu_si128(static_cast<const __m128i*>(from))));
}

// The lower (`upper` false) or upper half of the lanes as 32 bits each.
template <bool upper>
SPK_INLINE v32 widen(v16 value) {
    const auto wide = reinterpret_cast<__m256i>(value);
    return reinterpret_cast<v32>(_mm256_cvtepi16_epi32(_mm256_extracti128_si256(wide, upper)));
}

// kLanes32 counts as 32 bits each.
SPK_INLINE v32 widen_u8(const std::uint8_t* from) {
    return reinterpret_cast<v32>(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from))));
}

// Stores the low bytes of kLanes32 integers.
SPK_INLINE void narrow_u8(std::uint8_t* to, v32 value) {
    const auto wide = reinterpret_cast<__m256i>(value & splat32(255));
    const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packus_epi16(words, words));
}

// Bit `plane` of kMaskBytes counts, the first in the lowest place.
inline constexpr std::size_t kMaskBytes = 32;
SPK_INLINE std::uint32_t bit_mask(const std::uint8_t* from, std::size_t plane) {
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    const __m256i top = _mm256_sll_epi16(bytes, _mm_cvtsi32_si128(static_cast<int>(7 - plane)));
    return static_cast<std::uint32_t>(_mm256_movemask_epi8(top));
}

// Eight counts as 16 bits each; which of eight lanes are not 0; and those lanes side by side, their places given.
SPK_INLINE eight16 widen_eight(const std::uint8_t* from) {
    return reinterpret_cast<eight16>(_mm_cvtepu8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from))));
}
SPK_INLINE std::uint32_t nonzero_mask(eight16 value) {
    const __m128i zero = _mm_cmpeq_epi16(reinterpret_cast<__m128i>(value), _mm_setzero_si128());
    return static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_packs_epi16(zero, zero)) & 255) ^ 255;
}
SPK_INLINE eight16 compressed(eight16 value, const std::uint16_t* places) {
    // Bytes 2p and 2p + 1 of each place p.
    const __m128i even = _mm_slli_epi16(_mm_load_si128(reinterpret_cast<const __m128i*>(places)), 1);
    const __m128i bytes = _mm_or_si128(_mm_or_si128(even, _mm_slli_epi16(even, 8)), _mm_set1_epi16(0x100));
    return reinterpret_cast<eight16>(_mm_shuffle_epi8(reinterpret_cast<__m128i>(value), bytes));
}

}  // namespace spk::kernels::SPK_ISA
