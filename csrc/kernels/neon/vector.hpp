// Vectors of 16 bytes, on 64-bit ARM, all of which have NEON.
#pragma once

#define SPK_ISA neon
#define SPK_VECTOR_BYTES 16
#include <arm_neon.h>

#include "kernels/generic/vector_base.hpp"

namespace spk::kernels::neon {

// kLanes16 weights, or counts, as 16 bits each.
SPK_INLINE v16 widen_weights(const void* from) {
    return reinterpret_cast<v16>(vmovl_s8(vld1_s8(static_cast<const std::int8_t*>(from))));
}
SPK_INLINE v16 widen_counts(const void* from) {
    return reinterpret_cast<v16>(vmovl_u8(vld1_u8(static_cast<const std::uint8_t*>(from))));
}

// The lower (`upper` false) or upper half of the lanes as 32 bits each.
template <bool upper>
SPK_INLINE v32 widen(v16 value) {
    const auto lanes = reinterpret_cast<int16x8_t>(value);
    return reinterpret_cast<v32>(upper ? vmovl_high_s16(lanes) : vmovl_s16(vget_low_s16(lanes)));
}

// kLanes32 counts as 32 bits each.
SPK_INLINE v32 widen_u8(const std::uint8_t* from) {
    std::uint32_t four;
    __builtin_memcpy(&four, from, 4);
    const uint8x8_t bytes = vreinterpret_u8_u32(vdup_n_u32(four));
    return reinterpret_cast<v32>(vmovl_u16(vget_low_u16(vmovl_u8(bytes))));
}

// Stores the low bytes of kLanes32 integers.
SPK_INLINE void narrow_u8(std::uint8_t* to, v32 value) {
    const uint16x4_t words = vmovn_u32(reinterpret_cast<uint32x4_t>(value));
    const uint8x8_t bytes = vmovn_u16(vcombine_u16(words, words));
    const std::uint32_t four = vget_lane_u32(vreinterpret_u32_u8(bytes), 0);
    __builtin_memcpy(to, &four, 4);
}

// Bit `plane` of kMaskBytes counts, the first in the lowest place: what each is worth there, added side by side.
inline constexpr std::size_t kMaskBytes = 16;
SPK_INLINE std::uint32_t bit_mask(const std::uint8_t* from, std::size_t plane) {
    constexpr uint8x16_t kWorth = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const uint8x16_t is_set = vtstq_u8(vld1q_u8(from), vdupq_n_u8(static_cast<std::uint8_t>(1u << plane)));
    uint8x16_t worth = vandq_u8(is_set, kWorth);
    worth = vpaddq_u8(worth, worth);
    worth = vpaddq_u8(worth, worth);
    worth = vpaddq_u8(worth, worth);
    return vgetq_lane_u16(vreinterpretq_u16_u8(worth), 0);
}

// Eight counts as 16 bits each; which of eight lanes are not 0; and those lanes side by side, their places given.
SPK_INLINE eight16 widen_eight(const std::uint8_t* from) { return reinterpret_cast<eight16>(vmovl_u8(vld1_u8(from))); }
SPK_INLINE std::uint32_t nonzero_mask(eight16 value) {
    constexpr uint16x8_t kWorth = {1, 2, 4, 8, 16, 32, 64, 128};
    const auto lanes = reinterpret_cast<uint16x8_t>(value);
    return vaddvq_u16(vandq_u16(vtstq_u16(lanes, lanes), kWorth));
}
SPK_INLINE eight16 compressed(eight16 value, const std::uint16_t* places) {
    // Bytes 2p and 2p + 1 of each place p.
    const uint16x8_t even = vshlq_n_u16(vld1q_u16(places), 1);
    const uint16x8_t bytes = vorrq_u16(vorrq_u16(even, vshlq_n_u16(even, 8)), vdupq_n_u16(0x100));
    const auto table = reinterpret_cast<uint8x16_t>(value);
    return reinterpret_cast<eight16>(vqtbl1q_u8(table, vreinterpretq_u8_u16(bytes)));
}

}  // namespace spk::kernels::neon
