// Weighted sums the other way round, for thin layers: the events of an input column add to all outputs under a 3x3
// kernel. In each of three rows of outputs these lie side by side, all channels of three columns in one vector or two,
// where gathering would add a fraction of a vector for each; and each column's list is read once, not nine times.

namespace spk::kernels::SPK_ISA {

template <std::size_t lanes, std::size_t used>
SPK_INLINE void scatter(const ScatterArgs& args) {
    constexpr std::size_t kVectors = used / kLanes16;
    constexpr int kShift = __builtin_ctz(static_cast<unsigned>(2 * lanes));  // of bytes of a row of multiples
    const std::uint16_t* event = args.events;
    const auto* const multiples0 = reinterpret_cast<const char*>(args.multiples[0]);
    const auto* const multiples1 = reinterpret_cast<const char*>(args.multiples[1]);
    const auto* const multiples2 = reinterpret_cast<const char*>(args.multiples[2]);
    auto* sums0 = reinterpret_cast<char*>(args.sums[0]);
    auto* sums1 = reinterpret_cast<char*>(args.sums[1]);
    auto* sums2 = reinterpret_cast<char*>(args.sums[2]);
    std::size_t moved_on = 0;
    for (std::size_t column = 0; column < args.width; ++column) {
        const std::uint16_t* const end = args.events + args.offsets[column + 1];
        if (event != end) {
            v16 sum[3][kVectors];  // cleared one by one: as a whole, a library function would
            for (auto& row : sum) {
#pragma GCC unroll 12
                for (auto& each : row) each = v16{};
            }
            for (; event != end; ++event) {
                const std::size_t row = (*event - moved_on) << kShift;
#pragma GCC unroll 12
                for (std::size_t i = 0; i < kVectors; ++i) {
                    const std::size_t at = row + (i * kVectorBytes);
                    sum[0][i] = sum[0][i] + load16(multiples0 + at);
                    sum[1][i] = sum[1][i] + load16(multiples1 + at);
                    sum[2][i] = sum[2][i] + load16(multiples2 + at);
                }
            }
#pragma GCC unroll 12
            for (std::size_t i = 0; i < kVectors; ++i) {
                const std::size_t at = i * kVectorBytes;
                store16(sums0 + at, load16(sums0 + at) + sum[0][i]);
                store16(sums1 + at, load16(sums1 + at) + sum[1][i]);
                store16(sums2 + at, load16(sums2 + at) + sum[2][i]);
            }
        }
        moved_on += args.number_step;
        sums0 += args.sum_step;
        sums1 += args.sum_step;
        sums2 += args.sum_step;
    }
}

SPK_INLINE void widen_sums(const WidenArgs& args) {
    const char* in = reinterpret_cast<const char*>(args.in);
    char* out = reinterpret_cast<char*>(args.out);
    std::size_t left = args.count;
    for (; left >= kLanes16; left -= kLanes16, in += kVectorBytes, out += 2 * kVectorBytes) {
        const v16 value = load16(in);
        store32(out, widen<false>(value));
        store32(out + kVectorBytes, widen<true>(value));
    }
    const auto* tail = reinterpret_cast<const any_i16*>(in);
    auto* to = reinterpret_cast<any_i32*>(out);
    for (; left != 0; --left) *to++ = *tail++;
}

}  // namespace spk::kernels::SPK_ISA

SPK_SYNAPSE void SPK_ENTRY(scatter16_w96)(const spk::kernels::ScatterArgs& args) {
    spk::kernels::SPK_ISA::scatter<128, 96>(args);
}
SPK_SYNAPSE void SPK_ENTRY(scatter16_w64)(const spk::kernels::ScatterArgs& args) {
    spk::kernels::SPK_ISA::scatter<64, 64>(args);
}
SPK_SYNAPSE void SPK_ENTRY(scatter16_w32)(const spk::kernels::ScatterArgs& args) {
    spk::kernels::SPK_ISA::scatter<32, 32>(args);
}
SPK_SYNAPSE void SPK_ENTRY(widen)(const spk::kernels::WidenArgs& args) { spk::kernels::SPK_ISA::widen_sums(args); }
