// Weighted sums by additions, the fast way: as gather.hpp, with two weights in each lane of 16 bits.

#include "kernels/generic/runs.hpp"
#include "kernels/generic/split_lanes.hpp"

namespace spk::kernels::SPK_ISA {

// Split lanes: a row of bytes is added as it lies, as lanes of 16 bits that hold two weights each, and once more
// shifted, so that only the upper weights are left. Their sum taken off, what remains is the sum of the lower ones,
// which count from -128: three operations a row, where widening takes four. Rows whose weights are so small that
// `together` of them fit a byte are added as bytes first.
template <std::size_t outputs, std::size_t together>
struct Split {
    static constexpr std::size_t kRowBytes = outputs;
    static constexpr std::size_t kBytes = outputs < kVectorBytes ? outputs : kVectorBytes;
    static constexpr std::size_t kVectors = outputs / kBytes;
    using P = Part<kBytes>;
    using w16 = typename P::w16;

    w16 full[kVectors], upper[kVectors];
    std::uint32_t added;  // sums of rows: what each of them has too much is taken off at the end

    SPK_INLINE void clear() {
        for (auto& each : full) each = w16{};
        for (auto& each : upper) each = w16{};
        added = 0;
    }
    SPK_INLINE void negate() {
        for (auto& each : full) each = w16{} - each;
        for (auto& each : upper) each = w16{} - each;
        added = 0 - added;
    }
    SPK_INLINE void twice() {
        for (auto& each : full) each = each + each;
        for (auto& each : upper) each = each + each;
        added = added + added;
    }

    template <std::size_t count>
    SPK_INLINE void add_rows(const char* const (&rows)[count]) {
#pragma GCC unroll 8
        for (std::size_t i = 0; i < kVectors; ++i) {
            const auto sum = Rows<kBytes, together, false>::template of<0, count>(rows, i * kBytes);
            full[i] = full[i] + sum.full;
            upper[i] = upper[i] + sum.upper;
        }
        added += static_cast<std::uint32_t>((count + together - 1) / together);
    }

    SPK_INLINE void write(acc_t* to, std::int32_t shift, bool add) const {
        char* at = reinterpret_cast<char*>(to);
        constexpr auto kOrder = std::make_index_sequence<P::kLanes>{};
        const auto bias = static_cast<std::int16_t>(added << 7);
#pragma GCC unroll 8
        for (std::size_t i = 0; i < kVectors; ++i, at += 4 * kBytes) {
            const w16 lower = full[i] - (upper[i] << 8) - (w16{} + bias);
            const w16 a = kLowerFirst ? lower : upper[i], b = kLowerFirst ? upper[i] : lower;
            P::write(at, P::template interleaved<false>(a, b, kOrder), shift, add);
            P::write(at + (2 * kBytes), P::template interleaved<true>(a, b, kOrder), shift, add);
        }
    }
};

}  // namespace spk::kernels::SPK_ISA

SPK_SYNAPSE void SPK_ENTRY(split_w64)(const spk::kernels::GatherArgs& args) {
    using namespace spk::kernels::SPK_ISA;
    gather<Split<64, 1>>(args, 0, args.acc);
}
SPK_SYNAPSE void SPK_ENTRY(split2_w64)(const spk::kernels::GatherArgs& args) {
    using namespace spk::kernels::SPK_ISA;
    gather<Split<64, 2>>(args, 0, args.acc);
}
SPK_SYNAPSE void SPK_ENTRY(split4_w64)(const spk::kernels::GatherArgs& args) {
    using namespace spk::kernels::SPK_ISA;
    gather<Split<64, 4>>(args, 0, args.acc);
}
SPK_SYNAPSE void SPK_ENTRY(split_w32)(const spk::kernels::GatherArgs& args) {
    using namespace spk::kernels::SPK_ISA;
    gather<Split<32, 1>>(args, 0, args.acc);
}
SPK_SYNAPSE void SPK_ENTRY(split2_w32)(const spk::kernels::GatherArgs& args) {
    using namespace spk::kernels::SPK_ISA;
    gather<Split<32, 2>>(args, 0, args.acc);
}
SPK_SYNAPSE void SPK_ENTRY(split4_w32)(const spk::kernels::GatherArgs& args) {
    using namespace spk::kernels::SPK_ISA;
    gather<Split<32, 4>>(args, 0, args.acc);
}
SPK_SYNAPSE void SPK_ENTRY(split_w16)(const spk::kernels::GatherArgs& args) {
    using namespace spk::kernels::SPK_ISA;
    gather<Split<16, 1>>(args, 0, args.acc);
}
SPK_SYNAPSE void SPK_ENTRY(split2_w16)(const spk::kernels::GatherArgs& args) {
    using namespace spk::kernels::SPK_ISA;
    gather<Split<16, 2>>(args, 0, args.acc);
}
SPK_SYNAPSE void SPK_ENTRY(split4_w16)(const spk::kernels::GatherArgs& args) {
    using namespace spk::kernels::SPK_ISA;
    gather<Split<16, 4>>(args, 0, args.acc);
}
