// Vectors of 16 bytes, on any machine: the compiler lowers them to what there is, scalars at worst.
#pragma once

#define SPK_ISA portable
#define SPK_VECTOR_BYTES 16
#include "kernels/generic/vector_base.hpp"

namespace spk::kernels::portable {

typedef std::int8_t weights8 __attribute__((vector_size(8)));
typedef std::int8_t unaligned_weights8 __attribute__((vector_size(8), aligned(1), may_alias));
typedef std::uint8_t counts8 __attribute__((vector_size(8)));
typedef std::uint8_t unaligned_counts8 __attribute__((vector_size(8), aligned(1), may_alias));
typedef std::int16_t half16 __attribute__((vector_size(8)));

// kLanes16 weights, or counts, as 16 bits each.
SPK_INLINE v16 widen_weights(const void* from) {
    return __builtin_convertvector(static_cast<weights8>(*static_cast<const unaligned_weights8*>(from)), v16);
}
SPK_INLINE v16 widen_counts(const void* from) {
    return __builtin_convertvector(static_cast<counts8>(*static_cast<const unaligned_counts8*>(from)), v16);
}

// The lower (`upper` false) or upper half of the lanes as 32 bits each.
template <bool upper>
SPK_INLINE v32 widen(v16 value) {
    union {
        v16 whole;
        half16 halves[2];
    } parts = {value};
    return __builtin_convertvector(parts.halves[upper], v32);
}

// kLanes32 counts as 32 bits each.
SPK_INLINE v32 widen_u8(const std::uint8_t* from) {
    return v32{from[0], from[1], from[2], from[3]};
}

// Stores the low bytes of kLanes32 integers.
SPK_INLINE void narrow_u8(std::uint8_t* to, v32 value) {
    for (std::size_t lane = 0; lane < kLanes32; ++lane) to[lane] = static_cast<std::uint8_t>(value[lane]);
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
SPK_INLINE eight16 widen_eight(const std::uint8_t* from) {
    return __builtin_convertvector(static_cast<counts8>(*reinterpret_cast<const unaligned_counts8*>(from)), eight16);
}
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
