// What travels: packets of one flit.
#pragma once

#include <cstdint>

namespace spk::chip {

enum Kind : std::uint8_t { kSpike = 0, kEnd = 1, kReady = 2, kPotential = 3 };

// Port 255 of core (0, 0) is the edge: the host, west of router (0, 0).
inline constexpr std::uint8_t kEdgePortNumber = 255;

struct Flit {
    std::uint8_t kind = 0, x = 0, y = 0, port = 0, t = 0;
    std::uint16_t sy = 0, sx = 0, channel = 0;
    std::int32_t value = 0;

    bool is_token() const { return kind == kEnd || kind == kReady; }
    bool to_edge() const { return port == kEdgePortNumber && x == 0 && y == 0; }
};

static_assert(sizeof(Flit) == 16);

}  // namespace spk::chip
