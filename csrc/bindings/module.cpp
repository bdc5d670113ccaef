#include <pybind11/stl.h>

#include <string>
#include <vector>

#include "bindings/bindings.hpp"
#include "kernels/registry.hpp"
#include "model/format.hpp"
#include "model/ops/rules.hpp"
#include "model/sha256.hpp"
#include "spk/runtime.hpp"

namespace spk::bindings {
namespace {

std::vector<int> op_kinds() {
    std::vector<int> kinds;
    for (const OpRule& rule : op_rules()) kinds.push_back(rule.kind);
    return kinds;
}

std::vector<std::string> isa_names() {
    std::vector<std::string> names;
    for (const std::string_view isa : available_isas()) names.emplace_back(isa);
    return names;
}

std::vector<std::pair<std::string, std::string>> kernel_names() {
    std::vector<std::pair<std::string, std::string>> names;
    for (const kernels::Kernel& kernel : kernels::all()) names.emplace_back(kernel.name, kernel.isa);
    return names;
}

// Calls so far by kernel; empty where this build does not count them.
py::dict kernel_calls() {
    py::dict counts;
    if (!kernels::kCountsCalls) return counts;
    const auto all = kernels::all();
    const auto calls = kernels::calls();
    for (std::size_t i = 0; i < all.size(); ++i) counts[py::str(std::string(all[i].name))] = calls[i];
    return counts;
}

// The reader's digest, by SHA instructions where the CPU has them, or by portable code.
py::bytes digest(const py::bytes& data, bool portable) {
    const std::string_view text = data;
    const Sha256 result = sha256(std::as_bytes(std::span(text.data(), text.size())), portable);
    return {reinterpret_cast<const char*>(result.data()), result.size()};
}

// What csrc/model/format.hpp says, for the test that holds it against pyspike/image.py.
py::dict format_numbers() {
    py::dict numbers;
    numbers["MAGIC"] = py::bytes(reinterpret_cast<const char*>(format::kMagic.data()), format::kMagic.size());
    numbers["MAJOR"] = format::kMajor;
    numbers["MINOR"] = format::kMinor;
    numbers["KIND_MODEL"] = format::kKindModel;
    numbers["ALIGNMENT"] = format::kAlignment;
    numbers["MAX_TENSORS"] = format::kMaxTensors;
    numbers["MAX_TIMESTEPS"] = format::kMaxTimesteps;
    numbers["MAX_ELEMENTS"] = format::kMaxElements;
    numbers["MAX_FRACTION"] = format::kMaxFraction;
    numbers["MAX_REACH"] = format::kMaxReach;
    numbers["MAX_PACKED_BYTES"] = format::kMaxPackedBytes;
    numbers["MAX_RANK"] = kMaxRank;
    numbers["TENSOR_TIME"] = format::kTensorTime;
    numbers["TENSOR_PER_CHANNEL"] = format::kTensorPerChannel;
    numbers["PLAIN"] = format::kPlain;
    numbers["ROWS"] = format::kRows;
    numbers["DEPTHWISE"] = format::kDepthwise;
    numbers["HEADER"] = sizeof(format::Header);
    numbers["MODEL"] = sizeof(format::Model);
    numbers["TENSOR"] = sizeof(format::Tensor);
    numbers["OP"] = sizeof(format::Op);
    numbers["PORT"] = sizeof(format::Port);
    numbers["BLOB"] = sizeof(format::Blob);
    for (const OpRule& rule : op_rules()) numbers[py::str("kind of " + std::string(rule.name))] = rule.kind;
    return numbers;
}

}  // namespace
}  // namespace spk::bindings

PYBIND11_MODULE(_native, module) {
    using namespace spk::bindings;
    module.doc() = "The C++ runtime. Use it through pyspike.Model and pyspike.Runtime.";
    bind_model(module);
    bind_runtime(module);
    bind_tasks(module);
    module.def("ops", &op_kinds, "Kinds of the operators that the runtime executes.");
    module.def("isas", &isa_names, "Instruction sets of this build that this CPU runs, the best first.");
    module.def("kernels", &kernel_names, "(symbol, instruction set) of every kernel.");
    module.def("kernel_calls", &kernel_calls, "Calls of every kernel so far; empty in builds that do not count.");
    module.def("sha256", &digest, py::arg("data"), py::arg("portable"), "The digest that the reader computes.");
    module.def("format_numbers", &format_numbers, "The constants and record sizes of the image format.");
#ifdef NDEBUG
    module.attr("debug") = false;
#else
    module.attr("debug") = true;
#endif
    module.attr("__version__") = PYSPIKE_VERSION;
}
