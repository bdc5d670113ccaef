#include <algorithm>
#include <array>
#include <cstring>

#include "runtime/synapse.hpp"

namespace spk {
namespace {

constexpr std::int32_t kMostOutputs = 1024;       // of a segment
constexpr std::int32_t kLinearOutputs = 64;       // of a segment, so that threads have something to share
constexpr std::int32_t kLargestNumber = 65536;    // events are numbered in 16 bits
constexpr std::int32_t kRunRows = 640;            // weight rows under a kernel row that the first cache still holds
constexpr std::int32_t kBlock = 256;              // channels of a block, where not all of them
constexpr std::size_t kMultiplesBytes = 1310720;  // of a layer: about what the second cache holds
constexpr std::size_t kBandBytes = 65536;         // of accumulators

// One task: some output rows of a segment, one slab.
struct Task {
    const Context& context;
    const Op& op;
    const GatherPlan& plan;
    const Slab& slab;
    std::int32_t segment;
    std::int32_t first_row, rows;  // of the output, all images together
    std::byte* scratch;
    Columns columns;  // of these rows

    std::int32_t first_output() const { return columns.first; }
    std::int32_t outputs() const { return columns.end - columns.first; }

    // Accumulators lie in the output itself where it has room for all lanes.
    bool direct(const TensorView& out) const { return out.dtype == Dtype::kInt32 && slab.used == slab.width; }
    std::byte* out_row(const TensorView& out, std::int32_t row) const {
        const std::size_t position = static_cast<std::size_t>(row) * plan.shape.out_width + first_output();
        const std::size_t channel = static_cast<std::size_t>(slab.group) * plan.shape.group_outputs + slab.first;
        return context.data(out) + (position * plan.shape.outputs + channel) * element_bytes(out);
    }

    using Kernel = kernels::Entry<const kernels::GatherArgs>;

