// The mesh alone under given traffic: each core pushes its flits in order and pops whatever comes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "mesh.hpp"

namespace spk::chip {

// A flit that may enter the out FIFO of `source` from `cycle` on.
struct Injection {
    Cycle cycle;
    std::uint32_t source, destination;
};

struct Passage {
    Cycle entered = -1, popped = -1;
};

struct TrafficResult {
    std::vector<Passage> passages;
    std::vector<std::array<std::int64_t, kSides>> links;
    Cycle cycles = 0;
};

// `injections` ascend by cycle. Ends when all flits have arrived, or before cycle `max_cycles` where that is not 0.
TrafficResult simulate_traffic(const MeshShape& shape, std::span<const Injection> injections, Cycle max_cycles);

}  // namespace spk::chip
