// The Python module `pyspike._simulator`: a thin layer that pyspike/chip dresses up.
//
// Contract: what fails becomes a typed error of pyspike/errors.py; a run releases the GIL and looks for signals.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "firmware.hpp"

namespace spk::chip::bindings {

namespace py = pybind11;

template <class T>
using Array = py::array_t<T, py::array::c_style>;

// An int64 table of rows given by `row(i)`, each a std::array.
template <class Get>
py::array_t<std::int64_t> table(std::size_t rows, std::size_t columns, Get row) {
    py::array_t<std::int64_t> result({rows, columns});
    auto* to = result.mutable_data();
    for (std::size_t i = 0; i < rows; ++i) {
        const auto values = row(i);
        for (std::size_t k = 0; k < columns; ++k) *to++ = values[k];
    }
    return result;
}

void bind_run(py::module_& module);
void bind_traffic(py::module_& module);

}  // namespace spk::chip::bindings
