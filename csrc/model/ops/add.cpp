#include <algorithm>

#include "model/ops/rules.hpp"
#include "model/ops/shifted.hpp"

namespace spk::rules {

Status add(OpReader& op) {
    Add add;
    const auto shifts = op.tuple();
    if (!op.done() || shifts.size() != 2) return bad_fields();
    if (!good_shifts(shifts)) return bad_shape("shifts must be in 0..31");
    std::copy(shifts.begin(), shifts.end(), add.shifts.begin());
    const Facts &a = op.inputs[0], &b = op.inputs[1];
    if (!broadcast(a, b, &op.out)) return bad_shape("the operands' shapes do not broadcast");
    op.out.lo = op.out.hi = 0;
    for (std::size_t i = 0; i < 2; ++i) {
        const std::int64_t lo = shl_sat(op.inputs[i].lo, shifts[i]), hi = shl_sat(op.inputs[i].hi, shifts[i]);
        if (!fits_int32(lo, hi)) return bad_range("shifted operands do not fit 32 bits");
        op.out.lo += lo, op.out.hi += hi;
    }
    if (!same_scale(a, shifts[0], b, shifts[1])) return bad_shape("the operands have different scales after shifting");
    if (!shift_scale(op, a, shifts[0], &op.out)) return {Code::kFormat, "too many channels with scales of their own"};
    op.params = add;
    return {};
}

}  // namespace spk::rules
