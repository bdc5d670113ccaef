// Weighted sums by additions: each event adds the row of weights that it meets, bit-plane by bit-plane, and the planes
// are combined by doubling (Horner), from the top one down.
//
// Folded kernels take an event's whole value (or digit) at once: their rows are multiples of weights, made beforehand.
//
// A slab of `outputs` (64, 32 or 16) lies in one row of bytes, so that an event's row is found with one shift. Lanes
// have 16 bits where the caller has proven the sums to fit, else 32.

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
    SPK_INLINE void add_row(const char* row) {
#pragma GCC unroll 8
        for (std::size_t i = 0; i < kVectors; ++i) sum[i] = sum[i] + widen_weights(row + (i * kLanes16));
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

    SPK_INLINE void add_row(const char* row) {
#pragma GCC unroll 8
        for (std::size_t i = 0; i < Lanes16<outputs>::kVectors; ++i) {
            this->sum[i] = this->sum[i] + load16(row + (i * kVectorBytes));
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
    SPK_INLINE void add_row(const char* row) {
#pragma GCC unroll 16
        for (std::size_t i = 0; i < kVectors; i += 2) {
            const v16 weights = widen_weights(row + (i * kLanes32));
            sum[i] = sum[i] + widen<false>(weights);
            sum[i + 1] = sum[i + 1] + widen<true>(weights);
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

alignas(64) static constexpr char kZeroRow[128] = {};

SPK_INLINE const char* row_or_zero(const char* row, bool is_there) {
    const auto zero = reinterpret_cast<std::uintptr_t>(kZeroRow), there = reinterpret_cast<std::uintptr_t>(row);
    std::uintptr_t mask = std::uintptr_t{0} - is_there;
    asm("" : "+r"(mask));  // or it becomes a branch again
    return reinterpret_cast<const char*>((there & mask) | (zero & ~mask));
}

// One run of one list: the events [begin, end). The last one to three of them are three rows always, zeros where there
// is no event: a branch on how many there are could not be predicted.
template <typename Lanes>
SPK_INLINE void add_run(Lanes& lanes, const std::uint16_t* begin, const std::uint16_t* end, const char* base) {
    constexpr int kShift = __builtin_ctz(static_cast<unsigned>(Lanes::kRowBytes));
    const auto row = [&](std::ptrdiff_t i) { return base + (static_cast<std::size_t>(begin[i]) << kShift); };
    for (; end - begin >= 4; begin += 4) {
        lanes.add_row(row(0));
        lanes.add_row(row(1));
        lanes.add_row(row(2));
        lanes.add_row(row(3));
    }
    const std::ptrdiff_t left = end - begin;
    if (left == 0) return;
    lanes.add_row(row(0));
    lanes.add_row(row_or_zero(row(1), left > 1));
    lanes.add_row(row_or_zero(row(2), left > 2));
}

// The events of one plane under all kernel rows, for the output whose windows start `column` columns further.
template <typename Lanes>
SPK_INLINE void add_plane(Lanes& lanes, const GatherArgs& args, std::ptrdiff_t plane_offset, std::ptrdiff_t column,
                          std::ptrdiff_t weights_offset) {
    for (const EventRow *row = args.rows, *last = row + args.row_count; row != last; ++row) {
        const std::ptrdiff_t from = row->x + column, to = from + row->span;
        const std::ptrdiff_t first = from < 0 ? 0 : from, end = to > args.width ? args.width : to;
        if (first >= end) continue;
        const std::uint32_t* offsets = moved(row->offsets, plane_offset);
        add_run(lanes, row->events + offsets[first], row->events + offsets[end],
                static_cast<const char*>(moved(row->weights, -weights_offset)));
    }
}

// Lanes hold the outputs from `first_weight` on.
template <typename Lanes>
SPK_INLINE void gather(const GatherArgs& args, std::ptrdiff_t first_weight, acc_t* acc) {
    std::ptrdiff_t column = 0;
    std::ptrdiff_t weights_offset = -first_weight;
    for (std::size_t pixel = 0; pixel < args.pixels; ++pixel) {
        Lanes lanes;
        lanes.clear();
        std::ptrdiff_t plane_offset = args.top;
        add_plane(lanes, args, plane_offset, column, weights_offset);
        if (args.negate) lanes.negate();
        for (std::size_t plane = 1; plane < args.planes; ++plane) {
            plane_offset -= args.plane_step;
            lanes.twice();
            add_plane(lanes, args, plane_offset, column, weights_offset);
        }
        lanes.write(acc, args.shift, args.add);
        acc = moved(acc, static_cast<std::ptrdiff_t>(args.acc_step));
        column += args.stride;
        weights_offset += args.weight_step;
    }
}

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
