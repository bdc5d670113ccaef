#include <algorithm>

#include "model/format.hpp"
#include "model/ops/rules.hpp"
#include "model/ops/synapse.hpp"
#include "model/ops/window.hpp"

namespace spk::rules {

Status conv2d(OpReader& op) {
    Conv2d conv;
    const std::int8_t* exponent = nullptr;
    if (!read_synapse(op, true, &conv, &exponent)) return bad_fields();
    const auto stride = op.tuple(), padding = op.tuple(), dilation = op.tuple();
    const std::int32_t groups = op.integer();
    if (!op.done() || stride.size() != 2 || padding.size() != 4 || dilation.size() != 2) return bad_fields();
    std::copy(stride.begin(), stride.end(), conv.stride.begin());
    std::copy(padding.begin(), padding.end(), conv.padding.begin());
    std::copy(dilation.begin(), dilation.end(), conv.dilation.begin());

    const Weights& w = conv.weight;
    if (groups != w.groups) return bad_shape("the groups are not those of the weights");
    // One filter for each channel is stored as depthwise weights, never as rows.
    if (!w.depthwise && w.outputs == 1 && w.inputs == 1) return bad_fields();
    const bool good = std::ranges::min(conv.stride) >= 1 && std::ranges::min(conv.dilation) >= 1 &&
                      std::ranges::min(conv.padding) >= 0;
    if (!good) return bad_shape("bad stride, dilation or padding");
    const Facts& x = op.x();
    if (x.rank != 4) return bad_shape("expected an operand [N, H, W, C]");
    if (x.dims[3] != std::int64_t{w.inputs} * w.groups)
        return bad_shape("the operand has another number of channels than the weights");
    for (int axis = 0; axis < 2; ++axis) {
        const std::int64_t reach = std::int64_t{conv.dilation[axis]} * ((axis == 0 ? w.kh : w.kw) - 1) + 1;
        if (reach > format::kMaxReach) return bad_shape("a kernel reaches too far");
        op.out.dims[1 + axis] =
            window_count(x.dims[1 + axis], conv.padding[axis], conv.padding[axis + 2], reach, conv.stride[axis]);
        if (op.out.dims[1 + axis] < 1) return bad_shape("the kernel does not fit into the padded map");
    }
    op.out.dims[3] = conv.out_channels;
    op.params = conv;
    return infer_synapse(op, conv, exponent);
}

}  // namespace spk::rules
