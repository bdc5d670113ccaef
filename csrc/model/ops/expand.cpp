#include "model/ops/rules.hpp"
#include "model/ops/shifted.hpp"

namespace spk::rules {

Status expand(OpReader& op) {
    const auto target = op.tuple();
    const bool time = op.boolean();
    if (!op.done()) return bad_fields();
    const Facts& x = op.x();
    if (x.per_channel) return bad_shape("expand needs an operand with one f for all channels");
    if (target.size() > kMaxRank || static_cast<int>(target.size()) < x.rank)
        return bad_shape("the operand does not expand to the target");
    Facts wanted;
    wanted.rank = static_cast<int>(target.size());
    for (std::size_t axis = 0; axis < target.size(); ++axis) {
        if (target[axis] < 1) return bad_shape("expected axes of positive size");
        wanted.dims[axis] = target[axis];
    }
    if (!broadcast(x, wanted, &op.out) || op.out.dims != wanted.dims)
        return bad_shape("the operand does not expand to the target");
    op.out.time = x.time || time;
    op.params = Expand{time};
    return {};
}

}  // namespace spk::rules
