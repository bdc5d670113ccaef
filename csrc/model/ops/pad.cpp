#include <algorithm>

#include "model/ops/rules.hpp"

namespace spk::rules {

Status pad(OpReader& op) {
    Pad pad;
    pad.before = op.tuple(), pad.after = op.tuple();
    pad.value = op.integer();
    const Facts& x = op.x();
    const auto rank = static_cast<std::size_t>(x.rank);
    if (!op.done() || pad.before.size() != rank || pad.after.size() != rank) return bad_fields();
    if (x.per_channel) return bad_shape("pad needs an operand with one f for all channels");
    for (std::size_t axis = 0; axis < rank; ++axis) {
        if (pad.before[axis] < 0 || pad.after[axis] < 0) return bad_shape("border widths must not be negative");
        op.out.dims[axis] = std::int64_t{pad.before[axis]} + x.dims[axis] + pad.after[axis];
    }
    op.out.lo = std::min<std::int64_t>(x.lo, pad.value), op.out.hi = std::max<std::int64_t>(x.hi, pad.value);
    op.params = pad;
    return {};
}

}  // namespace spk::rules
