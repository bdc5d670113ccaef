// The network: routers, the FIFOs at the ends of all links, and who is to be visited when.
//
// Contract: docs/chip.md, "Links and routers". Units are numbered: core n is n, its router `cores` + n, the host
// 2 * `cores`. A unit owns the FIFOs at its inputs (a core also its out FIFO), pops only those, and pushes only into
// FIFOs at the ends of its own links.
//
// Rows of the mesh form bands, each of which a thread of its own may visit: within a cycle a band touches nothing of
// another. A link between bands ends in a bridge at its sender, a copy of the FIFO as its credits show it; `exchange`
// carries flits and credits across at the end of the cycle, while all threads are in it.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "fifo.hpp"
#include "wheel.hpp"

namespace spk::chip {

class Trace;

enum Side : std::uint32_t { kLocal = 0, kNorth, kEast, kSouth, kWest, kSides };

struct MeshShape {
    std::uint32_t width, height, router_fifo, out_fifo, axon_fifo, link_delay;
};

// A link from one band to another.
struct Bridge {
    explicit Bridge(std::uint32_t depth) : slots(depth) {}

    Fifo slots;                              // at the sender
    Fifo* end = nullptr;                     // the FIFO itself
    std::uint32_t sender = 0, receiver = 0;  // units
    Flit flit;                               // the last that was sent, and when
    Cycle sent = -1;
};

struct Router {
    std::uint8_t x = 0, y = 0;
    std::array<Fifo, kSides> in;
    std::array<Fifo*, kSides> out{};           // at the ends of its links; null at the rim
    std::array<Bridge*, kSides> bridge{};      // null where a link stays in its band
    std::array<std::uint32_t, kSides> to{};    // who owns them
    std::array<std::uint32_t, kSides> from{};  // who sends into `in`
    std::array<std::uint8_t, kSides> pointer{};
    std::array<std::int64_t, kSides> granted{};
};

// What one thread changes, on cache lines of its own.
struct alignas(128) Band {
    explicit Band(std::uint32_t units) : wheel(units) {}

    Wheel wheel;
    Cycle last_act = -1;
    std::int64_t sent = 0, received = 0;
    std::vector<Bridge*> leaving, coming;  // links to other bands, and from them
};

class Mesh {
  public:
    // `bands` of rows, at most as many as there are rows.
    Mesh(const MeshShape& shape, Trace* trace, std::uint32_t bands = 1);

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

    std::uint32_t band_number(std::uint32_t unit) const { return band_number_[unit]; }
    void wake(std::uint32_t unit, Cycle cycle) { band_of(unit).wheel.wake(unit, cycle); }
    // Something happened that counts as part of the run.
    void act(std::uint32_t core, Cycle now) { band_of(core).last_act = now; }
    // Calls `visit(unit)` for each unit of the band that is due in `now`.
    template <class Visit>
    void visit(std::uint32_t band, Cycle now, Visit visit) {
        bands[band].wheel.go(now);
        bands[band].wheel.visit(visit);
    }
    void exchange(std::uint32_t band, Cycle now);

    Cycle next_cycle() const;  // in which any unit is due
    Cycle last_act() const;
    std::int64_t flits_inside() const;

    std::vector<Band> bands;
    std::vector<Router> routers;
    std::vector<Fifo> axon, out;
    Fifo host_fifo;
    std::int64_t host_sent = 0, host_received = 0;

  private:
    void link(std::uint32_t core, Side side, std::uint32_t neighbour);
    Band& band_of(std::uint32_t unit) { return bands[band_number_[unit]]; }
    void grant(std::uint32_t core, Side input, Side output, Cycle now);
    void free_slot(Fifo& fifo, std::uint32_t sender, Cycle now);
    bool has_credit(Fifo& fifo, std::uint32_t sender, Cycle now);

    std::uint32_t cores_;
    std::vector<std::uint8_t> band_number_;  // by unit
    std::vector<std::unique_ptr<Bridge>> bridges_;
    Cycle latency_;  // from being popped to being visible in the next FIFO
    Trace* trace_;
};

}  // namespace spk::chip
