// The scattered way (csrc/kernels/generic/scatter.hpp): a task takes a band of output rows, whose sums of 16 bits its
// scratch holds, and lets the input rows that reach them add to three rows at a time.

#include <algorithm>
#include <cstring>
#include <vector>

#include "runtime/synapse.hpp"

namespace spk {
namespace {

constexpr std::int32_t kKernel = 3;
constexpr std::int32_t kMostUsed = 96;            // lanes: of three columns' outputs
constexpr std::size_t kBandBytes = 32768;         // of sums, which the first cache holds beside the weights
constexpr std::size_t kMultiplesBytes = 1310720;  // of a layer: about what the second cache holds

// Of a row of multiples, of which an event's place is found by a shift.
std::int32_t lanes_of(const SynapseShape& shape) {
    const std::int32_t used = kKernel * shape.outputs;
    return used <= 32 ? 32 : used <= 64 ? 64 : 128;
}

// A row of sums begins with the outputs that the first input column would bring to the left of the map.
std::size_t pitch(const SynapseShape& shape) {
    const auto columns = static_cast<std::size_t>(shape.width + std::max(shape.left, shape.out_width - shape.width));
    const std::size_t entries = (columns + 2 * kKernel) * static_cast<std::size_t>(shape.outputs) + kMostUsed;
    return align64(entries * sizeof(std::int16_t));
}

std::int32_t band_of(const SynapseShape& shape) {
    return std::clamp(static_cast<std::int32_t>(kBandBytes / pitch(shape)), 1, shape.out_height);
}

struct ScatterTask {
    const Context& context;
    const Op& op;
    const GatherPlan& plan;
    std::int32_t image, first_row, end_row;  // of the output, within the image
    std::byte* scratch;

