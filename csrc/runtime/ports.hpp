// What comes in from users and goes out to them: checked, converted, and cut into timesteps.
#pragma once

#include <span>

#include "runtime/context.hpp"
#include "spk/runtime.hpp"

namespace spk {

// Sizes of all buffers, and the range of every integer of the inputs. `whole`: of all timesteps at once.
Status check_ports(const Context& context, const Model& model, std::span<const InputBuffer> inputs,
                   std::span<const OutputBuffer> outputs, bool whole);

// Copies timestep `t` of `steps` between a buffer and the port's tensor.
void read_input(const Context& context, const PortInfo& port, InputBuffer buffer, std::uint32_t t, std::uint32_t steps);
void write_output(const Context& context, const PortInfo& port, OutputBuffer buffer, std::uint32_t t,
                  std::uint32_t steps);

}  // namespace spk
