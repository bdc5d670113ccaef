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

// Appends the numbers, from `number` on, of counts whose bit `plane` is set; up to 32 entries more are overwritten.
#define SPK_HAS_APPEND_BITS
SPK_INLINE std::uint16_t* append_bits(std::uint16_t* to, const std::uint8_t* from, std::size_t count, std::size_t plane,
                                      std::uint16_t number) {
    const __m512i bit = _mm512_set1_epi8(static_cast<char>(1 << plane));
    const auto places = [](unsigned first) {
        constexpr v16 kFrom0 = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};
        return reinterpret_cast<__m512i>(kFrom0 + splat16(static_cast<std::int16_t>(first)));
    };
    __m512i low = places(number), high = places(number + 32u);
    const __m512i step = _mm512_set1_epi16(64);
    for (std::size_t i = 0; i < count; i += 64) {
        const std::size_t left = count - i;
        const std::uint64_t valid = left >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << left) - 1;
        const std::uint64_t set = _mm512_mask_test_epi8_mask(valid, _mm512_loadu_si512(from + i), bit);
        const auto first = static_cast<std::uint32_t>(set), second = static_cast<std::uint32_t>(set >> 32);
        _mm512_storeu_si512(to, _mm512_maskz_compress_epi16(first, low));
        to += __builtin_popcount(first);
        _mm512_storeu_si512(to, _mm512_maskz_compress_epi16(second, high));
        to += __builtin_popcount(second);
        low = _mm512_add_epi16(low, step);
        high = _mm512_add_epi16(high, step);
    }
    return to;
}

// Appends those of the first `count` lanes where `chosen` is not 0; up to 32 entries more are overwritten.
#define SPK_HAS_APPEND_LANES
SPK_INLINE std::uint16_t* append_lanes(std::uint16_t* to, v16 value, v16 chosen, std::size_t count) {
    const __mmask32 valid = count >= 32 ? ~__mmask32{0} : (__mmask32{1} << count) - 1;
    const auto test = reinterpret_cast<__m512i>(chosen);
    const __mmask32 lanes = _mm512_mask_test_epi16_mask(valid, test, test);
    _mm512_storeu_si512(to, _mm512_maskz_compress_epi16(lanes, reinterpret_cast<__m512i>(value)));
    return to + __builtin_popcount(lanes);
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

// One less where a threshold lies above.
SPK_INLINE v32 less_where_above(v32 n, v32 threshold, v32 potential) {
    const __mmask16 above =
        _mm512_cmpgt_epi32_mask(reinterpret_cast<__m512i>(threshold), reinterpret_cast<__m512i>(potential));
    return add_chosen(n, above, splat32(-1));
}

}  // namespace spk::kernels::avx512
