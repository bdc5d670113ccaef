// SHA-256 (FIPS 180-4) of a span of bytes; no heap. Uses the CPU's SHA instructions where it has them, unless
// `portable`.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace spk {

using Sha256 = std::array<std::uint8_t, 32>;

Sha256 sha256(std::span<const std::byte> bytes, bool portable = false);

namespace sha256_detail {

using State = std::array<std::uint32_t, 8>;

extern const std::array<std::uint32_t, 64> kRoundConstants;

// Digest `blocks` blocks of 64 bytes into `state`.
void compress_portable(State& state, const std::uint8_t* data, std::size_t blocks);
// The same with SHA instructions, and whether this build and CPU have them (sha256_x86.cpp).
void compress_x86(State& state, const std::uint8_t* data, std::size_t blocks);
bool has_x86();

}  // namespace sha256_detail
}  // namespace spk
