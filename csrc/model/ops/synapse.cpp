#include "model/ops/synapse.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "model/weight_sums.hpp"

namespace spk {
namespace {

constexpr int kMaxShift = 31;

Weights weights_of(const Array& array, bool depthwise) {
    Weights weights;
    const auto size = [&](int axis) { return static_cast<std::int32_t>(array.size(axis)); };
    weights.data = array.int8();
    weights.depthwise = depthwise;
    if (depthwise) {
        weights.kh = size(0), weights.kw = size(1);
        weights.groups = size(2), weights.outputs = 1, weights.inputs = 1;
    } else {
        weights.groups = size(0), weights.outputs = size(1);
        weights.kh = size(2), weights.kw = size(3), weights.inputs = size(4);
    }
    return weights;
}

// Of the next slab where so many outputs are left.
std::int64_t slab_width(std::int64_t left) { return left >= 64 ? 64 : left >= 32 ? 32 : 16; }

// Sums of the positive and of the negative weights of each output channel.
struct Sums {
    std::vector<std::int64_t> positive, negative;

    explicit Sums(std::int32_t channels) : positive(channels), negative(channels) {}

    // Rows of a slab of which the first `used` columns are the channels from `first` on; the others fill it up.
    void add(const std::int8_t* slab, std::int64_t rows, std::int64_t columns, std::int64_t stride, std::int64_t first,
             std::int64_t used) {
        std::array<std::int64_t, 64> plus{}, minus{};
        sum_weights(slab, rows, columns, stride, plus.data(), minus.data());
        std::copy_n(plus.begin(), used, positive.begin() + first);
        std::copy_n(minus.begin(), used, negative.begin() + first);
    }
};

Sums sums_of(const Synapse& synapse) {
    const Weights& w = synapse.weight;
    Sums sums(synapse.out_channels);
    const std::int64_t taps = std::int64_t{w.kh} * w.kw, rows = taps * w.inputs;
    if (w.depthwise) {
        const std::int64_t channels = w.groups, stride = (channels + 15) / 16 * 16;
        for (std::int64_t c = 0, width; c < channels; c += width) {
            width = slab_width(stride - c);
            sums.add(w.data + c, taps, width, stride, c, std::min(channels - c, width));
        }
        return sums;
    }
    const std::int8_t* slab = w.data;
    for (std::int64_t group = 0; group < w.groups; ++group) {
        for (std::int64_t start = 0, width; start < w.outputs; start += width, slab += rows * width) {
            width = slab_width(w.outputs - start);
            sums.add(slab, rows, width, width, group * w.outputs + start, std::min(w.outputs - start, width));
        }
    }
    return sums;
}

Status infer_range(OpReader& op, const Synapse& synapse) {
    const std::int64_t lo = std::min<std::int64_t>(op.x().lo, 0), hi = std::max<std::int64_t>(op.x().hi, 0);
    const Sums sums = sums_of(synapse);
    op.out.lo = std::numeric_limits<std::int64_t>::max();
    op.out.hi = std::numeric_limits<std::int64_t>::min();
    for (std::int32_t o = 0; o < synapse.out_channels; ++o) {
        const std::int64_t plus = sums.positive[o], minus = sums.negative[o];
        const std::int64_t low = shl_sat(add_sat(mul_sat(plus, lo), mul_sat(minus, hi)), synapse.shift[o]);
        const std::int64_t high = shl_sat(add_sat(mul_sat(plus, hi), mul_sat(minus, lo)), synapse.shift[o]);
        if (!fits_int32(low, high)) return bad_range("weighted sums do not fit 32 bits");
        const std::int64_t bias = synapse.bias == nullptr ? 0 : synapse.bias[o];
        op.out.lo = std::min(op.out.lo, low + bias);
        op.out.hi = std::max(op.out.hi, high + bias);
    }
    return {};
}

Status infer_scale(OpReader& op, const Synapse& synapse, const std::int8_t* exponent) {
    if (!op.x().dyadic()) return bad_shape("a synapse needs an operand whose scale is a power of two");
    const auto f = [&](std::int32_t o) { return op.x().f + exponent[o] + synapse.shift[o]; };
    op.out.f = f(0);
    std::int32_t alike = 1;
    while (alike < synapse.out_channels && f(alike) == f(0)) ++alike;
    if (alike == synapse.out_channels) return {};
    const auto channel_f = op.scales->make(synapse.out_channels);
    if (channel_f.empty()) return {Code::kFormat, "too many channels with scales of their own"};
    for (std::int32_t o = 0; o < synapse.out_channels; ++o) channel_f[o] = static_cast<std::int32_t>(f(o));
    op.out.per_channel = true;
    op.out.channel_f = channel_f;
    return {};
}

}  // namespace

bool read_synapse(OpReader& op, bool may_be_depthwise, Synapse* synapse, const std::int8_t** exponent) {
    const bool depthwise = may_be_depthwise && op.next_packed_as(format::kDepthwise);
    const Array weight = op.array(format::kBlobInt8, depthwise ? format::kDepthwise : format::kRows, -1);
    const Array exponents = op.array(format::kBlobInt8, format::kPlain, 1);
    const Array shift = op.array(format::kBlobInt8, format::kPlain, 1);
    const Array bias = op.optional_array(format::kBlobInt32, 1);
    if (!op.sound()) return false;
    synapse->weight = weights_of(weight, depthwise);
    const std::int64_t channels = std::int64_t{synapse->weight.groups} * synapse->weight.outputs;
    const bool sizes =
        exponents.size(0) == channels && shift.size(0) == channels && (!bias.present() || bias.size(0) == channels);
    if (!sizes) return false;
    synapse->out_channels = static_cast<std::int32_t>(channels);
    synapse->shift = shift.int8();
    synapse->bias = bias.present() ? bias.int32() : nullptr;
    *exponent = exponents.int8();
    return std::all_of(shift.int8(), shift.int8() + channels, [](std::int8_t s) { return 0 <= s && s <= kMaxShift; });
}

Status infer_synapse(OpReader& op, const Synapse& synapse, const std::int8_t* exponent) {
    if (const Status status = infer_range(op, synapse); !status.ok()) return status;
    return infer_scale(op, synapse, exponent);
}

}  // namespace spk
