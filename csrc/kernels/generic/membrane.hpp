// One timestep of neurons with a membrane, a vector of them at a time.

#include "kernels/generic/cells.hpp"

namespace spk::kernels::SPK_ISA {

SPK_INLINE v32 leaked(v32 stored, const MembraneArgs& args) {
    v32 total{};
    const std::int32_t* term = args.leak;
    for (std::size_t i = 0; i < args.leak_terms; ++i, term += 2) {
        const v32 part = stored >> term[1];
        total = term[0] > 0 ? total + part : total - part;
    }
    return total;
}

// Counts of `potential`; it becomes what is stored.
SPK_INLINE v32 spikes(v32& potential, const MembraneArgs& args) {
    v32 n{}, taken = splat32(args.reset_zero);
    for (std::size_t k = 0; k < args.threshold_count; ++k) {
        const v32 reached = ~(splat32(args.thresholds[k]) > potential);
        n = n - reached;
        taken = taken + (reached & splat32(args.resets[k]));
    }
    potential = args.hard ? (n > 0 ? v32{} : potential) : potential - taken;
    return n;
}

template <typename In>
SPK_INLINE void membrane(const MembraneArgs& args) {
    const In* drive = static_cast<const In*>(args.drive);
    std::size_t i = 0;
    for (; i + kLanes32 <= args.count; i += kLanes32) {
        v32 potential = leaked(take(args.stored + i), args) + (take(drive + i) << args.guard);
        put(args.out + i, spikes(potential, args));
        put(args.stored + i, potential);
    }
    for (; i < args.count; ++i) {
        const auto current = static_cast<std::uint32_t>(take_one(drive + i)) << args.guard;
        v32 potential = leaked(splat32(take_one(args.stored + i)), args) + splat32(static_cast<std::int32_t>(current));
        const v32 n = spikes(potential, args);
        put_one(args.out + i, static_cast<std::uint32_t>(n[0]));
        put_one(args.stored + i, static_cast<std::uint32_t>(potential[0]));
    }
}

}  // namespace spk::kernels::SPK_ISA

SPK_SYNAPSE void SPK_ENTRY(membrane_u8)(const spk::kernels::MembraneArgs& args) {
    spk::kernels::SPK_ISA::membrane<std::uint8_t>(args);
}
SPK_SYNAPSE void SPK_ENTRY(membrane_i32)(const spk::kernels::MembraneArgs& args) {
    spk::kernels::SPK_ISA::membrane<spk::kernels::acc_t>(args);
}
