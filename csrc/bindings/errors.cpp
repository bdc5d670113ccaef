#include "bindings/bindings.hpp"
#include "model/program.hpp"

namespace spk::bindings {
namespace {

const char* class_of(Code code) {
    switch (code) {
        case Code::kShape:
            return "ShapeError";
        case Code::kRange:
            return "RangeError";
        case Code::kUnsupported:
            return "UnsupportedOpError";
        case Code::kOk:
        case Code::kFormat:
        case Code::kMemory:
        case Code::kBudget:  // told with what was counted, by the calls that take a budget
            break;
    }
    return "ModelFormatError";
}

const char* word_for(Place place) {
    switch (place) {
        case Place::kByte:
            return "byte";
        case Place::kTensor:
            return "tensor";
        case Place::kOp:
            return "operator";
        case Place::kBlob:
            return "array";
        case Place::kPort:
            return "port";
        case Place::kInput:
            return "input";
        case Place::kOutput:
            return "output";
        case Place::kNone:
            break;
    }
    return "";
}

// "input 'image'" where the model is known, else "operator 12".
std::string where(const Status& status, const Model* model) {
    const auto number = static_cast<std::size_t>(status.number());
    std::string name;
    if (model != nullptr && status.place() == Place::kInput) name = model->inputs()[number].name;
    if (model != nullptr && status.place() == Place::kOutput) name = model->outputs()[number].name;
    if (model != nullptr && status.place() == Place::kOp) {
        const Program& program = model->program();
        name = program.tensors[program.ops[number].output].name;
    }
    const std::string detail = name.empty() ? std::to_string(status.number()) : "'" + name + "'";
    return std::string(word_for(status.place())) + " " + detail + ": ";
}

}  // namespace

void raise_error(const char* name, const std::string& message) {
    const py::object type = py::module_::import("pyspike.errors").attr(name);
    PyErr_SetString(type.ptr(), message.c_str());
    throw py::error_already_set();
}

void check(const Status& status, const Model* model) {
    if (status.ok()) return;
    const std::string message = (status.place() == Place::kNone ? "" : where(status, model)) + status.message();
    if (status.code() == Code::kMemory) {
        PyErr_SetString(PyExc_MemoryError, message.c_str());
        throw py::error_already_set();
    }
    // Whatever is wrong with an image that is being opened, the image is wrong.
    raise_error(model == nullptr ? "ModelFormatError" : class_of(status.code()), message);
}

}  // namespace spk::bindings
