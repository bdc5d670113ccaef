// Runs a kernel on all instruction sets with the same arguments.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace spk::fuzz {

// In the order of list.def.
std::span<const char* const> kernel_names();

// Draws arguments of a kernel (its place among the names) and aborts with a report where two instruction sets disagree.
void differ(std::size_t kernel, std::span<const std::uint8_t> choices, std::uint64_t seed);

}  // namespace spk::fuzz
