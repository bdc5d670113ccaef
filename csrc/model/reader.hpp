// The sections of a model image: header, digest, bounds, gaps, names and arrays. The meaning of operators is the
// verifier's.
//
// Contract: read_image touches no byte outside `bytes`, whatever they hold, allocates nothing, and on success every
// record, word, name and array named below lies inside its section, in the canonical order, without gaps, overlaps or
// unused bytes; bytes between sections, behind arrays and behind a packed array's outputs are zero.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "model/format.hpp"
#include "spk/status.hpp"

namespace spk {

struct Image {
    std::span<const std::byte> bytes;
    format::Model model{};
    std::span<const format::Tensor> tensors;
    std::span<const format::Op> ops;
    std::span<const format::Port> inputs, outputs;
    std::span<const format::Blob> blobs;
    std::span<const std::int32_t> words;
    std::string_view strings, metadata;
    std::span<const std::byte> data;

    std::string_view text(std::uint32_t at, std::uint32_t length) const { return strings.substr(at, length); }
};

Status read_image(std::span<const std::byte> bytes, Image* image);

// Bytes of an array as packed (pyspike/packing.py), 0 where its sizes are impossible or exceed the format's limit.
std::uint64_t packed_bytes(const format::Blob& blob);

}  // namespace spk
