// Weighted sums by additions: each event adds the row of weights that it meets, bit-plane by bit-plane, and the planes
// are combined by doubling (Horner), from the top one down.
//
// Folded kernels take an event's whole value (or digit) at once: their rows are multiples of weights, made beforehand.
//
// A slab of `outputs` (64, 32 or 16) lies in one row of bytes, so that an event's row is found with one shift. Lanes
// have 16 bits where the caller has proven the sums to fit, else 32.

#include "kernels/generic/runs.hpp"

namespace spk::kernels::SPK_ISA {

template <std::size_t outputs>
struct Lanes16 {
    static constexpr std::size_t kVectors = outputs / kLanes16, kRowBytes = outputs;
    v16 sum[kVectors];

    SPK_INLINE void clear() {
        for (auto& each : sum) each = v16{};
    }
    SPK_INLINE void negate() {
        for (auto& each : sum) each = v16{} - each;
    }
    SPK_INLINE void twice() {
        for (auto& each : sum) each = each + each;
    }
    template <std::size_t count>
    SPK_INLINE void add_rows(const char* const (&rows)[count]) {
#pragma GCC unroll 4
        for (const char* row : rows) {
#pragma GCC unroll 8
            for (std::size_t i = 0; i < kVectors; ++i) sum[i] = sum[i] + widen_weights(row + (i * kLanes16));
        }
    }
    SPK_INLINE void write(acc_t* to, std::int32_t shift, bool add) const {
        char* at = reinterpret_cast<char*>(to);
#pragma GCC unroll 8
        for (std::size_t i = 0; i < kVectors; ++i, at += 2 * kVectorBytes) {
            v32 low = widen<false>(sum[i]) << shift, high = widen<true>(sum[i]) << shift;
            if (add) {
                low = low + load32(at);
                high = high + load32(at + kVectorBytes);
            }
            store32(at, low);
            store32(at + kVectorBytes, high);
        }
    }
};

template <std::size_t outputs>
struct LanesFolded : Lanes16<outputs> {
    static constexpr std::size_t kRowBytes = 2 * outputs;

    template <std::size_t count>
    SPK_INLINE void add_rows(const char* const (&rows)[count]) {
#pragma GCC unroll 4
        for (const char* row : rows) {
#pragma GCC unroll 8
            for (std::size_t i = 0; i < Lanes16<outputs>::kVectors; ++i) {
                this->sum[i] = this->sum[i] + load16(row + (i * kVectorBytes));
            }
        }
    }
};

template <std::size_t outputs, std::size_t slab>
struct Lanes32 {
    static constexpr std::size_t kVectors = outputs / kLanes32, kRowBytes = slab;
    v32 sum[kVectors];

    SPK_INLINE void clear() {
        for (auto& each : sum) each = v32{};
    }
    SPK_INLINE void negate() {
        for (auto& each : sum) each = v32{} - each;
    }
    SPK_INLINE void twice() {
        for (auto& each : sum) each = each + each;
    }
    template <std::size_t count>
    SPK_INLINE void add_rows(const char* const (&rows)[count]) {
#pragma GCC unroll 4
        for (const char* row : rows) {
#pragma GCC unroll 16
            for (std::size_t i = 0; i < kVectors; i += 2) {
                const v16 weights = widen_weights(row + (i * kLanes32));
                sum[i] = sum[i] + widen<false>(weights);
                sum[i + 1] = sum[i + 1] + widen<true>(weights);
            }
        }
    }
    SPK_INLINE void write(acc_t* to, std::int32_t shift, bool add) const {
        char* at = reinterpret_cast<char*>(to);
#pragma GCC unroll 16
        for (std::size_t i = 0; i < kVectors; ++i, at += kVectorBytes) {
            const v32 value = sum[i] << shift;
            store32(at, add ? value + load32(at) : value);
        }
    }
};

// 32-bit lanes of a slab of 64 would not fit the registers.
template <std::size_t outputs>
SPK_INLINE void gather_wide(const GatherArgs& args) {
    constexpr std::size_t kAtOnce = outputs < 32 ? outputs : 32;
    for (std::size_t first = 0; first < outputs; first += kAtOnce) {
        gather<Lanes32<kAtOnce, outputs>>(args, static_cast<std::ptrdiff_t>(first), args.acc + first);
    }
}

SPK_INLINE void make_multiples(const MultiplesArgs& args) {
    const char* weights = reinterpret_cast<const char*>(args.weights);
    char* out_row = reinterpret_cast<char*>(args.multiples);
    for (std::size_t row = 0; row < args.rows; ++row) {
        char* column = out_row;
        for (std::size_t o = 0; o < args.width; o += kLanes16, column += kVectorBytes) {
            const v16 once = widen_weights(weights + o);
            v16 sum{};
            char* out = column;
            for (std::size_t v = 0; v < args.count; ++v) {
                sum = sum + once;
                store16(out, sum);
                out += args.width + args.width;
            }
        }
        weights += args.width;
        out_row += args.row_step;
    }
}

}  // namespace spk::kernels::SPK_ISA

SPK_SYNAPSE void SPK_ENTRY(multiples)(const spk::kernels::MultiplesArgs& args) {
    spk::kernels::SPK_ISA::make_multiples(args);
}
SPK_SYNAPSE void SPK_ENTRY(gather16_w64)(const spk::kernels::GatherArgs& args) {
    using namespace spk::kernels::SPK_ISA;
    gather<Lanes16<64>>(args, 0, args.acc);
}
SPK_SYNAPSE void SPK_ENTRY(folded16_w64)(const spk::kernels::GatherArgs& args) {
    using namespace spk::kernels::SPK_ISA;
    gather<LanesFolded<64>>(args, 0, args.acc);
}
SPK_SYNAPSE void SPK_ENTRY(gather16_w32)(const spk::kernels::GatherArgs& args) {
    using namespace spk::kernels::SPK_ISA;
    gather<Lanes16<32>>(args, 0, args.acc);
}
SPK_SYNAPSE void SPK_ENTRY(folded16_w32)(const spk::kernels::GatherArgs& args) {
    using namespace spk::kernels::SPK_ISA;
    gather<LanesFolded<32>>(args, 0, args.acc);
}
SPK_SYNAPSE void SPK_ENTRY(gather16_w16)(const spk::kernels::GatherArgs& args) {
    using namespace spk::kernels::SPK_ISA;
    gather<Lanes16<16>>(args, 0, args.acc);
}
SPK_SYNAPSE void SPK_ENTRY(folded16_w16)(const spk::kernels::GatherArgs& args) {
    using namespace spk::kernels::SPK_ISA;
    gather<LanesFolded<16>>(args, 0, args.acc);
}
SPK_SYNAPSE void SPK_ENTRY(gather32_w64)(const spk::kernels::GatherArgs& args) {
    spk::kernels::SPK_ISA::gather_wide<64>(args);
}
SPK_SYNAPSE void SPK_ENTRY(gather32_w32)(const spk::kernels::GatherArgs& args) {
    spk::kernels::SPK_ISA::gather_wide<32>(args);
}
SPK_SYNAPSE void SPK_ENTRY(gather32_w16)(const spk::kernels::GatherArgs& args) {
    spk::kernels::SPK_ISA::gather_wide<16>(args);
}
