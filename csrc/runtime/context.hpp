// What every operator's executor is given.
//
// Contract: lives as long as the runtime; all memory is the caller's. Executors write their output tensor, scratch and
// membranes, and nothing else; a call ends with all threads at rest.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/registry.hpp"
#include "model/program.hpp"
#include "runtime/events.hpp"
#include "runtime/pool.hpp"

namespace spk {

struct Context {
    const Program* program = nullptr;
    const kernels::Table* kernels = nullptr;
    Pool* pool = nullptr;
    std::byte* arena = nullptr;
    std::byte* state = nullptr;
    std::byte* thread_scratch = nullptr;   // one piece for each thread
    std::size_t thread_scratch_bytes = 0;  // of a piece
    EventCache events;
    bool restart_means =
        true;  // a mean over time starts from zero: at the first timestep of a run, at every step of a stream

    const TensorView& tensor(std::int32_t number) const { return program->tensors[static_cast<std::size_t>(number)]; }
    std::byte* data(const TensorView& tensor) const { return arena + tensor.arena; }
    std::byte* data(std::int32_t number) const { return data(tensor(number)); }
    std::byte* scratch(std::uint32_t thread) const { return thread_scratch + thread * thread_scratch_bytes; }
};

inline std::size_t element_bytes(const TensorView& tensor) { return tensor.dtype == Dtype::kUint8 ? 1 : 4; }

inline constexpr std::size_t align64(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace spk
