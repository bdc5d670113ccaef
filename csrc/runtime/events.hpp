// Event lists: where the bits of a synapse's input are set.
//
// A list is a run of 16-bit numbers, column * block + channel, for one input row, one segment of its columns, one block
// of its channels and one bit-plane (or one digit), by rising column; `offsets` says where each column starts. The
// window of a kernel row is therefore one run of one list. A map wider than 16 bits can number, or than one task should
// take, is cut into segments of outputs, each with lists of the columns it reads.
//
// Contract: lists stay valid until the tensor they were made from is written again, or lists of another are built in
// the same memory. Operators that read the same tensor under the same geometry share them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/api.hpp"
#include "model/program.hpp"

namespace spk {

struct Context;

// How a tensor is cut into lists.
struct EventGeometry {
    std::int32_t rows = 0, width = 0, channels = 0;  // of the input, [rows][width][channels]
    std::int32_t group_channels = 0;                 // channels of a group; blocks do not cross groups
    std::int32_t block = 0;                          // channels of a block, the last of a group may have fewer
    std::int32_t planes = 0;                         // or digits, from the lowest
    std::int32_t digit_bits = 0;                     // 0: events are bits; else digits of so many bits
    std::int32_t spread = 0;  // a channel's numbers: 1 << spread of them, one for each digit but 0
    std::int32_t segments = 1;
    std::int32_t segment_outputs = 0;                 // outputs of a segment, the last may have fewer
    std::int32_t stride = 1, padding = 0, reach = 1;  // columns: between outputs, left of the map, under the kernel
    std::int32_t most_bits = 0;                       // an integer of the input makes at most so many events

    bool operator==(const EventGeometry&) const = default;

    std::int32_t group_blocks() const { return (group_channels + block - 1) / block; }
    std::int32_t numbers() const { return block << spread; }  // of one column
    std::int32_t blocks() const { return channels / group_channels * group_blocks(); }
    std::int32_t segment_start(std::int32_t segment) const;  // first input column
    std::int32_t segment_width(std::int32_t segment) const;
    std::int32_t widest() const;  // of all segments

    std::size_t row_bytes() const;     // lists of one row
    std::size_t offset_count() const;  // offsets of one (row, segment, block), all planes
    std::size_t bytes() const;         // everything
};

// Planes and most_bits of integers in [lo, hi].
void set_planes(std::int32_t lo, std::int32_t hi, EventGeometry* geometry);

// Digits instead, for integers in [0, hi], hi <= 255: one, or two of four bits.
void set_digits(std::int32_t hi, EventGeometry* geometry);

class EventCache {
  public:
    // `memory`: at least bytes() of every geometry that will be asked for, aligned to 64.
    explicit EventCache(std::byte* memory = nullptr) : memory_(memory) {}

    // Builds the lists of `tensor`, unless they are there.
    void require(const Context& context, std::int32_t tensor, const EventGeometry& geometry);
    // The tensor has another value now.
    void forget(std::int32_t tensor) {
        if (tensor == tensor_) tensor_ = -1;
    }
    void forget_all() { tensor_ = -1; }

    const std::uint16_t* row(std::int32_t row) const {
        return reinterpret_cast<const std::uint16_t*>(memory_ + static_cast<std::size_t>(row) * geometry_.row_bytes());
    }
    const std::uint32_t* offsets(std::int32_t row, std::int32_t segment, std::int32_t block) const {
        const auto list = (static_cast<std::size_t>(row) * geometry_.segments + segment) * geometry_.blocks() + block;
        const std::byte* first = memory_ + static_cast<std::size_t>(geometry_.rows) * geometry_.row_bytes();
        return reinterpret_cast<const std::uint32_t*>(first) + list * geometry_.offset_count();
    }

  private:
    void scan(const Context& context, const TensorView& tensor, kernels::ScanArgs& args) const;
    void build_row(const Context& context, const TensorView& tensor, std::int32_t row) const;
    void clear_row(std::int32_t row) const;

    std::byte* memory_ = nullptr;
    EventGeometry geometry_;
    std::int32_t tensor_ = -1;
    const std::byte* data_ = nullptr;  // where it lay: what it gained and lost lies elsewhere
};

}  // namespace spk
