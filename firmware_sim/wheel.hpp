// Which units are to be visited in which of the next cycles: a ring of sets of units.
//
// Contract: a unit that could act in a cycle is visited in it; visiting one that cannot act changes nothing, so waking
// too early or too often is harmless. Where no unit is due at all, nothing can ever happen again.
#pragma once

#include <array>
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
        const std::uint64_t bit = std::uint64_t{1} << unit % 64;
        counts_[slot] += (set[unit / 64] & bit) == 0 ? 1 : 0;
        set[unit / 64] |= bit;
        set[words_ + unit / 4096] |= std::uint64_t{1} << unit / 64 % 64;
        due_ |= std::uint64_t{1} << slot;
    }

    // The next cycle in which a unit is due; kNever where there is none.
    Cycle next() const {
        if (due_ == 0) return kNever;
        return now_ + 1 + std::countr_zero(std::rotr(due_, static_cast<int>((now_ + 1) % kSlots)));
    }

    // How many units are due in `cycle`, which is at most a turn ahead.
    std::uint32_t due(Cycle cycle) const { return counts_[static_cast<std::size_t>(cycle % kSlots)]; }

    // Go on to a cycle that is not behind the next one.
    void go(Cycle cycle) { now_ = cycle; }

    // Calls `visit(unit)` for each unit that is due now, ascending, and forgets them.
    template <class Visit>
    void visit(Visit visit) {
        const std::size_t slot = static_cast<std::size_t>(now_ % kSlots);
        std::uint64_t* set = &sets_[slot * (words_ + summary_)];
        due_ &= ~(std::uint64_t{1} << slot);
        counts_[slot] = 0;
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
    std::vector<std::uint64_t> sets_;             // of every slot: the units, then which words of them are not zero
    std::array<std::uint32_t, kSlots> counts_{};  // units
    std::uint64_t due_ = 0;                       // which slots are not empty
    Cycle now_ = -1;
};

}  // namespace spk::chip
