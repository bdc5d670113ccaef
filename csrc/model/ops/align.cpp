#include "model/ops/rules.hpp"

namespace spk::rules {

Status align(OpReader& op) {
    const std::int32_t shift = op.integer();
    if (!op.done()) return bad_fields();
    if (shift < 1 || shift > 31) return bad_shape("the shift must be in 1..31");
    if (!op.x().dyadic()) return bad_shape("align needs an operand whose scale is a power of two");
    const auto round = [&](std::int64_t value) { return (value + (std::int64_t{1} << (shift - 1))) >> shift; };
    op.out.lo = round(op.x().lo), op.out.hi = round(op.x().hi);
    op.out.f = op.x().f - shift;
    op.params = Align{shift};
    return {};
}

}  // namespace spk::rules
