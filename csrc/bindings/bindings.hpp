// The Python module `pyspike._native`: a thin layer that pyspike/runtime.py and pyspike/tasks dress up.
//
// Contract: arguments come from pyspike itself, which has checked types, shapes and dtypes; what still fails becomes
// the typed errors of pyspike/errors.py. Everything that takes long releases the GIL. One thread at a time may use a
// Runtime.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "spk/model.hpp"
#include "spk/runtime.hpp"
#include "spk/status.hpp"

namespace spk::bindings {

namespace py = pybind11;

// Heap memory aligned to 64 bytes, not initialised. From 4 MiB on it is whole huge pages where the system has them: a
// model of 35 MB is there after 17 page faults in place of 8,500, which take longer than reading it from the file
// cache.
class AlignedBytes {
  public:
    AlignedBytes() = default;
    explicit AlignedBytes(std::size_t size);

    std::span<std::byte> span() const { return {data_.get(), size_}; }

  private:
    struct Free {
        std::align_val_t alignment;
        void operator()(std::byte* data) const { ::operator delete(data, alignment); }
    };

    std::unique_ptr<std::byte, Free> data_;
    std::size_t size_ = 0;
};

// A model and the Python buffer that keeps its bytes alive.
struct ModelHandle {
    py::buffer_info image;
    Model model;
};

// (kernel, block) for each operator, or none at all; what is made of them points into them.
using Choices = std::vector<std::pair<std::string, std::uint32_t>>;
std::vector<KernelChoice> kernel_choices(const Choices& choices);

// Raise `pyspike.errors.<name>` with that message.
[[noreturn]] void raise_error(const char* name, const std::string& message);

// Raise what a failed Status means; returns where it is ok. `model` names the ports and operators it speaks of.
void check(const Status& status, const Model* model = nullptr);

void bind_model(py::module_& module);
void bind_runtime(py::module_& module);
void bind_tasks(py::module_& module);

}  // namespace spk::bindings
