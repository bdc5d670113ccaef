// The synapse engine of a core: which issues an event makes, and what they do to the potentials.
//
// Which cycles an event's issues take is known as soon as it is handed over, and nothing else touches the words that
// they touch before they are done. So they are made at once, up to the end of the window of the time series, and the
// core goes on knowing the cycles alone.
//
// Contract: docs/chip.md, "Decode" and "Synapse engine". Potentials of lanes that are not valid stay 0.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "state.hpp"

namespace spk::chip {

class Engine {
  public:
    Engine(Shared& shared, const format::Core& core, std::span<std::int32_t> potentials);

    // The last cycle in which an issue is made, as far as is known; -1 before the first.
    Cycle last() const { return last_; }
    bool issues(Cycle now) const { return first_ <= now && now <= last_; }
    bool writes(Cycle now) const { return (real_ && first_ < now && now <= last_ + 1) || now == last_write_before_; }

    // The first cycle from `from` on in which no issue is made, or nothing is written, as far as is known.
    Cycle without_issue(Cycle from) const { return issues(from) ? last_ + 1 : from; }
    Cycle without_write(Cycle from) const;

    // Takes over an event at the end of `now`: its first issue is in the next cycle. The last one before must be over.
    void accept(const Flit& event, Cycle now);

    // Makes the issues of all cycles before `until`.
    void advance(Cycle until);

  private:
    // An output coordinate that one kernel position k of the upsampled copy u of an event reaches.
    struct Target {
        std::uint32_t u, k, at;
    };

    // What does not change from event to event of a port.
    struct Plan {
        const format::Port* port;
        const format::Tile* tile;
        const std::int8_t* weights;
        const std::uint32_t* scales;  // 2^shift of every lane
        std::uint32_t words_per_site, number;
        bool synapse, max;
    };

    static void find_targets(std::vector<Target>& targets, std::int64_t site, std::uint32_t upsample,
                             std::int32_t padding, std::uint32_t kernel, std::uint32_t dilation, std::uint32_t stride,
                             std::uint32_t low, std::uint32_t size);
    static std::size_t copy_end(const std::vector<Target>& targets, std::size_t begin);
    bool find_channels();
    void first_site();
    void next_site();
    void whole_site();
    void one_issue();
    void count(std::int64_t words, std::int64_t lanes, std::int64_t repeats, bool first);
    void apply(std::uint32_t low, std::uint32_t high, std::uint32_t factor);
    std::uint32_t factor() const;
    std::int32_t* site_potentials() const;

    Shared& shared_;
    const Firmware& firmware_;
    const format::Core& core_;
    std::span<std::int32_t> potentials_;
    std::vector<std::uint32_t> scales_;
    std::vector<Plan> plans_;  // by port

    // The event under way.
    Flit event_;
    const Plan* plan_ = nullptr;
    bool real_ = false;
    Cycle first_ = 0, last_ = -1, next_ = 0, last_write_before_ = -1;
    std::vector<Target> rows_, columns_;
    std::uint32_t low_ = 0, high_ = 0;         // targeted channels of the tile, counted from its first
    std::uint32_t channel_ = 0, repeats_ = 0;  // input channel of its group, issues per word
    std::size_t row_ = 0, column_ = 0;         // the target site
    std::size_t row_begin_ = 0, row_end_ = 0, column_begin_ = 0, column_end_ = 0;  // of the upsampled copy
    std::uint32_t word_ = 0, repeat_ = 0;
};

}  // namespace spk::chip
