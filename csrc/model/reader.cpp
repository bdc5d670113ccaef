#include "model/reader.hpp"

#include <algorithm>
#include <cstring>

#include "model/container.hpp"
#include "model/text.hpp"

namespace spk {
namespace {

using Bytes = std::span<const std::byte>;

Status bad(const char* message, Place place = Place::kNone, std::uint64_t number = 0) {
    return {Code::kFormat, message, place, static_cast<std::int64_t>(number)};
}

Status cut_sections(Bytes bytes, Image* image) {
    Cutter cutter(bytes);
    const Bytes model = cutter.section(sizeof(format::Model));
    std::memcpy(&image->model, model.data(), sizeof image->model);
    const format::Model& counts = image->model;
    image->bytes = bytes;
    image->tensors = cutter.records<format::Tensor>(counts.tensors);
    image->ops = cutter.records<format::Op>(counts.ops);
    const auto ports = cutter.records<format::Port>(std::uint64_t{counts.inputs} + counts.outputs);
    image->blobs = cutter.records<format::Blob>(counts.blobs);
    image->words = cutter.records<std::int32_t>(counts.words);
    const Bytes strings = cutter.section(counts.string_bytes);
    image->strings = {reinterpret_cast<const char*>(strings.data()), strings.size()};
    image->data = cutter.section(counts.data_bytes);
    if (!cutter.status().ok()) return cutter.status();
    image->inputs = ports.first(counts.inputs);
    image->outputs = ports.subspan(counts.inputs);
    const Bytes metadata = cutter.rest();
    if (metadata.size() != counts.metadata_bytes) return bad("the metadata does not end where the file does");
    image->metadata = {reinterpret_cast<const char*>(metadata.data()), metadata.size()};
    return {};
}

// Names lie one after another in the order of the records that use them, and fill their section.
class Names {
  public:
    explicit Names(const Image& image) : strings_(image.strings) {}

    bool take(std::uint32_t at, std::uint32_t length) {
        if (at != next_ || length > strings_.size() - next_) return false;
        next_ += length;
        return is_utf8(strings_.substr(at, length));
    }
    bool done() const { return next_ == strings_.size(); }

