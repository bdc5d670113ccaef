#include "runtime/synapse.hpp"

#include <algorithm>

#include "model/weight_sums.hpp"

namespace spk {

const Synapse& synapse_of(const Op& op) {
    const auto* conv = std::get_if<Conv2d>(&op.params);
    return conv != nullptr ? static_cast<const Synapse&>(*conv) : *std::get_if<Linear>(&op.params);
}

SynapseShape shape_of(const Program& program, const Op& op) {
    const TensorView& in = program.tensors[static_cast<std::size_t>(op.inputs[0])];
    const TensorView& out = program.tensors[static_cast<std::size_t>(op.output)];
    const Synapse& synapse = synapse_of(op);
    SynapseShape shape;
    shape.outputs = synapse.out_channels;
    if (const auto* conv = std::get_if<Conv2d>(&op.params)) {
        shape.batch = in.dims[0];
        shape.height = in.dims[1];
        shape.width = in.dims[2];
        shape.channels = in.dims[3];
        shape.out_height = out.dims[1];
        shape.out_width = out.dims[2];
        shape.kh = conv->weight.kh;
        shape.kw = conv->weight.kw;
        shape.stride_y = conv->stride[0];
        shape.stride_x = conv->stride[1];
        shape.dilation_y = conv->dilation[0];
        shape.dilation_x = conv->dilation[1];
        shape.top = conv->padding[0];
        shape.left = conv->padding[1];
    } else {
        shape.channels = in.dims[static_cast<std::size_t>(in.rank - 1)];
        shape.width = shape.out_width = static_cast<std::int32_t>(in.size / static_cast<std::uint64_t>(shape.channels));
    }
    shape.groups = synapse.weight.depthwise ? shape.outputs : synapse.weight.groups;
    shape.group_inputs = shape.channels / shape.groups;
    shape.group_outputs = shape.outputs / shape.groups;
    return shape;
}

Grid plan_grid(const Synapse& synapse) {
    const auto channels = static_cast<std::size_t>(synapse.out_channels);
    Grid grid;
    grid.shifts.assign(synapse.shift, synapse.shift + channels);
    grid.biases.assign(channels, 0);
    if (synapse.bias != nullptr) grid.biases.assign(synapse.bias, synapse.bias + channels);
    const auto zero = [](std::int32_t value) { return value == 0; };
    grid.identity = std::all_of(grid.shifts.begin(), grid.shifts.end(), zero) &&
                    std::all_of(grid.biases.begin(), grid.biases.end(), zero);
    return grid;
}

namespace {

std::vector<Slab> plan_slabs(const SynapseShape& shape) {
    std::vector<Slab> slabs;
    std::int64_t weight = 0;
    for (std::int32_t group = 0; group < shape.groups; ++group) {
        for (std::int32_t first = 0; first < shape.group_outputs;) {
            const std::int32_t left = shape.group_outputs - first;
            const std::int32_t width = left >= 64 ? 64 : left >= 32 ? 32 : 16;
            slabs.push_back({group, first, width, std::min(width, left), weight});
            weight += std::int64_t{shape.kh} * shape.kw * shape.group_inputs * width;
            first += width;
        }
    }
    return slabs;
}

// One run for a whole kernel row where the columns' weights follow each other, else one for each column.
std::vector<KernelRun> plan_runs(const SynapseShape& shape, const EventGeometry& events, bool staged = false) {
    const bool whole = shape.dilation_x == 1 && (staged || events.block == shape.group_inputs);
    std::vector<KernelRun> runs;
    for (std::int32_t block = 0; block < events.group_blocks(); ++block) {
        for (std::int32_t ky = 0; ky < shape.kh; ++ky) {
            for (std::int32_t kx = 0; kx < (whole ? 1 : shape.kw); ++kx) {
                const std::int64_t row = (std::int64_t{ky} * shape.kw + kx) * shape.group_inputs + block * events.block;
                runs.push_back({ky, kx, whole ? shape.kw : 1, block, row});
            }
        }
    }
    return runs;
}

// Sums of the positive weights and of the negative ones without their sign, of some runs, for every output (padding
// counts as outputs).
struct Sums {
    std::vector<std::int64_t> positive, negative;

