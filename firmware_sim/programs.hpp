// The programs of a core's tiles, and the tokens that drive them (docs/chip.md, "Programs and tokens").
//
// Contract: everything that is registered here during a cycle is meant for the next one; the core asks `take` before
// it registers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "state.hpp"

namespace spk::chip {

class Programs {
  public:
    Programs(const Shared& shared, const format::Core& core);

    // A step that starts, by its numbers among all steps and tiles.
    struct Start {
        std::uint32_t tile, step, t;
    };

    // Starts the startable step that is least in (t, step number, tile number).
    std::optional<Start> take();
    bool can_take() const { return !startable_.empty(); }
    void step_over(std::uint32_t tile);
    void end_sent(std::uint32_t step, std::uint32_t destination);

    // The next READY of the lowest tile that has one, and the port that it speaks for.
    struct Ready {
        Flit flit;
        std::uint32_t port;
    };
    bool ready_pending() const { return !readies_.empty(); }
    Ready next_ready();

    void receive(const Flit& token);
    // Throws SimulationError unless the port's group is current, of the flit's timestep and not complete.
    void check(const Flit& flit, Cycle now) const;

    bool finished() const { return left_ == 0; }
    std::uint32_t steps_done() const { return done_; }

    // One line for each tile that has steps left: what it waits for.
    void describe(std::vector<std::string>& lines, std::size_t limit) const;

  private:
    struct Tile {
        std::uint32_t step;  // whose group is current
        std::uint32_t t = 0, ends = 0;
        bool startable = false, over = false;
    };

    // READYs of a group that are not sent yet.
    struct Readies {
        std::uint32_t tile, step, t, port = 0, producer = 0;
    };

    void begin_group(std::uint32_t tile);
    void consider(std::uint32_t tile);
    bool complete(std::uint32_t tile) const;
    std::string name(std::uint32_t tile) const;

    const Shared& shared_;
    const Firmware& firmware_;
    const format::Core& core_;
    std::vector<Tile> tiles_;
    std::vector<std::uint8_t> ready_;     // by destination of this core
    std::vector<std::uint32_t> missing_;  // by step of this core: destinations that have not sent READY
    std::uint32_t first_step_;
    std::vector<std::uint32_t> startable_;  // tiles
    std::vector<Readies> readies_;          // the lowest tile last
    std::uint32_t left_, done_ = 0;
};

}  // namespace spk::chip
