// One operator's record while it is being checked: its operands, and a cursor over its attributes and arrays.
//
// Contract: attributes are taken in the order of the fields in pyspike/ops, arrays in theirs; a cursor that runs out,
// or a value that no writer produces, makes `sound()` false, and what it returned is then a harmless default. A rule
// (model/ops) reads its fields, checks them against the operands, and fills `out` and `params`.
#pragma once

#include <cstdint>
#include <span>

#include "model/facts.hpp"
#include "model/program.hpp"
#include "model/reader.hpp"

namespace spk {

// An array as stored: its record and its bytes, or absent.
struct Array {
    const format::Blob* blob = nullptr;
    const std::byte* data = nullptr;

    bool present() const { return data != nullptr; }
    std::int64_t size(int axis) const { return blob->sizes[axis]; }
    const std::int8_t* int8() const { return reinterpret_cast<const std::int8_t*>(data); }
    const std::int32_t* int32() const { return reinterpret_cast<const std::int32_t*>(data); }
};

class OpReader {
  public:
    OpReader(const Image& image, const format::Op& op, std::span<const Facts> operands, ChannelScales* store)
        : inputs(operands),
          scales(store),
          image_(image),
          words_(image.words.subspan(op.first_word + op.inputs, op.words - op.inputs)),
          blobs_(image.blobs.subspan(op.first_blob, op.blobs)),
          timesteps_(image.model.timesteps),
          max_timesteps_(image.model.max_timesteps) {}

    std::span<const Facts> inputs;
    Facts out;
    OpParams params;
    ChannelScales* scales;

    const Facts& x() const { return inputs[0]; }
    std::uint32_t timesteps() const { return timesteps_; }
    std::uint32_t max_timesteps() const { return max_timesteps_; }

    std::int32_t integer();
    bool boolean();                         // 0 or 1
    std::span<const std::int32_t> tuple();  // a length, then as many words
    Array array(std::uint8_t dtype, std::uint8_t packing, int rank);
    bool next_packed_as(std::uint8_t packing) const { return !blobs_.empty() && blobs_.front().packing == packing; }
    Array optional_array(std::uint8_t dtype, int rank);

    // Whether every field so far was there, and at the end whether nothing is left.
    bool sound() const { return sound_; }
    bool done() const { return sound_ && words_.empty() && blobs_.empty(); }

  private:
    const Image& image_;
    std::span<const std::int32_t> words_;
    std::span<const format::Blob> blobs_;
    std::uint32_t timesteps_, max_timesteps_;
    bool sound_ = true;
};

// What rules say most: the fields are not those of this operator; a shape, a range or a scale does not fit.
inline Status bad_fields() { return {Code::kFormat, "attributes or arrays are not those of this operator"}; }
inline Status bad_shape(const char* message) { return {Code::kShape, message}; }
inline Status bad_range(const char* message) { return {Code::kRange, message}; }

}  // namespace spk
