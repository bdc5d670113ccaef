#include "model/ports.hpp"

#include <utility>

#include "model/facts.hpp"
#include "model/text.hpp"

namespace spk {
namespace {

struct Limits {
    std::int64_t lo, hi;
};

Limits limits(PortDtype dtype) {
    switch (dtype) {
        case PortDtype::kUint8:
            return {0, 255};
        case PortDtype::kInt8:
            return {-128, 127};
        case PortDtype::kInt16:
            return {-32768, 32767};
        case PortDtype::kInt32:
            break;
    }
    return {kInt32Min, kInt32Max};
}

Status unique_names(const std::vector<PortView>& ports, const char* message) {
    std::vector<std::string_view> names;
    for (const PortView& port : ports) names.push_back(port.name);
    return all_different(std::move(names)) ? Status() : Status(Code::kFormat, message);
}

}  // namespace

Status read_port(const Image& image, const format::Port& record, const Program& program, PortView* port) {
    const TensorView& tensor = program.tensors[record.tensor];
    port->name = image.text(record.name_at, record.name_length);
    port->axes = image.text(record.axes_at, record.axes_length);
    port->tensor = static_cast<std::int32_t>(record.tensor);
    port->time_axis = record.time_axis;
    port->merged = record.merged == 1;
    if (record.merged > 1) return {Code::kFormat, "a port's flag is neither 0 nor 1"};
    if (record.dtype < 1 || record.dtype > 4) return {Code::kFormat, "unknown dtype of a port"};
    port->dtype = static_cast<PortDtype>(record.dtype);
    const Limits fit = limits(port->dtype);
    if (tensor.lo < fit.lo || tensor.hi > fit.hi)
        return {Code::kRange, "a port's dtype does not hold its tensor's range"};
    if (tensor.time != (record.time_axis != -1))
        return {Code::kShape, "a port has a time axis exactly where its tensor varies in time"};
    if (!tensor.time) return port->merged ? Status(Code::kShape, "a port without time has nothing to merge") : Status();
    const int last = tensor.rank - (port->merged ? 1 : 0);
    if (record.time_axis < 0 || record.time_axis > last) return {Code::kShape, "a port's time axis does not exist"};
    if (tensor.size > static_cast<std::uint64_t>(format::kMaxElements) / program.timesteps) {
        return {Code::kShape, "a port has at most 2^31 - 1 elements"};
    }
    return {};
}

Status check_port_names(const Program& program) {
    const Status status = unique_names(program.inputs, "two inputs have the same name");
    return status.ok() ? unique_names(program.outputs, "two outputs have the same name") : status;
}

Shape port_shape(const PortView& port, const TensorView& tensor, std::uint32_t timesteps) {
    Shape shape;
    const bool time = port.time_axis >= 0 && timesteps > 0;
    for (int axis = 0; axis <= tensor.rank; ++axis) {
        if (time && axis == port.time_axis && !port.merged)
            shape.dims[shape.rank++] = static_cast<std::int32_t>(timesteps);
        if (axis == tensor.rank) break;
        const bool merge = time && port.merged && axis == port.time_axis;
        shape.dims[shape.rank++] = merge ? static_cast<std::int32_t>(tensor.dims[axis] * timesteps) : tensor.dims[axis];
    }
    return shape;
}

}  // namespace spk
