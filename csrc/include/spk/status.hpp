// How every fallible function of the library answers: a code, a sentence, and where.
//
// Contract: a Status is a small value without heap. `message()` is a static string that says what was expected;
// `place()` and `number()` say where (operator 12, tensor 3, byte 640). Nothing in the library throws.
#pragma once

#include <cstdint>

namespace spk {

enum class Code : std::uint8_t {
    kOk = 0,
    kFormat,       // the model image breaks a rule of the format
    kShape,        // a buffer has another size than was declared
    kRange,        // an integer lies outside its declared range, or a sum is not proven to fit 32 bits
    kUnsupported,  // an operator or instruction set that this build does not have
    kMemory,       // the arena is too small or not aligned to 64 bytes, or the heap is exhausted at load
    kBudget,       // a run was stopped, since a layer would have read more events than the budget allows
};

enum class Place : std::uint8_t { kNone = 0, kByte, kTensor, kOp, kBlob, kPort, kInput, kOutput };

class [[nodiscard]] Status {
  public:
    constexpr Status() = default;  // success
    constexpr Status(Code code, const char* message, Place place = Place::kNone, std::int64_t number = 0)
        : message_(message), number_(number), code_(code), place_(place) {}

    constexpr bool ok() const { return code_ == Code::kOk; }
    constexpr Code code() const { return code_; }
    constexpr const char* message() const { return message_; }
    constexpr Place place() const { return place_; }
    constexpr std::int64_t number() const { return number_; }

    // The same failure, located where it was not yet.
    constexpr Status at(Place place, std::int64_t number) const {
        return ok() || place_ != Place::kNone ? *this : Status(code_, message_, place, number);
    }

  private:
    const char* message_ = "";
    std::int64_t number_ = 0;
    Code code_ = Code::kOk;
    Place place_ = Place::kNone;
};

}  // namespace spk
