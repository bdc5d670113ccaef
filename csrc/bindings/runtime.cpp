#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <optional>
#include <vector>

#include "bindings/bindings.hpp"
#include "model/program.hpp"
#include "spk/runtime.hpp"

namespace spk::bindings {
namespace {

using Arrays = std::vector<py::array>;

struct RuntimeHandle {
    std::shared_ptr<ModelHandle> model;
    AlignedBytes arena;
    Runtime runtime;
};

// Spans of the arrays' bytes. Contiguity and dtypes are promised by pyspike.runtime; sizes are checked by the runtime.
struct Buffers {
    std::vector<InputBuffer> inputs;
    std::vector<OutputBuffer> outputs;

    Buffers(const Arrays& in, Arrays& out) {
        for (const py::array& array : in) {
            inputs.emplace_back(static_cast<const std::byte*>(array.data()), static_cast<std::size_t>(array.nbytes()));
        }
        for (py::array& array : out) {
            if (array.itemsize() != 4) raise_error("ShapeError", "expected int32 arrays for outputs");
            outputs.emplace_back(static_cast<std::int32_t*>(array.mutable_data()),
                                 static_cast<std::size_t>(array.size()));
        }
    }
};

std::shared_ptr<RuntimeHandle> create(std::shared_ptr<ModelHandle> model, std::uint32_t threads, const std::string& isa,
                                      bool incremental, const Choices& choices) {
    auto handle = std::make_shared<RuntimeHandle>();
    const std::vector<KernelChoice> kernels = kernel_choices(choices);
    const Options options{threads, isa, incremental, kernels};
    Status status;
    {
        const py::gil_scoped_release release;
        handle->arena = AlignedBytes(Runtime::memory(model->model, options).total());
        status = Runtime::create(model->model, handle->arena.span(), options, &handle->runtime);
    }
    handle->model = std::move(model);
    check(status, &handle->model->model);
    return handle;
}

using MaxEvents = std::optional<std::uint64_t>;

// A budget, where one was given, and room to undo a step.
struct Spending {
    std::vector<std::byte> undo;
    Budget budget;
    bool wanted;

    Spending(const RuntimeHandle& self, MaxEvents most, bool step) : wanted(most.has_value()) {
        if (!wanted) return;
        if (step) undo.resize(self.runtime.state_bytes());
        budget.max_events = *most;
        budget.undo = undo;
    }
    Budget* get() { return wanted ? &budget : nullptr; }

    // Raises what a failed call means; a budget that was exceeded is pyspike.runtime's to tell: (operator, events
    // taken, events refused), else None.
    py::object told(const Status& status, const Model& model) const {
        if (status.code() == Code::kBudget) return py::make_tuple(status.number(), budget.events, budget.refused);
        check(status, &model);
        return py::none();
    }
};

using Call = Status (Runtime::*)(std::span<const InputBuffer>, std::span<const OutputBuffer>, Budget*);

template <Call call>
py::object compute(RuntimeHandle& self, const Arrays& inputs, Arrays outputs, MaxEvents max_events) {
    const Buffers buffers(inputs, outputs);
    Spending spending(self, max_events, call == Call{&Runtime::step});
    Status status;
    {
        const py::gil_scoped_release release;
        status = (self.runtime.*call)(buffers.inputs, buffers.outputs, spending.get());
    }
    return spending.told(status, self.model->model);
}

py::object profile(RuntimeHandle& self, const Arrays& inputs, Arrays outputs, MaxEvents max_events) {
    const Buffers buffers(inputs, outputs);
    Spending spending(self, max_events, false);
    std::vector<LayerProfile> layers(self.model->model.program().ops.size());
    Status status;
    {
        const py::gil_scoped_release release;
        status = self.runtime.profile(buffers.inputs, buffers.outputs, layers, spending.get());
    }
    if (!status.ok()) return spending.told(status, self.model->model);
    py::list list;
    for (const LayerProfile& layer : layers) {
        py::dict dict;
        dict["sops"] = layer.sops;
        dict["adds"] = layer.adds;
        dict["lane_adds"] = layer.lane_adds;
        dict["events"] = layer.events;
        dict["bytes"] = layer.bytes;
        dict["elements"] = layer.elements;
        dict["nonzero"] = layer.nonzero;
        dict["seconds"] = layer.seconds;
        list.append(dict);
    }
    return list;
}

py::bytes get_state(const RuntimeHandle& self) {
    std::vector<std::byte> state(self.runtime.state_bytes());
    check(self.runtime.get_state(state), &self.model->model);
    return {reinterpret_cast<const char*>(state.data()), state.size()};
}

void set_state(RuntimeHandle& self, const std::string& state) {
    check(self.runtime.set_state(std::as_bytes(std::span(state.data(), state.size()))), &self.model->model);
}

}  // namespace

std::vector<KernelChoice> kernel_choices(const Choices& choices) {
    std::vector<KernelChoice> kernels;
    for (const auto& [kernel, block] : choices) kernels.push_back({kernel, block});
    return kernels;
}

void bind_runtime(py::module_& module) {
    py::class_<RuntimeHandle, std::shared_ptr<RuntimeHandle>>(module, "Runtime")
        .def(py::init(&create), py::arg("model"), py::arg("threads"), py::arg("isa"), py::arg("incremental") = false,
             py::arg("choices") = Choices())
        .def_property_readonly("isa", [](const RuntimeHandle& self) { return std::string(self.runtime.isa()); })
        .def_property_readonly("choices",
                               [](const RuntimeHandle& self) {
                                   Choices found;
                                   for (const KernelChoice& each : self.runtime.choices())
                                       found.emplace_back(each.kernel, each.block);
                                   return found;
                               })
        .def_property_readonly("threads", [](const RuntimeHandle& self) { return self.runtime.threads(); })
        .def_property_readonly("timestep", [](const RuntimeHandle& self) { return self.runtime.timestep(); })
        .def("run", &compute<&Runtime::run>, py::arg("inputs"), py::arg("outputs"), py::arg("max_events") = py::none())
        .def("step", &compute<&Runtime::step>, py::arg("inputs"), py::arg("outputs"),
             py::arg("max_events") = py::none())
        .def("profile", &profile, py::arg("inputs"), py::arg("outputs"), py::arg("max_events") = py::none())
        .def("get_state", &get_state)
        .def("set_state", &set_state, py::arg("state"))
        .def("reset", [](RuntimeHandle& self) { self.runtime.reset(); });
}

}  // namespace spk::bindings
