#include <algorithm>

#include "model/ops/rules.hpp"
#include "model/ops/window.hpp"

namespace spk::rules {

Status max_pool(OpReader& op) {
    MaxPool pool;
    const auto kernel = op.tuple(), stride = op.tuple(), padding = op.tuple();
    if (!op.done() || kernel.size() != 2 || stride.size() != 2 || padding.size() != 4) return bad_fields();
    std::copy(kernel.begin(), kernel.end(), pool.kernel.begin());
    std::copy(stride.begin(), stride.end(), pool.stride.begin());
    std::copy(padding.begin(), padding.end(), pool.padding.begin());
    if (std::ranges::min(kernel) < 1 || std::ranges::min(stride) < 1) return bad_shape("bad kernel or stride");
    for (std::size_t side = 0; side < 4; ++side) {
        if (padding[side] < 0 || padding[side] >= kernel[side % 2])
            return bad_shape("the padding must be smaller than the kernel");
    }
    const Facts& x = op.x();
    if (x.rank != 4) return bad_shape("expected an operand [N, H, W, C]");
    for (int axis = 0; axis < 2; ++axis) {
        op.out.dims[1 + axis] =
            window_count(x.dims[1 + axis], padding[axis], padding[axis + 2], kernel[axis], stride[axis]);
        if (op.out.dims[1 + axis] < 1) return bad_shape("the kernel does not fit into the padded map");
    }
    op.params = pool;
    return {};
}

}  // namespace spk::rules
