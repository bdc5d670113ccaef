// Graph inputs and outputs as users declared them.
#pragma once

#include "model/program.hpp"
#include "model/reader.hpp"

namespace spk {

// Checks a port against its tensor, which must be known. A time axis exists exactly where the tensor varies in time.
Status read_port(const Image& image, const format::Port& record, const Program& program, PortView* port);

// Names are unique among the inputs, and among the outputs.
Status check_port_names(const Program& program);

// The declared shape for `timesteps`, or of one timestep where that is 0.
Shape port_shape(const PortView& port, const TensorView& tensor, std::uint32_t timesteps);

}  // namespace spk
