// Neurons: fire without state, and with a membrane.
//
// Contract: as for synapses, plans are made once. The ladder takes its uniform form where its thresholds are equally
// spaced by a power of two, which then counts the same for every 32-bit potential.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/context.hpp"

namespace spk {

struct FirePlan {
    enum class Form { kUniform, kLadder, kChannels, kMembrane } form = Form::kLadder;
    std::int32_t first = 0, last = 0, shift = 0;  // uniform
    std::vector<std::int32_t> thresholds;         // [count], or [count][channels]
    std::vector<std::int32_t> resets;             // [count]: what each further count takes away
    std::int32_t reset_zero = 0;
};

FirePlan plan_fire(const Program& program, const Op& op);
void run_fire(Context& context, const Op& op, const FirePlan& plan);

}  // namespace spk
