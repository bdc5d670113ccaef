// What conv2d and linear share: their arrays, and the range and scale of weighted sums (pyspike/ops/synapse.py).
#pragma once

#include "model/op_reader.hpp"

namespace spk {

// Takes weight, exponent, shift and bias. False where they are not those of a synapse; `exponent` has one value an
// output channel.
bool read_synapse(OpReader& op, bool may_be_depthwise, Synapse* synapse, const std::int8_t** exponent);

// Range and scale of (sums << shift) + bias, from the actual weights. 0 counts as a possible input value.
Status infer_synapse(OpReader& op, const Synapse& synapse, const std::int8_t* exponent);

}  // namespace spk
