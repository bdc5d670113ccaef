// A core: decode stage, synapse engine, fire unit and READYs around one memory of potentials.
//
// Contract: `visit` may be called in any cycle and must be called in every cycle in which the core can act; what the
// cycles between two visits were is counted afterwards.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine.hpp"
#include "fire.hpp"
#include "programs.hpp"
#include "state.hpp"

namespace spk::chip {

class Core {
  public:
    Core(Shared& shared, const format::Core& core);
    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;

    void visit(Cycle now);
    // Counts the class of every cycle before `until`.
    void settle(Cycle until);
    void advance(Cycle until) { engine_.advance(until); }

    Classes classes;
    std::int64_t received = 0;

    const Programs& programs() const { return programs_; }
    Cycle last_issue() const { return engine_.last(); }
    void describe(std::vector<std::string>& lines, std::size_t limit) const;

  private:
    bool send_ready(Cycle now);
    void decode(Cycle now, bool leaves);
    Cycle next(Cycle now) const;

    static std::size_t memory_words(const Firmware& firmware, const format::Core& core);

    Shared& shared_;
    const format::Core& core_;
    std::vector<std::int32_t> potentials_;
    Programs programs_;
    Engine engine_;
    FireUnit fire_;
    Flit stage_;
    bool staged_ = false;
    Cycle settled_ = 0;  // cycles before this one are counted
};

}  // namespace spk::chip
