// What a verified model image says, as plain views: nothing here owns memory or is copied from the image.
//
// Contract: every pointer points into the bytes given to Model::open and lives as long as they do. Every value has been
// checked by the verifier (verifier.hpp) before a Program exists, so executors use them without further checks.
// The operators' meaning is defined in docs/semantics.md; field order and record layout in pyspike/image.py and
// docs/format.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "spk/model.hpp"

namespace spk {

inline constexpr int kMaxRank = 5;

enum class Dtype : std::uint8_t { kUint8, kInt32 };
enum class Phase : std::uint8_t { kBefore = 0, kLoop = 1, kAfter = 2 };

// One timestep of a tensor, row-major in the arena at byte `arena`. lo and hi are re-proven at load; the range fixes
// the storage type: uint8 where it lies within 0..255, else int32.
struct TensorView {
    std::string_view name;
    int rank = 0;
    std::array<std::int32_t, kMaxRank> dims{};
    std::int32_t lo = 0, hi = 0;
    std::int32_t f = 0;  // real value = integer * 2^-f / divisor (f is 0 and unused where per_channel)
    std::span<const std::int32_t> channel_f;  // [last axis] where per_channel
    std::uint32_t divisor = 1;
    bool time = false, per_channel = false;
    Dtype dtype = Dtype::kInt32;
    std::uint64_t size = 0;   // elements
    std::uint64_t bytes = 0;  // size * (1 or 4)
    std::uint64_t arena = 0;  // byte offset, a multiple of 64
};

// Packed weights (pyspike/packing.py). dense: [group][slab][ky][kx][in][slab width], slabs of 64, 32, 16 outputs;
// depthwise: [ky][kx][channels up to a multiple of 16]. Linear is dense with one group and a 1x1 kernel.
struct Weights {
    const std::int8_t* data = nullptr;
    std::int32_t groups = 1, outputs = 0, kh = 1, kw = 1, inputs = 0;  // outputs and inputs of one group
    bool depthwise = false;
};

struct Synapse {
    Weights weight;
    const std::int8_t* shift = nullptr;  // [out]
    const std::int32_t* bias = nullptr;  // [out] or null
    std::int32_t out_channels = 0;
};

struct Conv2d : Synapse {
    std::array<std::int32_t, 2> stride{1, 1}, dilation{1, 1};
    std::array<std::int32_t, 4> padding{};  // top, left, bottom, right
};
struct Linear : Synapse {};
struct Add {
    std::array<std::int32_t, 2> shifts{};
};
struct Concat {
    std::int32_t axis = 0;
    std::span<const std::int32_t> shifts;
};
struct MaxPool {
    std::array<std::int32_t, 2> kernel{}, stride{};
    std::array<std::int32_t, 4> padding{};
};
struct Upsample {
    std::array<std::int32_t, 2> factor{};
};
struct Mean {
    std::span<const std::int32_t> axes;
    std::int32_t steps = 0;
};  // steps > 0: over time as well
struct Slice {
    std::span<const std::int32_t> starts, stops, steps;
};
struct Reshape {};
struct Transpose {
    std::span<const std::int32_t> order;
};
struct Expand {
    bool time = false;
};
struct Pad {
    std::span<const std::int32_t> before, after;
    std::int32_t value = 0;
};
struct Align {
    std::int32_t shift = 1;
};
struct Constant {
    const std::int32_t* values = nullptr;
};
struct Fire {
    const std::int32_t* thresholds = nullptr;  // [rows][count]
    std::int32_t rows = 1, count = 1;
    bool membrane = false, hard_reset = false;
    std::span<const std::int32_t> leak;   // sign, k, sign, k, ...
    const std::int32_t* reset = nullptr;  // [count + 1], soft reset
    std::int32_t guard = 0, steps = 1;
    std::uint64_t state = 0;  // byte offset of the membrane (int32, the drive's shape) in the state
};

using OpParams = std::variant<Conv2d, Linear, Add, Concat, MaxPool, Upsample, Mean, Slice, Reshape, Transpose, Expand,
                              Pad, Align, Constant, Fire>;

struct Op {
    OpParams params;
    Phase phase = Phase::kBefore;
    std::span<const std::int32_t> inputs;  // tensor numbers
    std::int32_t output = 0;
};

// A graph input or output in the shape that users declared: the tensor's with `timesteps` in front of axis `time_axis`
// (multiplied into it where merged), or as it is where time_axis is -1.
struct PortView {
    std::string_view name, axes;
    std::int32_t tensor = 0;
    std::int32_t time_axis = -1;
    bool merged = false;
    bool read = true;  // false: an input that nothing reads; others may use its place in the arena, so do not fill it
    PortDtype dtype = PortDtype::kInt32;
};

struct Program {
    std::uint32_t timesteps = 1;      // of a whole run
    std::uint32_t max_timesteps = 0;  // of a stream, the bounds of membranes included; 0: it may go on for ever
    std::vector<TensorView> tensors;
    std::vector<Op> ops;  // in execution order: all of kBefore, then kLoop, then kAfter
    std::vector<PortView> inputs, outputs;
    std::uint64_t arena_bytes = 0, state_bytes = 0, image_bytes = 0;
    std::string_view metadata;  // JSON, not interpreted
};

}  // namespace spk
