// The network: routers, the FIFOs at the ends of all links, and who is to be visited when.
//
// Contract: docs/chip.md, "Links and routers". Units are numbered: core n is n, its router `cores` + n, the host
// 2 * `cores`. A unit owns the FIFOs at its inputs (a core also its out FIFO), pops only those, and pushes only into
// FIFOs at the ends of its own links.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "fifo.hpp"
#include "wheel.hpp"

namespace spk::chip {

class Trace;

enum Side : std::uint32_t { kLocal = 0, kNorth, kEast, kSouth, kWest, kSides };

struct MeshShape {
    std::uint32_t width, height, router_fifo, out_fifo, axon_fifo, link_delay;
};

struct Router {
    std::uint8_t x = 0, y = 0;
    std::array<Fifo, kSides> in;
    std::array<Fifo*, kSides> out{};           // at the ends of its links; null at the rim
    std::array<std::uint32_t, kSides> to{};    // who owns them
    std::array<std::uint32_t, kSides> from{};  // who sends into `in`
    std::array<std::uint8_t, kSides> pointer{};
    std::array<std::int64_t, kSides> granted{};
};

class Mesh {
  public:
    Mesh(const MeshShape& shape, Trace* trace);

    std::uint32_t cores() const { return cores_; }
    std::uint32_t host() const { return 2 * cores_; }

    void route(std::uint32_t core, Cycle now);                    // what the router of that core does
    void leave(std::uint32_t core, Cycle now);                    // what the head of that core's out FIFO does
    void enter(std::uint32_t core, const Flit& flit, Cycle now);  // into the out FIFO
    Flit receive(std::uint32_t core, Cycle now);                  // from the axon FIFO
    bool host_can_send(Cycle now);
    void host_send(const Flit& flit, Cycle now);
    Flit host_receive(Cycle now);

    // Whether the out FIFO was full at the start of `now`. Nothing may have entered or left it in `now` yet.
    bool out_full(std::uint32_t core) const { return out[core].size() == out[core].depth(); }

    void act(Cycle now) { last_act = std::max(last_act, now); }
    std::int64_t flits_inside() const { return sent - received; }

    Wheel wheel;
    std::vector<Router> routers;
    std::vector<Fifo> axon, out;
    Fifo host_fifo;
    Cycle last_act = -1;
    std::int64_t sent = 0, received = 0, host_sent = 0, host_received = 0;

  private:
    void grant(std::uint32_t core, Side input, Side output, Cycle now);
    void free_slot(Fifo& fifo, std::uint32_t sender, Cycle now);
    bool has_credit(Fifo& fifo, std::uint32_t sender, Cycle now);

    std::uint32_t cores_;
    Cycle latency_;  // from being popped to being visible in the next FIFO
    Trace* trace_;
};

}  // namespace spk::chip
