#include "spk/tasks.hpp"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include "bindings/bindings.hpp"

namespace spk::bindings {
namespace {

template <class T>
using Array = py::array_t<T, py::array::c_style | py::array::forcecast>;

template <class T>
std::span<const T> span_of(const Array<T>& array) {
    return {array.data(), static_cast<std::size_t>(array.size())};
}

Size size_of(const std::array<std::int32_t, 2>& size) { return {size[0], size[1]}; }

Array<std::uint8_t> fit(const Array<std::uint8_t>& image, const std::array<std::int32_t, 2>& size, std::uint8_t fill) {
    const Size source{static_cast<std::int32_t>(image.shape(0)), static_cast<std::int32_t>(image.shape(1))};
    Array<std::uint8_t> canvas(std::vector<py::ssize_t>{size[0], size[1], 3});
    Letterbox place;
    const std::span<std::uint8_t> target{canvas.mutable_data(), static_cast<std::size_t>(canvas.size())};
    const Status status = letterbox(span_of(image), source, target, size_of(size), fill, &place);
    if (!status.ok()) raise_error("ShapeError", status.message());
    return canvas;
}

std::span<const Box> boxes_of(const Array<double>& boxes) {
    return {reinterpret_cast<const Box*>(boxes.data()), static_cast<std::size_t>(boxes.shape(0))};
}

py::tuple decode(const std::vector<Array<double>>& arrays, const std::vector<std::int32_t>& strides,
                 std::int32_t classes, std::int32_t reg_max) {
    std::vector<Head> heads;
    for (const auto& array : arrays) {
        const auto dim = [&](int axis) { return static_cast<std::int32_t>(array.shape(axis)); };
        heads.push_back({span_of(array), dim(1), dim(2), dim(3)});
    }
    std::vector<Box> boxes;
    std::vector<double> scores;
    const Status status = decode_boxes(heads, strides, classes, reg_max, &boxes, &scores);
    if (!status.ok()) raise_error("ShapeError", status.message());
    return py::make_tuple(boxes, scores);
}

std::vector<Box> to_source(const Array<double>& boxes, const std::array<std::int32_t, 2>& source,
                           const std::array<std::int32_t, 2>& target) {
    Letterbox place;
    const Status status = Letterbox::fit(size_of(source), size_of(target), &place);
    if (!status.ok()) raise_error("ShapeError", status.message());
    std::vector<Box> moved;
    for (const Box& box : boxes_of(boxes)) moved.push_back(place.to_source(box));
    return moved;
}

}  // namespace

// For the tests that hold csrc/tasks against pyspike/tasks; Python users have the Python functions.
void bind_tasks(py::module_& module) {
    module.def("letterbox", &fit, py::arg("image"), py::arg("size"), py::arg("fill"));
    module.def("letterbox_to_source", &to_source, py::arg("boxes"), py::arg("source"), py::arg("target"));
    module.def("decode_boxes", &decode, py::arg("heads"), py::arg("strides"), py::arg("classes"), py::arg("reg_max"));
    module.def(
        "nms",
        [](const Array<double>& boxes, const Array<double>& scores, const Array<std::int64_t>& classes, double iou) {
            return nms(boxes_of(boxes), span_of(scores), span_of(classes), iou);
        },
        py::arg("boxes"), py::arg("scores"), py::arg("classes"), py::arg("iou"));
}

}  // namespace spk::bindings
