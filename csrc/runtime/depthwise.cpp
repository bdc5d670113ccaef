#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

#include "runtime/synapse.hpp"

namespace spk {
namespace {

// Bytes of all channels' weights of one tap.
std::int32_t weight_row(const SynapseShape& shape) { return (shape.outputs + 15) / 16 * 16; }

constexpr std::int32_t kBlock = 16;      // channels of a block of masks
constexpr std::int32_t kRowBlock = 64;   // channels of a task that works on rows: a cache line of counts
constexpr std::int32_t kRowBand = 8;     // output rows of such a task
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
    const kernels::weight_t* weights(std::int32_t ky) const {
        const std::size_t first = static_cast<std::size_t>(ky) * shape().kw * weight_row(shape()) + channel;
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
    args.weight_step = static_cast<std::size_t>(weight_row(shape()));
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

std::size_t mask_bytes(const SynapseShape& shape, std::int32_t rows, std::int32_t columns) {
    const std::size_t width =
        (columns - 1) * std::size_t(shape.stride_x) + (shape.kw - 1) * std::size_t(shape.dilation_x) + 1;
    const std::size_t height =
        (rows - 1) * std::size_t(shape.stride_y) + (shape.kh - 1) * std::size_t(shape.dilation_y) + 1;
    return width * height * kMaskPlanes * kBlock * sizeof(std::uint16_t);
}

// How masks are cut into tasks.
void set_mask_tasks(DepthwisePlan* plan) {
    const SynapseShape& shape = plan->shape;
    plan->segment = std::min(shape.out_width, kMostOutputs);
    plan->kernel_rows = std::clamp(kMostTaps / shape.kw, 1, kMostKernelRows);
    // With two goes the masks are made anew for each row.
    plan->band = plan->planes > kMaskPlanes ? 1 : std::min(shape.out_height, 16);
    while (plan->band > 1 && mask_bytes(shape, plan->band, plan->segment) > kMaskBytes) --plan->band;
}

void run_masks(Context& context, const Op& op, const DepthwisePlan& plan) {
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
        task.run();
    });
}

// Positive and negative weights of one channel: the sums that bound its accumulator, and the bits that hold them all.
struct WeightFacts {
    std::int64_t positive = 0, negative = 0;  // the greatest of all channels
    std::int32_t bits = 2;

