// The flat way (csrc/kernels/generic/flat.hpp): a task schedules the events of as many outputs as its scratch holds, a
// chunk at a time, and lets the staged weights of each panel of outputs meet them.

#include <algorithm>
#include <array>

#include "runtime/synapse.hpp"

namespace spk {
namespace {

constexpr std::int32_t kPieceOutputs = 24;  // of a row that are scheduled together: their sums stay in the cache
constexpr std::size_t kScheduled = 65536;   // events of a schedule
constexpr std::size_t kEventsOver = 64;     // entries that are overwritten past the last event
constexpr std::size_t kSlotsOver = 32;      // and past the last group
constexpr std::size_t kGroup = 8;           // events
constexpr std::size_t kRowBytes = 64;       // of a staged row
constexpr std::size_t kPieces = 256;        // at most in a schedule
constexpr std::int32_t kLeastOutputs = 24;  // fewer do not pay for staging
constexpr std::int32_t kTaskOutputs = 192;  // at least of a task, where threads leave the choice
constexpr std::int64_t kMostRows = 4096;    // of a run
alignas(64) constexpr std::int8_t kZeros[64] = {};

std::int32_t piece_outputs(const EventGeometry& events) {
    const std::int32_t pieces = (events.segment_outputs + kPieceOutputs - 1) / kPieceOutputs;
    return (events.segment_outputs + pieces - 1) / pieces;
}

std::int64_t rows_of(const GatherPlan& plan, const Chunk& chunk) {
    std::int64_t rows = 0;
    for (std::int32_t i = chunk.first_run; i < chunk.first_run + chunk.runs; ++i) {
        rows += std::int64_t{plan.runs[static_cast<std::size_t>(i)].span} * plan.events.block;
    }
    return rows;
}

// Where a thread's scratch keeps what.
struct Scratch {
    std::size_t slots, weights, sums, bytes;

    explicit Scratch(const GatherPlan& plan) {
        std::int64_t rows = 0;
        std::size_t planes = 0;
        for (const Chunk& chunk : plan.chunks) {
            rows = std::max(rows, rows_of(plan, chunk));
            planes = std::max(planes, static_cast<std::size_t>(chunk.top - chunk.low + 1));
        }
        slots = align64((kScheduled + kEventsOver) * sizeof(std::uint16_t));
        weights = slots + align64((kScheduled / kGroup + kSlotsOver) * sizeof(std::uint16_t));
        sums = weights + static_cast<std::size_t>(rows + 1) * kRowBytes;
        bytes = sums + static_cast<std::size_t>(piece_outputs(plan.events)) * planes * 2 * kRowBytes;
    }
};

// Outputs of one row whose groups lie together in the schedule.
struct Piece {
    std::int32_t row = 0, first = 0, outputs = 0;  // `first` within the segment
    std::size_t first_group = 0, groups = 0;
};

struct FlatTask {
    const Context& context;
    const Op& op;
    const GatherPlan& plan;
    const Scratch& places;
    std::byte* scratch;
    std::int32_t segment;
    std::int32_t first_row, end_row;  // of the output, all images together
    std::int32_t group;
    std::size_t first_panel, end_panel;

    void run() const;
    void run_chunk(const Chunk& chunk) const;
    std::size_t schedule_row(const Chunk& chunk, const Piece& piece, std::array<kernels::ScheduleRow, kChunkRuns>* out,
                             std::size_t* most) const;
    bool schedule(const Chunk& chunk, std::size_t groups_so_far, Piece* piece) const;
    void stage(const Chunk& chunk, const Panel& panel) const;
    void add_panel(const Chunk& chunk, const Panel& panel, const Piece& piece) const;
    void finish() const;

