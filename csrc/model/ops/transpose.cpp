#include "model/ops/rules.hpp"

namespace spk::rules {

Status transpose(OpReader& op) {
    const auto order = op.tuple();
    const Facts& x = op.x();
    if (!op.done() || order.size() != static_cast<std::size_t>(x.rank)) return bad_fields();
    if (x.per_channel) return bad_shape("transpose needs an operand with one f for all channels");
    std::array<bool, kMaxRank> used{};
    for (int axis = 0; axis < x.rank; ++axis) {
        const std::int32_t from = order[axis];
        if (from < 0 || from >= x.rank || used[from]) return bad_shape("the order is no permutation of the axes");
        used[from] = true;
        op.out.dims[axis] = x.dims[from];
    }
    op.params = Transpose{order};
    return {};
}

}  // namespace spk::rules
