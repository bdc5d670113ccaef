// What is known of a tensor before anything runs, while its operator is being checked: pyspike.graph.Tensor in wide
// integers.
//
// Contract: arithmetic on ranges saturates, so that a value outside int32 stays outside whatever is done to it;
// `settle` is what turns facts into a tensor, and it refuses everything that does not fit.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "model/program.hpp"
#include "spk/status.hpp"

namespace spk {

inline constexpr std::int64_t kInt32Min = std::numeric_limits<std::int32_t>::min();
inline constexpr std::int64_t kInt32Max = std::numeric_limits<std::int32_t>::max();

inline std::int64_t add_sat(std::int64_t a, std::int64_t b) {
    std::int64_t sum;
    if (!__builtin_add_overflow(a, b, &sum)) return sum;
    return a < 0 ? std::numeric_limits<std::int64_t>::min() : std::numeric_limits<std::int64_t>::max();
}

inline std::int64_t mul_sat(std::int64_t a, std::int64_t b) {
    std::int64_t product;
    if (!__builtin_mul_overflow(a, b, &product)) return product;
    return (a < 0) != (b < 0) ? std::numeric_limits<std::int64_t>::min() : std::numeric_limits<std::int64_t>::max();
}

inline std::int64_t shl_sat(std::int64_t a, int shift) { return mul_sat(a, std::int64_t{1} << shift); }

inline bool fits_int32(std::int64_t lo, std::int64_t hi) { return lo >= kInt32Min && hi <= kInt32Max; }

struct Facts {
    int rank = 0;
    std::array<std::int64_t, kMaxRank> dims{};
    std::int64_t lo = 0, hi = 0;
    std::int64_t f = 0;
    bool per_channel = false;
    std::span<const std::int32_t> channel_f;
    std::uint64_t divisor = 1;
    bool time = false;

    std::int64_t last() const { return rank > 0 ? dims[rank - 1] : 1; }
    bool dyadic() const { return !per_channel && divisor == 1; }
};

Facts facts_of(const TensorView& tensor);

// Writes `facts` into `tensor` (all but its name and place); kShape or kRange where they break the limits of a tensor.
Status settle(const Facts& facts, TensorView* tensor);

// The f of every channel, where channels keep one each. Bounded: what images of this size may ask for in sum.
class ChannelScales {
  public:
    explicit ChannelScales(std::uint64_t image_bytes) : left_(image_bytes + (1u << 20)) {}

    // Room for `count` values, or nothing where the bound is reached. Spans stay valid until the store is destroyed.
    std::span<std::int32_t> make(std::uint64_t count);

  private:
    std::vector<std::vector<std::int32_t>> store_;
    std::uint64_t left_;
};

}  // namespace spk
