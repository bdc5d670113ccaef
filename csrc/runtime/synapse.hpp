// Convolutions and linear layers by gathering the weights that events select, and depthwise convolutions by masks.
//
// Contract: a plan is made once, when a runtime is created, and may use the heap; running it does not. Lanes of 16 bits
// are used only where the actual weights and the input's range prove that no sum can leave them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "model/program.hpp"
#include "runtime/choice.hpp"
#include "runtime/context.hpp"
#include "spk/runtime.hpp"

namespace spk {

// A synapse as one convolution: a linear layer has one row of positions and a 1x1 kernel.
struct SynapseShape {
    std::int32_t batch = 1, height = 1, width = 1, channels = 0;
    std::int32_t out_height = 1, out_width = 1, outputs = 0;  // all channels of the output
    std::int32_t groups = 1, group_inputs = 0, group_outputs = 0;
    std::int32_t kh = 1, kw = 1;
    std::int32_t stride_y = 1, stride_x = 1, dilation_y = 1, dilation_x = 1;
    std::int32_t top = 0, left = 0;
};

SynapseShape shape_of(const Program& program, const Op& op);

// A run of weight rows of one kernel row and channel block: what one EventRow adds.
struct KernelRun {
    std::int32_t ky = 0, kx = 0, span = 1, block = 0;
    std::int64_t first_row = 0;  // of weights, within a slab; columns are group_inputs rows apart
};

// Runs whose sums share accumulators, for some of the bit-planes.
struct Chunk {
    std::int32_t first_run = 0, runs = 0;
    std::int32_t top = 0, low = 0;  // bit-planes, or twice the same digit
    std::int32_t shift = 0;         // what plane `low` is worth
    bool wide = false;              // lanes of 32 bits
};

inline constexpr std::int32_t kChunkRuns = 32;   // at most in a chunk
inline constexpr std::int64_t kChunkRows = 640;  // joined at most, of up to 64 bytes: what the first cache holds

inline std::int64_t chunk_rows(const KernelChoice& choice) { return choice.block == 0 ? kChunkRows : choice.block; }

struct Slab {
    std::int32_t group = 0, first = 0;  // output within the group
    std::int32_t width = 0, used = 0;   // lanes, and outputs among them
    std::int64_t first_weight = 0;      // of the slab, in bytes
};

// Slabs whose weights are staged side by side: one, or one of 32 outputs and one of 16.
struct Panel {
    std::int32_t slab = 0, slabs = 1;
    std::int32_t width = 64, used = 64;  // lanes, and outputs among them
};

// The output grid: (acc << shift) + bias, for each channel.
struct Grid {
    std::vector<std::int32_t> shifts, biases;
    bool identity = false;
};

struct GatherPlan {
    SynapseShape shape;
    EventGeometry events;
    GatherKernel kernel = GatherKernel::kRows;  // of chunks whose lanes have 16 bits
    bool is_signed = false;
    const std::byte* multiples = nullptr;  // the weights times every digit; null where events are bits
    std::vector<KernelRun> runs;
    std::vector<Chunk> chunks;
    std::vector<Slab> slabs;
    std::vector<Panel> panels;
    std::int32_t together = 1;             // rows that are added as bytes
    std::int64_t chunk_rows = kChunkRows;  // joined at most
    Grid grid;
    std::int32_t band = 1;  // output rows that visit a chunk's weights together

    bool folded() const { return events.digit_bits != 0; }
    std::size_t multiples_bytes() const;
    // Bytes of one group, all of whose columns lie side by side, are looked up digit by digit instead of listed.
    bool looked_up() const { return folded() && events.planes == 2 && shape.groups == 1 && events.segments == 1; }
    // Bytes of one lane of weights of one input.
    std::int64_t lane_bytes() const { return folded() ? std::int64_t{2} << events.spread : 1; }
    // Outputs of a segment that some of these rows want.
    Columns columns(const Region* region, std::int32_t segment, std::int32_t first_row, std::int32_t rows) const;
};

struct DepthwisePlan {
    enum class Form { kRows, kMasks, kWide } form = Form::kMasks;
    SynapseShape shape;
    std::int32_t planes = 1;  // of the input, or of the weights where the form is wide
    Grid grid;
    std::vector<std::byte> weights;      // as in the image, and what vectors read past them; not of masks
    std::int32_t band = 1, segment = 1;  // of masks: output rows and columns of one task
    std::int32_t kernel_rows = 1;        // of masks: at once
};

// Geometry and scratch depend on shapes and ranges alone, so that memory is known before anything is made.
EventGeometry event_geometry(const SynapseShape& shape, const TensorView& input, bool linear);
// Small layers can take a value at once, from multiples of their weights; others go bit by bit.
bool can_fold(const SynapseShape& shape, const TensorView& input, bool linear);
EventGeometry folded_geometry(const SynapseShape& shape, const TensorView& input, bool linear);
std::size_t multiples_bytes(const SynapseShape& shape, const EventGeometry& events);
// Thin layers with 3x3 kernels can add what an input column holds to all outputs that it reaches at once.
bool can_scatter(const SynapseShape& shape, const TensorView& input, const TensorView& output, bool linear);
std::size_t scatter_bytes(const SynapseShape& shape, const EventGeometry& events);  // of multiples
std::size_t scatter_scratch(const SynapseShape& shape);
void make_scatter_multiples(const kernels::Table& table, const Op& op, std::byte* memory, GatherPlan* plan);
void make_multiples(const kernels::Table& table, const Op& op, std::byte* memory, GatherPlan* plan);
std::int32_t gather_band(const SynapseShape& shape, const EventGeometry& events);
bool can_flatten(const SynapseShape& shape, const TensorView& input, const TensorView& output, bool linear,
                 std::int64_t chunk_rows);
EventGeometry flat_geometry(const SynapseShape& shape, const TensorView& input, bool linear);
std::size_t flat_scratch(const GatherPlan& plan);
std::size_t gather_scratch(const SynapseShape& shape, const EventGeometry& events);
std::size_t depthwise_scratch(const DepthwisePlan& plan);

// Without chunks where a kernel that scatters cannot serve, which weights decide; any other plan has some.
GatherPlan plan_gather(const Program& program, const Op& op, GatherKernel kernel, std::int64_t chunk_rows);
DepthwisePlan plan_depthwise(const Program& program, const Op& op);

void run_gather(Context& context, const Op& op, const GatherPlan& plan);
void run_scatter(Context& context, const Op& op, const GatherPlan& plan);
void run_flat(Context& context, const Op& op, const GatherPlan& plan);
void run_depthwise(Context& context, const Op& op, const DepthwisePlan& plan);

const Synapse& synapse_of(const Op& op);
Grid plan_grid(const Synapse& synapse);
// Events that a synapse reads, of its region where there is one.
std::uint64_t count_events(const Context& context, const Op& op);
void profile_gather(const Context& context, const Op& op, const GatherPlan& plan, LayerProfile* profile);
void profile_depthwise(const Context& context, const Op& op, const DepthwisePlan& plan, LayerProfile* profile);

}  // namespace spk
