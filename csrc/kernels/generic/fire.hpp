// Every spiking neuron: how many thresholds a potential reaches, without state and with a membrane.
//
// A count is D less the thresholds that lie above the potential: a comparison gives -1 where it holds, so counting is
// adding.

#include "kernels/generic/cells.hpp"

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

template <typename In>
SPK_INLINE void fire_ladder(const FireArgs& args) {
    const In* in = static_cast<const In*>(args.in);
    const v32 most = splat32(static_cast<std::int32_t>(args.count));
    std::size_t i = 0;
    for (; i + kLanes32 <= args.channels; i += kLanes32) {
        const v32 potential = take(in + i);
        v32 n = most;
        for (std::size_t k = 0; k < args.count; ++k) n = n + (splat32(args.thresholds[k]) > potential);
        put(args.out + i, n);
    }
    for (; i < args.channels; ++i) {
        put_one(args.out + i, counted(take_one(in + i), args.thresholds, args.count, sizeof(std::int32_t)));
    }
}

template <typename In>
SPK_INLINE void fire_channels(const FireArgs& args) {
    const In* in = static_cast<const In*>(args.in);
    std::uint8_t* out = args.out;
    const v32 most = splat32(static_cast<std::int32_t>(args.count));
    for (std::size_t pixel = 0; pixel < args.pixels; ++pixel, in += args.channels, out += args.channels) {
        std::size_t c = 0;
        for (; c + kLanes32 <= args.channels; c += kLanes32) {
            const v32 potential = take(in + c);
            const std::int32_t* thresholds = args.thresholds + c;
            v32 n = most;
            for (std::size_t k = 0; k < args.count; ++k) {
                n = n + (load32(thresholds) > potential);
                thresholds = moved(thresholds, static_cast<std::ptrdiff_t>(args.step));
            }
            put(out + c, n);
        }
        for (; c < args.channels; ++c) {
            put_one(out + c, counted(take_one(in + c), args.thresholds + c, args.count, args.step));
        }
    }
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
