#include <algorithm>
#include <array>
#include <cstring>

#include "runtime/synapse.hpp"

namespace spk {
namespace {

constexpr std::int32_t kBlock = 16;      // channels at once
constexpr std::int32_t kMaskPlanes = 4;  // at once
constexpr std::int32_t kMostTaps = 258;  // 258 * 127 fits 16 bits
constexpr std::int32_t kMostKernelRows = 16;
constexpr std::int32_t kMostOutputs = 128;  // columns of a task
constexpr std::size_t kMaskBytes = 98304;   // what a task's masks should not exceed

// One task: a band of output rows, a segment of columns, a block of channels.
struct Task {
    const Context& context;
    const Op& op;
    const DepthwisePlan& plan;
    std::int32_t image, first_row, rows, first_column, columns, channel;
    std::byte* scratch;

    const SynapseShape& shape() const { return plan.shape; }
    std::int32_t used() const { return std::min(kBlock, shape().outputs - channel); }
    std::size_t weight_row() const {
        return static_cast<std::size_t>((shape().outputs + kBlock - 1) / kBlock * kBlock);
    }
    const kernels::weight_t* weights(std::int32_t ky) const {
        const std::size_t first = static_cast<std::size_t>(ky) * shape().kw * weight_row() + channel;
        return reinterpret_cast<const kernels::weight_t*>(synapse_of(op).weight.data) + first;
    }
    std::int32_t in_column() const { return first_column * shape().stride_x - shape().left; }
    std::int32_t in_columns() const {
        return (columns - 1) * shape().stride_x + (shape().kw - 1) * shape().dilation_x + 1;
    }
    const std::byte* input(std::int32_t y, std::int32_t x) const {
        const TensorView& in = context.tensor(op.inputs[0]);
        const std::size_t position = (static_cast<std::size_t>(image) * shape().height + y) * shape().width + x;
        return context.data(in) + (position * shape().channels + channel) * element_bytes(in);
    }
    kernels::acc_t* acc() const { return reinterpret_cast<kernels::acc_t*>(scratch); }
    std::uint16_t* masks() const {
        return reinterpret_cast<std::uint16_t*>(scratch + std::size_t{kMostOutputs} * kBlock * sizeof(std::int32_t));
    }

