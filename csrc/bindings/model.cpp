#include <pybind11/stl.h>

#include "bindings/bindings.hpp"
#include "model/ops/rules.hpp"
#include "model/program.hpp"
#include "spk/runtime.hpp"

namespace spk::bindings {
namespace {

// Opens the image in `buffer` where it lies: memory that stays as it is for as long as the handle lives.
std::shared_ptr<ModelHandle> open_model(const py::buffer& buffer) {
    auto handle = std::make_shared<ModelHandle>();
    handle->image = buffer.request();
    const py::buffer_info& image = handle->image;
    if (image.ndim != 1 || image.itemsize != 1 || image.strides[0] != 1) {
        raise_error("ModelFormatError", "expected the bytes of a model image, found another kind of buffer");
    }
    Status status;
    {
        const py::gil_scoped_release release;
        const auto* data = static_cast<const std::byte*>(image.ptr);
        status = Model::open({data, static_cast<std::size_t>(image.size)}, &handle->model);
    }
    check(status);
    return handle;
}

py::buffer_info bytes_of(const AlignedBytes& memory) {
    const auto bytes = memory.span();
    return {reinterpret_cast<std::uint8_t*>(bytes.data()), static_cast<py::ssize_t>(bytes.size())};
}

py::tuple tuple_of(const Shape& shape) {
    py::tuple result(static_cast<std::size_t>(shape.rank));
    for (int axis = 0; axis < shape.rank; ++axis) result[static_cast<std::size_t>(axis)] = shape.dims[axis];
    return result;
}

const char* dtype_name(PortDtype dtype) {
    switch (dtype) {
        case PortDtype::kUint8:
            return "uint8";
        case PortDtype::kInt8:
            return "int8";
        case PortDtype::kInt16:
            return "int16";
        case PortDtype::kInt32:
            break;
    }
    return "int32";
}

py::str text(std::string_view view) { return {view.data(), view.size()}; }

py::dict port_dict(const PortInfo& port) {
    py::tuple channel_f(port.channel_f.size());
    for (std::size_t c = 0; c < port.channel_f.size(); ++c) channel_f[c] = port.channel_f[c];
    py::dict dict;
    dict["name"] = text(port.name);
    dict["axes"] = text(port.axes);
    dict["dtype"] = dtype_name(port.dtype);
    dict["shape"] = tuple_of(port.shape);
    dict["step_shape"] = tuple_of(port.step_shape);
    dict["lo"] = port.lo;
    dict["hi"] = port.hi;
    dict["f"] = port.f;
    dict["divisor"] = port.divisor;
    dict["channel_f"] = channel_f;
    dict["time_axis"] = port.time_axis;
    dict["merged"] = port.merged;
    return dict;
}

py::list port_list(std::span<const PortInfo> ports) {
    py::list list;
    for (const PortInfo& port : ports) list.append(port_dict(port));
    return list;
}

// (operator, the tensor it makes), in execution order.
py::list operator_list(const Program& program) {
    const auto rules = op_rules();
    py::list list;
    for (const Op& op : program.ops) {
        list.append(py::make_tuple(text(rules[op.params.index()].name), text(program.tensors[op.output].name)));
    }
    return list;
}

}  // namespace

void bind_model(py::module_& module) {
    using Handle = std::shared_ptr<ModelHandle>;
    py::class_<AlignedBytes>(module, "Memory", py::buffer_protocol())
        .def(py::init<std::size_t>(), py::arg("size"))
        .def_buffer([](const AlignedBytes& self) { return bytes_of(self); });
    py::class_<ModelHandle, Handle>(module, "Model")
        .def_static("open", &open_model, py::arg("image"))
        .def_property_readonly("inputs", [](const ModelHandle& self) { return port_list(self.model.inputs()); })
        .def_property_readonly("outputs", [](const ModelHandle& self) { return port_list(self.model.outputs()); })
        .def_property_readonly("operators", [](const ModelHandle& self) { return operator_list(self.model.program()); })
        .def_property_readonly("timesteps", [](const ModelHandle& self) { return self.model.timesteps(); })
        .def_property_readonly("max_timesteps", [](const ModelHandle& self) { return self.model.max_timesteps(); })
        .def_property_readonly("metadata",
                               [](const ModelHandle& self) {
                                   const auto metadata = self.model.metadata();
                                   return py::bytes(metadata.data(), metadata.size());
                               })
        .def(
            "memory",
            [](const ModelHandle& self, std::uint32_t threads, const std::string& isa, bool incremental,
               const Choices& choices) {
                const std::vector<KernelChoice> kernels = kernel_choices(choices);
                const MemoryPlan plan = Runtime::memory(self.model, {threads, isa, incremental, kernels});
                return py::make_tuple(plan.weights, plan.arena, plan.scratch, plan.state);
            },
            py::arg("threads"), py::arg("isa"), py::arg("incremental") = false, py::arg("choices") = Choices());
}

}  // namespace spk::bindings