  private:
    std::string_view strings_;
    std::uint64_t next_ = 0;
};

Status check_names(const Image& image) {
    Names names(image);
    for (std::size_t i = 0; i < image.tensors.size(); ++i) {
        const auto& tensor = image.tensors[i];
        if (tensor.name_length == 0) return bad("a tensor has no name", Place::kTensor, i);
        if (!names.take(tensor.name_at, tensor.name_length))
            return bad("a tensor's name is misplaced or no UTF-8", Place::kTensor, i);
    }
    const std::size_t inputs = image.inputs.size();
    for (std::size_t i = 0; i < inputs + image.outputs.size(); ++i) {
        const auto& port = i < inputs ? image.inputs[i] : image.outputs[i - inputs];
        if (port.name_length == 0) return bad("a port has no name", Place::kPort, i);
        const bool good = names.take(port.name_at, port.name_length) && names.take(port.axes_at, port.axes_length);
        if (!good) return bad("a port's name or axes are misplaced or no UTF-8", Place::kPort, i);
    }
    return names.done() ? Status() : bad("the strings section holds unused bytes");
}

// The zeros that fill up each row of a packed array, and each array up to the alignment.
bool zero_filled(const format::Blob& blob, const std::byte* data) {
    if (blob.packing == format::kDepthwise) {
        const std::uint64_t channels = blob.sizes[2], width = (channels + 15) / 16 * 16;
        const std::uint64_t rows = std::uint64_t{blob.sizes[0]} * blob.sizes[1];
        for (std::uint64_t row = 0; row < rows && width > channels; ++row) {
            if (!all_zero({data + row * width + channels, width - channels})) return false;
        }
    } else if (blob.packing == format::kRows) {
        const std::uint64_t outputs = blob.sizes[1], width = (outputs + 15) / 16 * 16;
        const std::uint64_t rows = std::uint64_t{blob.sizes[2]} * blob.sizes[3] * blob.sizes[4];
        if (width == outputs) return true;
        const std::uint64_t used = outputs % 16;  // of the last slab, 16 wide
        for (std::uint64_t group = 0; group < blob.sizes[0]; ++group) {
            const std::byte* slab = data + (group + 1) * rows * width - rows * 16;
            for (std::uint64_t row = 0; row < rows; ++row) {
                if (!all_zero({slab + row * 16 + used, 16 - used})) return false;
            }
        }
    }
    return true;
}

Status check_blobs(const Image& image) {
    std::uint64_t next = 0;
    for (std::size_t i = 0; i < image.blobs.size(); ++i) {
        const auto& blob = image.blobs[i];
        if (blob.at != next || blob.zero != 0) return bad("an array's record is not canonical", Place::kBlob, i);
        const bool sizes_end = std::all_of(blob.sizes.begin() + std::min<int>(blob.rank, 5), blob.sizes.end(),
                                           [](auto size) { return size == 0; });
        if (blob.rank > 5 || !sizes_end)
            return bad("an array has more than five axes, or sizes behind its last", Place::kBlob, i);
        if (blob.dtype == format::kBlobAbsent) {
            if (blob.packing != 0 || blob.rank != 0) return bad("an absent array has sizes", Place::kBlob, i);
            continue;
        }
        const std::uint64_t size = packed_bytes(blob);
        if (size == 0) return bad("impossible array: dtype, packing or sizes", Place::kBlob, i);
        if (size > image.data.size() - next || aligned(size) > image.data.size() - next) {
            return bad("an array lies outside the data section", Place::kBlob, i);
        }
        const bool clean = zero_filled(blob, image.data.data() + next) &&
                           all_zero(image.data.subspan(next + size, aligned(size) - size));
        if (!clean) return bad("expected zeros behind an array or its rows", Place::kBlob, i);
        next += aligned(size);
    }
    return next == image.data.size() ? Status() : bad("the data section holds unused bytes");
}

Status check_records(const Image& image) {
    for (std::size_t i = 0; i < image.tensors.size(); ++i) {
        const auto& tensor = image.tensors[i];
        if (tensor.zero != 0 || tensor.zero2 != 0) return bad("expected zero in a tensor's record", Place::kTensor, i);
    }
    std::uint64_t words = 0, blobs = 0;
    for (std::size_t i = 0; i < image.ops.size(); ++i) {
        const auto& op = image.ops[i];
        if (op.zero != 0) return bad("expected zero in an operator's record", Place::kOp, i);
        if (op.first_word != words || op.words > image.words.size() - words || op.inputs > op.words) {
            return bad("an operator's words are misplaced", Place::kOp, i);
        }
        if (op.first_blob != blobs || op.blobs > image.blobs.size() - blobs)
            return bad("an operator's arrays are misplaced", Place::kOp, i);
        words += op.words;
        blobs += op.blobs;
    }
    if (words != image.words.size() || blobs != image.blobs.size())
        return bad("there are words or arrays that no operator uses");
    for (const auto* ports : {&image.inputs, &image.outputs}) {
        for (std::size_t i = 0; i < ports->size(); ++i) {
            if ((*ports)[i].zero != 0) return bad("expected zero in a port's record", Place::kPort, i);
        }
    }
    return {};
}

}  // namespace

std::uint64_t packed_bytes(const format::Blob& blob) {
    const std::uint64_t item = blob.dtype == format::kBlobInt8 ? 1 : blob.dtype == format::kBlobInt32 ? 4 : 0;
    const int rank = blob.packing == format::kRows ? 5 : blob.packing == format::kDepthwise ? 3 : blob.rank;
    if (item == 0 || blob.packing > format::kDepthwise || blob.rank != rank || blob.rank > 5) return 0;
    if (blob.packing != format::kPlain && item != 1) return 0;
    std::uint64_t size = item;
    for (int axis = 0; axis < rank; ++axis) {
        std::uint64_t each = blob.sizes[axis];
        const bool filled =
            (blob.packing == format::kRows && axis == 1) || (blob.packing == format::kDepthwise && axis == 2);
        if (filled) each = (each + 15) / 16 * 16;
        if (each == 0 || each > format::kMaxPackedBytes / size) return 0;
        size *= each;
    }
    return size;
}

Status read_image(std::span<const std::byte> bytes, Image* image) {
    const Status container = check_container(bytes, format::kKindModel, sizeof(format::Model));
    if (!container.ok()) return container;
    if (const Status status = cut_sections(bytes, image); !status.ok()) return status;
    if (image->model.tensors > format::kMaxTensors) return bad("a model has at most 32768 tensors");
    if (const Status status = check_names(*image); !status.ok()) return status;
    if (const Status status = check_records(*image); !status.ok()) return status;
    return check_blobs(*image);
}

}  // namespace spk
