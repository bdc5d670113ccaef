#include <algorithm>
#include <bit>

#include "model/ops/rules.hpp"

namespace spk::rules {
namespace {

// The scale of a sum over `terms` that stands for their mean: powers of two go to f, the rest to the divisor.
bool divide(Facts* facts, std::int64_t terms) {
    const int twos = std::countr_zero(static_cast<std::uint64_t>(terms));
    facts->f += twos;
    return !__builtin_mul_overflow(facts->divisor, static_cast<std::uint64_t>(terms) >> twos, &facts->divisor);
}

}  // namespace

Status mean(OpReader& op) {
    const auto axes = op.tuple();
    const bool keepdims = op.boolean();
    const std::int32_t steps = op.integer();
    if (!op.done() || steps < 0) return bad_fields();
    const Facts& x = op.x();
    if (x.per_channel) return bad_shape("mean needs an operand with one f for all channels");
    if (steps > 0 && !x.time) return bad_shape("a mean over time needs an operand that varies in time");
    if (steps > 0 && static_cast<std::uint32_t>(steps) != op.timesteps())
        return bad_shape("a mean over time is one over all timesteps");

    std::array<bool, kMaxRank> summed{};
    std::int64_t terms = steps > 0 ? steps : 1;
    for (const std::int32_t axis : axes) {
        if (axis < 0 || axis >= x.rank || summed[axis])
            return bad_shape("the axes do not exist in the operand, or one is named twice");
        summed[axis] = true;
        terms *= x.dims[axis];
    }
    op.out.rank = 0;
    op.out.dims = {};
    for (int axis = 0; axis < x.rank; ++axis) {
        if (keepdims || !summed[axis]) op.out.dims[op.out.rank++] = summed[axis] ? 1 : x.dims[axis];
    }
    // Over time, one step's term too: streams return it.
    const std::int64_t fewest = steps > 0 ? terms / steps : terms;
    op.out.lo = std::min(mul_sat(x.lo, terms), mul_sat(x.lo, fewest));
    op.out.hi = std::max(mul_sat(x.hi, terms), mul_sat(x.hi, fewest));
    if (!divide(&op.out, terms)) return bad_range("a scale's divisor does not fit 32 bits");
    op.out.time = x.time && steps == 0;
    op.params = Mean{axes, steps};
    return {};
}

}  // namespace spk::rules
