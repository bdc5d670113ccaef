// Vectors of 16 bytes, on any machine: the compiler lowers them to what there is, scalars at worst.
#pragma once

#define SPK_ISA portable
#define SPK_VECTOR_BYTES 16
#include "kernels/generic/vector_base.hpp"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace spk::kernels::portable {

typedef std::int8_t bytes16 __attribute__((vector_size(16)));
typedef std::uint16_t u16 __attribute__((vector_size(16)));
typedef std::int64_t words2 __attribute__((vector_size(16)));

// Eight bytes, each of them twice: as lanes of 16 bits their upper half is the byte, whatever the byte order.
SPK_INLINE bytes16 twice_each(const void* from) {
    std::int64_t word;
    __builtin_memcpy(&word, from, 8);
    const auto bytes = reinterpret_cast<bytes16>(words2{word, 0});
    return __builtin_shufflevector(bytes, bytes, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
}

// kLanes16 weights, or counts, as 16 bits each.
SPK_INLINE v16 widen_weights(const void* from) { return reinterpret_cast<v16>(twice_each(from)) >> 8; }
SPK_INLINE v16 widen_counts(const void* from) {
    return reinterpret_cast<v16>(reinterpret_cast<u16>(twice_each(from)) >> 8);
}

// The lower (`upper` false) or upper half of the lanes as 32 bits each.
template <bool upper>
SPK_INLINE v32 widen(v16 value) {
    constexpr int k = upper ? 4 : 0;
    return reinterpret_cast<v32>(
               __builtin_shufflevector(value, value, k, k, k + 1, k + 1, k + 2, k + 2, k + 3, k + 3)) >>
           16;
}

// kLanes32 counts as 32 bits each: doubled twice, which every machine has an instruction for.
SPK_INLINE v32 widen_u8(const std::uint8_t* from) {
    std::int32_t word;
    __builtin_memcpy(&word, from, 4);
    const auto bytes = reinterpret_cast<bytes16>(v32{word, 0, 0, 0});
    const auto pairs =
        reinterpret_cast<v16>(__builtin_shufflevector(bytes, bytes, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7));
    const auto fours = reinterpret_cast<u32>(__builtin_shufflevector(pairs, pairs, 0, 0, 1, 1, 2, 2, 3, 3));
    return reinterpret_cast<v32>(fours >> 24);
}

// Stores the low bytes of kLanes32 integers.
SPK_INLINE void narrow_u8(std::uint8_t* to, v32 value) {
#if defined(__SSE2__)
    const auto bytes = reinterpret_cast<__m128i>(value & splat32(255));
    const __m128i words = _mm_packs_epi32(bytes, bytes);
    const std::int32_t four = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
    __builtin_memcpy(to, &four, 4);
#else
    for (std::size_t lane = 0; lane < kLanes32; ++lane) to[lane] = static_cast<std::uint8_t>(value[lane]);
#endif
}

// Bit `plane` of kMaskBytes counts, the first in the lowest place.
inline constexpr std::size_t kMaskBytes = 8;
SPK_INLINE std::uint32_t bit_mask(const std::uint8_t* from, std::size_t plane) {
    std::uint64_t word;
    __builtin_memcpy(&word, from, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    word = (word >> plane) & 0x0101010101010101u;
    word |= word >> 7;
    word |= word >> 14;
    word |= word >> 28;
    return static_cast<std::uint32_t>(word & 0xff);
}

// Eight counts as 16 bits each; which of eight lanes are not 0; and those lanes side by side, their places given.
SPK_INLINE eight16 widen_eight(const std::uint8_t* from) { return reinterpret_cast<eight16>(widen_counts(from)); }
SPK_INLINE std::uint32_t nonzero_mask(eight16 value) {
    std::uint32_t mask = 0;
    for (std::uint32_t lane = 0; lane < 8; ++lane) mask |= (value[lane] != 0 ? 1u : 0u) << lane;
    return mask;
}
SPK_INLINE eight16 compressed(eight16 value, const std::uint16_t* places) {
    std::uint16_t lanes[8];
    *reinterpret_cast<unaligned_eight16*>(lanes) = value;
    eight16 result{};
    for (std::uint32_t lane = 0; lane < 8; ++lane) result[lane] = lanes[places[lane]];
    return result;
}

}  // namespace spk::kernels::portable
