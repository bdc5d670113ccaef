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

// Columns of an input row that are read: all of them, or what the outputs of a region need.
Columns columns_read(const Region* region, const SynapseShape& shape, std::int32_t image, std::int32_t y) {
    if (region == nullptr) return {0, shape.width};
    Columns read{shape.width, 0};
    taps(y, shape.top, shape.dilation_y, shape.kh, shape.stride_y, shape.out_height, [&](std::int32_t ky) {
        const std::int32_t row = (y + shape.top - ky * shape.dilation_y) / shape.stride_y;
        const Columns& wanted = region->outputs[image * shape.out_height + row];
        if (wanted.empty()) return;
        const std::int32_t last = (wanted.end - 1) * shape.stride_x - shape.left + (shape.kw - 1) * shape.dilation_x;
        read.first = std::min(read.first, std::max(wanted.first * shape.stride_x - shape.left, 0));
        read.end = std::max(read.end, std::min(last + 1, shape.width));
    });
    return read;
}

// Calls visit(ky, kx) for every position of the kernel that meets an output that is wanted.
template <typename Visit>
void over_taps(const Region* region, const SynapseShape& shape, std::int32_t image, std::int32_t y, std::int32_t x,
               const Visit& visit) {
    taps(y, shape.top, shape.dilation_y, shape.kh, shape.stride_y, shape.out_height, [&](std::int32_t ky) {
        const std::int32_t row = (y + shape.top - ky * shape.dilation_y) / shape.stride_y;
        Columns wanted{0, shape.out_width};
        if (region != nullptr) wanted = region->outputs[image * shape.out_height + row];
        taps(x, shape.left, shape.dilation_x, shape.kw, shape.stride_x, shape.out_width, [&](std::int32_t kx) {
            const std::int32_t column = (x + shape.left - kx * shape.dilation_x) / shape.stride_x;
            if (column >= wanted.first && column < wanted.end) visit(ky, kx);
        });
    });
}

// Calls visit(counts, its integers, y, x, image, taps of the kernel that it meets) for every input position that is
// read and has an event.
template <typename Visit>
void over_positions(const Context& context, const Op& op, const SynapseShape& shape, std::int32_t planes, bool digits,
                    const Visit& visit) {
    const TensorView& in = context.tensor(op.inputs[0]);
    kernels::CountArgs args{};
    args.count = static_cast<std::size_t>(shape.channels);
    args.mask = planes >= 32 ? ~0u : (1u << planes) - 1;
    args.digits = digits;
    const std::size_t position = args.count * element_bytes(in);
    for (std::int32_t row = 0; row < shape.batch * shape.height; ++row) {
        const std::int32_t image = row / shape.height, y = row % shape.height;
        const Columns read = columns_read(context.region, shape, image, y);
        const std::uint64_t ty = count_taps(y, shape.top, shape.dilation_y, shape.kh, shape.stride_y, shape.out_height);
        for (std::int32_t x = read.first; x < read.end; ++x) {
            const std::byte* x_data = context.data(in) + (std::size_t{1} * row * shape.width + x) * position;
            args.in = x_data;
            in.dtype == Dtype::kUint8 ? context.kernels->count_u8(args) : context.kernels->count_i32(args);
            if (args.events == 0) continue;
            std::uint64_t meets = 0;
            if (context.region == nullptr) {
                meets = ty * count_taps(x, shape.left, shape.dilation_x, shape.kw, shape.stride_x, shape.out_width);
            } else {
                over_taps(context.region, shape, image, y, x, [&](std::int32_t, std::int32_t) { ++meets; });
            }
            visit(args, x_data, row, x, meets);
        }
    }
}

// Pairs of an output that is wanted and a kernel position that meet inside the map, whatever the input holds.
std::uint64_t all_taps(const Region* region, const SynapseShape& shape) {
    std::uint64_t total = 0;
    for (std::int32_t row = 0; row < shape.batch * shape.height; ++row) {
        for (std::int32_t x = 0; x < shape.width; ++x) {
            over_taps(region, shape, row / shape.height, row % shape.height, x,
                      [&](std::int32_t, std::int32_t) { ++total; });
        }
    }
    return total;
}

