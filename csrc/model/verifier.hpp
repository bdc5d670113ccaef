// Turns the sections of an image into a Program that executors may run without further checks.
//
// Contract: on success everything that program.hpp promises holds: tensors are made before they are read, phases are
// those of pyspike.graph, shapes, scales and ranges are inferred anew from operators and weights (and equal what is
// stored), no sum can leave 32 bits, and arena offsets are the plan of pyspike/memory.py, in which tensors that live at
// the same time share no byte. Uses the heap, in proportion to the image's size; no recursion.
#pragma once

#include "model/facts.hpp"
#include "model/program.hpp"
#include "model/reader.hpp"

namespace spk {

Status verify(const Image& image, ChannelScales* scales, Program* program);

}  // namespace spk
