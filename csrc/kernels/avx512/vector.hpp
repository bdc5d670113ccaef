// Vectors of 64 bytes, on x86-64 with AVX-512 F, BW, VL, DQ, VBMI and VBMI2.
#pragma once

#define SPK_ISA avx512
#define SPK_VECTOR_BYTES 64
#include <immintrin.h>

#include "kernels/generic/vector_base.hpp"

namespace spk::kernels::avx512 {

// kLanes16 weights, or counts, as 16 bits each.
SPK_INLINE v16 widen_weights(const void* from) {
    return reinterpret_cast<v16>(_mm512_cvtepi8_epi16(_mm256_loadu_si256(static_cast<const __m256i*>(from))));
}
SPK_INLINE v16 widen_counts(const void* from) {
    return reinterpret_cast<v16>(_mm512_cvtepu8_epi16(_mm256_loadu_si256(static_cast<const __m256i*>(from))));
}

// The lower (`upper` false) or upper half of the lanes as 32 bits each.
template <bool upper>
SPK_INLINE v32 widen(v16 value) {
    const auto wide = reinterpret_cast<__m512i>(value);
    return reinterpret_cast<v32>(_mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(wide, upper)));
}

// kLanes32 counts as 32 bits each.
SPK_INLINE v32 widen_u8(const std::uint8_t* from) {
    return reinterpret_cast<v32>(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
}

// Stores the low bytes of kLanes32 integers.
SPK_INLINE void narrow_u8(std::uint8_t* to, v32 value) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(reinterpret_cast<__m512i>(value)));
}

// Bit `plane` of kMaskBytes counts, the first in the lowest place.
inline constexpr std::size_t kMaskBytes = 32;
SPK_INLINE std::uint32_t bit_mask(const std::uint8_t* from, std::size_t plane) {
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    return _mm256_test_epi8_mask(bytes, _mm256_set1_epi8(static_cast<char>(1 << plane)));
}

// Eight counts as 16 bits each; which of eight lanes are not 0; and those lanes side by side, their places given.
SPK_INLINE eight16 widen_eight(const std::uint8_t* from) {
    return reinterpret_cast<eight16>(_mm_cvtepu8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from))));
}
SPK_INLINE std::uint32_t nonzero_mask(eight16 value) {
    const auto lanes = reinterpret_cast<__m128i>(value);
    return _mm_test_epi16_mask(lanes, lanes);
}
SPK_INLINE eight16 compressed(eight16 value, const std::uint16_t* places) {
    const __m128i order = _mm_load_si128(reinterpret_cast<const __m128i*>(places));
    return reinterpret_cast<eight16>(_mm_permutexvar_epi16(order, reinterpret_cast<__m128i>(value)));
}

// Lanes whose count (kLanes16 of them), or whose weight (kLanes32), has bit `plane` set; and sums over chosen lanes.
#define SPK_HAS_CHOICE
using Choice16 = __mmask32;
using Choice32 = __mmask16;
SPK_INLINE Choice16 chosen_counts(const std::uint8_t* from, int plane) {
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    return _mm256_test_epi8_mask(bytes, _mm256_set1_epi8(static_cast<char>(1 << plane)));
}
SPK_INLINE Choice32 chosen_weights(const void* from, int plane) {
    const __m128i bytes = _mm_loadu_si128(static_cast<const __m128i*>(from));
    return _mm_test_epi8_mask(bytes, _mm_set1_epi8(static_cast<char>(1 << plane)));
}
// Written out because gcc 12 copies the sum before each addition of its own intrinsic.
SPK_INLINE v16 add_chosen(v16 sum, Choice16 lanes, v16 value) {
    asm("vpaddw %2, %0, %0%{%1%}" : "+v"(sum) : "Yk"(lanes), "v"(value));
    return sum;
}
SPK_INLINE v32 add_chosen(v32 sum, Choice32 lanes, v32 value) {
    asm("vpaddd %2, %0, %0%{%1%}" : "+v"(sum) : "Yk"(lanes), "v"(value));
    return sum;
}

}  // namespace spk::kernels::avx512
