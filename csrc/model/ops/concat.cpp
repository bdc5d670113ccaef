#include <algorithm>

#include "model/ops/rules.hpp"
#include "model/ops/shifted.hpp"

namespace spk::rules {
namespace {

Status join_shapes(OpReader& op, std::int32_t axis) {
    op.out.dims[axis] = 0;
    for (const Facts& x : op.inputs) {
        bool alike = x.rank == op.x().rank;
        for (int i = 0; i < x.rank && alike; ++i) alike = i == axis || x.dims[i] == op.x().dims[i];
        if (!alike) return bad_shape("the operands' shapes differ beside the axis");
        op.out.dims[axis] += x.dims[axis];
    }
    return {};
}

// Every channel's own f, one operand after another.
Status join_scales(OpReader& op, std::span<const std::int32_t> shifts) {
    // No more than a tensor's limit: the shape has not been settled yet.
    if (op.out.last() > format::kMaxElements) return bad_shape("a tensor has at most 2^31 - 1 elements");
    const auto channel_f = op.scales->make(static_cast<std::uint64_t>(op.out.last()));
    if (channel_f.empty()) return {Code::kFormat, "too many channels with scales of their own"};
    auto at = channel_f.begin();
    for (std::size_t i = 0; i < op.inputs.size(); ++i) {
        const Facts& x = op.inputs[i];
        for (std::int64_t c = 0; c < x.last(); ++c) {
            *at++ = static_cast<std::int32_t>((x.per_channel ? x.channel_f[c] : x.f) + shifts[i]);
        }
    }
    op.out.per_channel = true;
    op.out.channel_f = channel_f;
    return {};
}

Status infer_scale(OpReader& op, std::int32_t axis, std::span<const std::int32_t> shifts) {
    bool alike = true;
    for (std::size_t i = 1; i < op.inputs.size(); ++i) {
        if (op.inputs[i].divisor != op.x().divisor) return bad_shape("the operands are means over different counts");
        alike = alike && same_f(op.x(), shifts[0], op.inputs[i], shifts[i]);
    }
    const bool last = axis == op.x().rank - 1;
    if (alike && (!op.x().per_channel || !last)) {
        const bool made = shift_scale(op, op.x(), shifts[0], &op.out);
        return made ? Status() : Status(Code::kFormat, "too many channels with scales of their own");
    }
    if (!last) return bad_shape("the operands have different scales after shifting");
    return join_scales(op, shifts);
}

}  // namespace

Status concat(OpReader& op) {
    const std::int32_t axis = op.integer();
    const auto shifts = op.tuple();
    if (!op.done() || shifts.size() != op.inputs.size() || shifts.empty()) return bad_fields();
    if (!good_shifts(shifts)) return bad_shape("shifts must be in 0..31");
    if (axis < 0 || axis >= op.x().rank) return bad_shape("the axis does not exist in the operands");
    if (const Status status = join_shapes(op, axis); !status.ok()) return status;
    op.out.lo = std::numeric_limits<std::int64_t>::max();
    op.out.hi = std::numeric_limits<std::int64_t>::min();
    for (std::size_t i = 0; i < op.inputs.size(); ++i) {
        op.out.lo = std::min(op.out.lo, shl_sat(op.inputs[i].lo, shifts[i]));
        op.out.hi = std::max(op.out.hi, shl_sat(op.inputs[i].hi, shifts[i]));
    }
    if (!fits_int32(op.out.lo, op.out.hi)) return bad_range("shifted operands do not fit 32 bits");
    op.params = Concat{axis, shifts};
    return infer_scale(op, axis, shifts);
}

}  // namespace spk::rules
