// Runs a model: whole inferences, or one timestep after another.
//
// Contract: a Runtime belongs to one thread at a time. It computes inside the arena given to `create`, which must be
// aligned to 64 bytes, hold at least `Runtime::memory(model, options).total()` bytes, and stay untouched for as long as
// the runtime lives; create may use the heap and start threads, nothing after it does. Inputs are checked (sizes and
// every integer's range) before anything changes: a call that fails leaves the state as it was, or at rest where a
// budget stopped a run. All results are exact and independent of the number of threads and of the instruction set.
//
// Buffers. One for each graph input or output, in the model's order. An input holds integers of the port's dtype in the
// declared shape (PortInfo::shape for run and profile, step_shape for step), row-major; an output takes int32 in its
// shape.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "spk/model.hpp"
#include "spk/status.hpp"

namespace spk {

// How a convolution or linear layer adds its weights (csrc/kernels/README.md), where the cost model shall not choose.
// What cannot serve a layer is chosen as without it, and no choice changes a result.
struct KernelChoice {
    std::string_view kernel = {};  // "rows", "split", "flat", "folded" or "scatter"; empty: the cost model's
    std::uint32_t block = 0;       // rows of weights that share sums, at most, in 1..2560; 0: 640
};

struct Options {
    std::uint32_t threads = 1;  // 1..256; results do not depend on it
    std::string_view isa =
        {};  // "portable", "avx2", "avx512"; empty: the environment's PYSPIKE_ISA, else the best of this CPU
    // Runs go on from the run before: what did not change is not computed again, with the same results, in more memory.
    // Of models with one timestep and no membranes; `create` says kUnsupported for others. Profiles and budgets count
    // what is done: events are integers that changed where a synapse reads what they gained and lost. A run that a
    // budget stopped, step and reset forget the run before.
    bool incremental = false;
    std::span<const KernelChoice> choices = {};  // one for each operator, or none at all
};

// Bytes that a runtime needs, known before anything is allocated. `weights` is the image itself and not part of the
// arena.
struct MemoryPlan {
    std::uint64_t weights = 0;
    std::uint64_t arena = 0;    // tensors
    std::uint64_t scratch = 0;  // event lists, accumulators, all threads
    std::uint64_t state = 0;    // membranes

    std::uint64_t total() const { return arena + scratch + state; }
};

// What one operator did in a counted run, all timesteps together.
struct LayerProfile {
    std::uint64_t sops = 0;       // synaptic operations: sum over events of |n| * (targets inside the output)
    std::uint64_t adds = 0;       // additions of weights (to accumulators or partial sums) that were performed
    std::uint64_t lane_adds = 0;  // the same, vector lanes without a use counted too
    std::uint64_t events = 0;     // non-zero integers that a synapse read
    std::uint64_t bytes = 0;      // read and written: weights, inputs, outputs
    std::uint64_t elements = 0;   // integers that a synapse read, or that any other operator made
    std::uint64_t nonzero = 0;    // how many of them are not 0; their share of `elements` is the density
    double seconds = 0.0;
};

// The most events (non-zero integers that synapses read, all layers and timesteps, as LayerProfile counts them) that
// one call may take. The events of a layer are counted before it runs, so that a call that is stopped has taken no more
// than max_events: time grows with events, and so it is bounded. What a stopped call wrote to its outputs is of no use.
struct Budget {
    std::uint64_t max_events = 0;
    std::uint64_t events = 0;        // out: taken
    std::uint64_t refused = 0;       // out: what the layer that was not run would have taken, 0 where all ran
    std::span<std::byte> undo = {};  // `step` alone: state_bytes() bytes, from which a stopped step is undone
};

using InputBuffer = std::span<const std::byte>;
using OutputBuffer = std::span<std::int32_t>;

class Runtime {
  public:
    Runtime();  // runs nothing; only for `create` to fill
    Runtime(Runtime&&) noexcept;
    Runtime& operator=(Runtime&&) noexcept;
    ~Runtime();

    static MemoryPlan memory(const Model& model, const Options& options);

    // Makes `*runtime` ready for timestep 0; on failure `*runtime` is untouched. Keeps a copy of `model`.
    static Status create(const Model& model, std::span<std::byte> arena, const Options& options, Runtime* runtime);

    const Model& model() const;
    std::string_view isa() const;
    std::uint32_t threads() const;

    // What was chosen, for each operator; no kernel for one that gathers no weights.
    std::vector<KernelChoice> choices() const;

    // A whole inference, all timesteps. Starts from rest and leaves the runtime at rest (timestep 0, membranes 0).
    // kBudget at the operator before which `budget` was exceeded; without a budget nothing is counted.
    Status run(std::span<const InputBuffer> inputs, std::span<const OutputBuffer> outputs, Budget* budget = nullptr);

    // The next timestep of a stream. A mean over time gives this step's term. kRange past the model's max_timesteps.
    Status step(std::span<const InputBuffer> inputs, std::span<const OutputBuffer> outputs, Budget* budget = nullptr);

    // A run that counts: `layers` has one entry for each operator, in the program's order. With a budget, `seconds`
    // contain the counting that it needs.
    Status profile(std::span<const InputBuffer> inputs, std::span<const OutputBuffer> outputs,
                   std::span<LayerProfile> layers, Budget* budget = nullptr);

    // Streams: timesteps taken so far, and the membranes with that number as bytes that only a runtime of the same
    // model may be given back. Both spans must have exactly state_bytes() bytes.
    std::uint32_t timestep() const;
    std::size_t state_bytes() const;
    Status get_state(std::span<std::byte> state) const;
    Status set_state(std::span<const std::byte> state);
    void reset();

    struct Impl;  // csrc/runtime

  private:
    std::unique_ptr<Impl> impl_;
};

// Names of the instruction sets that this build has and this CPU can run, the best first; "portable" is always the
// last.
std::span<const std::string_view> available_isas();

}  // namespace spk
