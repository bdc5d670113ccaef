// The Verilated mesh: programmed by its load port, run a cycle at a time, and heard through the calls of trace.sv and
// coverage.sv.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "edge.hpp"
#include "firmware.hpp"

class VerilatedContext;
class Vmesh;

namespace spk::chip::cosim {

// How often each case of functional coverage was seen, by name; 0 for those that never were.
using Coverage = std::map<std::string, std::uint64_t>;

class Chip {
  public:
    // Programs a new mesh and leaves reset: what follows is cycle 0. `mutant` chooses a planted bug, 0 for none.
    // Throws FirmwareError where the firmware is for another mesh than this build's, or beyond the twin.
    Chip(const Firmware& firmware, std::uint32_t mutant);
    ~Chip();

    // Runs one cycle with the host's acts. Returns the lines of the cores and routers in it, in the trace's order.
    std::vector<std::string> cycle(EdgeHost& host, const EdgeHost::Acts& acts);

    // Adds what this chip's cases have counted.
    void add(Coverage& coverage) const;

  private:
    std::unique_ptr<VerilatedContext> context_;
    std::unique_ptr<Vmesh> mesh_;
    std::uint64_t cycle_ = 0;
    EdgeHost::Acts link_{};  // what the host's link register holds

    void clock();
};

}  // namespace spk::chip::cosim