    void run() const;
    const Kernel& kernel_of(const kernels::Table& table, bool wide, std::int32_t width) const;
    void gather_row(const Chunk& chunk, std::int32_t row, kernels::GatherArgs* args) const;
    void look_row_up(const Chunk& chunk, std::int32_t row, const kernels::GatherArgs& gather) const;
    std::size_t event_rows(const Chunk& chunk, std::int32_t row, kernels::EventRow* rows_out) const;
    void finish(const TensorView& out, std::byte* acc, std::size_t acc_step, std::int32_t row) const;
};

void Task::run() const {
    const TensorView& out = context.tensor(op.output);
    const bool in_place = direct(out);
    const std::size_t acc_step = (in_place ? plan.shape.outputs : slab.width) * sizeof(std::int32_t);
    const auto acc_row = [&](std::int32_t row) {
        return in_place ? out_row(out, row)
                        : scratch + static_cast<std::size_t>(row - first_row) * outputs() * acc_step;
    };
    kernels::GatherArgs args{};
    args.acc_step = acc_step;
    args.pixels = static_cast<std::size_t>(outputs());
    args.width = plan.events.segment_width(segment);
    args.stride = plan.shape.stride_x;
    args.weight_step = static_cast<std::ptrdiff_t>(args.stride) * plan.events.block * slab.width * plan.lane_bytes();
    args.plane_step = static_cast<std::ptrdiff_t>(sizeof(std::uint32_t)) * (plan.events.widest() + 1);
    for (const Chunk& chunk : plan.chunks) {
        for (std::int32_t row = first_row; row < first_row + rows; ++row) {
            args.acc = reinterpret_cast<kernels::acc_t*>(acc_row(row));
            args.add = &chunk != plan.chunks.data();
            plan.looked_up() ? look_row_up(chunk, row, args) : gather_row(chunk, row, &args);
        }
    }
    for (std::int32_t row = first_row; row < first_row + rows; ++row) {
        if (!in_place || !plan.grid.identity) finish(out, acc_row(row), acc_step, row);
    }
}

// The runs of a chunk that have any event for this output row.
std::size_t Task::event_rows(const Chunk& chunk, std::int32_t row, kernels::EventRow* rows_out) const {
    const SynapseShape& shape = plan.shape;
    const EventGeometry& events = plan.events;
    const std::int32_t image = row / shape.out_height, y = row % shape.out_height * shape.stride_y - shape.top;
    const std::int32_t width = events.segment_width(segment), step = events.widest() + 1;
    const std::int32_t first_x = first_output() * shape.stride_x - shape.left - events.segment_start(segment);
    const auto* all_weights = reinterpret_cast<const std::byte*>(synapse_of(op).weight.data);
    const std::int64_t lane = plan.lane_bytes();
    const std::byte* weights = (plan.folded() ? plan.multiples : all_weights) + slab.first_weight * lane;
    std::size_t count = 0;
    for (std::int32_t i = chunk.first_run; i < chunk.first_run + chunk.runs; ++i) {
        const KernelRun& run = plan.runs[static_cast<std::size_t>(i)];
        const std::int32_t in_y = y + run.ky * shape.dilation_y;
        if (in_y < 0 || in_y >= shape.height) continue;
        const std::int32_t in_row = image * shape.height + in_y;
        const std::uint32_t* offsets =
            context.events.offsets(in_row, segment, slab.group * events.group_blocks() + run.block);
        // Lists of a segment's planes follow each other, so one comparison says whether all of them are empty.
        if (offsets[chunk.low * step] == offsets[chunk.top * step + width]) continue;
        const std::int32_t x = first_x + run.kx * shape.dilation_x;
        const std::int64_t first_weight = (run.first_row - std::int64_t{x} * events.block) * slab.width * lane;
        rows_out[count++] = {context.events.row(in_row), offsets, weights + first_weight, x, run.span};
    }
    return count;
}

void Task::gather_row(const Chunk& chunk, std::int32_t row, kernels::GatherArgs* args) const {
    std::array<kernels::EventRow, kChunkRuns> event_row;
    args->rows = event_row.data();
    args->row_count = event_rows(chunk, row, event_row.data());
    if (args->row_count == 0 && args->add) return;
    args->planes = static_cast<std::size_t>(chunk.top - chunk.low + 1);
    args->top = args->plane_step * chunk.top;
    args->shift = chunk.shift;
    args->negate = plan.is_signed && chunk.top == plan.events.planes - 1;
    kernel_of(*context.kernels, chunk.wide, slab.width)(*args);
}

void Task::look_row_up(const Chunk& chunk, std::int32_t row, const kernels::GatherArgs& gather) const {
    const SynapseShape& shape = plan.shape;
    const std::int32_t image = row / shape.out_height, y = row % shape.out_height * shape.stride_y - shape.top;
    const auto row_bytes = static_cast<std::ptrdiff_t>(shape.width) * shape.channels;
    const auto* x = reinterpret_cast<const std::uint8_t*>(context.data(op.inputs[0]));
    std::array<kernels::LookupRow, kChunkRuns> rows_up;
    kernels::LookupArgs args{};
    args.rows = rows_up.data();
    for (std::int32_t i = chunk.first_run; i < chunk.first_run + chunk.runs; ++i) {
        const KernelRun& run = plan.runs[static_cast<std::size_t>(i)];
        const std::int32_t in_y = y + run.ky * shape.dilation_y;
        if (in_y < 0 || in_y >= shape.height) continue;
        const std::byte* multiples =
            plan.multiples + (slab.first_weight + run.first_row * slab.width) * plan.lane_bytes();
        rows_up[args.row_count++] = {x + (static_cast<std::ptrdiff_t>(image) * shape.height + in_y) * row_bytes,
                                     reinterpret_cast<const kernels::multiple_t*>(multiples)};
    }
    if (args.row_count == 0 && gather.add) return;
    args.acc = gather.acc;
    args.acc_step = gather.acc_step;
    args.pixels = gather.pixels;
    args.first = (static_cast<std::ptrdiff_t>(first_output()) * shape.stride_x - shape.left) * shape.channels;
    args.stride = static_cast<std::ptrdiff_t>(shape.stride_x) * shape.channels;
    args.span = static_cast<std::ptrdiff_t>(shape.kw) * shape.channels;
    args.width = row_bytes;
    args.add = gather.add;
    const kernels::Table& table = *context.kernels;
    const auto& kernel = slab.width == 64   ? table.lookup16_w64
                         : slab.width == 32 ? table.lookup16_w32
                                            : table.lookup16_w16;
    kernel(args);
}

#define SPK_BY_WIDTH(name) (width == 64 ? table.name##_w64 : width == 32 ? table.name##_w32 : table.name##_w16)

const Task::Kernel& Task::kernel_of(const kernels::Table& table, bool wide, std::int32_t width) const {
    if (wide) return SPK_BY_WIDTH(gather32);
    switch (plan.kernel) {
        case GatherKernel::kSplit:
            return plan.together >= 4   ? SPK_BY_WIDTH(split4)
                   : plan.together == 2 ? SPK_BY_WIDTH(split2)
                                        : SPK_BY_WIDTH(split);
        case GatherKernel::kFolded:
            return SPK_BY_WIDTH(folded16);
        default:
            return SPK_BY_WIDTH(gather16);
    }
}

void Task::finish(const TensorView& out, std::byte* acc, std::size_t acc_step, std::int32_t row) const {
    const std::size_t channel = static_cast<std::size_t>(slab.group) * plan.shape.group_outputs + slab.first;
    kernels::FinishArgs args{};
    args.acc = reinterpret_cast<const kernels::acc_t*>(acc);
    args.acc_step = acc_step;
    args.out = out_row(out, row);
    args.out_step = plan.shape.outputs * element_bytes(out);
    args.pixels = static_cast<std::size_t>(outputs());
    args.channels = static_cast<std::size_t>(slab.used);
    args.shifts = plan.grid.shifts.data() + channel;
    args.biases = plan.grid.biases.data() + channel;
    out.dtype == Dtype::kUint8 ? context.kernels->finish_u8(args) : context.kernels->finish_i32(args);
}

// Cuts the map so that no list's numbers leave 16 bits and no task gets too much.
void set_segments(const SynapseShape& shape, bool linear, EventGeometry* events) {
    const std::int64_t reach = std::min<std::int64_t>(std::int64_t{shape.kw - 1} * shape.dilation_x + 1, shape.width);
    if (reach * events->numbers() > kLargestNumber) {
        events->block =
            static_cast<std::int32_t>(std::max<std::int64_t>((kLargestNumber / reach) >> events->spread, 1));
    }
    const std::int64_t columns = kLargestNumber / events->numbers();
    if (!linear && shape.width <= columns && shape.out_width <= kMostOutputs) {
        events->segment_outputs = shape.out_width;
        return;
    }
    events->reach = static_cast<std::int32_t>(reach);
    events->stride = shape.stride_x;
    events->padding = shape.left;
    const std::int64_t fit = std::max<std::int64_t>((columns - reach) / shape.stride_x + 1, 1);
    const std::int64_t most = linear ? kLinearOutputs : kMostOutputs;
    events->segment_outputs = static_cast<std::int32_t>(std::min({fit, most, std::int64_t{shape.out_width}}));
    events->segments = (shape.out_width + events->segment_outputs - 1) / events->segment_outputs;
}

EventGeometry cut(const SynapseShape& shape) {
    EventGeometry events;
    events.rows = shape.batch * shape.height;
    events.width = shape.width;
    events.channels = shape.channels;
    events.group_channels = shape.group_inputs;
    // All channels in one block where the weights under a kernel row stay in the cache.
    const bool whole = shape.dilation_x == 1 && std::int64_t{shape.kw} * shape.group_inputs <= kRunRows;
    events.block = whole ? shape.group_inputs : std::min(shape.group_inputs, kBlock);
    return events;
}

}  // namespace

EventGeometry event_geometry(const SynapseShape& shape, const TensorView& input, bool linear) {
    EventGeometry events = cut(shape);
    set_planes(input.lo, input.hi, &events);
    set_segments(shape, linear, &events);
    return events;
}

EventGeometry flat_geometry(const SynapseShape& shape, const TensorView& input, bool linear) {
    EventGeometry events = cut(shape);
    if (shape.dilation_x == 1) {
        // Columns of a block are staged side by side: blocks of one size, whose rows the first cache holds.
        const std::int64_t rows = std::int64_t{shape.kw} * shape.group_inputs;
        const std::int64_t blocks = (rows + kRunRows - 1) / kRunRows;
        events.block = static_cast<std::int32_t>((shape.group_inputs + blocks - 1) / blocks);
    }
    set_planes(input.lo, input.hi, &events);
    set_segments(shape, linear, &events);
    return events;
}

EventGeometry folded_geometry(const SynapseShape& shape, const TensorView& input, bool linear) {
    EventGeometry events = cut(shape);
    set_digits(input.hi, &events);
    set_segments(shape, linear, &events);
    return events;
}

std::size_t multiples_bytes(const SynapseShape& shape, const EventGeometry& events) {
    const std::size_t lanes = static_cast<std::size_t>((shape.group_outputs + 15) / 16 * 16) * shape.groups;
    return lanes * shape.kh * shape.kw * shape.group_inputs * (std::size_t{2} << events.spread);
}

bool can_fold(const SynapseShape& shape, const TensorView& input, bool linear) {
    if (input.dtype != Dtype::kUint8 || input.hi < 2) return false;
    const EventGeometry events = folded_geometry(shape, input, linear);
    return events.block == shape.group_inputs && shape.dilation_x == 1 &&
           multiples_bytes(shape, events) <= kMultiplesBytes;
}

std::size_t GatherPlan::multiples_bytes() const {
    return kernel == GatherKernel::kScatter ? scatter_bytes(shape, events) : spk::multiples_bytes(shape, events);
}

void make_multiples(const kernels::Table& table, const Op& op, std::byte* memory, GatherPlan* plan) {
    plan->multiples = memory;
    if (plan->kernel == GatherKernel::kScatter) return make_scatter_multiples(table, op, memory, plan);
    // A digit 0 has no row in a list; a look-up has one for it, the first, which is zero.
    const std::int64_t zero_rows = plan->looked_up() ? 1 : 0;
    if (plan->looked_up()) std::memset(memory, 0, multiples_bytes(plan->shape, plan->events));
    for (const Slab& slab : plan->slabs) {
        kernels::MultiplesArgs args{};
        args.weights = reinterpret_cast<const kernels::weight_t*>(synapse_of(op).weight.data) + slab.first_weight;
        args.multiples = reinterpret_cast<kernels::multiple_t*>(memory + slab.first_weight * plan->lane_bytes()) +
                         zero_rows * slab.width;
        args.rows = static_cast<std::size_t>(plan->shape.kh) * plan->shape.kw * plan->shape.group_inputs;
        args.width = static_cast<std::size_t>(slab.width);
        args.count = (std::size_t{1} << plan->events.spread) - static_cast<std::size_t>(zero_rows);
        args.row_step = args.width * static_cast<std::size_t>(plan->lane_bytes());
        table.multiples(args);
    }
}

std::int32_t gather_band(const SynapseShape& shape, const EventGeometry& events) {
    const std::size_t row = static_cast<std::size_t>(events.segment_outputs) * 64 * sizeof(std::int32_t);
    const auto rows = static_cast<std::int32_t>(std::max<std::size_t>(kBandBytes / row, 1));
    return std::min({rows, shape.out_height, 8});
}

std::size_t gather_scratch(const SynapseShape& shape, const EventGeometry& events) {
    const std::size_t row = static_cast<std::size_t>(events.segment_outputs) * 64 * sizeof(std::int32_t);
    return align64(row * gather_band(shape, events));
}

Columns GatherPlan::columns(const Region* region, std::int32_t segment, std::int32_t first_row,
                            std::int32_t rows) const {
    const std::int32_t first = segment * events.segment_outputs;
    const Columns all{first, std::min(first + events.segment_outputs, shape.out_width)};
    if (region == nullptr) return all;
    Columns found{all.end, all.first};
    for (std::int32_t row = first_row; row < first_row + rows; ++row) {
        if (region->outputs[row].empty()) continue;
        found = {std::min(found.first, region->outputs[row].first), std::max(found.end, region->outputs[row].end)};
    }
    return {std::max(found.first, all.first), std::min(found.end, all.end)};
}

void run_gather(Context& context, const Op& op, const GatherPlan& plan) {
    if (!plan.looked_up()) context.events.require(context, op.inputs[0], plan.events);
    if (plan.kernel == GatherKernel::kFlat) return run_flat(context, op, plan);
    if (plan.kernel == GatherKernel::kScatter) return run_scatter(context, op, plan);
    const std::int32_t rows = plan.shape.batch * plan.shape.out_height;
    const std::int32_t bands = (rows + plan.band - 1) / plan.band;
    const std::size_t tasks_of_slab = static_cast<std::size_t>(bands) * plan.events.segments;
    context.pool->run(tasks_of_slab * plan.slabs.size(), [&](std::size_t item, std::uint32_t thread) {
        const std::size_t within = item % tasks_of_slab;
        const auto segment = static_cast<std::int32_t>(within / bands);
        const auto first = static_cast<std::int32_t>(within % bands) * plan.band;
        const std::int32_t count = std::min(plan.band, rows - first);
        const Columns columns = plan.columns(context.region, segment, first, count);
        if (columns.empty()) return;
        const Task task{context, op,    plan,  plan.slabs[item / tasks_of_slab],
                        segment, first, count, context.scratch(thread),
                        columns};
        task.run();
    });
}

}  // namespace spk
