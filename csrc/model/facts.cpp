#include "model/facts.hpp"

#include <algorithm>

#include "model/format.hpp"

namespace spk {

Facts facts_of(const TensorView& tensor) {
    Facts facts;
    facts.rank = tensor.rank;
    std::copy(tensor.dims.begin(), tensor.dims.end(), facts.dims.begin());
    facts.lo = tensor.lo, facts.hi = tensor.hi;
    facts.f = tensor.f, facts.divisor = tensor.divisor;
    facts.per_channel = tensor.per_channel, facts.channel_f = tensor.channel_f;
    facts.time = tensor.time;
    return facts;
}

Status settle(const Facts& facts, TensorView* tensor) {
    std::int64_t size = 1;
    for (int axis = 0; axis < facts.rank; ++axis) {
        if (facts.dims[axis] < 1) return {Code::kShape, "expected axes of positive size"};
        if (facts.dims[axis] > format::kMaxElements / size)
            return {Code::kShape, "a tensor has at most 2^31 - 1 elements"};
        size *= facts.dims[axis];
    }
    if (facts.lo > facts.hi) return {Code::kRange, "empty range"};
    if (!fits_int32(facts.lo, facts.hi)) return {Code::kRange, "values do not fit 32 bits"};
    const auto small = [](std::int64_t f) { return -format::kMaxFraction <= f && f <= format::kMaxFraction; };
    const bool fractions =
        facts.per_channel ? std::all_of(facts.channel_f.begin(), facts.channel_f.end(), small) : small(facts.f);
    if (!fractions) return {Code::kRange, "a scale has more than 1000 fractional bits"};
    const bool odd = facts.divisor % 2 == 1 && facts.divisor <= std::numeric_limits<std::uint32_t>::max();
    if (!odd) return {Code::kRange, "a scale's divisor must be odd and fit 32 bits"};

    tensor->rank = facts.rank;
    for (int axis = 0; axis < kMaxRank; ++axis)
        tensor->dims[axis] = axis < facts.rank ? static_cast<std::int32_t>(facts.dims[axis]) : 0;
    tensor->lo = static_cast<std::int32_t>(facts.lo), tensor->hi = static_cast<std::int32_t>(facts.hi);
    tensor->per_channel = facts.per_channel;
    tensor->f = facts.per_channel ? 0 : static_cast<std::int32_t>(facts.f);
    tensor->channel_f = facts.per_channel ? facts.channel_f : std::span<const std::int32_t>();
    tensor->divisor = static_cast<std::uint32_t>(facts.divisor);
    tensor->time = facts.time;
    tensor->dtype = facts.lo >= 0 && facts.hi <= 255 ? Dtype::kUint8 : Dtype::kInt32;
    tensor->size = static_cast<std::uint64_t>(size);
    tensor->bytes = tensor->size * (tensor->dtype == Dtype::kUint8 ? 1 : 4);
    return {};
}

std::span<std::int32_t> ChannelScales::make(std::uint64_t count) {
    if (count > left_) return {};
    left_ -= count;
    store_.emplace_back(count);
    return store_.back();
}

}  // namespace spk
