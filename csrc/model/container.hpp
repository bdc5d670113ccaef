// The container that images of all kinds share: header, digest, and sections without gaps other than zeros.
//
// Contract: nothing here touches a byte outside the bytes given, whatever they hold, or allocates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "model/format.hpp"
#include "spk/status.hpp"

namespace spk {

bool all_zero(std::span<const std::byte> bytes);

// `size` up to the next multiple of the alignment.
constexpr std::uint64_t aligned(std::uint64_t size) {
    return (size + format::kAlignment - 1) / format::kAlignment * format::kAlignment;
}

// Whether `bytes` are an image of that kind, whole and unharmed, with a first section of at least `first` bytes.
Status check_container(std::span<const std::byte> bytes, std::uint32_t kind, std::uint64_t first);

// Cuts one section after another off an image; remembers the first that does not fit, or whose gap is not zero.
class Cutter {
  public:
    explicit Cutter(std::span<const std::byte> bytes) : bytes_(bytes), at_(sizeof(format::Header)) {}

    template <class Record>
    std::span<const Record> records(std::uint64_t count) {
        const auto cut = section(count > bytes_.size() ? bytes_.size() + 1 : count * sizeof(Record));
        return {reinterpret_cast<const Record*>(cut.data()), cut.size() / sizeof(Record)};
    }

    std::span<const std::byte> section(std::uint64_t size);

    std::span<const std::byte> rest() const { return bytes_.subspan(at_); }
    Status status() const { return status_; }

  private:
    void fail(const char* message) {
        if (status_.ok()) status_ = {Code::kFormat, message, Place::kByte, static_cast<std::int64_t>(at_)};
    }

    std::span<const std::byte> bytes_;
    std::uint64_t at_;
    Status status_;
};

}  // namespace spk
