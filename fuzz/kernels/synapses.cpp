// Arguments of weighted sums: gathering, folding, looking up, depthwise; and of what makes their lists and tables.
#include <algorithm>

#include "kernels/draw.hpp"
#include "kernels/lists.hpp"

namespace spk::fuzz {
namespace {

// Weights so small that `count` of them, each `most` times, fit 16 bits.
std::int64_t limit_of(std::size_t count, std::size_t most) {
    const std::size_t all = std::max<std::size_t>(count * most, 1);
    return std::clamp<std::int64_t>(32767 / static_cast<std::int64_t>(all), 0, 127);
}

struct Lanes {
    std::size_t outputs, lane_bytes;  // of a slab, and of one of its weights
    bool wide;                        // sums of 32 bits
    std::int64_t most = 127;          // of a weight
};

void gather(Draw& draw, GatherArgs& args, const Lanes& lanes) {
    const std::size_t block = draw.size(1, 40, 64), width = draw.size(1, 24, 40), span = draw.size(1, 5, 3);
    const std::size_t rows = draw.size(0, 4, 3), low = draw.size(0, 2, 0);
    std::size_t planes = lanes.lane_bytes == 1 ? draw.size(1, 8, 2) : 1;
    while (!lanes.wide && planes > 1 && rows * span * block * ((1u << planes) - 1) > 32767) --planes;
    const std::size_t row_bytes = lanes.outputs * lanes.lane_bytes;
    const std::size_t plane_step = width + 1 + draw.size(0, 3, 0);
    const std::int64_t fit = limit_of(rows * span * block, (std::size_t{1} << planes) - 1);
    const std::int64_t limit = lanes.wide ? 127 : std::min(fit, lanes.most);
    auto* event_rows = draw.array<EventRow>("rows", rows);
    for (std::size_t i = 0; i < rows; ++i) {
        const Lists lists = lists_of(draw, width, block, low + planes, plane_step);
        const auto x = static_cast<std::ptrdiff_t>(draw.number(-6, 6, -1));
        const std::size_t weights = span * block * lanes.outputs;
        const void* base = lanes.lane_bytes == 1
                               ? static_cast<const void*>(draw.integers<std::int8_t>("weights", weights, -limit, limit))
                               : draw.integers<std::int16_t>("multiples", weights, -limit, limit);
        const auto first = reinterpret_cast<std::uintptr_t>(base) - static_cast<std::uintptr_t>(x) * block * row_bytes;
        event_rows[i] = {lists.events, lists.offsets, reinterpret_cast<const void*>(first), x,
                         static_cast<std::ptrdiff_t>(span)};
    }
    args.rows = event_rows;
    args.row_count = rows;
    args.pixels = draw.size(1, 12, 40);
    args.acc_step = (lanes.outputs + draw.size(0, 5, 0)) * sizeof(acc_t);
    auto* acc = draw.output<std::int32_t>("acc", args.pixels * args.acc_step / sizeof(acc_t));
    args.acc = reinterpret_cast<acc_t*>(acc);
    args.width = static_cast<std::ptrdiff_t>(width);
    args.stride = static_cast<std::ptrdiff_t>(draw.size(1, 4, 1));
    args.weight_step = args.stride * static_cast<std::ptrdiff_t>(block * row_bytes);
    args.planes = planes;
    args.plane_step = static_cast<std::ptrdiff_t>(plane_step * sizeof(std::uint32_t));
    args.top = args.plane_step * static_cast<std::ptrdiff_t>(low + planes - 1);
    args.shift = draw.number(0, 20, 0);
    args.negate = draw.flag(false);
    args.add = draw.flag(false);
}

// `lanes` of a row of multiples, `used` of which are added.
void scatter(Draw& draw, ScatterArgs& args, std::size_t lanes, std::size_t used) {
    const std::size_t numbers = draw.size(1, 40, 64), outputs = draw.size(1, used / 3, used / 3);
    args.width = draw.size(0, 24, 80);
    const Lists lists = lists_of(draw, args.width, numbers, 1, args.width + 1);
    args.events = lists.events;
    args.offsets = lists.offsets;
    args.number_step = numbers;
    args.sum_step = static_cast<std::ptrdiff_t>(outputs * sizeof(multiple_t));
    for (std::size_t ky = 0; ky < 3; ++ky) {
        const auto* multiples = draw.array<std::int16_t>("multiples", numbers * lanes);
        args.multiples[ky] = reinterpret_cast<const multiple_t*>(multiples);
        auto* sums = draw.output<std::int16_t>("sums", args.width * outputs + used);
        const bool shared = ky != 0 && draw.flag(false);
        args.sums[ky] = shared ? args.sums[ky - 1] : reinterpret_cast<multiple_t*>(sums);
    }
}

void lookup(Draw& draw, LookupArgs& args, std::size_t outputs) {
    const std::size_t rows = draw.size(0, 4, 7), span = draw.size(1, 12, 21), width = draw.size(1, 40, 960);
    const std::int64_t limit = limit_of(rows * span, 15);
    auto* lookup_rows = draw.array<LookupRow>("rows", rows);
    for (std::size_t i = 0; i < rows; ++i) {
        auto* multiples = draw.array<std::int16_t>("multiples", span * 16 * outputs);
        for (std::size_t byte = 0; byte < span; ++byte) {
            for (std::size_t o = 0; o < outputs; ++o) {
                const std::int64_t weight = draw.value(-limit, limit);
                for (int v = 0; v < 16; ++v)
                    multiples[(byte * 16 + static_cast<std::size_t>(v)) * outputs + o] =
                        static_cast<std::int16_t>(weight * v);
            }
        }
        lookup_rows[i] = {draw.integers<std::uint8_t>("x", width, 0, 255),
                          reinterpret_cast<const multiple_t*>(multiples)};
    }
    args.rows = lookup_rows;
    args.row_count = rows;
    args.pixels = draw.size(1, 12, 80);
    args.acc_step = (outputs + draw.size(0, 5, 0)) * sizeof(acc_t);
    args.acc = reinterpret_cast<acc_t*>(draw.output<std::int32_t>("acc", args.pixels * args.acc_step / sizeof(acc_t)));
    args.first = draw.number(-20, 10, -9);
    args.stride = static_cast<std::ptrdiff_t>(draw.size(1, 12, 12));
    args.span = static_cast<std::ptrdiff_t>(span);
    args.width = static_cast<std::ptrdiff_t>(width);
    args.add = draw.flag(false);
}

// An input row: [width][step] integers of which a block takes `channels`.
template <typename X>
const X* input_row(Draw& draw, std::size_t width, std::size_t channels, std::size_t* step) {
    *step = (channels + draw.size(0, 9, 0)) * sizeof(X);
    const std::size_t count = (width - 1) * *step / sizeof(X) + channels;
    const bool sparse = draw.flag(true);
    const std::uint32_t density = draw.density();
    X* x = draw.array<X>("x", count);
    for (std::size_t i = 0; i < count; ++i) {
        if (sparse) x[i] = draw.happens(density) ? static_cast<X>(draw.value(1, 4)) : X{0};
    }
    return x;
}

template <typename X>
void scan(Draw& draw, ScanArgs& args) {
    args.width = draw.size(1, 20, 40);
    args.channels = draw.size(1, 80, 64);
    args.block = args.channels + draw.size(0, 5, 0);
    args.planes = draw.size(1, 8 * sizeof(X), 3);
    args.x = input_row<X>(draw, args.width, args.channels, &args.x_step);
    args.count = static_cast<std::uint32_t>(draw.size(0, 20, 0));
    const std::size_t plane_step = args.width + 1 + draw.size(0, 3, 0);
    args.plane_step = plane_step * sizeof(std::uint32_t);
    args.offsets = draw.output<std::uint32_t>("offsets", args.planes * plane_step);
    const std::size_t most = args.count + args.width * args.channels * args.planes;
    args.events = draw.output<std::uint16_t>("events", most + kOverwritten);
}

}  // namespace

void draw_scan_u8(Draw& draw, ScanArgs& args) { scan<std::uint8_t>(draw, args); }
void draw_scan_i32(Draw& draw, ScanArgs& args) { scan<std::int32_t>(draw, args); }

void draw_scan_digits(Draw& draw, DigitArgs& args) {
    args.width = draw.size(1, 20, 40);
    args.channels = draw.size(1, 40, 16);
    args.bits = draw.number(1, 4, 4);
    args.spread = args.bits + draw.number(0, 1, 0);
    args.digits = draw.size(1, static_cast<std::size_t>(8 / args.bits), 1);
    args.block = (args.channels << args.spread) + draw.size(0, 5, 0);
    args.x = input_row<std::uint8_t>(draw, args.width, args.channels, &args.x_step);
    args.count = static_cast<std::uint32_t>(draw.size(0, 20, 0));
    const std::size_t digit_step = args.width + 1 + draw.size(0, 3, 0);
    args.digit_step = digit_step * sizeof(std::uint32_t);
    args.offsets = draw.output<std::uint32_t>("offsets", args.digits * digit_step);
    const std::size_t most = args.count + args.width * args.channels * args.digits;
    args.events = draw.output<std::uint16_t>("events", most + kOverwritten);
}

void draw_multiples(Draw& draw, MultiplesArgs& args) {
    args.rows = draw.size(1, 5, 144);
    args.width = draw.size(1, 4, 4) * 16;
    args.count = draw.size(1, 16, 4);
    args.row_step = (args.count + draw.size(0, 2, 0)) * args.width * sizeof(multiple_t);
    const auto* weights = draw.integers<std::int8_t>("weights", args.rows * args.width, -127, 127);
    args.weights = reinterpret_cast<const weight_t*>(weights);
    auto* multiples = draw.output<std::int16_t>("multiples", args.rows * args.row_step / sizeof(multiple_t));
    args.multiples = reinterpret_cast<multiple_t*>(multiples);
}

void draw_widen(Draw& draw, WidenArgs& args) {
    args.count = draw.size(0, 200, 640);
    args.in = reinterpret_cast<const multiple_t*>(draw.array<std::int16_t>("in", args.count));
    args.out = reinterpret_cast<acc_t*>(draw.output<std::int32_t>("out", args.count));
}

void draw_masks(Draw& draw, MaskArgs& args) {
    args.width = draw.size(1, 20, 80);
    args.x = input_row<std::uint8_t>(draw, args.width, 16, &args.x_step);
    args.plane = draw.size(0, 7, 0);
    args.planes = draw.size(1, 8 - args.plane, 3);
    args.masks = draw.output<std::uint16_t>("masks", args.width * args.planes * 16);
}

namespace {

void depthwise(Draw& draw, DepthwiseArgs& args, std::size_t planes) {
    args.row_count = draw.size(0, 7, 7);
    args.taps = draw.size(1, 7, 7);
    args.pixels = draw.size(1, 10, 80);
    const std::size_t dilation = draw.size(1, 2, 1), stride = draw.size(1, 3, 1), column = planes * 16;
    const std::size_t columns = (args.pixels - 1) * stride + (args.taps - 1) * dilation + 1;
    args.tap_step = dilation * column * sizeof(std::uint16_t);
    args.pixel_step = stride * column * sizeof(std::uint16_t);
    args.weight_step = 16 + draw.size(0, 40, 48);
    const auto** rows = draw.array<const std::uint16_t*>("rows", args.row_count);
    const auto** weights = draw.array<const weight_t*>("weight rows", args.row_count);
    for (std::size_t row = 0; row < args.row_count; ++row) {
        auto* masks = draw.array<std::uint16_t>("masks", columns * column);
        const std::uint32_t density = draw.density();
        for (std::size_t i = 0; i < columns * column; ++i) masks[i] = draw.happens(density) ? 0xffff : 0;
        rows[row] = masks;
        const std::size_t bytes = (args.taps - 1) * args.weight_step + 16;
        weights[row] = reinterpret_cast<const weight_t*>(draw.integers<std::int8_t>("weights", bytes, -127, 127));
    }
    args.rows = rows;
    args.weights = weights;
    args.acc = reinterpret_cast<acc_t*>(draw.output<std::int32_t>("acc", args.pixels * 16));
    args.shift = draw.number(0, 12, 0);
    args.add = draw.flag(false);
}

// Windows of `taps` columns, next to each other where `near`; counts whose sums fit 16 bits, or integers of any range.
struct Windows {
    std::size_t taps;
    bool near, counts;
};

template <typename X>
void depthwise_row(Draw& draw, DepthwiseRowArgs& args, const Windows& windows) {
    args.row_count = draw.size(0, 7, windows.taps);
    args.taps = windows.near ? windows.taps : draw.size(1, 5, 3);
    args.pixels = draw.size(1, 45, 40);
    args.channels = draw.size(1, 70, 64);
    args.stride = windows.near ? 1 : static_cast<std::ptrdiff_t>(draw.size(1, 3, 1));
    args.dilation = windows.near ? 1 : static_cast<std::ptrdiff_t>(draw.size(1, 3, 1));
    args.width = static_cast<std::ptrdiff_t>(draw.size(1, 50, 40));
    args.first = draw.number(-8, 4, -static_cast<std::int32_t>(args.taps / 2));
    const std::size_t channels = args.channels + draw.size(0, 9, 0);
    args.column_step = static_cast<std::ptrdiff_t>(channels * sizeof(X));
    args.pixel_step = args.column_step * args.stride;
    args.tap_step = args.column_step * args.dilation;
    args.first_step = args.column_step * args.first;
    args.weight_step = static_cast<std::ptrdiff_t>(channels);
    args.planes = windows.counts ? draw.number(1, 8, 3) : 8;
    const std::size_t most = (std::size_t{1} << args.planes) - 1;
    const std::int64_t limit = windows.counts ? limit_of(args.row_count * args.taps, most) : 127;
    const std::int64_t hi = windows.counts ? static_cast<std::int64_t>(most) : 255, lo = sizeof(X) == 1 ? 0 : -70000;
    const auto** rows = draw.array<const void*>("rows", args.row_count);
    const auto** weights = draw.array<const weight_t*>("weight rows", args.row_count);
    for (std::size_t row = 0; row < args.row_count; ++row) {
        rows[row] = draw.integers<X>("x", static_cast<std::size_t>(args.width) * channels, lo, hi);
        const auto* values = draw.integers<std::int8_t>("weights", args.taps * channels, -limit, limit);
        weights[row] = reinterpret_cast<const weight_t*>(values);
    }
    args.rows = rows;
    args.weights = weights;
    args.bytes = draw.flag(false);
    const std::size_t step = args.channels + draw.size(0, 5, 0);
    args.out_step = args.bytes ? step : step * sizeof(acc_t);
    args.out = args.bytes ? static_cast<void*>(draw.output<std::uint8_t>("out", args.pixels * step))
                          : draw.output<std::int32_t>("out", args.pixels * step);
    args.shifts = draw.integers<std::int32_t>("shifts", args.channels, 0, 12);
    args.biases = draw.integers<std::int32_t>("biases", args.channels, -(1 << 30), 1 << 30);
}

}  // namespace

#define SPK_DRAW(name, Args, body, ...) \
    void draw_##name(Draw& draw, Args& args) { body(draw, args, __VA_ARGS__); }

SPK_DRAW(gather16_w64, GatherArgs, gather, Lanes{64, 1, false})
SPK_DRAW(gather16_w32, GatherArgs, gather, Lanes{32, 1, false})
SPK_DRAW(gather16_w16, GatherArgs, gather, Lanes{16, 1, false})
SPK_DRAW(gather32_w64, GatherArgs, gather, Lanes{64, 1, true})
SPK_DRAW(gather32_w32, GatherArgs, gather, Lanes{32, 1, true})
SPK_DRAW(gather32_w16, GatherArgs, gather, Lanes{16, 1, true})
SPK_DRAW(split_w64, GatherArgs, gather, Lanes{64, 1, false})
SPK_DRAW(split_w32, GatherArgs, gather, Lanes{32, 1, false})
SPK_DRAW(split_w16, GatherArgs, gather, Lanes{16, 1, false})
SPK_DRAW(split2_w64, GatherArgs, gather, Lanes{64, 1, false, 63})
SPK_DRAW(split2_w32, GatherArgs, gather, Lanes{32, 1, false, 63})
SPK_DRAW(split2_w16, GatherArgs, gather, Lanes{16, 1, false, 63})
SPK_DRAW(split4_w64, GatherArgs, gather, Lanes{64, 1, false, 31})
SPK_DRAW(split4_w32, GatherArgs, gather, Lanes{32, 1, false, 31})
SPK_DRAW(split4_w16, GatherArgs, gather, Lanes{16, 1, false, 31})
SPK_DRAW(folded16_w64, GatherArgs, gather, Lanes{64, 2, false})
SPK_DRAW(folded16_w32, GatherArgs, gather, Lanes{32, 2, false})
SPK_DRAW(folded16_w16, GatherArgs, gather, Lanes{16, 2, false})
SPK_DRAW(scatter16_w96, ScatterArgs, scatter, 128, 96)
SPK_DRAW(scatter16_w64, ScatterArgs, scatter, 64, 64)
SPK_DRAW(scatter16_w32, ScatterArgs, scatter, 32, 32)
SPK_DRAW(lookup16_w64, LookupArgs, lookup, 64)
SPK_DRAW(lookup16_w32, LookupArgs, lookup, 32)
SPK_DRAW(lookup16_w16, LookupArgs, lookup, 16)
SPK_DRAW(depthwise_p1, DepthwiseArgs, depthwise, 1)
SPK_DRAW(depthwise_p2, DepthwiseArgs, depthwise, 2)
SPK_DRAW(depthwise_p3, DepthwiseArgs, depthwise, 3)
SPK_DRAW(depthwise_p4, DepthwiseArgs, depthwise, 4)
SPK_DRAW(depthwise_k3, DepthwiseRowArgs, depthwise_row<std::uint8_t>, Windows{3, true, true})
SPK_DRAW(depthwise_k5, DepthwiseRowArgs, depthwise_row<std::uint8_t>, Windows{5, true, true})
SPK_DRAW(depthwise_k7, DepthwiseRowArgs, depthwise_row<std::uint8_t>, Windows{7, true, true})
SPK_DRAW(depthwise_wide_k3, DepthwiseRowArgs, depthwise_row<std::int32_t>, Windows{3, true, false})
SPK_DRAW(depthwise_wide_u8, DepthwiseRowArgs, depthwise_row<std::uint8_t>, Windows{3, false, false})
SPK_DRAW(depthwise_wide_i32, DepthwiseRowArgs, depthwise_row<std::int32_t>, Windows{3, false, false})

}  // namespace spk::fuzz