    void add(const Sums& other) {
        for (std::size_t o = 0; o < positive.size(); ++o) {
            positive[o] += other.positive[o];
            negative[o] += other.negative[o];
        }
    }
    // Whether x in [lo, hi] keeps every sum within 16 bits, whatever part of the weights is met.
    bool fit(std::int64_t lo, std::int64_t hi) const {
        for (std::size_t o = 0; o < positive.size(); ++o) {
            if (positive[o] * hi + negative[o] * -lo > 32767 || positive[o] * -lo + negative[o] * hi > 32768)
                return false;
        }
        return true;
    }
};

class ChunkPlanner {
  public:
    ChunkPlanner(const GatherPlan& plan, const Weights& weights) : plan_(plan) {
        for (const KernelRun& run : plan.runs) sums_.push_back(sums_of(run, weights));
    }

    // As few groups of bit-planes as keep each run's sums within 16 bits; lanes of 32 bits where none do.
    std::vector<Chunk> chunks(const TensorView& input) const {
        const std::int32_t planes = plan_.events.planes;
        for (std::int32_t parts = 1; parts <= planes; ++parts) {
            std::vector<Chunk> chunks;
            if (add_parts(input, parts, &chunks)) return chunks;
        }
        std::vector<Chunk> chunks;
        cut(planes - 1, 0, nullptr, &chunks);
        return chunks;
    }

    // Both digits at once; none at all where a run's sums may leave 16 bits.
    std::vector<Chunk> lookup_chunks() const {
        const Range range{0, 15};
        std::vector<Chunk> chunks;
        for (const Sums& sums : sums_) {
            if (!sums.fit(range.lo, range.hi)) return {};
        }
        cut(0, 0, &range, &chunks);
        return chunks;
    }

    // One pass for each digit; none at all where a run's sums may leave 16 bits.
    std::vector<Chunk> digit_chunks(const TensorView& input) const {
        std::vector<Chunk> chunks;
        for (std::int32_t digit = plan_.events.planes - 1; digit >= 0; --digit) {
            const std::int32_t shift = digit * plan_.events.digit_bits;
            const Range range{0, std::min(input.hi >> shift, (1 << plan_.events.digit_bits) - 1)};
            for (const Sums& sums : sums_) {
                if (!sums.fit(range.lo, range.hi)) return {};
            }
            const std::size_t first = chunks.size();
            cut(digit, digit, &range, &chunks);
            for (std::size_t i = first; i < chunks.size(); ++i) chunks[i].shift = shift;
        }
        return chunks;
    }

  private:
    struct Range {
        std::int64_t lo, hi;
    };

    Sums sums_of(const KernelRun& run, const Weights& weights) const {
        Sums sums;
        const EventGeometry& events = plan_.events;
        const std::int32_t channels = std::min(events.block, events.group_channels - run.block * events.block);
        for (const Slab& slab : plan_.slabs) {
            const std::size_t first = sums.positive.size();
            sums.positive.resize(first + slab.width, 0);
            sums.negative.resize(first + slab.width, 0);
            for (std::int32_t kx = 0; kx < run.span; ++kx) {
                const std::int64_t row_of_column = run.first_row + std::int64_t{kx} * plan_.shape.group_inputs;
                const std::int8_t* row = weights.data + slab.first_weight + row_of_column * slab.width;
                sum_weights(row, channels, slab.width, slab.width, &sums.positive[first], &sums.negative[first]);
            }
        }
        for (std::int64_t& each : sums.negative) each = -each;
        return sums;
    }

    bool add_parts(const TensorView& input, std::int32_t parts, std::vector<Chunk>* chunks) const {
        const std::int32_t planes = plan_.events.planes, each = (planes + parts - 1) / parts;
        for (std::int32_t top = planes - 1; top >= 0; top -= each) {
            const std::int32_t low = std::max(top - each + 1, 0);
            // What the bits from `low` to `top` can be worth: the uppermost carry the sign and the bound.
            Range range{0, (std::int64_t{1} << (top - low + 1)) - 1};
            if (top == planes - 1) range = {std::min(input.lo, 0) >> low, std::max(input.hi, 0) >> low};
            for (const Sums& sums : sums_) {
                if (!sums.fit(range.lo, range.hi)) return false;
            }
            cut(top, low, &range, chunks);
        }
        return true;
    }

    // Cuts the runs where 16 bits (`range` given), the number of runs or the cache would be left.
    void cut(std::int32_t top, std::int32_t low, const Range* range, std::vector<Chunk>* chunks) const {
        Sums total;
        std::int64_t rows = 0;
        for (std::size_t run = 0; run < plan_.runs.size(); ++run) {
            const std::int64_t more = std::int64_t{plan_.runs[run].span} * plan_.events.block;
            bool joins = rows != 0 && rows + more <= plan_.chunk_rows && chunks->back().runs < kChunkRuns;
            if (joins && range != nullptr) {
                Sums both = total;
                both.add(sums_[run]);
                joins = both.fit(range->lo, range->hi);
            }
            if (joins) {
                ++chunks->back().runs;
                total.add(sums_[run]);
                rows += more;
            } else {
                chunks->push_back({static_cast<std::int32_t>(run), 1, top, low, low, range == nullptr});
                total = sums_[run];
                rows = more;
            }
        }
    }

