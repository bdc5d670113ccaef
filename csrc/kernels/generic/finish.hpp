// From accumulators to the output's grid: (acc << shift) + bias, for each channel its own.

#include "kernels/generic/cells.hpp"

namespace spk::kernels::SPK_ISA {

template <typename Out>
SPK_INLINE void finish(const FinishArgs& args) {
    const acc_t* acc = args.acc;
    Out* out = static_cast<Out*>(args.out);
    for (std::size_t pixel = 0; pixel < args.pixels; ++pixel) {
        std::size_t c = 0;
        for (; c + kLanes32 <= args.channels; c += kLanes32) {
            put(out + c, (load32(acc + c) << load32(args.shifts + c)) + load32(args.biases + c));
        }
        for (; c < args.channels; ++c) {
            const auto value = static_cast<std::uint32_t>(take_one(acc + c));
            put_one(out + c, (value << args.shifts[c]) + static_cast<std::uint32_t>(args.biases[c]));
        }
        acc = moved(acc, static_cast<std::ptrdiff_t>(args.acc_step));
        out = moved(out, static_cast<std::ptrdiff_t>(args.out_step));
    }
}

}  // namespace spk::kernels::SPK_ISA

SPK_SYNAPSE void SPK_ENTRY(finish_i32)(const spk::kernels::FinishArgs& args) {
    spk::kernels::SPK_ISA::finish<spk::kernels::acc_t>(args);
}
SPK_SYNAPSE void SPK_ENTRY(finish_u8)(const spk::kernels::FinishArgs& args) {
    spk::kernels::SPK_ISA::finish<std::uint8_t>(args);
}
