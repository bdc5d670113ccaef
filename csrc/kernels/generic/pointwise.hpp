// Element by element: add, align, and the statistics of tensors.

#include "kernels/generic/cells.hpp"

namespace spk::kernels::SPK_ISA {

SPK_INLINE void add(const AddArgs& args) {
    acc_t* out = args.out;
    std::size_t i = 0;
    for (; i + kLanes32 <= args.count; i += kLanes32) {
        put(out + i, (take(args.a + i) << args.shift_a) + (take(args.b + i) << args.shift_b));
    }
    for (; i < args.count; ++i) {
        const auto a = static_cast<std::uint32_t>(take_one(args.a + i)) << args.shift_a;
        put_one(out + i, a + (static_cast<std::uint32_t>(take_one(args.b + i)) << args.shift_b));
    }
}

// (p >> s) + (bit s - 1 of p) is p plus half a step, rounded down, and never leaves 32 bits.
template <typename In, typename Out>
SPK_INLINE void align(const AlignArgs& args) {
    const In* in = static_cast<const In*>(args.in);
    Out* out = static_cast<Out*>(args.out);
    std::size_t i = 0;
    for (; i + kLanes32 <= args.count; i += kLanes32) {
        const v32 value = take(in + i);
        put(out + i, (value >> args.shift) + ((value >> (args.shift - 1)) & splat32(1)));
    }
    for (; i < args.count; ++i) {
        const std::int32_t value = take_one(in + i);
        put_one(out + i, static_cast<std::uint32_t>((value >> args.shift) + ((value >> (args.shift - 1)) & 1)));
    }
}

// The number of bits set, without an instruction that not every machine has.
SPK_INLINE std::uint32_t bits_set(std::uint32_t x) {
    x = x - (x >> 1 & 0x55555555u);
    x = (x & 0x33333333u) + (x >> 2 & 0x33333333u);
    x = (x + (x >> 4)) & 0x0f0f0f0fu;
    x = x + (x >> 8);
    return (x + (x >> 16)) & 0x3fu;
}

template <typename In>
SPK_INLINE void count(CountArgs& args) {
    std::uint64_t magnitude = 0, bits = 0, events = 0;
    const In* in = static_cast<const In*>(args.in);
    for (std::size_t i = 0; i < args.count; ++i) {
        const auto value = static_cast<std::int64_t>(take_one(in + i));
        magnitude += static_cast<std::uint64_t>(value < 0 ? -value : value);
        std::uint32_t marks = static_cast<std::uint32_t>(value) & args.mask;
        if (args.digits) {
            marks |= marks >> 1;
            marks = (marks | marks >> 2) & 0x11111111u;
        }
        bits += bits_set(marks);
        events += value != 0;
    }
    args.magnitude = magnitude;
    args.bits = bits;
    args.events = events;
}

template <typename In>
SPK_INLINE void weight_bits(WeightBitsArgs& args) {
    const In* in = static_cast<const In*>(args.in);
    const auto* weights = reinterpret_cast<const unsigned char*>(args.weights);
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < args.count; ++i) {
        bits += bits_set(take_one(in + i) != 0 ? weights[i] & args.mask : 0u);
    }
    args.bits = bits;
}

template <typename In>
SPK_INLINE void range(RangeArgs& args) {
    const In* in = static_cast<const In*>(args.in);
    std::int32_t lo = args.lo, hi = args.hi;
    for (std::size_t i = 0; i < args.count; ++i) {
        const std::int32_t value = take_one(in + i);
        lo = value < lo ? value : lo;
        hi = value > hi ? value : hi;
    }
    args.lo = lo;
    args.hi = hi;
}

// The common kinds, a vector at a time.
template <typename In>
SPK_INLINE void range_of_vectors(RangeArgs& args) {
    const In* in = static_cast<const In*>(args.in);
    v32 lo = splat32(args.lo), hi = splat32(args.hi);
    std::size_t i = 0;
    for (; i + kLanes32 <= args.count; i += kLanes32) {
        lo = least(lo, take(in + i));
        hi = greatest(hi, take(in + i));
    }
    for (; i < args.count; ++i) {
        lo = least(lo, splat32(take_one(in + i)));
        hi = greatest(hi, splat32(take_one(in + i)));
    }
    std::int32_t los[kLanes32], his[kLanes32];
    store32(los, lo);
    store32(his, hi);
    for (std::size_t lane = 0; lane < kLanes32; ++lane) {
        args.lo = los[lane] < args.lo ? los[lane] : args.lo;
        args.hi = his[lane] > args.hi ? his[lane] : args.hi;
    }
}

}  // namespace spk::kernels::SPK_ISA

#define SPK_POINTWISE(name, Args, body)                           \
    SPK_SYNAPSE void SPK_ENTRY(name)(spk::kernels::Args & args) { \
        using namespace spk::kernels;                             \
        using namespace spk::kernels::SPK_ISA;                    \
        body(args);                                               \
    }
#define SPK_POINTWISE_CONST(name, Args, body)                          \
    SPK_SYNAPSE void SPK_ENTRY(name)(const spk::kernels::Args& args) { \
        using namespace spk::kernels;                                  \
        using namespace spk::kernels::SPK_ISA;                         \
        body(args);                                                    \
    }

SPK_POINTWISE_CONST(add_i32, AddArgs, add)
SPK_POINTWISE_CONST(align_u8_u8, AlignArgs, (align<std::uint8_t, std::uint8_t>))
SPK_POINTWISE_CONST(align_i32_u8, AlignArgs, (align<acc_t, std::uint8_t>))
SPK_POINTWISE_CONST(align_i32_i32, AlignArgs, (align<acc_t, acc_t>))
SPK_POINTWISE(count_u8, CountArgs, count<std::uint8_t>)
SPK_POINTWISE(count_i32, CountArgs, count<acc_t>)
SPK_POINTWISE(weight_bits_u8, WeightBitsArgs, weight_bits<std::uint8_t>)
SPK_POINTWISE(weight_bits_i32, WeightBitsArgs, weight_bits<acc_t>)
SPK_POINTWISE(range_u8, RangeArgs, range_of_vectors<std::uint8_t>)
SPK_POINTWISE(range_i8, RangeArgs, range<std::int8_t>)
SPK_POINTWISE(range_i16, RangeArgs, range<std::int16_t>)
SPK_POINTWISE(range_i32, RangeArgs, range_of_vectors<acc_t>)
