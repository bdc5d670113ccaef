#include "bindings/bindings.hpp"

namespace spk::bindings {

void bind_tasks(py::module_&) {}

}  // namespace spk::bindings
