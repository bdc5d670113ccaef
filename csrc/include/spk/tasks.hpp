// Host pre- and post-processing around a model: the same names and definitions as pyspike/tasks.
//
// Contract: plain functions over buffers that the caller owns; they may use the heap and float64, neither of which the
// model itself needs. Letterboxing is integer arithmetic, equal to Python's to the last bit; boxes and scores are
// float64. Photographs are 8-bit RGB, row-major [height, width, 3]. Boxes are (x1, y1, x2, y2) in pixels.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "spk/model.hpp"
#include "spk/runtime.hpp"
#include "spk/status.hpp"

namespace spk {

using Box = std::array<double, 4>;

struct Size {
    std::int32_t height = 0, width = 0;
};

// Where a photograph lies inside a network's input: resized from `source` to `resized`, its corner at (top, left).
struct Letterbox {
    Size source, target, resized;
    std::int32_t top = 0, left = 0;

    // The placement of a photograph of size `source`; kShape for sides outside 1..65535.
    static Status fit(Size source, Size target, Letterbox* place);

    // A box in pixels of the target, in pixels of the photograph and clipped to it.
    Box to_source(const Box& box) const;
};

// Fits `image` [source.height, source.width, 3] into `canvas` [target.height, target.width, 3]; the rest becomes
// `fill`.
Status letterbox(std::span<const std::uint8_t> image, Size source, std::span<std::uint8_t> canvas, Size target,
                 std::uint8_t fill, Letterbox* place);

// One level of an anchor-free detector: logits [channels, rows, columns].
struct Head {
    std::span<const double> values;
    std::int32_t channels = 0, rows = 0, columns = 0;
};

// Boxes [anchors] and scores [anchors, classes] of all levels; channels are 4 * reg_max distance bins, then classes.
Status decode_boxes(std::span<const Head> heads, std::span<const std::int32_t> strides, std::int32_t classes,
                    std::int32_t reg_max, std::vector<Box>* boxes, std::vector<double>* scores);

// Indices of the boxes to keep, best score first: a box is dropped where a better one of its class overlaps it with an
// intersection over union above `iou`; equal scores are taken in the order of their indices.
std::vector<std::int64_t> nms(std::span<const Box> boxes, std::span<const double> scores,
                              std::span<const std::int64_t> classes, double iou);

// What a detection model says about itself in its metadata (pyspike.tasks.detect.DetectTask).
struct DetectTask {
    std::vector<std::string> classes;
    Size size;
    std::vector<std::int32_t> strides;
    std::int32_t reg_max = 16;
    bool channels_first = true;  // layout NCHW, else NHWC
    std::uint8_t fill = 114;
    double confidence = 0.25, iou = 0.7;
    std::int32_t max_detections = 300;
};

struct Detection {
    Box box{};
    double score = 0.0;
    std::int64_t class_id = 0;
};

// The detections among decoded anchors, best first: an anchor stands for its best class, and counts above the
// confidence.
std::vector<Detection> select(std::span<const Box> boxes, std::span<const double> scores, const DetectTask& task);

// Real values of an output's integers: integer * 2^-f / divisor. Both spans have the port's elements.
void to_reals(const PortInfo& port, std::span<const std::int32_t> integers, std::span<double> reals);

// Everything: the photograph's detections, best first, in its own pixels. The model's outputs are the heads, one a
// stride.
Status detect(Runtime* runtime, const DetectTask& task, std::span<const std::uint8_t> image, Size source,
              std::vector<Detection>* detections);

}  // namespace spk
