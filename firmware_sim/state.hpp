// What all units of a run share: the firmware, the network, and where they count.
#pragma once

#include <cstdlib>
#include <vector>

#include "counters.hpp"
#include "firmware.hpp"
#include "mesh.hpp"
#include "raster.hpp"
#include "trace.hpp"

namespace spk::chip {

struct Shared {
    const Firmware& firmware;
    Mesh& mesh;
    Trace* trace;  // null: none is wanted
    Raster& raster;
    bool ignore_ready;
    std::vector<PortCounts> ports;
    std::vector<StepCounts> steps;
    std::vector<InputCounts> inputs;
    std::vector<Times> step_times, input_times;  // [t][step], [t][input]
    Cycle window_end = kNever;                   // issues from this cycle on belong to the next window

    std::uint8_t x_of(std::uint32_t core) const { return static_cast<std::uint8_t>(core % firmware.chip.width); }
    std::uint8_t y_of(std::uint32_t core) const { return static_cast<std::uint8_t>(core / firmware.chip.width); }

    // A flit to where `to` leads, but for its site and value.
    Flit addressed(Kind kind, const format::Destination& to, std::uint32_t t) const {
        Flit flit;
        flit.kind = kind;
        flit.x = to.core == format::kEdge ? std::uint8_t{0} : x_of(to.core);
        flit.y = to.core == format::kEdge ? std::uint8_t{0} : y_of(to.core);
        flit.port = static_cast<std::uint8_t>(to.port);
        flit.t = static_cast<std::uint8_t>(t);
        if (kind == kEnd) flit.channel = static_cast<std::uint16_t>(to.dc & 0x3FFF);
        return flit;
    }

    // The hops of a flit that `core` sends.
    template <class Counts>
    void count_hops(Counts& counts, std::uint32_t core, const Flit& flit) const {
        counts.hops_x += std::abs(int{flit.x} - int{x_of(core)});
        counts.hops_y += std::abs(int{flit.y} - int{y_of(core)});
    }

    // Counts a flit by its kind.
    template <class Counts>
    void count_sent(Counts& counts, std::uint32_t core, const Flit& flit) const {
        (flit.kind == kSpike ? counts.spikes : flit.kind == kPotential ? counts.potentials : counts.ends) += 1;
        count_hops(counts, core, flit);
    }
};

// The flit of a site and channel, where the destination's window holds them.
inline bool holds_site(const format::Destination& to, std::uint32_t y, std::uint32_t x) {
    return y >= to.y_low && y <= to.y_high && x >= to.x_low && x <= to.x_high;
}
inline bool holds_channel(const format::Destination& to, std::uint32_t channel) {
    return channel >= to.c_low && channel <= to.c_high;
}
inline void set_site(Flit& flit, const format::Destination& to, std::uint32_t y, std::uint32_t x,
                     std::uint32_t channel) {
    flit.sy = static_cast<std::uint16_t>(y + static_cast<std::uint32_t>(to.dy));
    flit.sx = static_cast<std::uint16_t>(x + static_cast<std::uint32_t>(to.dx));
    flit.channel = static_cast<std::uint16_t>(channel + static_cast<std::uint32_t>(to.dc));
}

}  // namespace spk::chip
