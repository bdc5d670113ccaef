// Copies with a shift, maxima and sums over strided rows: what every operator that moves integers is made of.

#include "kernels/generic/cells.hpp"

namespace spk::kernels::SPK_ISA {

struct Set {
    SPK_INLINE v32 operator()(v32, v32 value) const { return value; }
    SPK_INLINE std::uint32_t operator()(std::uint32_t, std::uint32_t value) const { return value; }
};
struct Max {
    SPK_INLINE v32 operator()(v32 old, v32 value) const { return greatest(old, value); }
    SPK_INLINE std::uint32_t operator()(std::uint32_t old, std::uint32_t value) const {
        const auto a = static_cast<std::int32_t>(old), b = static_cast<std::int32_t>(value);
        return static_cast<std::uint32_t>(a > b ? a : b);
    }
};
struct Sum {
    SPK_INLINE v32 operator()(v32 old, v32 value) const { return old + value; }
    SPK_INLINE std::uint32_t operator()(std::uint32_t old, std::uint32_t value) const { return old + value; }
};

// Rows whose integers lie side by side.
template <typename In, typename Out, typename Rule>
SPK_INLINE void dense_row(const In* in, Out* out, std::size_t count, std::int32_t shift) {
    std::size_t i = 0;
    for (; i + kLanes32 <= count; i += kLanes32) put(out + i, Rule{}(take(out + i), take(in + i) << shift));
    for (; i < count; ++i) {
        const auto value = static_cast<std::uint32_t>(take_one(in + i)) << shift;
        put_one(out + i, Rule{}(static_cast<std::uint32_t>(take_one(out + i)), value));
    }
}

template <typename In, typename Out, typename Rule>
SPK_INLINE void strided_row(const In* in, Out* out, const CopyArgs& args) {
    for (std::size_t i = 0; i < args.count; ++i) {
        const auto value = static_cast<std::uint32_t>(take_one(in)) << args.shift;
        put_one(out, Rule{}(static_cast<std::uint32_t>(take_one(out)), value));
        in = moved(in, args.in_step);
        out = moved(out, args.out_step);
    }
}

template <typename In, typename Out, typename Rule>
SPK_INLINE void over_rows(const CopyArgs& args) {
    const bool dense = args.in_step == static_cast<std::ptrdiff_t>(sizeof(In)) &&
                       args.out_step == static_cast<std::ptrdiff_t>(sizeof(Out));
    const In* in = static_cast<const In*>(args.in);
    Out* out = static_cast<Out*>(args.out);
    for (std::size_t row = 0; row < args.rows; ++row) {
        if (dense) {
            dense_row<In, Out, Rule>(in, out, args.count, args.shift);
        } else {
            strided_row<In, Out, Rule>(in, out, args);
        }
        in = moved(in, args.in_row);
        out = moved(out, args.out_row);
    }
}

// Bytes to bytes: no lane need be widened.
template <typename Rule>
SPK_INLINE void over_byte_rows(const CopyArgs& args) {
    if (args.shift != 0 || args.in_step != 1 || args.out_step != 1) {
        over_rows<std::uint8_t, std::uint8_t, Rule>(args);
        return;
    }
    const auto* in = static_cast<const std::uint8_t*>(args.in);
    auto* out = static_cast<std::uint8_t*>(args.out);
    for (std::size_t row = 0; row < args.rows; ++row) {
        std::size_t i = 0;
        for (; i + kVectorBytes <= args.count; i += kVectorBytes)
            store8(out + i, Rule{}(load8(out + i), load8(in + i)));
        for (; i < args.count; ++i) out[i] = static_cast<std::uint8_t>(Rule{}(out[i], std::uint32_t{in[i]}));
        in = moved(in, args.in_row);
        out = moved(out, args.out_row);
    }
}

struct SetBytes : Set {
    using Set::operator();
    SPK_INLINE v8 operator()(v8, v8 value) const { return value; }
};
struct MaxBytes : Max {
    using Max::operator();
    SPK_INLINE v8 operator()(v8 old, v8 value) const { return old > value ? old : value; }
};
struct SumBytes : Sum {
    using Sum::operator();
    SPK_INLINE v8 operator()(v8 old, v8 value) const { return old + value; }
};

// From an input's narrow integers; element by element.
template <typename In, typename Out>
SPK_INLINE void convert_rows(const CopyArgs& args) {
    const In* in = static_cast<const In*>(args.in);
    Out* out = static_cast<Out*>(args.out);
    for (std::size_t row = 0; row < args.rows; ++row) {
        strided_row<In, Out, Set>(in, out, args);
        in = moved(in, args.in_row);
        out = moved(out, args.out_row);
    }
}

}  // namespace spk::kernels::SPK_ISA

#define SPK_COPY(name, body)                                               \
    SPK_SYNAPSE void SPK_ENTRY(name)(const spk::kernels::CopyArgs& args) { \
        using namespace spk::kernels;                                      \
        using namespace spk::kernels::SPK_ISA;                             \
        body(args);                                                        \
    }

SPK_COPY(copy_u8_u8, over_byte_rows<SetBytes>)
SPK_COPY(copy_u8_i32, (over_rows<std::uint8_t, acc_t, Set>))
SPK_COPY(copy_i32_i32, (over_rows<acc_t, acc_t, Set>))
SPK_COPY(copy_i32_u8, (over_rows<acc_t, std::uint8_t, Set>))
SPK_COPY(copy_i8_i32, (convert_rows<std::int8_t, acc_t>))
SPK_COPY(copy_i16_i32, (convert_rows<std::int16_t, acc_t>))
SPK_COPY(copy_i16_u8, (convert_rows<std::int16_t, std::uint8_t>))
SPK_COPY(max_u8, over_byte_rows<MaxBytes>)
SPK_COPY(max_i32, (over_rows<acc_t, acc_t, Max>))
SPK_COPY(sum_u8_u8, over_byte_rows<SumBytes>)
SPK_COPY(sum_u8_i32, (over_rows<std::uint8_t, acc_t, Sum>))
SPK_COPY(sum_i32_u8, (over_rows<acc_t, std::uint8_t, Sum>))
SPK_COPY(sum_i32_i32, (over_rows<acc_t, acc_t, Sum>))