// Pairs of an output that is wanted and a kernel row that meet inside the map.
std::uint64_t rows_met(const Region* region, const SynapseShape& shape) {
    std::uint64_t total = 0;
    for (std::int32_t row = 0; row < shape.batch * shape.height; ++row) {
        taps(row % shape.height, shape.top, shape.dilation_y, shape.kh, shape.stride_y, shape.out_height,
             [&](std::int32_t ky) {
                 const std::int32_t y = (row % shape.height + shape.top - ky * shape.dilation_y) / shape.stride_y;
                 Columns wanted{0, shape.out_width};
                 if (region != nullptr) wanted = region->outputs[row / shape.height * shape.out_height + y];
                 if (!wanted.empty()) total += static_cast<std::uint64_t>(wanted.end - wanted.first);
             });
    }
    return total;
}

std::uint64_t touched(const Context& context, const Op& op) {
    return context.tensor(op.inputs[0]).bytes + context.tensor(op.output).bytes;
}

// Additions of an input that selects by the weights' own bits.
std::uint64_t weight_bits(const Context& context, const Op& op, const DepthwisePlan& plan, const std::byte* x_data,
                          std::int32_t image_row, std::int32_t x) {
    const SynapseShape& shape = plan.shape;
    const std::int32_t image = image_row / shape.height, y = image_row % shape.height;
    const bool bytes = context.tensor(op.inputs[0]).dtype == Dtype::kUint8;
    const auto row = static_cast<std::size_t>((shape.outputs + 15) / 16 * 16);
    std::uint64_t total = 0;
    over_taps(context.region, shape, image, y, x, [&](std::int32_t ky, std::int32_t kx) {
        kernels::WeightBitsArgs args{};
        args.in = x_data;
        args.weights = reinterpret_cast<const kernels::weight_t*>(synapse_of(op).weight.data) +
                       (static_cast<std::size_t>(ky) * shape.kw + kx) * row;
        args.count = static_cast<std::size_t>(shape.channels);
        args.mask = (1u << plan.planes) - 1;
        bytes ? context.kernels->weight_bits_u8(args) : context.kernels->weight_bits_i32(args);
        total += args.bits;
    });
    return total;
}

}  // namespace

std::uint64_t count_events(const Context& context, const Op& op) {
    const SynapseShape shape = shape_of(*context.program, op);
    const TensorView& in = context.tensor(op.inputs[0]);
    std::uint64_t total = 0;
    for (std::int32_t row = 0; row < shape.batch * shape.height; ++row) {
        const Columns read = columns_read(context.region, shape, row / shape.height, row % shape.height);
        if (read.empty()) continue;
        const std::size_t first = (static_cast<std::size_t>(row) * shape.width + read.first) * shape.channels;
        const std::uint64_t count = static_cast<std::uint64_t>(read.end - read.first) * shape.channels;
        const std::byte* data = context.data(in) + first * element_bytes(in);
        total += in.dtype == Dtype::kUint8 ? count_nonzero(reinterpret_cast<const std::uint8_t*>(data), count)
                                           : count_nonzero(reinterpret_cast<const std::int32_t*>(data), count);
    }
    return total;
}

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
    if (plan.looked_up()) bits = 2 * all_taps(context.region, shape) * static_cast<std::uint64_t>(shape.channels);
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
                   [&](const kernels::CountArgs& counts, const std::byte* x_data, std::int32_t row, std::int32_t x,
                       std::uint64_t meets) {
                       events += counts.events;
                       profile->sops += counts.magnitude * meets;
                       profile->adds += wide ? weight_bits(context, op, plan, x_data, row, x) : counts.bits * meets;
                   });
    const auto lanes = static_cast<std::uint64_t>((shape.outputs + 15) / 16 * 16);
    const std::uint64_t taps_done = rows_met(context.region, shape) * static_cast<std::uint64_t>(shape.kw) * lanes;
    profile->lane_adds += taps_done * static_cast<std::uint64_t>(plan.planes);
    profile->events += events;
    profile->nonzero += events;
    profile->elements += context.tensor(op.inputs[0]).size;
    profile->bytes += taps_done + touched(context, op);
}

}  // namespace spk
