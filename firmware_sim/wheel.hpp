// Which units are to be visited in which of the next cycles: a ring of sets of units.
//
// Contract: a unit that could act in a cycle is visited in it; visiting one that cannot act changes nothing, so waking
// too early or too often is harmless. Where no unit is due at all, nothing can ever happen again.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "fifo.hpp"

namespace spk::chip {

inline constexpr Cycle kNever = INT64_MAX;

class Wheel {
  public:
    static constexpr Cycle kSlots = 64;

    explicit Wheel(std::uint32_t units)
        : words_((units + 63) / 64), summary_((words_ + 63) / 64), sets_(kSlots * (words_ + summary_)) {}

    Cycle now() const { return now_; }

    // Visit `unit` in `cycle` > now, or before: what lies too far ahead is looked at again on the way.
    void wake(std::uint32_t unit, Cycle cycle) {
        if (cycle - now_ >= kSlots) cycle = now_ + kSlots - 1;
        const std::size_t slot = static_cast<std::size_t>(cycle % kSlots);
        std::uint64_t* set = &sets_[slot * (words_ + summary_)];
        set[unit / 64] |= std::uint64_t{1} << unit % 64;
        set[words_ + unit / 4096] |= std::uint64_t{1} << unit / 64 % 64;
        due_ |= std::uint64_t{1} << slot;
    }

    // Go on to the next cycle in which a unit is due; false where there is none.
    bool advance() {
        if (due_ == 0) return false;
        const int turn = static_cast<int>((now_ + 1) % kSlots);
        now_ += 1 + std::countr_zero(std::rotr(due_, turn));
        return true;
    }

    // Calls `visit(unit)` for each unit that is due now, ascending, and forgets them.
    template <class Visit>
    void visit(Visit visit) {
        const std::size_t slot = static_cast<std::size_t>(now_ % kSlots);
        std::uint64_t* set = &sets_[slot * (words_ + summary_)];
        due_ &= ~(std::uint64_t{1} << slot);
        for (std::uint32_t s = 0; s < summary_; ++s) {
            for (std::uint64_t some = take(set[words_ + s]); some != 0; some &= some - 1) {
                const std::uint32_t word = s * 64 + static_cast<std::uint32_t>(std::countr_zero(some));
                for (std::uint64_t units = take(set[word]); units != 0; units &= units - 1) {
                    visit(word * 64 + static_cast<std::uint32_t>(std::countr_zero(units)));
                }
            }
        }
    }

  private:
    static std::uint64_t take(std::uint64_t& bits) {
        const std::uint64_t taken = bits;
        bits = 0;
        return taken;
    }

    std::uint32_t words_, summary_;
    std::vector<std::uint64_t> sets_;  // of every slot: the units, then which words of them are not zero
    std::uint64_t due_ = 0;            // which slots are not empty
    Cycle now_ = -1;
};

}  // namespace spk::chip