    void run() const;
    void run_wide() const;
    void make_masks(std::int32_t first_plane, std::int32_t planes) const;
    void add_planes(std::int32_t row, std::int32_t first_plane, std::int32_t planes) const;
    void call(const kernels::DepthwiseArgs& args, std::int32_t planes) const;
    void finish(std::int32_t row) const;
};

// Masks of all input rows under the band, from `in_row(0)` on; columns outside the map are zeros.
void Task::make_masks(std::int32_t first_plane, std::int32_t planes) const {
    const std::int32_t y0 = first_row * shape().stride_y - shape().top;
    const std::int32_t count = (rows - 1) * shape().stride_y + (shape().kh - 1) * shape().dilation_y + 1;
    const std::int32_t x0 = in_column(), x1 = x0 + in_columns();
    const std::int32_t from = std::clamp(x0, 0, shape().width), to = std::clamp(x1, from, shape().width);
    const std::size_t column = static_cast<std::size_t>(planes) * kBlock;
    for (std::int32_t y = std::max(y0, 0); y < std::min(y0 + count, shape().height); ++y) {
        std::uint16_t* row = masks() + static_cast<std::size_t>(y - y0) * in_columns() * column;
        const std::size_t before = static_cast<std::size_t>(std::clamp(from - x0, 0, in_columns())) * column;
        const std::size_t inside = static_cast<std::size_t>(to - from) * column;
        std::memset(row, 0, before * sizeof(std::uint16_t));
        std::memset(row + before + inside, 0, (in_columns() * column - before - inside) * sizeof(std::uint16_t));
        if (inside == 0) continue;
        kernels::MaskArgs args{};
        args.x = reinterpret_cast<const std::uint8_t*>(input(y, from));
        args.x_step = static_cast<std::size_t>(shape().channels);
        args.width = static_cast<std::size_t>(to - from);
        args.plane = static_cast<std::size_t>(first_plane);
        args.planes = static_cast<std::size_t>(planes);
        args.masks = row + before;
        context.kernels->masks(args);
    }
}

void Task::call(const kernels::DepthwiseArgs& args, std::int32_t planes) const {
    const kernels::Table& table = *context.kernels;
    switch (planes) {
        case 1:
            table.depthwise_p1(args);
            break;
        case 2:
            table.depthwise_p2(args);
            break;
        case 3:
            table.depthwise_p3(args);
            break;
        default:
            table.depthwise_p4(args);
            break;
    }
}

void Task::add_planes(std::int32_t row, std::int32_t first_plane, std::int32_t planes) const {
    const std::size_t column = static_cast<std::size_t>(planes) * kBlock;
    std::array<const std::uint16_t*, kMostKernelRows> mask_rows;
    std::array<const kernels::weight_t*, kMostKernelRows> weight_rows;
    kernels::DepthwiseArgs args{};
    args.rows = mask_rows.data();
    args.weights = weight_rows.data();
    args.taps = static_cast<std::size_t>(shape().kw);
    args.tap_step = shape().dilation_x * column * sizeof(std::uint16_t);
    args.pixel_step = shape().stride_x * column * sizeof(std::uint16_t);
    args.weight_step = weight_row();
    args.pixels = static_cast<std::size_t>(columns);
    args.acc = acc();
    args.shift = first_plane;
    args.add = first_plane > 0;
    for (std::int32_t ky0 = 0; ky0 < shape().kh; ky0 += plan.kernel_rows) {
        args.row_count = 0;
        for (std::int32_t ky = ky0; ky < std::min(ky0 + plan.kernel_rows, shape().kh); ++ky) {
            const std::int32_t below = (row - first_row) * shape().stride_y + ky * shape().dilation_y;
            const std::int32_t y = first_row * shape().stride_y - shape().top + below;
            if (y < 0 || y >= shape().height) continue;
            mask_rows[args.row_count] = masks() + static_cast<std::size_t>(below) * in_columns() * column;
            weight_rows[args.row_count++] = weights(ky);
        }
        call(args, planes);
        args.add = true;
    }
}

void Task::finish(std::int32_t row) const {
    const TensorView& out = context.tensor(op.output);
    const std::size_t position =
        (static_cast<std::size_t>(image) * shape().out_height + row) * shape().out_width + first_column;
    kernels::FinishArgs args{};
    args.acc = acc();
    args.acc_step = kBlock * sizeof(std::int32_t);
    args.out = context.data(out) + (position * shape().outputs + channel) * element_bytes(out);
    args.out_step = shape().outputs * element_bytes(out);
    args.pixels = static_cast<std::size_t>(columns);
    args.channels = static_cast<std::size_t>(used());
    args.shifts = plan.grid.shifts.data() + channel;
    args.biases = plan.grid.biases.data() + channel;
    out.dtype == Dtype::kUint8 ? context.kernels->finish_u8(args) : context.kernels->finish_i32(args);
}

void Task::run() const {
    // Planes that do not fit at once come in two goes; each row's first go must set the accumulators.
    const std::int32_t at_once = std::min(plan.planes, kMaskPlanes);
    const bool once = plan.planes <= kMaskPlanes;
    if (once) make_masks(0, at_once);
    for (std::int32_t row = first_row; row < first_row + rows; ++row) {
        for (std::int32_t plane = 0; plane < plan.planes; plane += at_once) {
            const std::int32_t planes = std::min(at_once, plan.planes - plane);
            if (!once) make_masks(plane, planes);
            add_planes(row, plane, planes);
        }
        finish(row);
    }
}

// The range of kernel positions that lie inside the map, for the window that starts at `start`.
struct Inside {
    std::int32_t first = 0, count = 0;
    Inside(std::int32_t start, std::int32_t step, std::int32_t taps, std::int32_t size) {
        if (start < 0) first = (-start + step - 1) / step;
        const std::int32_t last = start >= size ? -1 : (size - 1 - start) / step;
        count = std::max(std::min(last, taps - 1) - first + 1, 0);
    }
};

void Task::run_wide() const {
    const TensorView& in = context.tensor(op.inputs[0]);
    const std::size_t element = element_bytes(in);
    for (std::int32_t row = first_row; row < first_row + rows; ++row) {
        const std::int32_t y = row * shape().stride_y - shape().top;
        const Inside ky(y, shape().dilation_y, shape().kh, shape().height);
        for (std::int32_t column = 0; column < columns; ++column) {
            const std::int32_t x = (first_column + column) * shape().stride_x - shape().left;
            const Inside kx(x, shape().dilation_x, shape().kw, shape().width);
            kernels::WideDepthwiseArgs args{};
            args.rows = static_cast<std::size_t>(kx.count == 0 ? 0 : ky.count);
            args.taps = static_cast<std::size_t>(kx.count);
            args.tap_step = element * shape().channels * shape().dilation_x;
            args.row_step = element * shape().channels * shape().width * shape().dilation_y;
            args.weight_tap_step = weight_row();
            args.weight_row_step = weight_row() * shape().kw;
            if (args.rows != 0) {
                args.x = input(y + ky.first * shape().dilation_y, x + kx.first * shape().dilation_x);
                args.weights = weights(ky.first) + kx.first * weight_row();
            } else {
                args.x = input(0, 0);
                args.weights = weights(0);
            }
            args.acc = acc() + static_cast<std::size_t>(column) * kBlock;
            in.dtype == Dtype::kUint8 ? context.kernels->depthwise_wide_u8(args)
                                      : context.kernels->depthwise_wide_i32(args);
        }
        finish(row);
    }
}

std::size_t mask_bytes(const SynapseShape& shape, std::int32_t rows, std::int32_t columns) {
    const std::size_t width =
        (columns - 1) * std::size_t(shape.stride_x) + (shape.kw - 1) * std::size_t(shape.dilation_x) + 1;
    const std::size_t height =
        (rows - 1) * std::size_t(shape.stride_y) + (shape.kh - 1) * std::size_t(shape.dilation_y) + 1;
    return width * height * kMaskPlanes * kBlock * sizeof(std::uint16_t);
}

}  // namespace

void set_depthwise_tasks(const TensorView& input, DepthwisePlan* plan) {
    const SynapseShape& shape = plan->shape;
    EventGeometry bits;
    set_planes(input.lo, input.hi, &bits);
    plan->planes = input.dtype == Dtype::kUint8 && shape.kw <= kMostTaps ? bits.planes : 0;
    plan->segment = std::min(shape.out_width, kMostOutputs);
    plan->kernel_rows = std::clamp(kMostTaps / shape.kw, 1, kMostKernelRows);
    // With two goes the masks are made anew for each row.
    plan->band = plan->planes > kMaskPlanes ? 1 : std::min(shape.out_height, 16);
    while (plan->band > 1 && mask_bytes(shape, plan->band, plan->segment) > kMaskBytes) --plan->band;
}

std::size_t depthwise_scratch(const SynapseShape& shape, const TensorView& input) {
    DepthwisePlan plan;
    plan.shape = shape;
    set_depthwise_tasks(input, &plan);
    const std::size_t acc = std::size_t{kMostOutputs} * kBlock * sizeof(std::int32_t);
    return align64(acc + (plan.planes == 0 ? 0 : mask_bytes(shape, plan.band, plan.segment)));
}

void run_depthwise(Context& context, const Op& op, const DepthwisePlan& plan) {
    const SynapseShape& shape = plan.shape;
    const std::int32_t bands = (shape.out_height + plan.band - 1) / plan.band;
    const std::int32_t segments = (shape.out_width + plan.segment - 1) / plan.segment;
    const std::int32_t blocks = (shape.outputs + kBlock - 1) / kBlock;
    const std::size_t items = std::size_t(shape.batch) * bands * segments * blocks;
    context.pool->run(items, [&](std::size_t item, std::uint32_t thread) {
        const auto block = static_cast<std::int32_t>(item % blocks);
        std::size_t rest = item / blocks;
        const auto segment = static_cast<std::int32_t>(rest % segments);
        rest /= segments;
        const std::int32_t row = static_cast<std::int32_t>(rest % bands) * plan.band, column = segment * plan.segment;
        const Task task{context,
                        op,
                        plan,
                        static_cast<std::int32_t>(rest / bands),
                        row,
                        std::min(plan.band, shape.out_height - row),
                        column,
                        std::min(plan.segment, shape.out_width - column),
                        block * kBlock,
                        context.scratch(thread)};
        plan.planes == 0 ? task.run_wide() : task.run();
    });
}

}  // namespace spk
