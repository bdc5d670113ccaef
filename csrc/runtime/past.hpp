// Runs that go on from the run before: what an incremental runtime keeps, and what it need not do again.
//
// Every tensor has a place of its own, so that the values of the run before are there. An operator none of whose inputs
// changed is left out. A gathered synapse whose counts changed little is given what they gained and what they lost, as
// counts of their own: within the same range, so that all that was proven of its lanes holds. Its old potentials plus
// the one sum less the other are the new ones, whatever the order: integers forget nothing. Any other operator is done
// anew beside its old output and compared with it, so that what did not change goes no further.
//
// Contract: made with the runtime; nothing here allocates after that. `known` says that all tensors hold one run's
// values; until then everything is done in full. Results are those of a runtime without a past.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "runtime/context.hpp"
#include "runtime/synapse.hpp"

namespace spk {

// The same synapse on what its input gained or lost: accumulators as they are, and kernels whose work is events.
struct Differences {
    GatherPlan plan;
    std::vector<std::int32_t> shifts;  // of the output's grid
    bool looked_up;                    // the synapse done in full is

    explicit Differences(const GatherPlan& whole);
};

class Past {
  public:
    enum class Work : std::uint8_t { kNothing, kDifferences, kPart, kAll };

    // Whether a model can have one: state of its own it must not have.
    static Status possible(const Program& program);

    explicit Past(const Program& program);

    std::uint64_t bytes() const { return bytes_; }  // the arena: tensors, what they gained and lost, one beside them
    const Program& program() const { return program_; }
    // The arena has been given, and a plan for the differences of every gathered synapse.
    void start(const Context& context, std::vector<std::optional<Differences>> differences);

    void set_multiples(std::size_t op, const std::byte* multiples) { differences_[op]->plan.multiples = multiples; }

    void forget() {
        known_ = false;
        pause_ = 0;
    }
    void remember();

    // What is to be done for an operator, its inputs being up to date; the same before it ran and after.
    Work work(std::size_t op) const;
    // Events that a synapse is about to read.
    std::uint64_t events(Context& context, std::size_t op);

    // Brings an operator's output up to date; `execute` does it in full.
    template <typename Execute>
    void run(Context& context, std::size_t op, const Execute& execute) {
        const std::int32_t output = program_.ops[op].output;
        switch (work(op)) {
            case Work::kNothing:
                place(output).changed = false;
                break;
            case Work::kDifferences:
                run_differences(context, op);
                break;
            case Work::kPart:
                run_part(context, op, execute);
                break;
            case Work::kAll:
                renew(context, output, is_compared(op), execute);
                break;
        }
    }

    // Gives a tensor what `compute` writes, and finds out what changed, unless that is not worth it.
    template <typename Compute>
    void renew(Context& context, std::int32_t tensor, bool compared, const Compute& compute) {
        if (!known_ || !compared) {
            compute();
            replaced(tensor);
        } else {
            compute_beside(tensor, compute);
            settle(context, tensor, nullptr);
        }
        context.events.forget(tensor);
    }

    // What an operator just did; `count` counts it in full, or in the context's region.
    template <typename Count>
    void profile(Context& context, std::size_t op, LayerProfile* layer, const Count& count) {
        const Work done = work(op);
        if (done == Work::kNothing) return;
        if (done == Work::kDifferences) return profile_differences(context, op, layer);
        const Region region = done == Work::kPart ? visit(op) : Region{};
        if (done == Work::kPart) context.region = &region;
        count();
        context.region = nullptr;
    }

  private:
    // A tensor that for a while lies elsewhere.
    class Moved {
      public:
        Moved(Program* program, std::int32_t tensor, std::uint64_t arena)
            : view_(program->tensors[static_cast<std::size_t>(tensor)]), before_(view_) {
            view_.arena = arena;
        }
        ~Moved() { view_ = before_; }
        Moved(const Moved&) = delete;
        Moved& operator=(const Moved&) = delete;
        void hold(Dtype dtype) { view_.dtype = dtype; }

      private:
        TensorView& view_;
        TensorView before_;
    };

    struct Place {
        bool differs = false;                // a gathered synapse reads it: what it gained and lost is kept
        bool changed = false;                // in this run
        std::uint64_t gained = 0, lost = 0;  // bytes of the arena
        std::uint64_t more = 0, fewer = 0,
                      near = 0;  // integers that rose, that fell, and that are not 0 near those, about
        std::uint64_t changes() const { return more + fewer; }
        std::size_t first_row = 0, rows = 1;  // of columns_: images and their rows, or all of it one row
        std::size_t row_bytes = 0, column_bytes = 1;
    };
    struct Counts {
        std::uint32_t more = 0, fewer = 0, nonzero = 0;
    };

    Place& place(std::int32_t tensor) { return places_[static_cast<std::size_t>(tensor)]; }
    const Place& place(std::int32_t tensor) const { return places_[static_cast<std::size_t>(tensor)]; }
    // Operators that can be done for a region alone.
    template <typename Execute>
    void run_part(Context& context, std::size_t op, const Execute& execute) {
        const std::int32_t output = program_.ops[op].output;
        const Region region = visit(op);
        context.region = &region;
        if (is_fire(op)) {
            compute_beside(output, execute);
        } else {
            execute();
        }
        context.region = nullptr;
        if (is_fire(op)) settle(context, output, region.outputs);
        context.events.forget(output);
    }
    template <typename Compute>
    void compute_beside(std::int32_t tensor, const Compute& compute) {
        const Moved beside(&program_, tensor, beside_);
        compute();
    }
    bool is_fire(std::size_t op) const { return std::holds_alternative<Fire>(program_.ops[op].params); }
    bool is_map(std::size_t op) const;
    bool is_compared(std::size_t op) const;
    void replaced(std::int32_t tensor);
    void settle(const Context& context, std::int32_t tensor, const Columns* only);
    void settle_row(const Context& context, std::int32_t tensor, std::size_t row, Columns columns);
    Region visit(std::size_t op);
    void join(const Place& a, const Place& b, const Place& out);
    void profile_differences(Context& context, std::size_t op, LayerProfile* layer);
    void run_differences(Context& context, std::size_t op);
    void reach(const SynapseShape& shape, const Place& in, const Place& out);
    void adjust(const Context& context, std::size_t op, bool negate) const;

    Program program_;
    std::vector<Place> places_;
    std::vector<Columns>
        columns_;  // that changed, of every row of every tensor; outside them nothing was gained or lost
    std::vector<Counts> counts_;
    std::vector<std::optional<Differences>> differences_;
    std::uint64_t beside_ = 0, bytes_ = 0;
    bool known_ = false;
    std::uint32_t pause_ = 0;  // so many runs more are done in full
};

}  // namespace spk
