// A model image (.spk), verified: what it needs and what it takes and gives.
//
// Contract: `Model::open` reads bytes that it does not own; they must be aligned to 64 bytes, and stay unchanged and
// mapped for as long as the model, its copies, or any runtime made from them live. It is the only way to get a usable
// Model, and it checks everything: offsets, sizes, shapes, graph edges, and that no sum can leave 32 bits. A Model is
// immutable and cheap to copy; copies and runtimes of it may be used in different threads at once. Opening allocates on
// the heap; views into the model allocate nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "spk/status.hpp"

namespace spk {

struct Program;    // csrc/model/program.hpp: the operators, for executors
struct ModelImpl;  // csrc/model/model.cpp

enum class PortDtype : std::uint8_t { kUint8 = 1, kInt8 = 2, kInt16 = 3, kInt32 = 4 };

inline constexpr int kMaxPortRank = 6;  // five axes and time

// Dimensions of an array, row-major.
struct Shape {
    int rank = 0;
    std::array<std::int32_t, kMaxPortRank> dims{};

    std::uint64_t elements() const {
        std::uint64_t count = 1;
        for (int axis = 0; axis < rank; ++axis) count *= static_cast<std::uint64_t>(dims[axis]);
        return count;
    }
};

// A graph input or output as users declared it. Real value = integer * 2^-f / divisor; where `channel_f` is not empty,
// f is channel_f[c] along the last axis instead.
struct PortInfo {
    std::string_view name;
    std::string_view axes;                // one letter an axis, such as "NCHW"; may be empty
    PortDtype dtype = PortDtype::kInt32;  // of the integers in a run's input buffers; outputs are int32 always
    Shape shape;                          // of a whole run, the timesteps included
    Shape step_shape;                     // of one timestep of a stream
    std::int32_t time_axis = -1;          // where `shape` has the timesteps (of their own or merged), -1: none
    bool merged = false;                  // the timesteps are multiplied into axis `time_axis`, time-major
    std::int32_t lo = 0, hi = 0;          // proven range of the integers
    std::int32_t f = 0;
    std::uint32_t divisor = 1;
    std::span<const std::int32_t> channel_f;
    std::int32_t tensor = 0;  // its number in the program
};

class Model {
  public:
    Model() = default;  // holds nothing; only for `open` to fill

    // Verifies `bytes` and makes `*model` a view of them; on failure `*model` is untouched.
    static Status open(std::span<const std::byte> bytes, Model* model);

    explicit operator bool() const { return impl_ != nullptr; }

    std::span<const PortInfo> inputs() const;
    std::span<const PortInfo> outputs() const;
    std::uint32_t timesteps() const;      // of a whole run
    std::uint32_t max_timesteps() const;  // of a stream; 0: no bound
    std::string_view metadata() const;    // JSON, as the compiler wrote it
    std::uint64_t image_bytes() const;
    const Program& program() const;

  private:
    std::shared_ptr<const ModelImpl> impl_;
};

}  // namespace spk
