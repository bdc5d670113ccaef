#include "model/ops/rules.hpp"

namespace spk::rules {

Status upsample(OpReader& op) {
    const auto factor = op.tuple();
    if (!op.done() || factor.size() != 2) return bad_fields();
    if (factor[0] < 1 || factor[1] < 1) return bad_shape("bad factor");
    if (op.x().rank != 4) return bad_shape("expected an operand [N, H, W, C]");
    for (int axis = 0; axis < 2; ++axis) op.out.dims[1 + axis] = mul_sat(op.x().dims[1 + axis], factor[axis]);
    op.params = Upsample{{factor[0], factor[1]}};
    return {};
}

}  // namespace spk::rules
