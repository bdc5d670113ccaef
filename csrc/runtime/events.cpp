#include "runtime/events.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "runtime/context.hpp"

namespace spk {
namespace {

constexpr std::size_t kOverwritten = 32;  // entries that a scan may write past its last event

}  // namespace

std::int32_t EventGeometry::segment_start(std::int32_t segment) const {
    if (segments == 1) return 0;
    return std::clamp(segment * segment_outputs * stride - padding, 0, width);
}

std::int32_t EventGeometry::segment_width(std::int32_t segment) const {
    if (segments == 1) return width;
    const std::int64_t last = (std::int64_t{segment} + 1) * segment_outputs - 1;
    const std::int64_t end = std::clamp<std::int64_t>(last * stride - padding + reach, 0, width);
    return static_cast<std::int32_t>(std::max<std::int64_t>(end - segment_start(segment), 0));
}

std::int32_t EventGeometry::widest() const {
    if (segments == 1) return width;
    const std::int64_t reached = (std::int64_t{segment_outputs} - 1) * stride + reach;
    return static_cast<std::int32_t>(std::min<std::int64_t>(reached, width));
}

std::size_t EventGeometry::row_bytes() const {
    const std::size_t entries =
        static_cast<std::size_t>(segments) * widest() * channels * static_cast<std::size_t>(most_bits) + kOverwritten;
    return align64(entries * sizeof(std::uint16_t));
}

std::size_t EventGeometry::offset_count() const { return static_cast<std::size_t>(planes) * (widest() + 1); }

std::size_t EventGeometry::bytes() const {
    const std::size_t lists = static_cast<std::size_t>(rows) * segments * blocks();
    return rows * row_bytes() + align64(lists * offset_count() * sizeof(std::uint32_t));
}

void set_planes(std::int32_t lo, std::int32_t hi, EventGeometry* geometry) {
    const auto high = static_cast<std::uint32_t>(std::max(hi, 0)), low = static_cast<std::uint32_t>(~std::min(lo, -1));
    if (lo < 0) {
        geometry->planes = static_cast<std::int32_t>(std::max(std::bit_width(high), std::bit_width(low))) + 1;
        geometry->most_bits = geometry->planes;
        return;
    }
    geometry->planes = std::max(static_cast<std::int32_t>(std::bit_width(high)), 1);
    // All planes below the top one, or one fewer and the top one: 0..4 sets at most two of three bits.
    const bool full = high == (std::uint64_t{1} << geometry->planes) - 1;
    geometry->most_bits = full ? geometry->planes : std::max(geometry->planes - 1, 1);
}

void set_digits(std::int32_t hi, EventGeometry* geometry) {
    const std::int32_t bits = std::max(static_cast<std::int32_t>(std::bit_width(static_cast<std::uint32_t>(hi))), 1);
    geometry->planes = geometry->most_bits = bits > 4 ? 2 : 1;
    geometry->digit_bits = std::min(bits, 4);
    geometry->spread = bits > 4 ? 4 : std::bit_width(static_cast<std::uint32_t>(std::max(hi, 1) - 1));
}

void EventCache::require(const Context& context, std::int32_t tensor, const EventGeometry& geometry) {
    const TensorView& view = context.tensor(tensor);
    if (tensor == tensor_ && context.data(view) == data_ && geometry == geometry_) return;
    tensor_ = tensor;
    data_ = context.data(view);
    geometry_ = geometry;
    context.pool->run(static_cast<std::size_t>(geometry.rows), [&](std::size_t row, std::uint32_t) {
        const Columns* inputs = context.region != nullptr ? context.region->inputs : nullptr;
        const bool empty = inputs != nullptr && inputs[row].empty();
        empty ? clear_row(static_cast<std::int32_t>(row)) : build_row(context, view, static_cast<std::int32_t>(row));
    });
}

void EventCache::clear_row(std::int32_t row) const {
    const std::size_t lists = static_cast<std::size_t>(geometry_.segments) * geometry_.blocks();
    std::memset(const_cast<std::uint32_t*>(offsets(row, 0, 0)), 0,
                lists * geometry_.offset_count() * sizeof(std::uint32_t));
}

void EventCache::scan(const Context& context, const TensorView& tensor, kernels::ScanArgs& args) const {
    if (geometry_.digit_bits == 0) {
        return tensor.dtype == Dtype::kUint8 ? context.kernels->scan_u8(args) : context.kernels->scan_i32(args);
    }
    kernels::DigitArgs digits{};
    digits.x = static_cast<const std::uint8_t*>(args.x);
    digits.x_step = args.x_step;
    digits.width = args.width;
    digits.channels = args.channels;
    digits.block = args.block;
    digits.spread = geometry_.spread;
    digits.bits = geometry_.digit_bits;
    digits.digits = args.planes;
    digits.events = args.events;
    digits.offsets = args.offsets;
    digits.digit_step = args.plane_step;
    digits.count = args.count;
    context.kernels->scan_digits(digits);
    args.count = digits.count;
}

void EventCache::build_row(const Context& context, const TensorView& tensor, std::int32_t row) const {
    const EventGeometry& g = geometry_;
    const std::size_t element = element_bytes(tensor);
    const std::byte* x = context.data(tensor) + static_cast<std::size_t>(row) * g.width * g.channels * element;
    kernels::ScanArgs args{};
    args.x_step = g.channels * element;
    args.block = static_cast<std::size_t>(g.numbers());
    args.planes = static_cast<std::size_t>(g.planes);
    args.plane_step = static_cast<std::size_t>(g.widest() + 1) * sizeof(std::uint32_t);
    args.events = const_cast<std::uint16_t*>(this->row(row));
    for (std::int32_t segment = 0; segment < g.segments; ++segment) {
        args.width = static_cast<std::size_t>(g.segment_width(segment));
        const std::byte* start = x + g.segment_start(segment) * args.x_step;
        for (std::int32_t block = 0; block < g.blocks(); ++block) {
            const std::int32_t within = block % g.group_blocks() * g.block;
            const std::int32_t channel = block / g.group_blocks() * g.group_channels + within;
            args.x = start + static_cast<std::size_t>(channel) * element;
            args.channels = static_cast<std::size_t>(std::min(g.block, g.group_channels - within));
            args.offsets = const_cast<std::uint32_t*>(offsets(row, segment, block));
            scan(context, tensor, args);
        }
    }
}

}  // namespace spk
