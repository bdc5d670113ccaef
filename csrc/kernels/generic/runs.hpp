// The loops of all kernels that gather: over outputs, bit-planes, kernel rows and the events of a run. `Lanes` says how
// rows of weights are added.
#pragma once

namespace spk::kernels::SPK_ISA {

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
    for (; end - begin >= 4; begin += 4) lanes.add_rows({row(0), row(1), row(2), row(3)});
    const std::ptrdiff_t left = end - begin;
    if (left == 0) return;
    lanes.add_rows({row(0), row_or_zero(row(1), left > 1), row_or_zero(row(2), left > 2)});
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

}  // namespace spk::kernels::SPK_ISA
