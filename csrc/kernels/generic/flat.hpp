// Weighted sums by additions without a branch that depends on spikes: all events of many outputs become one flat list
// of groups of eight rows, and the kernel that adds them up is one loop over it.
//
//   schedule   from event lists to groups, each filled up with a row of zeros; once for all outputs' channels
//   stage      a chunk's weights side by side, a bias added so that they are not negative
//   flat       a running sum over all groups, never set back: after each group it is stored in the slot of its output
//              and bit-plane, so that the last group of each stays there
//   settle     what lies between the sums of two slots belongs to the later one; bit-planes meet by doubling
//
// Lanes hold two weights, as in split.hpp.

#include "kernels/generic/split_lanes.hpp"

namespace spk::kernels::SPK_ISA {

inline constexpr std::size_t kGroup = 8;

typedef std::uint16_t group16 __attribute__((vector_size(2 * kGroup), aligned(2), may_alias));

// Copies `count` numbers, each with `add` added, as eighths of a staged row's place in bytes; up to a vector more is
// written.
SPK_INLINE void append_run(std::uint16_t* to, const std::uint16_t* from, std::ptrdiff_t count, v16 add) {
    for (std::ptrdiff_t i = 0; i < count; i += static_cast<std::ptrdiff_t>(kLanes16)) {
        store16(to + i, (load16(from + i) + add) << 3);
    }
}

SPK_INLINE void schedule(ScheduleArgs& args) {
    std::uint16_t *to = args.events, *slots = args.slots;
    std::int16_t slot = 0;
    std::ptrdiff_t column = 0;
    std::int16_t moved_on = 0;  // what the numbers of one column are less than those of the first output
    const auto step = static_cast<std::int16_t>(args.number_step);
    for (std::size_t pixel = 0; pixel < args.pixels; ++pixel) {
        std::ptrdiff_t plane_offset = args.top;
        for (std::size_t plane = 0; plane < args.planes; ++plane, plane_offset -= args.plane_step) {
            std::uint16_t* const first_of_plane = to;
            for (const ScheduleRow *row = args.rows, *last = row + args.row_count; row != last; ++row) {
                const std::ptrdiff_t from = row->x + column, until = from + row->span;
                const std::ptrdiff_t first = from < 0 ? 0 : from, end = until > args.width ? args.width : until;
                if (first >= end) continue;
                const std::uint32_t* offsets = moved(row->offsets, plane_offset);
                const std::ptrdiff_t count = offsets[end] - offsets[first];
                append_run(to, row->events + offsets[first], count,
                           splat16(static_cast<std::int16_t>(row->number - moved_on)));
                to += count;
            }
            *reinterpret_cast<group16*>(to) = group16{} + static_cast<std::uint16_t>(args.zero_row << 3);
            const auto events = static_cast<std::size_t>(to - first_of_plane);
            const std::size_t groups = events == 0 ? 1 : (events + kGroup - 1) / kGroup;
            for (std::size_t i = 0; i < groups; i += kLanes16) store16(slots + i, splat16(slot));
            slots += groups;
            to = first_of_plane + (groups << 3);
            ++slot;
        }
        column += args.stride;
        moved_on = static_cast<std::int16_t>(moved_on + step);
    }
    args.groups = static_cast<std::size_t>(slots - args.slots);
}

inline constexpr std::size_t kStagedRow = 64;  // bytes, whatever the width

template <std::size_t width>
SPK_INLINE void stage_rows(const StageArgs& args) {
    using P = Part<(width < kVectorBytes ? width : kVectorBytes)>;
    constexpr std::size_t kBytes = 2 * P::kLanes;
    const char* in = reinterpret_cast<const char*>(args.weights);
    char* out = static_cast<char*>(args.out);
    for (std::size_t row = 0; row < args.rows; ++row, in += width, out += kStagedRow) {
#pragma GCC unroll 4
        for (std::size_t i = 0; i < width; i += kBytes) {
            P::store(out + i, P::load(in + i) + args.bias);
        }
    }
}

SPK_INLINE void stage(const StageArgs& args) {
    if (args.width == 64) return stage_rows<64>(args);
    if (args.width == 32) return stage_rows<32>(args);
    stage_rows<16>(args);
}

template <std::size_t outputs>
struct Slot {
    static constexpr std::size_t kBytes = outputs < kVectorBytes ? outputs : kVectorBytes;
    static constexpr std::size_t kVectors = outputs / kBytes;
    static constexpr int kShift = __builtin_ctz(static_cast<unsigned>(2 * outputs));  // of bytes of a slot
    using P = Part<kBytes>;
    using w16 = typename P::w16;
};

template <std::size_t outputs, std::size_t together>
SPK_INLINE void flat(const FlatArgs& args) {
    using S = Slot<outputs>;
    using w16 = typename S::w16;
    w16 full[S::kVectors] = {}, upper[S::kVectors] = {};
    // A group's rows have so much too much in every byte.
    constexpr int kBias = static_cast<int>(kGroup * (128 / together));
    const w16 full_bias = w16{} + static_cast<std::int16_t>(kBias + (kBias << 8)),
              upper_bias = w16{} + static_cast<std::int16_t>(kBias);
    const char* const weights = static_cast<const char*>(args.weights);
    char* const sums = static_cast<char*>(args.sums);
    const std::uint16_t *event = args.events, *slot = args.slots;
    for (std::size_t group = 0; group < args.groups; ++group, event += kGroup, ++slot) {
        // Four at once, in any order: reading them one by one would take as long as reading the rows.
        std::uint64_t four[2];
        __builtin_memcpy(four, event, sizeof four);
        const auto row = [&](std::size_t half, int shift) { return weights + ((four[half] >> shift & 0xffff) << 3); };
        const char* const rows[kGroup] = {row(0, 0), row(0, 16), row(0, 32), row(0, 48),
                                          row(1, 0), row(1, 16), row(1, 32), row(1, 48)};
        char* const out = sums + (static_cast<std::size_t>(*slot) << S::kShift);
#pragma GCC unroll 8
        for (std::size_t i = 0; i < S::kVectors; ++i) {
            const auto sum = Rows<S::kBytes, together, true>::template of<0, kGroup>(rows, i * S::kBytes);
            full[i] = full[i] + (sum.full - full_bias);
            upper[i] = upper[i] + (sum.upper - upper_bias);
            S::P::store16(out + (i * S::kBytes), full[i]);
            S::P::store16(out + outputs + (i * S::kBytes), upper[i]);
        }
    }
}

// `used` of the slot's outputs have a place in `acc`.
template <std::size_t outputs, std::size_t used>
SPK_INLINE void settle(const SettleArgs& args) {
    using S = Slot<outputs>;
    using w16 = typename S::w16;
    constexpr auto kOrder = std::make_index_sequence<S::P::kLanes>{};
    w16 before[2][S::kVectors] = {};
    const char* sums = static_cast<const char*>(args.sums);
    acc_t* acc = args.acc;
    for (std::size_t pixel = 0; pixel < args.pixels; ++pixel) {
        w16 value[2][S::kVectors] = {};
        for (std::size_t plane = 0; plane < args.planes; ++plane, sums += 2 * outputs) {
#pragma GCC unroll 8
            for (std::size_t i = 0; i < S::kVectors; ++i) {
#pragma GCC unroll 2
                for (std::size_t half = 0; half < 2; ++half) {
                    const w16 sum = S::P::load16(sums + (half * outputs) + (i * S::kBytes));
                    const w16 own = sum - before[half][i];
                    value[half][i] = value[half][i] + value[half][i] + own;
                    before[half][i] = sum;
                }
            }
            if (plane == 0 && args.negate) {
                for (auto& half : value) {
                    for (auto& each : half) each = w16{} - each;
                }
            }
        }
        char* at = reinterpret_cast<char*>(acc);
#pragma GCC unroll 8
        for (std::size_t i = 0; i < S::kVectors; ++i, at += 4 * S::kBytes) {
            const w16 upper = value[1][i], lower = value[0][i] - (upper << 8);
            const w16 a = kLowerFirst ? lower : upper, b = kLowerFirst ? upper : lower;
            const std::size_t first = i * S::kBytes, second = first + S::P::kLanes, end = second + S::P::kLanes;
            if (first >= used) continue;
            S::P::write(at, S::P::template interleaved<false>(a, b, kOrder), args.shift, args.add);
            if (second >= used) continue;
            S::P::write(at + (2 * S::kBytes), S::P::template interleaved<true>(a, b, kOrder), args.shift, args.add,
                        used < end);
        }
        acc = moved(acc, static_cast<std::ptrdiff_t>(args.acc_step));
    }
}

}  // namespace spk::kernels::SPK_ISA

