// Turns a firmware image into what the twin's load port takes: one word of one memory at a time.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "firmware.hpp"

namespace spk::chip::cosim {

struct Load {
    std::uint32_t x, y, memory, address;
    std::array<std::uint32_t, 16> word;  // least significant first
};

// All writes that program the mesh. Throws FirmwareError where the firmware is beyond the twin's restrictions.
std::vector<Load> loads(const Firmware& firmware);

}  // namespace spk::chip::cosim
