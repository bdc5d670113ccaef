// Depthwise convolutions: all channels of a block at once, the input's bit-planes as masks of the weights. Every plane
// has its own sums of 16 bits (the caller proves that they fit); they meet by doubling when a pixel is done. This
// serves every geometry; depthwise_rows.hpp has the common ones, and integers of any range.

#include "kernels/generic/cells.hpp"

namespace spk::kernels::SPK_ISA {

inline constexpr std::size_t kBlock = 16, kBlockVectors = kBlock / kLanes16;

SPK_INLINE void make_masks(const MaskArgs& args) {
    const std::uint8_t* x = args.x;
    std::uint16_t* masks = args.masks;
    for (std::size_t column = 0; column < args.width; ++column) {
        for (std::size_t plane = args.plane; plane < args.plane + args.planes; ++plane, masks += kBlock) {
            for (std::size_t i = 0; i < kBlock; i += kLanes16) {
                const v16 counts = widen_counts(x + i);
                store16(masks + i, (counts << static_cast<int>(15 - plane)) >> 15);
            }
        }
        x = moved(x, static_cast<std::ptrdiff_t>(args.x_step));
    }
}

template <std::size_t planes>
SPK_INLINE void add_taps(v16 (&sum)[planes][kBlockVectors], const std::uint16_t* masks, const weight_t* weights,
                         const DepthwiseArgs& args) {
    for (std::size_t tap = 0; tap < args.taps; ++tap) {
        const char* row = reinterpret_cast<const char*>(weights);
        for (std::size_t i = 0; i < kBlockVectors; ++i) {
            const v16 weight = widen_weights(row + (i * kLanes16));
            for (std::size_t plane = 0; plane < planes; ++plane) {
                sum[plane][i] = sum[plane][i] + (weight & load16(masks + (plane * kBlock) + (i * kLanes16)));
            }
        }
        masks = moved(masks, static_cast<std::ptrdiff_t>(args.tap_step));
        weights = moved(weights, static_cast<std::ptrdiff_t>(args.weight_step));
    }
}

template <std::size_t planes>
SPK_INLINE void depthwise(const DepthwiseArgs& args) {
    acc_t* acc = args.acc;
    std::ptrdiff_t offset = 0;
    for (std::size_t pixel = 0; pixel < args.pixels; ++pixel, acc += kBlock) {
        v16 sum[planes][kBlockVectors] = {};
        for (std::size_t row = 0; row < args.row_count; ++row) {
            add_taps<planes>(sum, moved(args.rows[row], offset), args.weights[row], args);
        }
        for (std::size_t i = 0; i < kBlockVectors; ++i) {
            v32 low{}, high{};
            for (std::size_t plane = planes; plane-- > 0;) {
                low = low + low + widen<false>(sum[plane][i]);
                high = high + high + widen<true>(sum[plane][i]);
            }
            acc_t* to = acc + (i * kLanes16);
            low = low << args.shift;
            high = high << args.shift;
            store32(to, args.add ? low + load32(to) : low);
            store32(to + kLanes32, args.add ? high + load32(to + kLanes32) : high);
        }
        offset += static_cast<std::ptrdiff_t>(args.pixel_step);
    }
}

}  // namespace spk::kernels::SPK_ISA

SPK_SYNAPSE void SPK_ENTRY(masks)(const spk::kernels::MaskArgs& args) { spk::kernels::SPK_ISA::make_masks(args); }
SPK_SYNAPSE void SPK_ENTRY(depthwise_p1)(const spk::kernels::DepthwiseArgs& args) {
    spk::kernels::SPK_ISA::depthwise<1>(args);
}
SPK_SYNAPSE void SPK_ENTRY(depthwise_p2)(const spk::kernels::DepthwiseArgs& args) {
    spk::kernels::SPK_ISA::depthwise<2>(args);
}
SPK_SYNAPSE void SPK_ENTRY(depthwise_p3)(const spk::kernels::DepthwiseArgs& args) {
    spk::kernels::SPK_ISA::depthwise<3>(args);
}
SPK_SYNAPSE void SPK_ENTRY(depthwise_p4)(const spk::kernels::DepthwiseArgs& args) {
    spk::kernels::SPK_ISA::depthwise<4>(args);
}
