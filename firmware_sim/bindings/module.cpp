#include <exception>
#include <system_error>

#include "bindings/simulator.hpp"
#include "counters.hpp"
#include "errors.hpp"

namespace spk::chip::bindings {
namespace {

template <std::size_t n>
py::tuple names(const std::array<const char*, n>& list) {
    py::tuple result(n);
    for (std::size_t i = 0; i < n; ++i) result[i] = py::str(list[i]);
    return result;
}

void set_error(const char* name, const char* message) {
    const py::object type = py::module_::import("pyspike.errors").attr(name);
    PyErr_SetString(type.ptr(), message);
}

void translate(std::exception_ptr thrown) {
    try {
        if (thrown) std::rethrow_exception(thrown);
    } catch (const FirmwareError& error) {
        set_error("ModelFormatError", error.what());
    } catch (const SimulationError& error) {
        set_error("SimulationError", error.what());
    } catch (const InputError& error) {
        set_error(error.is_range ? "RangeError" : "ShapeError", error.what());
    } catch (const std::system_error& error) {
        PyErr_SetString(PyExc_OSError, error.what());
    }
}

}  // namespace
}  // namespace spk::chip::bindings

PYBIND11_MODULE(_simulator, module) {
    using namespace spk::chip;
    using namespace spk::chip::bindings;
    module.doc() = "The chip simulator. Use it through pyspike.chip.";
    py::register_local_exception_translator(&translate);
    module.attr("CORE_COUNTERS") = names(kCoreCounters);
    module.attr("PORT_COUNTERS") = names(kPortCounters);
    module.attr("STEP_COUNTERS") = names(kStepCounters);
    module.attr("INPUT_COUNTERS") = names(kInputCounters);
    module.attr("SimulationError") = py::module_::import("pyspike.errors").attr("SimulationError");
    bind_run(module);
    bind_traffic(module);
#ifdef NDEBUG
    module.attr("debug") = false;
#else
    module.attr("debug") = true;
#endif
}
