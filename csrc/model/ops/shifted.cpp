#include "model/ops/shifted.hpp"

#include <algorithm>

namespace spk {

bool good_shifts(std::span<const std::int32_t> shifts) {
    return std::all_of(shifts.begin(), shifts.end(), [](std::int32_t s) { return 0 <= s && s <= 31; });
}

bool broadcast(const Facts& a, const Facts& b, Facts* out) {
    std::array<std::int64_t, kMaxRank> dims{};
    const int rank = std::max(a.rank, b.rank);
    for (int back = 1; back <= rank; ++back) {
        const std::int64_t left = back <= a.rank ? a.dims[a.rank - back] : 1;
        const std::int64_t right = back <= b.rank ? b.dims[b.rank - back] : 1;
        if (left != right && left != 1 && right != 1) return false;
        dims[rank - back] = left == 1 ? right : left;
    }
    out->rank = rank;
    out->dims = dims;
    return true;
}

bool same_f(const Facts& a, std::int32_t shift_a, const Facts& b, std::int32_t shift_b) {
    if (a.per_channel != b.per_channel) return false;
    if (!a.per_channel) return a.f + shift_a == b.f + shift_b;
    return std::equal(a.channel_f.begin(), a.channel_f.end(), b.channel_f.begin(), b.channel_f.end(),
                      [&](std::int32_t left, std::int32_t right) { return left + shift_a == right + shift_b; });
}

bool same_scale(const Facts& a, std::int32_t shift_a, const Facts& b, std::int32_t shift_b) {
    return a.divisor == b.divisor && same_f(a, shift_a, b, shift_b);
}

bool shift_scale(OpReader& op, const Facts& x, std::int32_t shift, Facts* out) {
    out->divisor = x.divisor;
    out->per_channel = x.per_channel;
    out->f = x.f + shift;
    out->channel_f = x.channel_f;
    if (!x.per_channel || shift == 0) return true;
    const auto channel_f = op.scales->make(x.channel_f.size());
    if (channel_f.empty()) return false;
    std::transform(x.channel_f.begin(), x.channel_f.end(), channel_f.begin(),
                   [&](std::int32_t f) { return f + shift; });
    out->channel_f = channel_f;
    return true;
}

}  // namespace spk
