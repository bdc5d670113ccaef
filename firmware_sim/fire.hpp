// The fire unit of a core: takes a step, visits its words, and sends what they give.
//
// Contract: docs/chip.md, "Fire".
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "engine.hpp"
#include "programs.hpp"
#include "state.hpp"

namespace spk::chip {

class FireUnit {
  public:
    FireUnit(Shared& shared, const format::Core& core, std::span<std::int32_t> potentials, const Engine& engine,
             Programs& programs)
        : shared_(shared),
          firmware_(shared.firmware),
          core_(core),
          potentials_(potentials),
          engine_(engine),
          programs_(programs) {}

    bool under_way() const { return phase_ != Phase::kFree; }
    // Whether the step under way has nothing due but a flit or an END.
    bool only_sends() const { return phase_ == Phase::kEnds || (phase_ == Phase::kEmit && write_ == kWrites); }

    // What it does in `now`; `can_send`: the out FIFO was not full at the start, and no READY enters it. Returns
    // whether a step was under way.
    bool act(Cycle now, bool can_send);

    // The next cycle after `now` in which it can act, as far as is known; `full`: the out FIFO, at its start.
    Cycle next(Cycle now, bool full) const;

    std::string describe() const;

  private:
    enum class Phase : std::uint8_t { kFree, kRead, kCompare, kEmit, kEnds };

    static constexpr std::uint32_t kMaxLanes = 32, kWrites = 2;  // the membrane's, the accumulator's

    void begin(Cycle now);
    void read(Cycle now);
    void compute();
    void find_flits(std::uint32_t y, std::uint32_t x, std::uint32_t channel, std::uint32_t lanes);
    std::int32_t count(std::uint32_t channel, std::int32_t potential) const;
    std::int32_t leak(std::int32_t potential) const;
    void compare(Cycle now);
    void add_to_raster(Cycle now);
    void emit(Cycle now, bool can_send);
    void skip_writes();
    void write(Cycle now);
    void word_over(Cycle now);
    void words_over(Cycle now);
    void send(Cycle now, const Flit& flit);
    void send_end(Cycle now);
    void step_over(Cycle now);
    std::int32_t* accumulators() const { return word_at(tile_->base + word_); }
    std::int32_t* membranes() const { return word_at(step_->membrane - 1 + word_); }
    std::int32_t* word_at(std::size_t address) const { return potentials_.data() + address * firmware_.chip.lanes; }

    Shared& shared_;
    const Firmware& firmware_;
    const format::Core& core_;
    std::span<std::int32_t> potentials_;
    const Engine& engine_;
    Programs& programs_;

    Phase phase_ = Phase::kFree;
    Programs::Start start_{};
    const format::Step* step_ = nullptr;
    const format::Tile* tile_ = nullptr;
    std::uint32_t word_ = 0, words_ = 0;
    bool accumulator_read_ = false;
    std::uint32_t compares_left_ = 0;
    std::array<std::int32_t, kMaxLanes> counts_{}, membrane_{};  // of the word: what it fires, what is written
    std::uint32_t write_ = kWrites;                              // the next write of the word
    std::vector<Flit> flits_;
    std::size_t flit_ = 0;
    std::uint32_t end_ = 0;  // the next destination's END
};

}  // namespace spk::chip