    // Sums of a row of the band; rows outside share one more that nobody reads.
    std::byte* sums(std::int32_t row) const {
        const bool within = row >= first_row && row < end_row;
        return scratch + static_cast<std::size_t>(within ? row - first_row : end_row - first_row) * pitch(plan.shape);
    }
    void run() const;
    void add(std::int32_t in_row) const;
    void finish(std::int32_t row) const;
};

void ScatterTask::run() const {
    const SynapseShape& shape = plan.shape;
    std::memset(scratch, 0, static_cast<std::size_t>(end_row - first_row + 1) * pitch(shape));
    const std::int32_t first = std::max(first_row - shape.top, 0);
    const std::int32_t end = std::min(end_row - shape.top + kKernel - 1, shape.height);
    for (std::int32_t row = first; row < end; ++row) add(row);
    for (std::int32_t row = first_row; row < end_row; ++row) finish(row);
}

void ScatterTask::add(std::int32_t in_row) const {
    const SynapseShape& shape = plan.shape;
    const std::int32_t row = image * shape.height + in_row;
    kernels::ScatterArgs args{};
    args.events = context.events.row(row);
    args.offsets = context.events.offsets(row, 0, 0);
    args.width = static_cast<std::size_t>(shape.width);
    if (args.offsets[args.width] == args.offsets[0]) return;
    args.number_step = static_cast<std::size_t>(plan.events.numbers());
    args.sum_step = static_cast<std::ptrdiff_t>(shape.outputs) * static_cast<std::ptrdiff_t>(sizeof(std::int16_t));
    const std::size_t rows_bytes = scatter_bytes(shape, plan.events) / kKernel;
    for (std::int32_t ky = 0; ky < kKernel; ++ky) {
        args.multiples[ky] = reinterpret_cast<const kernels::multiple_t*>(plan.multiples + ky * rows_bytes);
        args.sums[ky] =
            reinterpret_cast<kernels::multiple_t*>(sums(in_row + shape.top - ky) + shape.left * args.sum_step);
    }
    const std::int32_t lanes = lanes_of(shape);
    const kernels::Table& table = *context.kernels;
    const auto& scatter = lanes == 32 ? table.scatter16_w32 : lanes == 64 ? table.scatter16_w64 : table.scatter16_w96;
    scatter(args);
}

void ScatterTask::finish(std::int32_t row) const {
    const SynapseShape& shape = plan.shape;
    const auto outputs = static_cast<std::size_t>(shape.outputs), width = static_cast<std::size_t>(shape.out_width);
    auto* out = reinterpret_cast<kernels::acc_t*>(context.data(op.output)) +
                (static_cast<std::size_t>(image) * shape.out_height + row) * width * outputs;
    const auto* in = reinterpret_cast<const kernels::multiple_t*>(sums(row)) + (kKernel - 1) * outputs;
    context.kernels->widen({in, out, width * outputs});
    if (plan.grid.identity) return;
    kernels::FinishArgs args{};
    args.acc = out;
    args.out = out;
    args.acc_step = args.out_step = outputs * sizeof(std::int32_t);
    args.pixels = width;
    args.channels = outputs;
    args.shifts = plan.grid.shifts.data();
    args.biases = plan.grid.biases.data();
    context.kernels->finish_i32(args);
}

}  // namespace

bool can_scatter(const SynapseShape& shape, const TensorView& input, const TensorView& output, bool linear) {
    if (linear || input.dtype != Dtype::kUint8 || output.dtype != Dtype::kInt32) return false;
    if (shape.kh != kKernel || shape.kw != kKernel || shape.groups != 1) return false;
    if (shape.stride_y != 1 || shape.stride_x != 1 || shape.dilation_y != 1 || shape.dilation_x != 1) return false;
    if (shape.top < 0 || shape.left < 0 || shape.left >= kKernel) return false;
    const EventGeometry events = folded_geometry(shape, input, linear);
    return kKernel * shape.outputs <= kMostUsed && events.planes == 1 && events.segments == 1 &&
           events.block == shape.channels && scatter_bytes(shape, events) <= kMultiplesBytes;
}

std::size_t scatter_bytes(const SynapseShape& shape, const EventGeometry& events) {
    const auto rows = static_cast<std::size_t>(shape.channels) << events.spread;
    return kKernel * rows * static_cast<std::size_t>(lanes_of(shape)) * sizeof(std::int16_t);
}

std::size_t scatter_scratch(const SynapseShape& shape) {
    return static_cast<std::size_t>(band_of(shape) + 1) * pitch(shape);
}

void make_scatter_multiples(const kernels::Table& table, const Op& op, std::byte* memory, GatherPlan* plan) {
    const SynapseShape& shape = plan->shape;
    const auto lanes = static_cast<std::size_t>(lanes_of(shape)), inputs = static_cast<std::size_t>(shape.channels);
    std::vector<std::int8_t> rows(kKernel * inputs * lanes);  // [ky][input][kernel columns from last to first][output]
    for (const Slab& slab : plan->slabs) {
        const std::int8_t* weights = synapse_of(op).weight.data + slab.first_weight;
        for (std::size_t ky = 0; ky < kKernel; ++ky) {
            for (std::size_t kx = 0; kx < kKernel; ++kx) {
                for (std::size_t input = 0; input < inputs; ++input, weights += slab.width) {
                    const std::size_t column = (kKernel - 1 - kx) * static_cast<std::size_t>(shape.outputs);
                    std::copy_n(weights, slab.used,
                                &rows[(ky * inputs + input) * lanes + column + static_cast<std::size_t>(slab.first)]);
                }
            }
        }
    }
    kernels::MultiplesArgs args{};
    args.weights = reinterpret_cast<const kernels::weight_t*>(rows.data());
    args.multiples = reinterpret_cast<kernels::multiple_t*>(memory);
    args.rows = kKernel * inputs;
    args.width = lanes;
    args.count = std::size_t{1} << plan->events.spread;
    args.row_step = (lanes * sizeof(std::int16_t)) << plan->events.spread;
    table.multiples(args);
}

void run_scatter(Context& context, const Op& op, const GatherPlan& plan) {
    const SynapseShape& shape = plan.shape;
    const auto threads = static_cast<std::int32_t>(context.pool->threads());
    // Two input rows of each band are read by its neighbour, too: no more bands than the threads can share.
    const std::int32_t most = std::max((shape.out_height + 2 * threads - 1) / (2 * threads), kKernel);
    const std::int32_t band = threads == 1 ? band_of(shape) : std::min(band_of(shape), most);
    const std::int32_t bands = (shape.out_height + band - 1) / band;
    context.pool->run(static_cast<std::size_t>(shape.batch) * bands, [&](std::size_t item, std::uint32_t thread) {
        const auto image = static_cast<std::int32_t>(item) / bands,
                   first = static_cast<std::int32_t>(item) % bands * band;
        const ScatterTask task{
            context, op, plan, image, first, std::min(first + band, shape.out_height), context.scratch(thread)};
        task.run();
    });
}

}  // namespace spk