    WeightFacts(const SynapseShape& shape, const std::int8_t* weights) {
        const std::int32_t row = weight_row(shape), taps = shape.kh * shape.kw;
        for (std::int32_t c = 0; c < shape.outputs; ++c) {
            std::int64_t above = 0, below = 0;
            for (std::int32_t tap = 0; tap < taps; ++tap) {
                const std::int32_t weight = weights[std::int64_t{tap} * row + c];
                (weight > 0 ? above : below) += std::abs(weight);
                while (weight >= 1 << (bits - 1) || weight < -(1 << (bits - 1))) ++bits;
            }
            positive = std::max(positive, above);
            negative = std::max(negative, below);
        }
    }
};

// Neighbouring windows of counts whose sums fit 16 bits go by rows; other counts and bytes by masks; the rest as wide.
DepthwisePlan::Form form_of(const SynapseShape& shape, const TensorView& input, const WeightFacts& facts) {
    const bool counts = input.dtype == Dtype::kUint8;
    const bool near = shape.stride_x == 1 && shape.dilation_x == 1;
    const bool small = facts.positive * input.hi <= 32767 && facts.negative * input.hi <= 32768;
    if (counts && near && small && (shape.kw == 3 || shape.kw == 5 || shape.kw == 7)) return DepthwisePlan::Form::kRows;
    return counts && shape.kw <= kMostTaps ? DepthwisePlan::Form::kMasks : DepthwisePlan::Form::kWide;
}

// Kernels read whole vectors of weights: rows that would end within one are laid out anew.
void lay_out_weights(const std::byte* weights, DepthwisePlan* plan) {
    const SynapseShape& shape = plan->shape;
    const std::size_t bytes = static_cast<std::size_t>(weight_row(shape)) * shape.kh * shape.kw;
    plan->weights.resize(bytes + kRowBlock);
    std::memcpy(plan->weights.data(), weights, bytes);
}

const kernels::Entry<const kernels::DepthwiseRowArgs>& row_kernel(const kernels::Table& table, const TensorView& input,
                                                                  const DepthwisePlan& plan) {
    const SynapseShape& shape = plan.shape;
    if (plan.form == DepthwisePlan::Form::kRows) {
        return shape.kw == 3 ? table.depthwise_k3 : shape.kw == 5 ? table.depthwise_k5 : table.depthwise_k7;
    }
    if (input.dtype == Dtype::kUint8) return table.depthwise_wide_u8;
    const bool near = shape.kw == 3 && shape.stride_x == 1 && shape.dilation_x == 1;
    return near ? table.depthwise_wide_k3 : table.depthwise_wide_i32;
}

// What all rows of a block of channels have in common.
kernels::DepthwiseRowArgs row_args(const Context& context, const Op& op, const DepthwisePlan& plan,
                                   std::int32_t channel) {
    const TensorView &in = context.tensor(op.inputs[0]), &out = context.tensor(op.output);
    const SynapseShape& shape = plan.shape;
    kernels::DepthwiseRowArgs args{};
    args.taps = static_cast<std::size_t>(shape.kw);
    args.weight_step = weight_row(shape);
    args.column_step = static_cast<std::ptrdiff_t>(element_bytes(in)) * shape.channels;
    args.stride = shape.stride_x;
    args.dilation = shape.dilation_x;
    args.width = shape.width;
    args.pixel_step = args.column_step * args.stride;
    args.tap_step = args.column_step * args.dilation;
    args.channels = static_cast<std::size_t>(std::min(kRowBlock, shape.outputs - channel));
    args.planes = plan.planes;
    args.out_step = shape.outputs * element_bytes(out);
    args.shifts = plan.grid.shifts.data() + channel;
    args.biases = plan.grid.biases.data() + channel;
    args.bytes = out.dtype == Dtype::kUint8;
    return args;
}

void run_rows(Context& context, const Op& op, const DepthwisePlan& plan) {
    const TensorView &in = context.tensor(op.inputs[0]), &out = context.tensor(op.output);
    const SynapseShape& shape = plan.shape;
    const auto& kernel = row_kernel(*context.kernels, in, plan);
    const auto* weights = reinterpret_cast<const kernels::weight_t*>(plan.weights.data());
    const std::int32_t blocks = (shape.outputs + kRowBlock - 1) / kRowBlock;
    const std::int32_t bands = (shape.out_height + kRowBand - 1) / kRowBand;
    const std::size_t items = std::size_t(shape.batch) * bands * blocks;
    context.pool->run(items, [&](std::size_t item, std::uint32_t thread) {
        const std::int32_t channel = static_cast<std::int32_t>(item % blocks) * kRowBlock;
        const std::int32_t first = static_cast<std::int32_t>(item / blocks % bands) * kRowBand;
        const std::size_t image = item / blocks / bands;
        kernels::DepthwiseRowArgs args = row_args(context, op, plan, channel);
        auto** const rows = reinterpret_cast<const void**>(context.scratch(thread));
        auto** const row_weights = reinterpret_cast<const kernels::weight_t**>(rows + shape.kh);
        args.rows = rows;
        args.weights = row_weights;
        for (std::int32_t row = first; row < std::min(first + kRowBand, shape.out_height); ++row) {
            Columns columns{0, shape.out_width};
            if (context.region != nullptr) columns = context.region->outputs[image * shape.out_height + row];
            if (columns.empty()) continue;
            args.first = std::ptrdiff_t{columns.first} * shape.stride_x - shape.left;
            args.first_step = args.column_step * args.first;
            args.pixels = static_cast<std::size_t>(columns.end - columns.first);
            args.row_count = 0;
            for (std::int32_t ky = 0; ky < shape.kh; ++ky) {
                const std::int32_t y = row * shape.stride_y - shape.top + ky * shape.dilation_y;
                if (y < 0 || y >= shape.height) continue;
                const std::size_t position = (image * shape.height + y) * shape.width;
                rows[args.row_count] = context.data(in) + (position * shape.channels + channel) * element_bytes(in);
                row_weights[args.row_count++] = weights + std::ptrdiff_t{ky} * shape.kw * args.weight_step + channel;
            }
            const std::size_t position = (image * shape.out_height + row) * shape.out_width + columns.first;
            args.out = context.data(out) + (position * shape.outputs + channel) * element_bytes(out);
            kernel(args);
        }
    });
}

}  // namespace

DepthwisePlan plan_depthwise(const Program& program, const Op& op) {
    const TensorView& input = program.tensors[static_cast<std::size_t>(op.inputs[0])];
    const Synapse& synapse = synapse_of(op);
    DepthwisePlan plan;
    plan.shape = shape_of(program, op);
    plan.grid = plan_grid(synapse);
    const WeightFacts facts(plan.shape, synapse.weight.data);
    plan.form = form_of(plan.shape, input, facts);
    EventGeometry bits;
    set_planes(input.lo, input.hi, &bits);
    plan.planes = plan.form == DepthwisePlan::Form::kWide ? facts.bits : bits.planes;
    if (plan.form == DepthwisePlan::Form::kMasks) {
        set_mask_tasks(&plan);
    } else {
        lay_out_weights(reinterpret_cast<const std::byte*>(synapse.weight.data), &plan);
    }
    return plan;
}

std::size_t depthwise_scratch(const DepthwisePlan& plan) {
    if (plan.form != DepthwisePlan::Form::kMasks) return align64(2 * sizeof(void*) * plan.shape.kh);
    const std::size_t acc = std::size_t{kMostOutputs} * kBlock * sizeof(std::int32_t);
    return align64(acc + mask_bytes(plan.shape, plan.band, plan.segment));
}

void run_depthwise(Context& context, const Op& op, const DepthwisePlan& plan) {
    plan.form == DepthwisePlan::Form::kMasks ? run_masks(context, op, plan) : run_rows(context, op, plan);
}

}  // namespace spk
