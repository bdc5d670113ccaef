// Which kernel a synapse takes: the one place that weighs them against each other.
//
// Contract: a choice depends on shapes, ranges, the caller's wish and the environment's PYSPIKE_GATHER alone, never on
// the CPU or on the weights, so that memory is known before anything is made; it never changes a result. PYSPIKE_GATHER
// (rows, split, flat, folded or scatter) asks for a kernel wherever it can serve, whatever the caller wishes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "model/program.hpp"
#include "spk/runtime.hpp"

namespace spk {

struct SynapseShape;

// How rows of weights are added: the ladder of csrc/kernels/README.md.
enum class GatherKernel : std::uint8_t { kRows, kSplit, kFlat, kFolded, kScatter, kLookup };

std::string_view name_of(GatherKernel kernel);
// Whether a wish can be one: a known kernel or none, and a block within its bounds.
bool is_choice(const KernelChoice& wanted);

// `multiples_left`: bytes that multiples of weights may still take. `whole`: a call always makes the whole output.
GatherKernel choose_kernel(const SynapseShape& shape, const TensorView& input, const TensorView& output, bool linear,
                           std::size_t multiples_left, bool whole, const KernelChoice& wanted);

}  // namespace spk
