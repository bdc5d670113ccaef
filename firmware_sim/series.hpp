// A time series of a run: windows of equal length, a power of two cycles, that double whenever there would be too many.
//
// Contract: totals at the start of every window are kept, so that the windows' sums equal the run's totals.
#pragma once

#include <cstdint>
#include <vector>

#include "counters.hpp"
#include "fifo.hpp"
#include "mesh.hpp"

namespace spk::chip {

// What is kept of the whole chip at one moment: everything counted so far.
struct Totals {
    std::vector<Classes> classes;                         // by core
    std::vector<std::array<std::int64_t, kSides>> links;  // by core
    Row<CoreCounts> counters{};
};

class Series {
  public:
    // `most` windows; 0: none.
    explicit Series(std::size_t most) : most_(most) {}

    bool wanted() const { return most_ > 0; }
    // Cycles of a window; 0 where none are wanted.
    Cycle length() const { return wanted() ? length_ : 0; }
    // The first cycle that does not belong to the window under way.
    Cycle end() const { return wanted() ? static_cast<Cycle>(starts_.size()) * length_ : kNever; }

    // Begins the window at `end()`, given the totals of all cycles before it. `last_act`: the last cycle that counts.
    void begin(Totals totals, Cycle last_act) {
        starts_.push_back(std::move(totals));
        shorten(last_act + 1);
    }

    // The totals at the start of each window of a run of so many cycles.
    const std::vector<Totals>& finish(Cycle cycles) {
        if (!wanted()) return starts_;
        shorten(cycles);
        const auto needed = static_cast<std::size_t>((cycles + length_ - 1) / length_);
        if (starts_.size() > needed) starts_.resize(needed);
        return starts_;
    }

  private:
    // Merges pairs of windows while `cycles` need more than allowed.
    void shorten(Cycle cycles) {
        while ((cycles + length_ - 1) / length_ > static_cast<Cycle>(most_)) {
            for (std::size_t i = 0; 2 * i < starts_.size(); ++i) {
                if (i > 0) starts_[i] = std::move(starts_[2 * i]);
            }
            starts_.resize((starts_.size() + 1) / 2);
            length_ *= 2;
        }
    }

    std::size_t most_;
    Cycle length_ = 1;
    std::vector<Totals> starts_;
};

}  // namespace spk::chip
