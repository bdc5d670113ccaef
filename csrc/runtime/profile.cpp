// Counting what synapses did, apart from doing it: nothing here runs outside a profile.

#include <algorithm>

#include "runtime/synapse.hpp"

namespace spk {
namespace {

// Kernel positions that bring the input position `at` to an output, along one axis.
template <typename Visit>
void taps(std::int32_t at, std::int32_t padding, std::int32_t step, std::int32_t count, std::int32_t stride,
          std::int32_t outputs, const Visit& visit) {
    for (std::int32_t k = 0; k < count; ++k) {
        const std::int64_t from = std::int64_t{at} + padding - std::int64_t{k} * step;
        if (from >= 0 && from % stride == 0 && from / stride < outputs) visit(k);
    }
}

std::uint64_t count_taps(std::int32_t at, std::int32_t padding, std::int32_t step, std::int32_t count,
                         std::int32_t stride, std::int32_t outputs) {
    std::uint64_t total = 0;
    taps(at, padding, step, count, stride, outputs, [&](std::int32_t) { ++total; });
    return total;
}

// Calls visit(counts, its integers, y, x, taps of the kernel that it meets) for every input position with an event.
template <typename Visit>
void over_positions(const Context& context, const Op& op, const SynapseShape& shape, std::int32_t planes, bool digits,
                    const Visit& visit) {
    const TensorView& in = context.tensor(op.inputs[0]);
    kernels::CountArgs args{};
    args.count = static_cast<std::size_t>(shape.channels);
    args.mask = planes >= 32 ? ~0u : (1u << planes) - 1;
    args.digits = digits;
    const std::byte* x_data = context.data(in);
    for (std::int32_t row = 0; row < shape.batch * shape.height; ++row) {
        const std::int32_t y = row % shape.height;
        const std::uint64_t ty = count_taps(y, shape.top, shape.dilation_y, shape.kh, shape.stride_y, shape.out_height);
        for (std::int32_t x = 0; x < shape.width; ++x, x_data += args.count * element_bytes(in)) {
            args.in = x_data;
            in.dtype == Dtype::kUint8 ? context.kernels->count_u8(args) : context.kernels->count_i32(args);
            if (args.events == 0) continue;
            const std::uint64_t tx =
                count_taps(x, shape.left, shape.dilation_x, shape.kw, shape.stride_x, shape.out_width);
            visit(args, x_data, y, x, ty * tx);
        }
    }
}

// Pairs of an input and a kernel position that meet inside the map, whatever the input holds; one group.
std::uint64_t all_taps(const SynapseShape& shape) {
    std::uint64_t rows = 0, columns = 0;
    for (std::int32_t y = 0; y < shape.height; ++y) {
        rows += count_taps(y, shape.top, shape.dilation_y, shape.kh, shape.stride_y, shape.out_height);
    }
    for (std::int32_t x = 0; x < shape.width; ++x) {
        columns += count_taps(x, shape.left, shape.dilation_x, shape.kw, shape.stride_x, shape.out_width);
    }
    return rows * columns * static_cast<std::uint64_t>(shape.batch) * static_cast<std::uint64_t>(shape.channels);
}

std::uint64_t touched(const Context& context, const Op& op) {
    return context.tensor(op.inputs[0]).bytes + context.tensor(op.output).bytes;
}

// Additions of an input that selects by the weights' own bits.
std::uint64_t weight_bits(const Context& context, const Op& op, const DepthwisePlan& plan, const std::byte* x_data,
                          std::int32_t y, std::int32_t x) {
    const SynapseShape& shape = plan.shape;
    const bool bytes = context.tensor(op.inputs[0]).dtype == Dtype::kUint8;
    const auto row = static_cast<std::size_t>((shape.outputs + 15) / 16 * 16);
    std::uint64_t total = 0;
    taps(y, shape.top, shape.dilation_y, shape.kh, shape.stride_y, shape.out_height, [&](std::int32_t ky) {
        taps(x, shape.left, shape.dilation_x, shape.kw, shape.stride_x, shape.out_width, [&](std::int32_t kx) {
            kernels::WeightBitsArgs args{};
            args.in = x_data;
            args.weights = reinterpret_cast<const kernels::weight_t*>(synapse_of(op).weight.data) +
                           (static_cast<std::size_t>(ky) * shape.kw + kx) * row;
            args.count = static_cast<std::size_t>(shape.channels);
            args.mask = (1u << plan.planes) - 1;
            bytes ? context.kernels->weight_bits_u8(args) : context.kernels->weight_bits_i32(args);
            total += args.bits;
        });
    });
    return total;
}

}  // namespace

void profile_gather(const Context& context, const Op& op, const GatherPlan& plan, LayerProfile* profile) {
    const SynapseShape& shape = plan.shape;
    std::uint64_t lanes = 0, bits = 0, events = 0;
    for (const Slab& slab : plan.slabs) lanes += slab.group == 0 ? static_cast<std::uint64_t>(slab.width) : 0;
    const auto outputs = static_cast<std::uint64_t>(shape.group_outputs);
    const bool folded = plan.folded();
    over_positions(
        context, op, shape, folded ? 8 : plan.events.planes, folded,
        [&](const kernels::CountArgs& counts, const std::byte*, std::int32_t, std::int32_t, std::uint64_t meets) {
            events += counts.events;
            profile->sops += counts.magnitude * meets * outputs;
            bits += counts.bits * meets;
        });
    if (plan.looked_up()) bits = 2 * all_taps(shape);
    profile->adds += bits * outputs;
    profile->lane_adds += bits * lanes;
    profile->events += events;
    profile->nonzero += events;
    profile->elements += context.tensor(op.inputs[0]).size;
    profile->bytes += bits * lanes + touched(context, op);
}

void profile_depthwise(const Context& context, const Op& op, const DepthwisePlan& plan, LayerProfile* profile) {
    const SynapseShape& shape = plan.shape;
    const bool wide = plan.form == DepthwisePlan::Form::kWide;
    std::uint64_t events = 0;
    over_positions(context, op, shape, wide ? 32 : plan.planes, false,
                   [&](const kernels::CountArgs& counts, const std::byte* x_data, std::int32_t y, std::int32_t x,
                       std::uint64_t meets) {
                       events += counts.events;
                       profile->sops += counts.magnitude * meets;
                       profile->adds += wide ? weight_bits(context, op, plan, x_data, y, x) : counts.bits * meets;
                   });
    std::uint64_t rows = 0;  // kernel rows inside the map, over all output rows
    for (std::int32_t y = 0; y < shape.height; ++y) {
        rows += count_taps(y, shape.top, shape.dilation_y, shape.kh, shape.stride_y, shape.out_height);
    }
    const auto lanes = static_cast<std::uint64_t>((shape.outputs + 15) / 16 * 16);
    const std::uint64_t taps_done = rows * static_cast<std::uint64_t>(shape.batch) * shape.out_width * shape.kw * lanes;
    profile->lane_adds += taps_done * static_cast<std::uint64_t>(plan.planes);
    profile->events += events;
    profile->nonzero += events;
    profile->elements += context.tensor(op.inputs[0]).size;
    profile->bytes += taps_done + touched(context, op);
}

}  // namespace spk
