#include <algorithm>

#include "model/ops/rules.hpp"

namespace spk::rules {

Status constant(OpReader& op) {
    const Array values = op.array(format::kBlobInt32, format::kPlain, -1);
    const std::int32_t fraction = op.integer();
    if (!op.done()) return bad_fields();
    Facts out;
    out.rank = values.blob->rank;
    std::int64_t size = 1;
    for (int axis = 0; axis < out.rank; ++axis) size *= out.dims[axis] = values.size(axis);
    const auto [least, greatest] = std::minmax_element(values.int32(), values.int32() + size);
    out.lo = *least, out.hi = *greatest;
    out.f = fraction;
    op.out = out;
    op.params = Constant{values.int32()};
    return {};
}

}  // namespace spk::rules
