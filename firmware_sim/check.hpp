// How the verifier complains: "port 7: strides must be 1..16, found 0".
#pragma once

#include <cstdint>
#include <string>

#include "errors.hpp"

namespace spk::chip {

// One record under examination.
class Record {
  public:
    Record(const char* what, std::size_t number) : what_(what), number_(number) {}

    void require(bool good, const char* message) const {
        if (!good) fail(message);
    }

    void in(std::int64_t value, std::int64_t low, std::int64_t high, const char* field) const {
        if (value >= low && value <= high) return;
        fail(std::string(field) + " must be " + std::to_string(low) + ".." + std::to_string(high) + ", found " +
             std::to_string(value));
    }

    // That a run of `count` records from `first` on begins where the last one ended and lies inside `size`.
    void follows(std::uint32_t first, std::uint32_t count, std::uint64_t& next, std::uint64_t size,
                 const char* field) const {
        if (first != next || count > size - next) {
            fail(std::string("its ") + field + " must begin at " + std::to_string(next) + " and end before " +
                 std::to_string(size) + ", found " + std::to_string(count) + " from " + std::to_string(first) + " on");
        }
        next += count;
    }

    [[noreturn]] void fail(const std::string& message) const {
        throw FirmwareError(std::string(what_) + " " + std::to_string(number_) + ": " + message);
    }

  private:
    const char* what_;
    std::size_t number_;
};

}  // namespace spk::chip