SPK_SYNAPSE void SPK_ENTRY(flat_w64)(const spk::kernels::FlatArgs& args) { spk::kernels::SPK_ISA::flat<64, 1>(args); }
SPK_SYNAPSE void SPK_ENTRY(flat2_w64)(const spk::kernels::FlatArgs& args) { spk::kernels::SPK_ISA::flat<64, 2>(args); }
SPK_SYNAPSE void SPK_ENTRY(flat4_w64)(const spk::kernels::FlatArgs& args) { spk::kernels::SPK_ISA::flat<64, 4>(args); }
SPK_SYNAPSE void SPK_ENTRY(flat8_w64)(const spk::kernels::FlatArgs& args) { spk::kernels::SPK_ISA::flat<64, 8>(args); }
SPK_SYNAPSE void SPK_ENTRY(flat_w32)(const spk::kernels::FlatArgs& args) { spk::kernels::SPK_ISA::flat<32, 1>(args); }
SPK_SYNAPSE void SPK_ENTRY(flat2_w32)(const spk::kernels::FlatArgs& args) { spk::kernels::SPK_ISA::flat<32, 2>(args); }
SPK_SYNAPSE void SPK_ENTRY(flat4_w32)(const spk::kernels::FlatArgs& args) { spk::kernels::SPK_ISA::flat<32, 4>(args); }
SPK_SYNAPSE void SPK_ENTRY(flat8_w32)(const spk::kernels::FlatArgs& args) { spk::kernels::SPK_ISA::flat<32, 8>(args); }
SPK_SYNAPSE void SPK_ENTRY(flat_w16)(const spk::kernels::FlatArgs& args) { spk::kernels::SPK_ISA::flat<16, 1>(args); }
SPK_SYNAPSE void SPK_ENTRY(flat2_w16)(const spk::kernels::FlatArgs& args) { spk::kernels::SPK_ISA::flat<16, 2>(args); }
SPK_SYNAPSE void SPK_ENTRY(flat4_w16)(const spk::kernels::FlatArgs& args) { spk::kernels::SPK_ISA::flat<16, 4>(args); }
SPK_SYNAPSE void SPK_ENTRY(flat8_w16)(const spk::kernels::FlatArgs& args) { spk::kernels::SPK_ISA::flat<16, 8>(args); }
SPK_SYNAPSE void SPK_ENTRY(settle_w64)(const spk::kernels::SettleArgs& args) {
    spk::kernels::SPK_ISA::settle<64, 64>(args);
}
SPK_SYNAPSE void SPK_ENTRY(settle_w48)(const spk::kernels::SettleArgs& args) {
    spk::kernels::SPK_ISA::settle<64, 48>(args);
}
SPK_SYNAPSE void SPK_ENTRY(settle_w32)(const spk::kernels::SettleArgs& args) {
    spk::kernels::SPK_ISA::settle<32, 32>(args);
}
SPK_SYNAPSE void SPK_ENTRY(settle_w16)(const spk::kernels::SettleArgs& args) {
    spk::kernels::SPK_ISA::settle<16, 16>(args);
}
SPK_SYNAPSE void SPK_ENTRY(schedule)(spk::kernels::ScheduleArgs& args) { spk::kernels::SPK_ISA::schedule(args); }
SPK_SYNAPSE void SPK_ENTRY(stage)(const spk::kernels::StageArgs& args) { spk::kernels::SPK_ISA::stage(args); }
