// What every operator's executor is given.
//
// Contract: lives as long as the runtime; all memory is the caller's. Executors write their output tensor, scratch and
// membranes, and nothing else; a call ends with all threads at rest.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/registry.hpp"
#include "model/program.hpp"
#include "runtime/events.hpp"
#include "runtime/pool.hpp"

namespace spk {

// Columns of a row.
struct Columns {
    std::int32_t first = 0, end = 0;
    bool empty() const { return first >= end; }
};

// The part of a map that a gathered synapse visits: what its input holds elsewhere is 0, and other outputs are left.
struct Region {
    const Columns* inputs = nullptr;   // of each row, all images together; null: its input is as it is
    const Columns* outputs = nullptr;  // likewise
};

struct Context {
    const Program* program = nullptr;
    const kernels::Table* kernels = nullptr;
    Pool* pool = nullptr;
    std::byte* arena = nullptr;
    std::byte* state = nullptr;
    std::byte* thread_scratch = nullptr;   // one piece for each thread
    std::size_t thread_scratch_bytes = 0;  // of a piece
    EventCache events;
    const Region* region = nullptr;  // null: the whole map
    bool restart_means =
        true;  // a mean over time starts from zero: at the first timestep of a run, at every step of a stream

    const TensorView& tensor(std::int32_t number) const { return program->tensors[static_cast<std::size_t>(number)]; }
    std::byte* data(const TensorView& tensor) const { return arena + tensor.arena; }
    std::byte* data(std::int32_t number) const { return data(tensor(number)); }
    std::byte* scratch(std::uint32_t thread) const { return thread_scratch + thread * thread_scratch_bytes; }
};

inline std::size_t element_bytes(const TensorView& tensor) { return tensor.dtype == Dtype::kUint8 ? 1 : 4; }

// How many of the integers are not 0. Bytes are counted in bytes first, which vectors do many at once.
template <typename T>
std::uint64_t count_nonzero(const T* values, std::uint64_t size) {
    constexpr std::uint64_t kBlock = 240;
    std::uint64_t total = 0;
    for (std::uint64_t first = 0; first < size; first += kBlock) {
        const std::uint64_t count = std::min(kBlock, size - first);
        T found = 0;
        for (std::uint64_t i = 0; i < count; ++i) found = static_cast<T>(found + (values[first + i] != 0));
        total += static_cast<std::uint64_t>(found);
    }
    return total;
}

// A tensor as rows of columns of channels: images and their rows, or all of it one row.
struct Map {
    std::size_t rows = 1, width = 1, channels = 1;

    explicit Map(const TensorView& tensor) {
        if (tensor.rank != 0) channels = static_cast<std::size_t>(tensor.dims[tensor.rank - 1]);
        if (tensor.rank == 4) rows = static_cast<std::size_t>(tensor.dims[0]) * tensor.dims[1];
        width = static_cast<std::size_t>(tensor.size) / rows / channels;
    }
};

inline constexpr std::size_t align64(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace spk
