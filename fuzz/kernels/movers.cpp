// Arguments of everything that is no weighted sum: neurons, copies, element-wise arithmetic, statistics.
#include <algorithm>
#include <limits>

#include "kernels/draw.hpp"

namespace spk::fuzz {
namespace {

constexpr std::int64_t kLowest = std::numeric_limits<std::int32_t>::min();
constexpr std::int64_t kHighest = std::numeric_limits<std::int32_t>::max();
constexpr std::size_t kMany = 200, kTypical = 4096;  // elements

// Potentials: of a layer, or anything.
std::int32_t* potentials(Draw& draw, const char* name, std::size_t count) {
    return draw.flag(true) ? draw.integers<std::int32_t>(name, count, -3000, 3000)
                           : draw.integers<std::int32_t>(name, count, kLowest, kHighest);
}

template <typename X>
X* tensor(Draw& draw, const char* name, std::size_t count) {
    if constexpr (std::is_same_v<X, std::int32_t>) {
        return potentials(draw, name, count);
    } else {
        constexpr auto kLo = std::numeric_limits<X>::min(), kHi = std::numeric_limits<X>::max();
        return draw.flag(false) ? draw.integers<X>(name, count, kLo, kHi) : draw.integers<X>(name, count, 0, 4);
    }
}

template <typename Out>
void finish(Draw& draw, FinishArgs& args) {
    args.pixels = draw.size(1, 8, 40);
    args.channels = draw.size(1, 70, 64);
    const std::size_t acc_lanes = args.channels + draw.size(0, 5, 0), out_lanes = args.channels + draw.size(0, 5, 0);
    args.acc_step = acc_lanes * sizeof(acc_t);
    args.out_step = out_lanes * sizeof(Out);
    args.out = draw.output<Out>("out", args.pixels * out_lanes);
    if (sizeof(Out) == sizeof(acc_t) && draw.flag(true)) {  // in place
        args.acc = static_cast<const acc_t*>(args.out);
        args.acc_step = args.out_step;
    } else {
        args.acc = reinterpret_cast<const acc_t*>(potentials(draw, "acc", args.pixels * acc_lanes));
    }
    args.shifts = draw.integers<std::int32_t>("shifts", args.channels, 0, draw.flag(true) ? 3 : 31);
    args.biases = potentials(draw, "biases", args.channels);
}

void compare(Draw& draw, CompareArgs& args) {
    args.bytes = draw.size(0, 4 * kMany, kTypical);
    const auto* a = draw.array<std::uint8_t>("a", args.bytes);
    auto* b = draw.array<std::uint8_t>("b", args.bytes);
    if (args.bytes != 0) std::memcpy(b, a, args.bytes);
    const std::uint32_t density = draw.density();
    const std::size_t first = draw.size(0, args.bytes, 0), end = draw.size(first, args.bytes, args.bytes);
    for (std::size_t i = first; i < end; ++i) {
        if (draw.happens(density)) b[i] = static_cast<std::uint8_t>(draw.bits());
    }
    args.a = a;
    args.b = b;
}

void differ(Draw& draw, DifferArgs& args) {
    args.count = draw.size(0, kMany, kTypical);
    args.now = tensor<std::uint8_t>(draw, "now", args.count);
    args.then = tensor<std::uint8_t>(draw, "then", args.count);
    args.more = draw.output<std::uint8_t>("more", args.count);
    args.fewer = draw.output<std::uint8_t>("fewer", args.count);
}

template <typename Out>
void adjust(Draw& draw, AdjustArgs& args) {
    args.pixels = draw.size(1, 8, 40);
    args.channels = draw.size(1, 70, 64);
    const std::size_t acc_lanes = args.channels + draw.size(0, 5, 0), out_lanes = args.channels + draw.size(0, 5, 0);
    args.acc_step = acc_lanes * sizeof(acc_t);
    args.out_step = out_lanes * sizeof(Out);
    args.out = draw.output<Out>("out", args.pixels * out_lanes);
    args.acc = reinterpret_cast<const acc_t*>(potentials(draw, "acc", args.pixels * acc_lanes));
    args.shifts = draw.integers<std::int32_t>("shifts", args.channels, 0, draw.flag(true) ? 3 : 31);
    args.negate = draw.flag(false);
}

enum class Rule { kSet, kGather };  // kGather: maxima and sums, which many inputs may meet in one output

// Integers in rows: side by side, apart, or all the same one.
template <typename In, typename Out>
void copy(Draw& draw, CopyArgs& args, Rule rule) {
    args.rows = draw.size(1, 6, 16);
    args.count = draw.size(1, 90, 256);
    const bool dense = draw.flag(true), one_output = rule == Rule::kGather && !dense && draw.flag(false);
    const std::size_t in_step = dense ? 1 : draw.size(0, 3, 1), out_step = one_output ? 0
                                                                           : dense    ? 1
                                                                                      : draw.size(1, 3, 1);
    const std::size_t in_row = args.count * in_step + draw.size(0, 5, 0);
    const bool one_row = rule == Rule::kGather && draw.flag(false);
    const std::size_t out_row = one_row ? 0 : args.count * out_step + draw.size(1, 5, 1);
    args.in = tensor<In>(draw, "in", args.rows * in_row + 1);
    args.out = draw.output<Out>("out", (args.rows - 1) * out_row + args.count * out_step + 1);
    args.in_step = static_cast<std::ptrdiff_t>(in_step * sizeof(In));
    args.out_step = static_cast<std::ptrdiff_t>(out_step * sizeof(Out));
    args.in_row = static_cast<std::ptrdiff_t>(in_row * sizeof(In));
    args.out_row = static_cast<std::ptrdiff_t>(out_row * sizeof(Out));
    args.shift = draw.flag(true) ? 0 : draw.number(0, 31, 0);
}

template <typename In, typename Out>
void align(Draw& draw, AlignArgs& args) {
    args.count = draw.size(1, kMany, kTypical);
    args.in = tensor<In>(draw, "in", args.count);
    args.out = draw.output<Out>("out", args.count);
    args.shift = draw.number(1, 8 * sizeof(In) - 1, 4);
}

std::int32_t* ladder(Draw& draw, std::size_t count, std::size_t step) {
    auto* thresholds = potentials(draw, "thresholds", count * step);
    for (std::size_t c = 0; c < step; ++c) {
        std::vector<std::int32_t> sorted;
        for (std::size_t k = 0; k < count; ++k) sorted.push_back(thresholds[k * step + c]);
        std::sort(sorted.begin(), sorted.end());
        for (std::size_t k = 0; k < count; ++k) thresholds[k * step + c] = sorted[k];
    }
    return thresholds;
}

template <typename In>
void fire_ladder(Draw& draw, FireArgs& args) {
    args.channels = draw.size(1, kMany, kTypical);
    args.count = draw.size(0, 20, 4);
    args.in = tensor<In>(draw, "in", args.channels);
    args.out = draw.output<std::uint8_t>("out", args.channels);
    args.thresholds = ladder(draw, args.count, 1);
}

template <typename In>
void fire_channels(Draw& draw, FireArgs& args) {
    args.pixels = draw.size(1, 6, 40);
    args.channels = draw.size(1, 70, 64);
    args.count = draw.size(0, 20, 4);
    const std::size_t step = args.channels + draw.size(0, 3, 0);
    args.step = step * sizeof(std::int32_t);
    args.in = tensor<In>(draw, "in", args.pixels * args.channels);
    args.out = draw.output<std::uint8_t>("out", args.pixels * args.channels);
    args.thresholds = ladder(draw, args.count, step);
}

template <typename In>
void fire_uniform(Draw& draw, FireArgs& args) {
    args.channels = draw.size(1, kMany, kTypical);
    args.in = tensor<In>(draw, "in", args.channels);
    args.out = draw.output<std::uint8_t>("out", args.channels);
    args.shift = draw.number(0, 20, 6);
    args.first = draw.number(-2000, 2000, 32);
    args.last = args.first + (draw.number(0, 254, 3) << args.shift);
}

template <typename In>
void membrane(Draw& draw, MembraneArgs& args) {
    args.count = draw.size(1, kMany, kTypical);
    args.drive = tensor<In>(draw, "drive", args.count);
    args.stored = reinterpret_cast<acc_t*>(draw.output<std::int32_t>("stored", args.count));
    args.out = draw.output<std::uint8_t>("out", args.count);
    args.threshold_count = draw.size(0, 8, 4);
    args.thresholds = ladder(draw, args.threshold_count, 1);
    args.resets = draw.integers<std::int32_t>("resets", args.threshold_count, 0, 3000);
    args.reset_zero = draw.number(0, 5, 0);
    args.guard = draw.number(0, 8, 2);
    args.leak_terms = draw.size(0, 3, 2);
    auto* leak = draw.array<std::int32_t>("leak", 2 * args.leak_terms);
    for (std::size_t i = 0; i < args.leak_terms; ++i) {
        leak[2 * i] = draw.flag(true) ? 1 : -1;
        leak[2 * i + 1] = draw.number(0, 8, static_cast<std::int32_t>(i));
    }
    args.leak = leak;
    args.hard = draw.flag(false);
}

template <typename In>
void count(Draw& draw, CountArgs& args) {
    args.count = draw.size(0, kMany, kTypical);
    args.in = tensor<In>(draw, "in", args.count);
    args.digits = draw.flag(false);
    args.mask = draw.flag(true) ? ~0u : static_cast<std::uint32_t>(draw.bits());
}

template <typename In>
void weight_bits(Draw& draw, WeightBitsArgs& args) {
    args.count = draw.size(0, kMany, kTypical);
    args.in = tensor<In>(draw, "in", args.count);
    const auto* weights = draw.integers<std::int8_t>("weights", args.count, -127, 127);
    args.weights = reinterpret_cast<const weight_t*>(weights);
    args.mask = draw.flag(true) ? 255 : static_cast<std::uint32_t>(draw.bits() & 255);
}

template <typename In>
void range(Draw& draw, RangeArgs& args) {
    args.count = draw.size(0, kMany, kTypical);
    args.in = tensor<In>(draw, "in", args.count);
    args.lo = draw.number(-2, 2, 0);
    args.hi = args.lo + draw.number(0, 2, 0);
}

}  // namespace

void draw_add_i32(Draw& draw, AddArgs& args) {
    args.count = draw.size(1, kMany, kTypical);
    args.a = reinterpret_cast<const acc_t*>(potentials(draw, "a", args.count));
    args.b = reinterpret_cast<const acc_t*>(potentials(draw, "b", args.count));
    args.out = reinterpret_cast<acc_t*>(draw.output<std::int32_t>("out", args.count));
    args.shift_a = draw.number(0, 31, 0);
    args.shift_b = draw.number(0, 31, 2);
}

#define SPK_DRAW(name, Args, ...) \
    void draw_##name(Draw& draw, Args& args) { __VA_ARGS__(draw, args); }
#define SPK_COPY(name, In, Out, rule) \
    void draw_##name(Draw& draw, CopyArgs& args) { copy<In, Out>(draw, args, Rule::rule); }

using std::int16_t, std::int32_t, std::int8_t, std::uint8_t;
SPK_DRAW(finish_i32, FinishArgs, finish<int32_t>)
SPK_DRAW(finish_u8, FinishArgs, finish<uint8_t>)
SPK_DRAW(compare, CompareArgs, compare)
SPK_DRAW(differ, DifferArgs, differ)
SPK_DRAW(adjust_i32, AdjustArgs, adjust<int32_t>)
SPK_DRAW(adjust_u8, AdjustArgs, adjust<uint8_t>)
SPK_COPY(copy_u8_u8, uint8_t, uint8_t, kSet)
SPK_COPY(copy_u8_i32, uint8_t, int32_t, kSet)
SPK_COPY(copy_i32_i32, int32_t, int32_t, kSet)
SPK_COPY(copy_i32_u8, int32_t, uint8_t, kSet)
SPK_COPY(copy_i8_i32, int8_t, int32_t, kSet)
SPK_COPY(copy_i16_i32, int16_t, int32_t, kSet)
SPK_COPY(copy_i16_u8, int16_t, uint8_t, kSet)
SPK_COPY(max_u8, uint8_t, uint8_t, kGather)
SPK_COPY(max_i32, int32_t, int32_t, kGather)
SPK_COPY(sum_u8_u8, uint8_t, uint8_t, kGather)
SPK_COPY(sum_u8_i32, uint8_t, int32_t, kGather)
SPK_COPY(sum_i32_u8, int32_t, uint8_t, kGather)
SPK_COPY(sum_i32_i32, int32_t, int32_t, kGather)
SPK_DRAW(align_u8_u8, AlignArgs, align<uint8_t, uint8_t>)
SPK_DRAW(align_i32_u8, AlignArgs, align<int32_t, uint8_t>)
SPK_DRAW(align_i32_i32, AlignArgs, align<int32_t, int32_t>)
SPK_DRAW(fire_ladder_u8, FireArgs, fire_ladder<uint8_t>)
SPK_DRAW(fire_ladder_i32, FireArgs, fire_ladder<int32_t>)
SPK_DRAW(fire_channels_u8, FireArgs, fire_channels<uint8_t>)
SPK_DRAW(fire_channels_i32, FireArgs, fire_channels<int32_t>)
SPK_DRAW(fire_uniform_u8, FireArgs, fire_uniform<uint8_t>)
SPK_DRAW(fire_uniform_i32, FireArgs, fire_uniform<int32_t>)
SPK_DRAW(membrane_u8, MembraneArgs, membrane<uint8_t>)
SPK_DRAW(membrane_i32, MembraneArgs, membrane<int32_t>)
SPK_DRAW(count_u8, CountArgs, count<uint8_t>)
SPK_DRAW(count_i32, CountArgs, count<int32_t>)
SPK_DRAW(weight_bits_u8, WeightBitsArgs, weight_bits<uint8_t>)
SPK_DRAW(weight_bits_i32, WeightBitsArgs, weight_bits<int32_t>)
SPK_DRAW(range_u8, RangeArgs, range<uint8_t>)
SPK_DRAW(range_i8, RangeArgs, range<int8_t>)
SPK_DRAW(range_i16, RangeArgs, range<int16_t>)
SPK_DRAW(range_i32, RangeArgs, range<int32_t>)

}  // namespace spk::fuzz
