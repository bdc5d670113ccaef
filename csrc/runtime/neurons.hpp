// Neurons: fire without state, and with a membrane.
//
// Contract: as for synapses, plans are made once. The ladder takes its uniform form where its thresholds are equally
// spaced by a power of two, which then counts the same for every 32-bit potential.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "runtime/context.hpp"

namespace spk {

// Integers that start on a cache line, as kernels like to load them.
class AlignedIntegers {
  public:
    static constexpr std::size_t kLine = 16;
    void resize(std::size_t count) { lines_.assign((count + kLine - 1) / kLine, Line{}); }
    std::int32_t* data() { return reinterpret_cast<std::int32_t*>(lines_.data()); }
    const std::int32_t* data() const { return reinterpret_cast<const std::int32_t*>(lines_.data()); }

  private:
    struct alignas(64) Line {
        std::int32_t integers[kLine]{};
    };
    std::vector<Line> lines_;
};

struct FirePlan {
    enum class Form { kUniform, kLadder, kChannels, kMembrane } form = Form::kLadder;
    std::int32_t first = 0, last = 0, shift = 0;  // uniform
    AlignedIntegers thresholds;                   // [count], or [count][row]
    std::size_t row = 0;                          // integers from one threshold to the next of all channels
    std::vector<std::int32_t> resets;             // [count]: what each further count takes away
    std::int32_t reset_zero = 0;
};

FirePlan plan_fire(const Program& program, const Op& op);
void run_fire(Context& context, const Op& op, const FirePlan& plan);

}  // namespace spk