    // Outputs of a row, from the segment's first on.
    Columns outputs(std::int32_t row) const {
        const std::int32_t first = segment * plan.events.segment_outputs;
        const Columns columns = plan.columns(context.region, segment, row, 1);
        return {columns.first - first, columns.end - first};
    }
    std::uint16_t* events(std::size_t group_number) const {
        return reinterpret_cast<std::uint16_t*>(scratch) + group_number * kGroup;
    }
    std::uint16_t* slots(std::size_t group_number) const {
        return reinterpret_cast<std::uint16_t*>(scratch + places.slots) + group_number;
    }
    std::byte* out(std::int32_t row, std::int32_t output, const Panel& panel) const {
        const TensorView& tensor = context.tensor(op.output);
        const Slab& slab = plan.slabs[static_cast<std::size_t>(panel.slab)];
        const std::size_t position =
            static_cast<std::size_t>(row) * plan.shape.out_width + segment * plan.events.segment_outputs + output;
        const std::size_t channel = static_cast<std::size_t>(slab.group) * plan.shape.group_outputs + slab.first;
        return context.data(tensor) + (position * plan.shape.outputs + channel) * sizeof(std::int32_t);
    }
};

// The runs that have an event for these outputs, and how many events they are at most.
std::size_t FlatTask::schedule_row(const Chunk& chunk, const Piece& piece,
                                   std::array<kernels::ScheduleRow, kChunkRuns>* out, std::size_t* most) const {
    const SynapseShape& shape = plan.shape;
    const EventGeometry& geometry = plan.events;
    const std::int32_t image = piece.row / shape.out_height;
    const std::int32_t y = piece.row % shape.out_height * shape.stride_y - shape.top;
    const std::int32_t width = geometry.segment_width(segment), step = geometry.widest() + 1;
    const std::int32_t first_output = segment * geometry.segment_outputs + piece.first;
    const std::int32_t first_x = first_output * shape.stride_x - shape.left - geometry.segment_start(segment);
    std::size_t count = 0;
    std::int64_t staged = 0;
    *most = 0;
    for (std::int32_t i = chunk.first_run; i < chunk.first_run + chunk.runs; ++i) {
        const KernelRun& run = plan.runs[static_cast<std::size_t>(i)];
        const std::int64_t first_staged = staged;
        staged += std::int64_t{run.span} * geometry.block;
        const std::int32_t in_y = y + run.ky * shape.dilation_y;
        if (in_y < 0 || in_y >= shape.height) continue;
        const std::int32_t in_row = image * shape.height + in_y;
        const std::uint32_t* offsets =
            context.events.offsets(in_row, segment, group * geometry.group_blocks() + run.block);
        const std::int32_t x = first_x + run.kx * shape.dilation_x;
        const std::int32_t first = std::clamp(x, 0, width);
        const std::int32_t end = std::clamp(x + (piece.outputs - 1) * shape.stride_x + run.span, first, width);
        std::size_t found = 0;
        for (std::int32_t plane = chunk.low; plane <= chunk.top; ++plane) {
            found += offsets[plane * step + end] - offsets[plane * step + first];
        }
        if (found == 0) continue;
        *most += found * static_cast<std::size_t>((run.span + shape.stride_x - 1) / shape.stride_x);
        (*out)[count++] = {context.events.row(in_row), offsets, x, run.span,
                           static_cast<std::uint16_t>(first_staged - std::int64_t{x} * geometry.block)};
    }
    return count;
}

// False where the schedule is full: the piece has not been added.
bool FlatTask::schedule(const Chunk& chunk, std::size_t groups_so_far, Piece* piece) const {
    std::array<kernels::ScheduleRow, kChunkRuns> rows;
    std::size_t most = 0;
    kernels::ScheduleArgs args{};
    args.row_count = schedule_row(chunk, *piece, &rows, &most);
    args.planes = static_cast<std::size_t>(chunk.top - chunk.low + 1);
    const auto fits = [&] {
        return groups_so_far * kGroup + most + piece->outputs * args.planes * kGroup <= kScheduled;
    };
    while (!fits()) {
        if (groups_so_far != 0) return false;
        piece->outputs = (piece->outputs + 1) / 2;
        args.row_count = schedule_row(chunk, *piece, &rows, &most);
    }
    piece->first_group = groups_so_far;
    piece->groups = 0;
    if (args.row_count == 0 && &chunk != plan.chunks.data()) return true;
    args.rows = rows.data();
    args.pixels = static_cast<std::size_t>(piece->outputs);
    args.width = plan.events.segment_width(segment);
    args.stride = plan.shape.stride_x;
    args.plane_step = static_cast<std::ptrdiff_t>(sizeof(std::uint32_t)) * (plan.events.widest() + 1);
    args.top = args.plane_step * chunk.top;
    args.number_step = static_cast<std::uint16_t>(plan.shape.stride_x * plan.events.block);
    args.zero_row = static_cast<std::uint16_t>(rows_of(plan, chunk));
    args.events = events(groups_so_far);
    args.slots = slots(groups_so_far);
    context.kernels->schedule(args);
    piece->groups = args.groups;
    return true;
}

void FlatTask::stage(const Chunk& chunk, const Panel& panel) const {
    const EventGeometry& geometry = plan.events;
    kernels::StageArgs args{};
    args.bias = static_cast<std::uint8_t>(128 / plan.together);
    std::byte* column = scratch + places.weights;
    for (std::int32_t s = panel.slab; s < panel.slab + panel.slabs; ++s) {
        const Slab& slab = plan.slabs[static_cast<std::size_t>(s)];
        const auto* weights =
            reinterpret_cast<const kernels::weight_t*>(synapse_of(op).weight.data) + slab.first_weight;
        args.width = static_cast<std::size_t>(slab.width);
        std::byte* to = column;
        for (std::int32_t i = chunk.first_run; i < chunk.first_run + chunk.runs; ++i) {
            const KernelRun& run = plan.runs[static_cast<std::size_t>(i)];
            args.rows = static_cast<std::size_t>(
                std::min(geometry.block, geometry.group_channels - run.block * geometry.block));
            for (std::int32_t kx = 0; kx < run.span; ++kx, to += geometry.block * kRowBytes) {
                args.weights = weights + (run.first_row + std::int64_t{kx} * plan.shape.group_inputs) * slab.width;
                args.out = to;
                context.kernels->stage(args);
            }
        }
        args.weights = reinterpret_cast<const kernels::weight_t*>(kZeros);
        args.rows = 1;
        args.out = to;
        context.kernels->stage(args);
        column += slab.width;
    }
}

#define SPK_FLAT(name) (panel.width == 64 ? table.name##_w64 : panel.width == 32 ? table.name##_w32 : table.name##_w16)

void FlatTask::add_panel(const Chunk& chunk, const Panel& panel, const Piece& piece) const {
    const kernels::Table& table = *context.kernels;
    kernels::FlatArgs flat{};
    flat.weights = scratch + places.weights;
    flat.events = events(piece.first_group);
    flat.slots = slots(piece.first_group);
    flat.groups = piece.groups;
    flat.sums = scratch + places.sums;
    const auto& add = plan.together == 8   ? SPK_FLAT(flat8)
                      : plan.together == 4 ? SPK_FLAT(flat4)
                      : plan.together == 2 ? SPK_FLAT(flat2)
                                           : SPK_FLAT(flat);
    add(flat);
    kernels::SettleArgs settle{};
    settle.sums = flat.sums;
    settle.pixels = static_cast<std::size_t>(piece.outputs);
    settle.planes = static_cast<std::size_t>(chunk.top - chunk.low + 1);
    settle.acc = reinterpret_cast<kernels::acc_t*>(out(piece.row, piece.first, panel));
    settle.acc_step = static_cast<std::size_t>(plan.shape.outputs) * sizeof(std::int32_t);
    settle.shift = chunk.shift;
    settle.negate = plan.is_signed && chunk.top == plan.events.planes - 1;
    settle.add = &chunk != plan.chunks.data();
    panel.used == 48 ? table.settle_w48(settle) : SPK_FLAT(settle)(settle);
}

void FlatTask::run_chunk(const Chunk& chunk) const {
    const std::int32_t most = piece_outputs(plan.events);
    std::array<Piece, kPieces> pieces;
    std::int32_t row = first_row;
    Columns left = outputs(row);
    while (row < end_row) {
        std::size_t count = 0, groups = 0;
        while (row < end_row && count < kPieces) {
            if (left.empty()) {
                if (++row < end_row) left = outputs(row);
                continue;
            }
            Piece piece{row, left.first, std::min(most, left.end - left.first), 0, 0};
            if (!schedule(chunk, groups, &piece)) break;
            groups += piece.groups;
            if (piece.groups != 0) pieces[count++] = piece;
            left.first += piece.outputs;
        }
        if (count == 0) continue;
        for (std::size_t p = first_panel; p < end_panel; ++p) {
            stage(chunk, plan.panels[p]);
            for (std::size_t i = 0; i < count; ++i) add_panel(chunk, plan.panels[p], pieces[i]);
        }
    }
}

void FlatTask::finish() const {
    for (std::size_t p = first_panel; p < end_panel; ++p) {
        const Panel& panel = plan.panels[p];
        const Slab& slab = plan.slabs[static_cast<std::size_t>(panel.slab)];
        const std::size_t channel = static_cast<std::size_t>(slab.group) * plan.shape.group_outputs + slab.first;
        kernels::FinishArgs args{};
        args.acc_step = args.out_step = static_cast<std::size_t>(plan.shape.outputs) * sizeof(std::int32_t);
        args.channels = static_cast<std::size_t>(panel.used);
        args.shifts = plan.grid.shifts.data() + channel;
        args.biases = plan.grid.biases.data() + channel;
        for (std::int32_t row = first_row; row < end_row; ++row) {
            const Columns columns = outputs(row);
            if (columns.empty()) continue;
            args.pixels = static_cast<std::size_t>(columns.end - columns.first);
            args.out = out(row, columns.first, panel);
            args.acc = static_cast<const kernels::acc_t*>(args.out);
            context.kernels->finish_i32(args);
        }
    }
}

void FlatTask::run() const {
    for (const Chunk& chunk : plan.chunks) run_chunk(chunk);
    if (!plan.grid.identity) finish();
}

}  // namespace

bool can_flatten(const SynapseShape& shape, const TensorView& input, const TensorView& output, bool linear,
                 std::int64_t chunk_rows) {
    const EventGeometry events = flat_geometry(shape, input, linear);
    const std::int64_t span = shape.dilation_x == 1 ? shape.kw : 1;
    if (output.dtype != Dtype::kInt32 || shape.group_outputs % 16 != 0) return false;
    if (std::int64_t{shape.batch} * shape.out_height * shape.out_width < kLeastOutputs) return false;
    return span * events.block <= kMostRows &&
           chunk_rows * events.planes + events.planes * 8 <= std::int64_t{kScheduled} &&
           span * events.block * events.planes + events.planes * 8 <= std::int64_t{kScheduled};
}

std::size_t flat_scratch(const GatherPlan& plan) { return align64(Scratch(plan).bytes); }

void run_flat(Context& context, const Op& op, const GatherPlan& plan) {
    const SynapseShape& shape = plan.shape;
    const Scratch places(plan);
    const auto threads = static_cast<std::int32_t>(context.pool->threads());
    const std::int32_t rows = shape.batch * shape.out_height, segments = plan.events.segments;
    const auto panels = static_cast<std::int32_t>(plan.panels.size()) / shape.groups;
    // Bands of rows for the threads to share; panels too, where the map is small.
    const std::int32_t outputs = rows * plan.events.segment_outputs;
    const std::int32_t bands = threads == 1 ? 1 : std::clamp(outputs / kTaskOutputs, 1, std::min(rows, 4 * threads));
    const std::int32_t shared = bands * segments * shape.groups;
    const std::int32_t parts = threads == 1 ? 1 : std::clamp((2 * threads + shared - 1) / shared, 1, panels);
    const auto items = static_cast<std::size_t>(shared) * parts;
    context.pool->run(items, [&](std::size_t item, std::uint32_t thread) {
        const auto part = static_cast<std::int32_t>(item % parts),
                   band = static_cast<std::int32_t>(item / parts % bands);
        const auto rest = static_cast<std::int32_t>(item / parts / bands);
        const std::int32_t group = rest / segments;
        const auto at = [&](std::int32_t i) { return static_cast<std::size_t>(group * panels + panels * i / parts); };
        const FlatTask task{context,
                            op,
                            plan,
                            places,
                            context.scratch(thread),
                            rest % segments,
                            static_cast<std::int32_t>(std::int64_t{rows} * band / bands),
                            static_cast<std::int32_t>(std::int64_t{rows} * (band + 1) / bands),
                            group,
                            at(part),
                            at(part + 1)};
        task.run();
    });
}

}  // namespace spk
