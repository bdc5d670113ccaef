// The vector type that the algorithms are written over, from the compiler's vector extension: the part all instruction
// sets share. An instruction set's vector.hpp defines SPK_ISA (a namespace and a part of the kernels' names) and
// SPK_VECTOR_BYTES, includes this, and adds what widens and narrows lanes and gathers bits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/api.hpp"

#define SPK_INLINE inline __attribute__((always_inline))
#define SPK_JOIN_(a, b, c) a##b##_##c
#define SPK_JOIN(a, b, c) SPK_JOIN_(a, b, c)
#if !defined(SPK_SET)
#define SPK_SET SPK_ISA
#endif
#define SPK_ENTRY(name) SPK_JOIN(spk_, SPK_SET, name)

namespace spk::kernels::SPK_ISA {

inline constexpr std::size_t kVectorBytes = SPK_VECTOR_BYTES;
inline constexpr std::size_t kLanes16 = kVectorBytes / 2, kLanes32 = kVectorBytes / 4;

typedef std::uint8_t v8 __attribute__((vector_size(kVectorBytes), may_alias));
typedef std::uint8_t unaligned8 __attribute__((vector_size(kVectorBytes), aligned(1), may_alias));
typedef std::int16_t v16 __attribute__((vector_size(kVectorBytes), may_alias));
typedef std::int32_t v32 __attribute__((vector_size(kVectorBytes), may_alias));
typedef std::uint32_t u32 __attribute__((vector_size(kVectorBytes), may_alias));
typedef std::int16_t unaligned16 __attribute__((vector_size(kVectorBytes), aligned(1), may_alias));
typedef std::int32_t unaligned32 __attribute__((vector_size(kVectorBytes), aligned(1), may_alias));

typedef std::uint16_t eight16 __attribute__((vector_size(16)));
typedef std::uint16_t unaligned_eight16 __attribute__((vector_size(16), aligned(2), may_alias));

typedef std::int16_t any_i16 __attribute__((may_alias));
typedef std::int32_t any_i32 __attribute__((may_alias));  // tensors are read and written as what they hold
typedef std::uint32_t any_u32 __attribute__((may_alias));

SPK_INLINE v8 load8(const void* from) { return *static_cast<const unaligned8*>(from); }
SPK_INLINE v16 load16(const void* from) { return *static_cast<const unaligned16*>(from); }
SPK_INLINE v32 load32(const void* from) { return *static_cast<const unaligned32*>(from); }
SPK_INLINE void store8(void* to, v8 value) { *static_cast<unaligned8*>(to) = value; }
SPK_INLINE void store16(void* to, v16 value) { *static_cast<unaligned16*>(to) = value; }
SPK_INLINE void store32(void* to, v32 value) { *static_cast<unaligned32*>(to) = value; }
SPK_INLINE v16 splat16(std::int16_t value) { return v16{} + value; }
SPK_INLINE v32 splat32(std::int32_t value) { return v32{} + value; }

SPK_INLINE v32 least(v32 a, v32 b) { return a < b ? a : b; }
SPK_INLINE v32 greatest(v32 a, v32 b) { return a > b ? a : b; }

// Pointers move by bytes.
template <typename T>
SPK_INLINE T* moved(T* pointer, std::ptrdiff_t bytes) {
    return reinterpret_cast<T*>(reinterpret_cast<std::uintptr_t>(pointer) + static_cast<std::uintptr_t>(bytes));
}

}  // namespace spk::kernels::SPK_ISA
