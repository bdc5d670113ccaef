// Which kernel a synapse takes: the one place that weighs them against each other.
//
// Contract: a choice depends on shapes, ranges and the environment's PYSPIKE_GATHER alone, never on the CPU or on the
// weights, so that memory is known before anything is made; it never changes a result. PYSPIKE_GATHER (rows, split,
// flat or folded) asks for a kernel wherever it can serve.
#pragma once

#include <cstdint>

#include "model/program.hpp"

namespace spk {

struct SynapseShape;

// How rows of weights are added: the ladder of csrc/kernels/README.md.
enum class GatherKernel : std::uint8_t { kRows, kSplit, kFlat, kFolded, kLookup };

// `multiples_left`: bytes that multiples of weights may still take.
GatherKernel choose_kernel(const SynapseShape& shape, const TensorView& input, const TensorView& output, bool linear,
                           std::size_t multiples_left);

}  // namespace spk
