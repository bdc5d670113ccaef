#include "model/container.hpp"

#include <algorithm>
#include <cstring>

#include "model/sha256.hpp"

namespace spk {
namespace {

Status bad(const char* message, std::int64_t byte) { return {Code::kFormat, message, Place::kByte, byte}; }

}  // namespace

bool all_zero(std::span<const std::byte> bytes) {
    return std::all_of(bytes.begin(), bytes.end(), [](std::byte each) { return each == std::byte{0}; });
}

Status check_container(std::span<const std::byte> bytes, std::uint32_t kind, std::uint64_t first) {
    const bool model = kind == format::kKindModel;
    if (bytes.size() < sizeof(format::Header) + first) {
        return {Code::kFormat, model ? "truncated model image: expected a header and a model record of 128 bytes"
                                     : "truncated firmware image: expected a header and a chip record of 192 bytes"};
    }
    if (reinterpret_cast<std::uintptr_t>(bytes.data()) % format::kAlignment != 0) {
        return {Code::kMemory, "an image must lie at an address that is a multiple of 64"};
    }
    format::Header header;
    std::memcpy(&header, bytes.data(), sizeof header);
    if (header.magic != format::kMagic) {
        return bad(model ? "not a model image: its first eight bytes are not the magic number"
                         : "not a firmware image: its first eight bytes are not the magic number",
                   0);
    }
    if (header.major != format::kMajor) {
        return bad(model ? "model image of another major format version than this reader takes: recompile it"
                         : "firmware image of another major format version than this reader takes: map it again",
                   8);
    }
    if (header.kind != kind) {
        return bad(model ? "expected an image of kind 1 (a model)" : "expected an image of kind 2 (a firmware)", 12);
    }
    if (header.file_bytes != bytes.size()) return bad("truncated or extended image: its header says another size", 16);
    if (header.zero != 0) return bad("expected zero in the header", 24);
    if (sha256(bytes.subspan(sizeof header)) != header.sha256) {
        return bad("corrupted image: its SHA-256 does not match its bytes", 32);
    }
    return {};
}

std::span<const std::byte> Cutter::section(std::uint64_t size) {
    const std::uint64_t left = bytes_.size() - at_;
    if (size > left || aligned(size) > left) {
        fail("a section ends behind the end of the file");
        return {};
    }
    const auto cut = bytes_.subspan(at_, size);
    if (!all_zero(bytes_.subspan(at_ + size, aligned(size) - size))) fail("expected zeros between sections");
    at_ += aligned(size);
    return cut;
}

}  // namespace spk
