// Reading and writing integers of a tensor, whatever its storage.
#pragma once

namespace spk::kernels::SPK_ISA {

SPK_INLINE v32 take(const acc_t* from) { return load32(from); }
SPK_INLINE v32 take(const std::uint8_t* from) { return widen_u8(from); }
SPK_INLINE std::int32_t take_one(const acc_t* from) {
    return *static_cast<const any_i32*>(static_cast<const void*>(from));
}
SPK_INLINE std::int32_t take_one(const std::uint8_t* from) { return *from; }
SPK_INLINE std::int32_t take_one(const std::int8_t* from) { return *from; }
SPK_INLINE std::int32_t take_one(const std::int16_t* from) { return *from; }

SPK_INLINE void put(acc_t* to, v32 value) { store32(to, value); }
SPK_INLINE void put(std::uint8_t* to, v32 value) { narrow_u8(to, value); }
SPK_INLINE void put_one(acc_t* to, std::uint32_t value) { *static_cast<any_u32*>(static_cast<void*>(to)) = value; }
SPK_INLINE void put_one(std::uint8_t* to, std::uint32_t value) { *to = static_cast<std::uint8_t>(value); }

}  // namespace spk::kernels::SPK_ISA
