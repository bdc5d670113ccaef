// Where tensors lie while a model runs: pyspike/memory.py in C++.
#pragma once

#include <cstdint>
#include <span>

#include "model/program.hpp"
#include "model/reader.hpp"

namespace spk {

// Plans the arena and the membranes of a program whose tensors and operators are known (`known`: the phase after which
// each tensor is), holds the plan against the image, and fills it in. Also sets the bound that membranes put on a
// stream.
Status place_tensors(const Image& image, std::span<const std::int8_t> known, Program* program);

}  // namespace spk
