// Rows of depthwise convolutions: the sums of several neighbouring outputs stay in registers, one vector of channels at
// a time, and bit-planes follow each other by doubling those sums. So a plane of an input column is made once for all
// outputs that it reaches, or a plane of a weight once for all outputs that it weighs; no other memory is needed.

#include "kernels/generic/cells.hpp"
#include "kernels/generic/choose.hpp"

namespace spk::kernels::SPK_ISA {

alignas(64) static constexpr std::uint8_t kZeros[64] = {};

// A pointer to column `at` of a row, or to zeros where the map ends. The compiler must not look through the choice: it
// would branch for each column.
template <typename X>
SPK_INLINE const X* column_or_zeros(const X* x, std::ptrdiff_t at, const DepthwiseRowArgs& args) {
    const bool inside = static_cast<std::size_t>(at) < static_cast<std::size_t>(args.width);
    const X* from = inside ? x : reinterpret_cast<const X*>(kZeros);
    asm("" : "+r"(from));
    return from;
}

// Channels c and further of one output, as far as there are any.
SPK_INLINE void put_output(const DepthwiseRowArgs& args, void* pixel, std::size_t c, v32 sum) {
    auto* integers = static_cast<acc_t*>(pixel) + c;
    auto* bytes = static_cast<std::uint8_t*>(pixel) + c;
    if (c + kLanes32 <= args.channels) {
        const v32 value = (sum << load32(args.shifts + c)) + load32(args.biases + c);
        args.bytes ? put(bytes, value) : put(integers, value);
        return;
    }
    std::int32_t sums[kLanes32];
    store32(sums, sum);
    for (std::size_t lane = 0; c + lane < args.channels; ++lane) {
        const std::uint32_t value = static_cast<std::uint32_t>(sums[lane]) << args.shifts[c + lane];
        const std::uint32_t shifted = value + static_cast<std::uint32_t>(args.biases[c + lane]);
        args.bytes ? put_one(bytes + lane, shifted) : put_one(integers + lane, shifted);
    }
}

// Where a tile of outputs starts: its window's first column, that column's distance in bytes, and its first output.
struct Tile {
    std::ptrdiff_t column, offset;
    void* out;
    std::size_t pixels;  // left in the row
};

template <int outputs>
SPK_INLINE void advance(const DepthwiseRowArgs& args, Tile& tile) {
#pragma GCC unroll 32
    for (int t = 0; t < outputs; ++t) {
        tile.column += args.stride;
        tile.offset += args.pixel_step;
        tile.out = moved(tile.out, static_cast<std::ptrdiff_t>(args.out_step));
    }
    tile.pixels = tile.pixels > outputs ? tile.pixels - outputs : 0;
}

// One row's part of `outputs` neighbouring sums: every column meets up to `taps` of them, each with another weight.
template <int taps, int outputs>
SPK_INLINE void add_counts(v16 (&sum)[outputs], const v16 (&weights)[taps], const std::uint8_t* x, std::ptrdiff_t at,
                           int plane, const DepthwiseRowArgs& args) {
#pragma GCC unroll 32
    for (int column = 0; column < outputs + taps - 1; ++column, ++at) {
        const Choice16 lanes = chosen_counts(column_or_zeros(x, at, args), plane);
#pragma GCC unroll 8
        for (int tap = 0; tap < taps; ++tap) {
            const int t = column - tap;
            if (t >= 0 && t < outputs) sum[t] = add_chosen(sum[t], lanes, weights[tap]);
        }
        x = moved(x, args.column_step);
    }
}

template <int taps, int outputs>
SPK_INLINE void count_tile(const DepthwiseRowArgs& args, std::size_t c, const Tile& tile) {
    v16 sum[outputs] = {};
    for (int plane = args.planes - 1; plane >= 0; --plane) {
#pragma GCC unroll 32
        for (int t = 0; t < outputs; ++t) sum[t] = sum[t] + sum[t];
        for (std::size_t row = 0; row < args.row_count; ++row) {
            v16 weights[taps];
            const char* from = reinterpret_cast<const char*>(args.weights[row]) + c;
#pragma GCC unroll 8
            for (int tap = 0; tap < taps; ++tap, from += args.weight_step) weights[tap] = widen_weights(from);
            const auto* x = static_cast<const std::uint8_t*>(args.rows[row]) + c;
            add_counts<taps, outputs>(sum, weights, moved(x, tile.offset), tile.column, plane, args);
        }
    }
    v16 sums[outputs];
#pragma GCC unroll 32
    for (int t = 0; t < outputs; ++t) sums[t] = sum[t];
    void* out = tile.out;
    for (std::size_t t = 0; t < outputs && t < tile.pixels; ++t) {
        put_output(args, out, c, widen<false>(sums[t]));
        if (c + kLanes32 < args.channels) put_output(args, out, c + kLanes32, widen<true>(sums[t]));
        out = moved(out, static_cast<std::ptrdiff_t>(args.out_step));
    }
}

// Counts, neighbouring outputs of neighbouring windows: as many at once as there are registers, half as many at the
// end.
template <int taps>
SPK_INLINE void count_row(const DepthwiseRowArgs& args) {
    constexpr int kMany = kManyRegisters ? 20 : 10, kFew = kMany / 2;
    for (std::size_t c = 0; c < args.channels; c += kLanes16) {
        Tile tile{args.first, args.first_step, args.out, args.pixels};
        while (tile.pixels > kFew) {
            count_tile<taps, kMany>(args, c, tile);
            advance<kMany>(args, tile);
        }
        if (tile.pixels != 0) count_tile<taps, kFew>(args, c, tile);
    }
}

// Starts bit-plane `plane` of the weights: sums so far count twice, and those of the sign against the others.
template <int outputs>
SPK_INLINE void next_plane(v32 (&sum)[outputs], int plane, const DepthwiseRowArgs& args) {
    if (plane == args.planes - 2) {
#pragma GCC unroll 16
        for (int t = 0; t < outputs; ++t) sum[t] = -sum[t];
    }
#pragma GCC unroll 16
    for (int t = 0; t < outputs; ++t) sum[t] = sum[t] + sum[t];
}

template <int outputs>
SPK_INLINE void put_tile(const DepthwiseRowArgs& args, std::size_t c, const Tile& tile, v32 (&sum)[outputs]) {
    v32 sums[outputs];
#pragma GCC unroll 16
    for (int t = 0; t < outputs; ++t) sums[t] = sum[t];
    void* out = tile.out;
    for (std::size_t t = 0; t < outputs && t < tile.pixels; ++t) {
        put_output(args, out, c, sums[t]);
        out = moved(out, static_cast<std::ptrdiff_t>(args.out_step));
    }
}

// Neighbouring windows: the columns of a row are read once for all taps and planes.
template <typename X, int taps, int outputs>
SPK_INLINE void near_tile(const DepthwiseRowArgs& args, std::size_t c, const Tile& tile) {
    v32 sums[outputs] = {};
    for (std::size_t row = 0; row < args.row_count; ++row) {
        const X* x = moved(static_cast<const X*>(args.rows[row]) + c, tile.offset);
        v32 columns[outputs + taps - 1], sum[outputs] = {};
#pragma GCC unroll 32
        for (int i = 0; i < outputs + taps - 1; ++i, x = moved(x, args.column_step))
            columns[i] = take(column_or_zeros(x, tile.column + i, args));
        const char* first = reinterpret_cast<const char*>(args.weights[row]) + c;
        for (int plane = args.planes - 1; plane >= 0; --plane) {
            next_plane<outputs>(sum, plane, args);
            const char* weights = first;
#pragma GCC unroll 8
            for (int tap = 0; tap < taps; ++tap, weights += args.weight_step) {
                const Choice32 lanes = chosen_weights(weights, plane);
#pragma GCC unroll 16
                for (int t = 0; t < outputs; ++t) sum[t] = add_chosen(sum[t], lanes, columns[t + tap]);
            }
        }
#pragma GCC unroll 16
        for (int t = 0; t < outputs; ++t) sums[t] = sums[t] + sum[t];
    }
    put_tile<outputs>(args, c, tile, sums);
}

// Windows of any size and distance.
template <typename X, int outputs>
SPK_INLINE void far_tile(const DepthwiseRowArgs& args, std::size_t c, const Tile& tile) {
    v32 sum[outputs] = {};
    for (int plane = args.planes - 1; plane >= 0; --plane) {
        next_plane<outputs>(sum, plane, args);
        for (std::size_t row = 0; row < args.row_count; ++row) {
            const X* first = moved(static_cast<const X*>(args.rows[row]) + c, tile.offset);
            const char* weights = reinterpret_cast<const char*>(args.weights[row]) + c;
            std::ptrdiff_t column = tile.column;
            for (std::size_t tap = 0; tap < args.taps; ++tap) {
                const Choice32 lanes = chosen_weights(weights, plane);
                const X* x = first;
                std::ptrdiff_t at = column;
#pragma GCC unroll 16
                for (int t = 0; t < outputs; ++t) {
                    sum[t] = add_chosen(sum[t], lanes, take(column_or_zeros(x, at, args)));
                    x = moved(x, args.pixel_step);
                    at += args.stride;
                }
                first = moved(first, args.tap_step);
                weights += args.weight_step;
                column += args.dilation;
            }
        }
    }
#if defined(PYSPIKE_BREAK_ADDITION_ONLY)
    sum[0] = sum[0] * sum[0];  // what must never be here: the addition-only test has to find it
#endif
    put_tile<outputs>(args, c, tile, sum);
}

template <typename X, int taps>
SPK_INLINE void wide_row(const DepthwiseRowArgs& args) {
    constexpr int kOutputs = kManyRegisters ? 10 : 5;
    for (std::size_t c = 0; c < args.channels; c += kLanes32) {
        Tile tile{args.first, args.first_step, args.out, args.pixels};
        while (tile.pixels != 0) {
            if constexpr (taps != 0) {
                near_tile<X, taps, kOutputs>(args, c, tile);
            } else {
                far_tile<X, kOutputs>(args, c, tile);
            }
            advance<kOutputs>(args, tile);
        }
    }
}

}  // namespace spk::kernels::SPK_ISA

#define SPK_DEPTHWISE_ROW(name, body)                                              \
    SPK_SYNAPSE void SPK_ENTRY(name)(const spk::kernels::DepthwiseRowArgs& args) { \
        using namespace spk::kernels;                                              \
        using namespace spk::kernels::SPK_ISA;                                     \
        body(args);                                                                \
    }

SPK_DEPTHWISE_ROW(depthwise_k3, count_row<3>)
SPK_DEPTHWISE_ROW(depthwise_k5, count_row<5>)
SPK_DEPTHWISE_ROW(depthwise_k7, count_row<7>)
SPK_DEPTHWISE_ROW(depthwise_wide_k3, (wide_row<acc_t, 3>))
SPK_DEPTHWISE_ROW(depthwise_wide_u8, (wide_row<std::uint8_t, 0>))
SPK_DEPTHWISE_ROW(depthwise_wide_i32, (wide_row<acc_t, 0>))
