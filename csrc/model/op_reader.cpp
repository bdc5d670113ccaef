#include "model/op_reader.hpp"

namespace spk {

std::int32_t OpReader::integer() {
    if (words_.empty()) {
        sound_ = false;
        return 0;
    }
    const std::int32_t value = words_.front();
    words_ = words_.subspan(1);
    return value;
}

bool OpReader::boolean() {
    const std::int32_t value = integer();
    if (value != 0 && value != 1) sound_ = false;
    return value == 1;
}

std::span<const std::int32_t> OpReader::tuple() {
    const std::int32_t length = integer();
    if (length < 0 || static_cast<std::size_t>(length) > words_.size()) {
        sound_ = false;
        return {};
    }
    const auto values = words_.first(static_cast<std::size_t>(length));
    words_ = words_.subspan(values.size());
    return values;
}

Array OpReader::array(std::uint8_t dtype, std::uint8_t packing, int rank) {
    if (blobs_.empty() || blobs_.front().dtype != dtype || blobs_.front().packing != packing ||
        (rank >= 0 && blobs_.front().rank != rank)) {
        sound_ = false;
        return {};
    }
    const format::Blob& blob = blobs_.front();
    blobs_ = blobs_.subspan(1);
    return {&blob, image_.data.data() + blob.at};
}

Array OpReader::optional_array(std::uint8_t dtype, int rank) {
    if (!blobs_.empty() && blobs_.front().dtype == format::kBlobAbsent) {
        blobs_ = blobs_.subspan(1);
        return {};
    }
    return array(dtype, format::kPlain, rank);
}

}  // namespace spk
