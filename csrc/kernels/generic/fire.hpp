// Every spiking neuron: how many thresholds a potential reaches, without state and with a membrane.
//
// A count is D less the thresholds that lie above the potential: a comparison gives -1 where it holds, so counting is
// adding.

#include "kernels/generic/cells.hpp"
#include "kernels/generic/choose.hpp"

namespace spk::kernels::SPK_ISA {

SPK_INLINE std::uint32_t counted(std::int32_t potential, const std::int32_t* thresholds, std::size_t count,
                                 std::size_t step) {
    std::uint32_t n = 0;
    for (std::size_t k = 0; k < count; ++k) {
        n += potential >= *thresholds;
        thresholds = moved(thresholds, static_cast<std::ptrdiff_t>(step));
    }
    return n;
}

// Counts of `vectors` neighbouring vectors of potentials, together so that comparisons do not wait for each other; a
// threshold is one integer, or one for each channel.
template <std::size_t vectors, bool by_channel, typename In>
SPK_INLINE void fire_vectors(const FireArgs& args, const In* in, std::uint8_t* out, const std::int32_t* thresholds) {
    v32 potential[vectors], n[vectors];
#pragma GCC unroll 4
    for (std::size_t i = 0; i < vectors; ++i) {
        potential[i] = take(in + (i * kLanes32));
        n[i] = splat32(static_cast<std::int32_t>(args.count));
    }
    for (std::size_t k = 0; k < args.count; ++k) {
#pragma GCC unroll 4
        for (std::size_t i = 0; i < vectors; ++i) {
            const v32 threshold = by_channel ? load32(thresholds + (i * kLanes32)) : splat32(*thresholds);
            n[i] = less_where_above(n[i], threshold, potential[i]);
        }
        thresholds = moved(thresholds, by_channel ? static_cast<std::ptrdiff_t>(args.step) : 4);
    }
#pragma GCC unroll 4
    for (std::size_t i = 0; i < vectors; ++i) put(out + (i * kLanes32), n[i]);
}

// `args.channels` potentials that lie side by side.
template <bool by_channel, typename In>
SPK_INLINE void fire_row(const FireArgs& args, const In* in, std::uint8_t* out) {
    const std::int32_t* thresholds = args.thresholds;
    std::size_t i = 0;
    for (; i + (4 * kLanes32) <= args.channels; i += 4 * kLanes32, thresholds += by_channel ? 4 * kLanes32 : 0)
        fire_vectors<4, by_channel>(args, in + i, out + i, thresholds);
    for (; i + (2 * kLanes32) <= args.channels; i += 2 * kLanes32, thresholds += by_channel ? 2 * kLanes32 : 0)
        fire_vectors<2, by_channel>(args, in + i, out + i, thresholds);
    for (; i + kLanes32 <= args.channels; i += kLanes32, thresholds += by_channel ? kLanes32 : 0)
        fire_vectors<1, by_channel>(args, in + i, out + i, thresholds);
    const std::size_t step = by_channel ? args.step : sizeof(std::int32_t);
    for (; i < args.channels; ++i, thresholds += by_channel ? 1 : 0)
        put_one(out + i, counted(take_one(in + i), thresholds, args.count, step));
}

template <typename In>
SPK_INLINE void fire_ladder(const FireArgs& args) {
    fire_row<false>(args, static_cast<const In*>(args.in), args.out);
}

template <typename In>
SPK_INLINE void fire_channels(const FireArgs& args) {
    const In* in = static_cast<const In*>(args.in);
    std::uint8_t* out = args.out;
    for (std::size_t pixel = 0; pixel < args.pixels; ++pixel, in += args.channels, out += args.channels)
        fire_row<true>(args, in, out);
}

template <typename In>
SPK_INLINE void fire_uniform(const FireArgs& args) {
    const In* in = static_cast<const In*>(args.in);
    const v32 below = splat32(args.first - 1), last = splat32(args.last), first = splat32(args.first);
    std::size_t i = 0;
    for (; i + kLanes32 <= args.channels; i += kLanes32) {
        const v32 potential = least(greatest(take(in + i), below), last);
        put(args.out + i, ((potential - first) >> args.shift) + splat32(1));
    }
    for (; i < args.channels; ++i) {
        std::int32_t potential = take_one(in + i);
        potential = potential < args.first - 1 ? args.first - 1 : potential;
        potential = potential > args.last ? args.last : potential;
        put_one(args.out + i, static_cast<std::uint32_t>(((potential - args.first) >> args.shift) + 1));
    }
}

}  // namespace spk::kernels::SPK_ISA

#define SPK_FIRE(name, Args, body)                                     \
    SPK_SYNAPSE void SPK_ENTRY(name)(const spk::kernels::Args& args) { \
        using namespace spk::kernels;                                  \
        using namespace spk::kernels::SPK_ISA;                         \
        body(args);                                                    \
    }

SPK_FIRE(fire_ladder_u8, FireArgs, fire_ladder<std::uint8_t>)
SPK_FIRE(fire_ladder_i32, FireArgs, fire_ladder<acc_t>)
SPK_FIRE(fire_channels_u8, FireArgs, fire_channels<std::uint8_t>)
SPK_FIRE(fire_channels_i32, FireArgs, fire_channels<acc_t>)
SPK_FIRE(fire_uniform_u8, FireArgs, fire_uniform<std::uint8_t>)
SPK_FIRE(fire_uniform_i32, FireArgs, fire_uniform<acc_t>)
