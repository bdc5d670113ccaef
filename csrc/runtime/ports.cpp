#include "runtime/ports.hpp"

namespace spk {
namespace {

std::size_t element_bytes(PortDtype dtype) {
    switch (dtype) {
        case PortDtype::kUint8:
        case PortDtype::kInt8:
            return 1;
        case PortDtype::kInt16:
            return 2;
        default:
            return 4;
    }
}

void find_range(const kernels::Table& table, PortDtype dtype, kernels::RangeArgs& args) {
    switch (dtype) {
        case PortDtype::kUint8:
            return table.range_u8(args);
        case PortDtype::kInt8:
            return table.range_i8(args);
        case PortDtype::kInt16:
            return table.range_i16(args);
        default:
            return table.range_i32(args);
    }
}

// Inputs are within the tensor's range, so that bytes may be read as counts whatever their sign was declared to be.
const kernels::Entry<const kernels::CopyArgs>& reader(const kernels::Table& table, PortDtype dtype, Dtype tensor) {
    const bool bytes = tensor == Dtype::kUint8;
    switch (dtype) {
        case PortDtype::kUint8:
            return bytes ? table.copy_u8_u8 : table.copy_u8_i32;
        case PortDtype::kInt8:
            return bytes ? table.copy_u8_u8 : table.copy_i8_i32;
        case PortDtype::kInt16:
            return bytes ? table.copy_i16_u8 : table.copy_i16_i32;
        default:
            return bytes ? table.copy_i32_u8 : table.copy_i32_i32;
    }
}

// A port with time is [outer][timesteps][inner], merged or not; else one step of it is all of it.
kernels::CopyArgs slice(const TensorView& tensor, const PortInfo& port, std::uint32_t steps, std::size_t port_element) {
    kernels::CopyArgs args{};
    args.rows = 1;
    for (std::int32_t axis = 0; axis < port.time_axis; ++axis) {
        args.rows *= static_cast<std::size_t>(tensor.dims[static_cast<std::size_t>(axis)]);
    }
    args.count = static_cast<std::size_t>(tensor.size) / args.rows;
    args.in_step = static_cast<std::ptrdiff_t>(port_element);
    args.in_row = args.in_step * static_cast<std::ptrdiff_t>(args.count) * steps;
    args.out_step = static_cast<std::ptrdiff_t>(spk::element_bytes(tensor));
    args.out_row = args.out_step * static_cast<std::ptrdiff_t>(args.count);
    return args;
}

}  // namespace

Status check_ports(const Context& context, const Model& model, std::span<const InputBuffer> inputs,
                   std::span<const OutputBuffer> outputs, bool whole) {
    if (inputs.size() != model.inputs().size())
        return {Code::kShape, "expected one buffer for each input", Place::kInput, 0};
    if (outputs.size() != model.outputs().size()) {
        return {Code::kShape, "expected one buffer for each output", Place::kOutput, 0};
    }
    for (std::size_t i = 0; i < outputs.size(); ++i) {
        const PortInfo& port = model.outputs()[i];
        if (outputs[i].size() != (whole ? port.shape : port.step_shape).elements()) {
            return {Code::kShape, "an output buffer has another size than was declared", Place::kOutput,
                    static_cast<std::int64_t>(i)};
        }
    }
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        const PortInfo& port = model.inputs()[i];
        const std::uint64_t elements = (whole ? port.shape : port.step_shape).elements();
        const auto at = static_cast<std::int64_t>(i);
        if (inputs[i].size() != elements * element_bytes(port.dtype)) {
            return {Code::kShape, "an input buffer has another size than was declared", Place::kInput, at};
        }
        kernels::RangeArgs range{inputs[i].data(), static_cast<std::size_t>(elements), port.lo, port.hi};
        find_range(*context.kernels, port.dtype, range);
        if (range.lo < port.lo || range.hi > port.hi) {
            return {Code::kRange, "an integer of the input lies outside its declared range", Place::kInput, at};
        }
    }
    return {};
}

void read_input(const Context& context, const PortInfo& port, InputBuffer buffer, std::uint32_t t,
                std::uint32_t steps) {
    const TensorView& tensor = context.tensor(port.tensor);
    kernels::CopyArgs args = slice(tensor, port, steps, element_bytes(port.dtype));
    args.in = buffer.data() + args.in_step * static_cast<std::ptrdiff_t>(args.count) * t;
    args.out = context.data(tensor);
    reader(*context.kernels, port.dtype, tensor.dtype)(args);
}

void write_output(const Context& context, const PortInfo& port, OutputBuffer buffer, std::uint32_t t,
                  std::uint32_t steps) {
    const TensorView& tensor = context.tensor(port.tensor);
    kernels::CopyArgs args = slice(tensor, port, steps, sizeof(std::int32_t));
    std::swap(args.in_step, args.out_step);
    std::swap(args.in_row, args.out_row);
    args.in = context.data(tensor);
    args.out =
        reinterpret_cast<std::byte*>(buffer.data()) + args.out_step * static_cast<std::ptrdiff_t>(args.count) * t;
    tensor.dtype == Dtype::kUint8 ? context.kernels->copy_u8_i32(args) : context.kernels->copy_i32_i32(args);
}

}  // namespace spk
