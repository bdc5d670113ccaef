#include "model/ops/rules.hpp"

namespace spk::rules {

Status slice(OpReader& op) {
    const Slice slice{op.tuple(), op.tuple(), op.tuple()};
    const auto rank = static_cast<std::size_t>(op.x().rank);
    if (!op.done() || slice.starts.size() != rank || slice.stops.size() != rank || slice.steps.size() != rank)
        return bad_fields();
    const Facts& x = op.x();
    for (std::size_t axis = 0; axis < rank; ++axis) {
        const std::int64_t start = slice.starts[axis], stop = slice.stops[axis], step = slice.steps[axis];
        if (start < 0 || start >= stop || stop > x.dims[axis] || step < 1)
            return bad_shape("a slice leaves its operand");
        op.out.dims[axis] = (stop - start + step - 1) / step;
    }
    if (x.per_channel) {
        const auto channel_f = op.scales->make(static_cast<std::uint64_t>(op.out.last()));
        if (channel_f.empty()) return {Code::kFormat, "too many channels with scales of their own"};
        for (std::size_t c = 0; c < channel_f.size(); ++c) {
            channel_f[c] = x.channel_f[slice.starts[rank - 1] + c * slice.steps[rank - 1]];
        }
        op.out.channel_f = channel_f;
    }
    op.params = slice;
    return {};
}

}  // namespace spk::rules
