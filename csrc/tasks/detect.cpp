// Object detection behind the model: pyspike/tasks/detect.py in C++.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "spk/tasks.hpp"

namespace spk {
namespace {

double sigmoid(double x) {
    const double small = std::exp(-std::fabs(x));
    return (x >= 0 ? 1.0 : small) / (1.0 + small);
}

// The expectation of a softmax over `bins` logits that lie `step` apart.
double expected_bin(const double* logits, std::int32_t bins, std::size_t step) {
    double greatest = logits[0];
    for (std::int32_t k = 1; k < bins; ++k) greatest = std::max(greatest, logits[k * step]);
    double sum = 0.0, weighted = 0.0;
    for (std::int32_t k = 0; k < bins; ++k) {
        const double share = std::exp(logits[k * step] - greatest);
        sum += share;
        weighted += share * k;
    }
    return weighted / sum;
}

void decode_level(const Head& head, std::int32_t stride, std::int32_t classes, std::int32_t reg_max,
                  std::vector<Box>* boxes, std::vector<double>* scores) {
    const auto positions = static_cast<std::size_t>(head.rows) * static_cast<std::size_t>(head.columns);
    for (std::size_t at = 0; at < positions; ++at) {
        const double x = static_cast<double>(at % head.columns) + 0.5, y = static_cast<double>(at / head.columns) + 0.5;
        std::array<double, 4> side{};
        for (std::size_t i = 0; i < 4; ++i) {
            side[i] = expected_bin(head.values.data() + i * reg_max * positions + at, reg_max, positions);
        }
        boxes->push_back(
            {(x - side[0]) * stride, (y - side[1]) * stride, (x + side[2]) * stride, (y + side[3]) * stride});
        for (std::int32_t c = 0; c < classes; ++c) {
            scores->push_back(sigmoid(head.values[(std::size_t{4} * reg_max + c) * positions + at]));
        }
    }
}

double area(double width, double height) { return std::max(width, 0.0) * std::max(height, 0.0); }

double iou_of(const Box& a, const Box& b) {
    const double common =
        area(std::min(a[2], b[2]) - std::max(a[0], b[0]), std::min(a[3], b[3]) - std::max(a[1], b[1]));
    const double all = area(a[2] - a[0], a[3] - a[1]) + area(b[2] - b[0], b[3] - b[1]) - common;
    return all > 0 ? common / all : 0.0;
}

// [height, width, 3] as it is, or as [3, height, width].
std::vector<std::byte> laid_out(std::span<const std::uint8_t> canvas, bool channels_first) {
    const std::size_t pixels = canvas.size() / 3;
    std::vector<std::byte> bytes(canvas.size());
    for (std::size_t i = 0; i < pixels; ++i) {
        for (std::size_t c = 0; c < 3; ++c) {
            bytes[channels_first ? c * pixels + i : 3 * i + c] = static_cast<std::byte>(canvas[3 * i + c]);
        }
    }
    return bytes;
}

Status check_model(const Model& model, const DetectTask& task) {
    if (model.inputs().size() != 1 || model.inputs()[0].dtype != PortDtype::kUint8) {
        return {Code::kShape, "a detection model has one input, of uint8"};
    }
    if (model.outputs().size() != task.strides.size())
        return {Code::kShape, "a detection model has one output a stride"};
    for (const PortInfo& port : model.outputs()) {
        const bool good = port.shape.rank == 4 && port.shape.dims[0] == 1;
        if (!good) return {Code::kShape, "a detection model's outputs have shape [1, channels, height, width]"};
    }
    return {};
}

Status run_model(Runtime* runtime, std::span<const std::byte> input, std::vector<std::vector<double>>* reals) {
    const auto ports = runtime->model().outputs();
    std::vector<std::vector<std::int32_t>> integers;
    for (const PortInfo& port : ports) integers.emplace_back(port.shape.elements());
    std::vector<OutputBuffer> outputs(integers.begin(), integers.end());
    const InputBuffer inputs[] = {input};
    if (const Status status = runtime->run(inputs, outputs); !status.ok()) return status;
    for (std::size_t i = 0; i < ports.size(); ++i) {
        reals->emplace_back(integers[i].size());
        to_reals(ports[i], integers[i], reals->back());
    }
    return {};
}

}  // namespace

Status decode_boxes(std::span<const Head> heads, std::span<const std::int32_t> strides, std::int32_t classes,
                    std::int32_t reg_max, std::vector<Box>* boxes, std::vector<double>* scores) {
    if (heads.size() != strides.size()) return {Code::kShape, "expected one head a stride"};
    if (classes < 1 || reg_max < 1) return {Code::kRange, "expected at least one class and one bin"};
    for (std::size_t level = 0; level < heads.size(); ++level) {
        const Head& head = heads[level];
        const bool good = head.channels == 4 * reg_max + classes && head.rows >= 1 && head.columns >= 1 &&
                          head.values.size() == std::size_t(head.channels) * head.rows * head.columns;
        if (!good) {
            const auto number = static_cast<std::int64_t>(level);
            return {Code::kShape, "expected heads [4 * reg_max + classes, rows, columns]", Place::kOutput, number};
        }
        decode_level(head, strides[level], classes, reg_max, boxes, scores);
    }
    return {};
}

std::vector<std::int64_t> nms(std::span<const Box> boxes, std::span<const double> scores,
                              std::span<const std::int64_t> classes, double iou) {
    std::vector<std::int64_t> waiting(boxes.size()), kept;
    std::iota(waiting.begin(), waiting.end(), std::int64_t{0});
    std::stable_sort(waiting.begin(), waiting.end(), [&](auto a, auto b) { return scores[a] > scores[b]; });
    for (const std::int64_t candidate : waiting) {
        const bool rival = std::any_of(kept.begin(), kept.end(), [&](std::int64_t better) {
            return classes[better] == classes[candidate] && iou_of(boxes[better], boxes[candidate]) > iou;
        });
        if (!rival) kept.push_back(candidate);
    }
    return kept;
}

std::vector<Detection> select(std::span<const Box> boxes, std::span<const double> scores, const DetectTask& task) {
    const std::size_t count = task.classes.size();
    std::vector<Box> found;
    std::vector<double> best;
    std::vector<std::int64_t> classes;
    for (std::size_t i = 0; i < boxes.size(); ++i) {
        const double* row = scores.data() + i * count;
        const auto c = std::max_element(row, row + count) - row;
        if (!(row[c] > task.confidence)) continue;
        found.push_back(boxes[i]), best.push_back(row[c]), classes.push_back(c);
    }
    std::vector<Detection> detections;
    for (const std::int64_t i : nms(found, best, classes, task.iou)) {
        if (detections.size() == static_cast<std::size_t>(task.max_detections)) break;
        detections.push_back({found[i], best[i], classes[i]});
    }
    return detections;
}

void to_reals(const PortInfo& port, std::span<const std::int32_t> integers, std::span<double> reals) {
    const std::size_t channels = port.channel_f.size();
    for (std::size_t i = 0; i < integers.size(); ++i) {
        const std::int32_t f = channels == 0 ? port.f : port.channel_f[i % channels];
        reals[i] = std::ldexp(static_cast<double>(integers[i]), -f) / port.divisor;
    }
}

Status detect(Runtime* runtime, const DetectTask& task, std::span<const std::uint8_t> image, Size source,
              std::vector<Detection>* detections) {
    const Model& model = runtime->model();
    if (const Status status = check_model(model, task); !status.ok()) return status;
    Letterbox place;
    if (const Status status = Letterbox::fit(source, task.size, &place); !status.ok()) return status;
    std::vector<std::uint8_t> canvas(std::size_t{3} * task.size.height * task.size.width);
    Status status = letterbox(image, source, canvas, task.size, task.fill, &place);
    if (!status.ok()) return status;
    std::vector<std::vector<double>> reals;
    status = run_model(runtime, laid_out(canvas, task.channels_first), &reals);
    if (!status.ok()) return status;
    std::vector<Head> heads;
    for (std::size_t i = 0; i < reals.size(); ++i) {
        const auto& dims = model.outputs()[i].shape.dims;
        heads.push_back({reals[i], dims[1], dims[2], dims[3]});
    }
    std::vector<Box> boxes;
    std::vector<double> scores;
    status = decode_boxes(heads, task.strides, static_cast<std::int32_t>(task.classes.size()), task.reg_max, &boxes,
                          &scores);
    if (!status.ok()) return status;
    *detections = select(boxes, scores, task);
    for (Detection& detection : *detections) detection.box = place.to_source(detection.box);
    return {};
}

}  // namespace spk
