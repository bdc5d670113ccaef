// Lanes of 16 bits that hold two weights each.
#pragma once

#include <utility>

namespace spk::kernels::SPK_ISA {

// Vectors of `bytes` bytes, aligned or not: rows may be narrower than what the instruction set has. (Written out, as
// gcc forgets how a type that depends on a template's argument is aligned.)
template <std::size_t bytes>
struct Types;
#define SPK_TYPES(bytes)                                                                                 \
    template <>                                                                                          \
    struct Types<bytes> {                                                                                \
        typedef std::uint8_t b8 __attribute__((vector_size(bytes)));                                     \
        typedef std::int16_t w16 __attribute__((vector_size(bytes)));                                    \
        typedef std::uint16_t u16 __attribute__((vector_size(bytes)));                                   \
        typedef std::uint8_t any8 __attribute__((vector_size(bytes), aligned(1), may_alias));            \
        typedef std::int16_t any16 __attribute__((vector_size(bytes), aligned(1), may_alias));           \
        SPK_INLINE static b8 load(const char* from) { return *reinterpret_cast<const any8*>(from); }     \
        SPK_INLINE static w16 load16(const char* from) { return *reinterpret_cast<const any16*>(from); } \
        SPK_INLINE static void store(char* to, b8 value) { *reinterpret_cast<any8*>(to) = value; }       \
        SPK_INLINE static void store16(char* to, w16 value) { *reinterpret_cast<any16*>(to) = value; }   \
    }
// Lanes of 32 bits for all lanes of 16, where a vector has room for them.
template <std::size_t bytes>
struct Wide;
#define SPK_WIDE(bytes)                                                                                \
    template <>                                                                                        \
    struct Wide<bytes> {                                                                               \
        typedef std::int32_t w32 __attribute__((vector_size(2 * bytes)));                              \
        typedef std::int32_t any32 __attribute__((vector_size(2 * bytes), aligned(1), may_alias));     \
        SPK_INLINE static w32 load(const char* from) { return *reinterpret_cast<const any32*>(from); } \
        SPK_INLINE static void store(char* to, w32 value) { *reinterpret_cast<any32*>(to) = value; }   \
    }
SPK_TYPES(16);
#if SPK_VECTOR_BYTES >= 32
SPK_TYPES(32);
SPK_WIDE(16);
#endif
#if SPK_VECTOR_BYTES >= 64
SPK_TYPES(64);
SPK_WIDE(32);
#endif

template <std::size_t bytes>
struct Part : Types<bytes> {
    using typename Types<bytes>::b8, typename Types<bytes>::w16, typename Types<bytes>::u16;
    static constexpr std::size_t kLanes = bytes / 2;

    // The lower or upper half of a0 b0 a1 b1 ...
    template <bool upper, std::size_t... i>
    SPK_INLINE static w16 interleaved(w16 a, w16 b, std::index_sequence<i...>) {
        constexpr std::size_t kFirst = upper ? kLanes / 2 : 0;
        return __builtin_shufflevector(a, b, (kFirst + i / 2 + (i % 2 == 0 ? 0 : kLanes))...);
    }

    // Adds to 32-bit accumulators, or sets them; `half` of the lanes or all.
    SPK_INLINE static void write(char* to, w16 lanes, std::int32_t shift, bool add, bool half = false) {
        if constexpr (bytes == kVectorBytes) {
            const auto wide = reinterpret_cast<v16>(lanes);
            const v32 low = widen<false>(wide) << shift, high = widen<true>(wide) << shift;
            SPK_ISA::store32(to, add ? low + SPK_ISA::load32(to) : low);
            if (half) return;
            to += kVectorBytes;
            SPK_ISA::store32(to, add ? high + SPK_ISA::load32(to) : high);
        } else {
            using W = Wide<bytes>;
            const auto wide = __builtin_convertvector(lanes, typename W::w32) << shift;
            W::store(to, add ? wide + W::load(to) : wide);
        }
    }
};

inline constexpr bool kLowerFirst = __BYTE_ORDER__ != __ORDER_BIG_ENDIAN__;

// Sums of rows in split lanes: as they lie, and their upper weights. Up to `together` rows are added as bytes. Weights
// are signed, and the lower ones get 128 too much for each sum of bytes; or they are `biased`, and not negative.
template <std::size_t bytes, std::size_t together, bool biased>
struct Rows {
    using P = Part<bytes>;
    using b8 = typename P::b8;
    using w16 = typename P::w16;
    using u16 = typename P::u16;

    struct Sum {
        w16 full, upper;
    };

    // Rows [first, last) from byte `at` on.
    template <std::size_t first, std::size_t last, std::size_t count>
    SPK_INLINE static b8 bytes_of(const char* const (&rows)[count], std::size_t at) {
        constexpr std::size_t kMiddle = (first + last + 1) / 2;
        if constexpr (first + 1 == last) {
            return P::load(rows[first] + at);
        } else {
            return bytes_of<first, kMiddle>(rows, at) + bytes_of<kMiddle, last>(rows, at);
        }
    }

    template <std::size_t first, std::size_t last, std::size_t count>
    SPK_INLINE static Sum of(const char* const (&rows)[count], std::size_t at) {
        constexpr std::size_t kMiddle = (first + last + 1) / 2;
        if constexpr (last - first > together) {
            const Sum a = of<first, kMiddle>(rows, at), b = of<kMiddle, last>(rows, at);
            return {a.full + b.full, a.upper + b.upper};
        } else if constexpr (biased) {
            const auto lanes = reinterpret_cast<u16>(bytes_of<first, last>(rows, at));
            return {reinterpret_cast<w16>(lanes), reinterpret_cast<w16>(lanes >> 8)};
        } else {
            const w16 lanes = reinterpret_cast<w16>(bytes_of<first, last>(rows, at)) ^ (w16{} + std::int16_t{128});
            return {lanes, lanes >> 8};
        }
    }
};

}  // namespace spk::kernels::SPK_ISA
