// The definition, in the docstring of pyspike/tasks/letterbox.py: area weights to shrink, bilinear weights to grow,
// both as integers whose sum is the same for every output, and one rounding at the end.
#include <algorithm>

#include "spk/tasks.hpp"

namespace spk {
namespace {

constexpr std::int64_t kMaxSide = 65535, kChannels = 3;

struct Tap {
    std::int64_t source, weight;
};

// The taps of every output position along one axis, `ends[i]` behind the last of output i; weights sum to `total`.
struct Axis {
    std::vector<Tap> taps;
    std::vector<std::size_t> ends;
    std::int64_t total = 1;

    std::span<const Tap> of(std::int64_t i) const {
        const std::size_t begin = i == 0 ? 0 : ends[i - 1];
        return std::span(taps).subspan(begin, ends[i] - begin);
    }
};

Axis shrink(std::int64_t n, std::int64_t m) {
    Axis axis;
    axis.total = n;
    for (std::int64_t i = 0; i < m; ++i) {
        for (std::int64_t j = i * n / m; j * m < (i + 1) * n; ++j) {
            axis.taps.push_back({j, std::min((i + 1) * n, (j + 1) * m) - std::max(i * n, j * m)});
        }
        axis.ends.push_back(axis.taps.size());
    }
    return axis;
}

Axis grow(std::int64_t n, std::int64_t m) {
    Axis axis;
    axis.total = 2 * m;
    for (std::int64_t i = 0; i < m; ++i) {
        const std::int64_t s = (2 * i + 1) * n - m;
        const std::int64_t j = s < 0 ? -1 : s / (2 * m);  // s > -2m
        const std::int64_t t = s - 2 * m * j;
        axis.taps.push_back({std::max<std::int64_t>(j, 0), 2 * m - t});
        axis.taps.push_back({std::min(j + 1, n - 1), t});
        axis.ends.push_back(axis.taps.size());
    }
    return axis;
}

Axis axis_weights(std::int64_t n, std::int64_t m) { return m <= n ? shrink(n, m) : grow(n, m); }

// One source row resampled along its width: sums [width, 3].
void across(std::span<const std::uint8_t> row, const Axis& columns, std::span<std::int64_t> sums) {
    for (std::size_t x = 0; x < columns.ends.size(); ++x) {
        for (std::int64_t c = 0; c < kChannels; ++c) {
            std::int64_t sum = 0;
            for (const Tap& tap : columns.of(x)) sum += tap.weight * row[kChannels * tap.source + c];
            sums[kChannels * x + c] = sum;
        }
    }
}

void resize(std::span<const std::uint8_t> image, const Letterbox& place, std::span<std::uint8_t> canvas) {
    const Axis rows = axis_weights(place.source.height, place.resized.height);
    const Axis columns = axis_weights(place.source.width, place.resized.width);
    const std::int64_t total = rows.total * columns.total;
    const std::size_t source_row = static_cast<std::size_t>(kChannels * place.source.width);
    const std::size_t row = static_cast<std::size_t>(kChannels * place.resized.width);
    const std::size_t target_row = static_cast<std::size_t>(kChannels * place.target.width);
    std::vector<std::int64_t> sums(row), line(row);
    std::int64_t held = -1;  // the source row that `line` was made from
    for (std::int64_t y = 0; y < place.resized.height; ++y) {
        std::fill(sums.begin(), sums.end(), 0);
        for (const Tap& tap : rows.of(y)) {
            if (tap.source != held) across(image.subspan(tap.source * source_row, source_row), columns, line);
            held = tap.source;
            for (std::size_t i = 0; i < row; ++i) sums[i] += tap.weight * line[i];
        }
        std::uint8_t* out = canvas.data() + (place.top + y) * target_row + kChannels * place.left;
        for (std::size_t i = 0; i < row; ++i) {
            out[i] = static_cast<std::uint8_t>((2 * sums[i] + total) / (2 * total));
        }
    }
}

bool good(Size size) {
    return 1 <= size.height && size.height <= kMaxSide && 1 <= size.width && size.width <= kMaxSide;
}

}  // namespace

Status Letterbox::fit(Size source, Size target, Letterbox* place) {
    if (!good(source) || !good(target)) return {Code::kShape, "expected sides of 1 to 65535 pixels"};
    const std::int64_t h = source.height, w = source.width, H = target.height, W = target.width;
    Size resized = target;
    if (H * w <= W * h) {
        resized.width = static_cast<std::int32_t>(std::max<std::int64_t>(1, (2 * w * H + h) / (2 * h)));
    } else {
        resized.height = static_cast<std::int32_t>(std::max<std::int64_t>(1, (2 * h * W + w) / (2 * w)));
    }
    *place = {source, target, resized, (target.height - resized.height) / 2, (target.width - resized.width) / 2};
    return {};
}

Box Letterbox::to_source(const Box& box) const {
    const double sx = double(source.width) / resized.width, sy = double(source.height) / resized.height;
    const auto x = [&](double value) { return std::clamp((value - left) * sx, 0.0, double(source.width)); };
    const auto y = [&](double value) { return std::clamp((value - top) * sy, 0.0, double(source.height)); };
    return {x(box[0]), y(box[1]), x(box[2]), y(box[3])};
}

Status letterbox(std::span<const std::uint8_t> image, Size source, std::span<std::uint8_t> canvas, Size target,
                 std::uint8_t fill, Letterbox* place) {
    if (const Status status = Letterbox::fit(source, target, place); !status.ok()) return status;
    const auto bytes = [](Size size) { return static_cast<std::size_t>(kChannels * size.height * size.width); };
    if (image.size() != bytes(source)) return {Code::kShape, "expected a photograph of height * width * 3 bytes"};
    if (canvas.size() != bytes(target)) return {Code::kShape, "expected a canvas of height * width * 3 bytes"};
    std::fill(canvas.begin(), canvas.end(), fill);
    resize(image, *place, canvas);
    return {};
}

}  // namespace spk
