#include <algorithm>

#include "model/ops/rules.hpp"

namespace spk::rules {

Status reshape(OpReader& op) {
    const auto target = op.tuple();
    if (!op.done()) return bad_fields();
    const Facts& x = op.x();
    if (x.per_channel) return bad_shape("reshape needs an operand with one f for all channels");
    if (target.size() > kMaxRank) return bad_shape("expected at most five axes");
    std::int64_t before = 1, after = 1;
    for (int axis = 0; axis < x.rank; ++axis) before *= x.dims[axis];
    op.out.dims = {};
    for (std::size_t axis = 0; axis < target.size(); ++axis) {
        if (target[axis] < 1) return bad_shape("expected axes of positive size");
        op.out.dims[axis] = target[axis];
        after = mul_sat(after, target[axis]);
    }
    if (before != after) return bad_shape("a reshape changes the number of elements");
    op.out.rank = static_cast<int>(target.size());
    op.params = Reshape{};
    return {};
}

}  // namespace spk::rules
