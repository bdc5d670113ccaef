// The host at the edge of the chip, by the rules of docs/chip.md: sends the inputs and pops what leaves.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "firmware.hpp"

namespace spk::chip::cosim {

using Flit = std::array<std::uint32_t, 3>;  // 96 bits, least significant word first

// `kind x y port t sy sx channel value`, as the trace writes it.
std::string text(const Flit& flit);

class EdgeHost {
  public:
    // `values`: of every input in turn, [height][width][channels].
    EdgeHost(const Firmware& firmware, std::vector<std::int32_t> values);

    // What the host does in this cycle: whether it sends (`sent`) and whether it pops (`popped`).
    struct Acts {
        bool sends, pops;
        Flit sent, popped;
    };
    Acts begin(std::uint64_t cycle) const;
    // Ends the cycle: `acts` as begun, and what the chip's wires did in it.
    void end(std::uint64_t cycle, const Acts& acts, bool credit, bool arrives, const Flit& arriving);

  private:
    struct Sent {
        Flit flit;
        bool ends;             // an END, to
        std::uint32_t number;  // this destination of the host
    };
    struct Arrived {
        Flit flit;
        std::uint64_t visible;
    };

    const Firmware& firmware_;
    std::vector<std::vector<Sent>> inputs_;
    std::vector<std::uint64_t> ready_from_;  // of each destination: the cycle from which its READY counts
    std::vector<bool> done_;
    std::deque<Arrived> queue_;
    std::uint32_t credits_;
    int current_ = -1;
    std::size_t place_ = 0;

    int taken(std::uint64_t cycle) const;
};

}  // namespace spk::chip::cosim
