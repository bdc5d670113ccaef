// What can go wrong in the simulator. Unlike the library, it lives on a host computer only, and may throw.
#pragma once

#include <stdexcept>
#include <string>

namespace spk::chip {

// The image breaks a rule of docs/firmware.md.
struct FirmwareError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// A deadlock, an event outside its group, or a run beyond its limit.
struct SimulationError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Inputs of another number, shape or range than the firmware declares.
struct InputError : std::runtime_error {
    InputError(bool range, const std::string& message) : std::runtime_error(message), is_range(range) {}
    bool is_range;
};

}  // namespace spk::chip