    const GatherPlan& plan_;
    std::vector<Sums> sums_;
};

}  // namespace

namespace {

constexpr std::int64_t kAllRows = std::int64_t{1} << 40;

// As many rows are added in bytes as surely fit one.
std::int32_t rows_together(const GatherPlan& plan, const Weights& weights) {
    const SynapseShape& shape = plan.shape;
    const Slab& last = plan.slabs.back();
    const std::int64_t end = last.first_weight + std::int64_t{shape.kh} * shape.kw * shape.group_inputs * last.width;
    std::int32_t greatest = 0;
    for (std::int64_t i = 0; i < end && greatest <= 63;) {
        const std::int64_t stop = std::min<std::int64_t>(end, i + 4096);
        for (; i < stop; ++i) greatest = std::max(greatest, std::abs(std::int32_t{weights.data[i]}));
    }
    return greatest <= 15 ? 8 : greatest <= 31 ? 4 : greatest <= 63 ? 2 : 1;
}

std::vector<Panel> plan_panels(const std::vector<Slab>& slabs) {
    std::vector<Panel> panels;
    for (std::size_t i = 0; i < slabs.size(); ++i) {
        const bool pair = slabs[i].width == 32 && i + 1 < slabs.size() && slabs[i + 1].group == slabs[i].group;
        const auto slab = static_cast<std::int32_t>(i);
        panels.push_back(pair ? Panel{slab, 2, 64, 48} : Panel{slab, 1, slabs[i].width, slabs[i].width});
        if (pair) ++i;
    }
    return panels;
}

}  // namespace

GatherPlan plan_gather(const Program& program, const Op& op, GatherKernel kernel, std::int64_t chunk_rows) {
    const TensorView& input = program.tensors[static_cast<std::size_t>(op.inputs[0])];
    const Synapse& synapse = synapse_of(op);
    const bool linear = std::holds_alternative<Linear>(op.params);
    GatherPlan plan;
    plan.shape = shape_of(program, op);
    plan.is_signed = input.lo < 0;
    plan.slabs = plan_slabs(plan.shape);
    plan.panels = plan_panels(plan.slabs);
    plan.together = rows_together(plan, synapse.weight);
    plan.grid = plan_grid(synapse);
    plan.kernel = kernel;
    plan.chunk_rows = chunk_rows;
    if (kernel == GatherKernel::kScatter) {
        plan.events = folded_geometry(plan.shape, input, linear);
        plan.runs = plan_runs(plan.shape, plan.events);
        plan.chunk_rows = kAllRows;  // one sum of 16 bits holds everything, or this kernel cannot serve
        plan.chunks = ChunkPlanner(plan, synapse.weight).digit_chunks(input);
        plan.chunk_rows = chunk_rows;
        if (plan.chunks.size() != 1) plan.chunks.clear();
        return plan;
    }
    if (kernel == GatherKernel::kFolded) {
        plan.events = folded_geometry(plan.shape, input, linear);
        plan.runs = plan_runs(plan.shape, plan.events);
        const ChunkPlanner planner(plan, synapse.weight);
        if (plan.looked_up()) plan.kernel = GatherKernel::kLookup;
        plan.chunks = plan.looked_up() ? planner.lookup_chunks() : planner.digit_chunks(input);
    } else if (kernel == GatherKernel::kFlat) {
        plan.events = flat_geometry(plan.shape, input, linear);
        plan.runs = plan_runs(plan.shape, plan.events, true);
        plan.chunks = ChunkPlanner(plan, synapse.weight).chunks(input);
        if (plan.chunks.front().wide) plan.chunks.clear();
    }
    if (plan.chunks.empty()) {  // any weights can be added so
        plan.kernel = kernel == GatherKernel::kRows ? kernel : GatherKernel::kSplit;
        plan.events = event_geometry(plan.shape, input, linear);
        plan.runs = plan_runs(plan.shape, plan.events);
        plan.chunks = ChunkPlanner(plan, synapse.weight).chunks(input);
    }
    plan.band = plan.chunks.size() > 1 ? gather_band(plan.shape, plan.events) : 1;
    return plan;
}

}  // namespace spk
