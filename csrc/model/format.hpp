// The records of a model image (.spk): numbers and layout, as pyspike/image.py defines them and docs/format.md explains
// them.
//
// Contract: every struct has the size and field order of its record, without padding; a test compares all of it with
// pyspike/image.py. Little-endian hosts only, so that records are read where they lie.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace spk::format {

static_assert(std::endian::native == std::endian::little,
              "model images are read in place: a little-endian host is needed");

inline constexpr std::array<std::uint8_t, 8> kMagic{0x93, 'S', 'P', 'K', '\r', '\n', 0x1a, '\n'};
inline constexpr std::uint16_t kMajor = 1, kMinor = 0;
inline constexpr std::uint32_t kKindModel = 1;

inline constexpr std::uint64_t kAlignment = 64;
inline constexpr std::uint32_t kMaxTensors = 1u << 15;
inline constexpr std::uint32_t kMaxTimesteps = 1u << 20;
inline constexpr std::int64_t kMaxElements = (std::int64_t{1} << 31) - 1;
inline constexpr std::int64_t kMaxReach = 1 << 15;  // of a convolution: events are numbered in 16 bits
inline constexpr std::int32_t kMaxFraction = 1000;
inline constexpr std::uint64_t kMaxPackedBytes = std::uint64_t{1} << 31;

inline constexpr std::uint8_t kTensorTime = 1, kTensorPerChannel = 2;
inline constexpr std::uint8_t kBlobAbsent = 0, kBlobInt8 = 1, kBlobInt32 = 2;
inline constexpr std::uint8_t kPlain = 0, kRows = 1, kDepthwise = 2;

struct Header {
    std::array<std::uint8_t, 8> magic;
    std::uint16_t major, minor;
    std::uint32_t kind;
    std::uint64_t file_bytes, zero;
    std::array<std::uint8_t, 32> sha256;  // of all bytes from 64 on
};

struct Model {
    std::uint32_t timesteps, max_timesteps;  // max_timesteps 0: a stream has no bound of its own
    std::uint32_t tensors, ops, inputs, outputs, blobs, words;
    std::uint32_t string_bytes, metadata_bytes;
    std::uint64_t data_bytes, arena_bytes, state_bytes;
};

struct Tensor {
    std::uint32_t name_at, name_length;
    std::uint8_t rank, flags;
    std::uint16_t zero;
    std::array<std::int32_t, 5> sizes;
    std::int32_t f;
    std::uint32_t divisor;
    std::int32_t lo, hi;  // of inputs only, else 0
    std::uint64_t arena, zero2;
};

struct Op {
    std::uint16_t kind, inputs, blobs, phase;
    std::uint32_t output, first_word, words, first_blob;
    std::uint64_t zero;
};

struct Port {
    std::uint32_t name_at, name_length, axes_at, axes_length, tensor;
    std::int32_t time_axis;  // -1: none
    std::uint16_t merged, dtype;
    std::uint32_t zero;
};

struct Blob {
    std::uint64_t at;
    std::uint8_t dtype, packing, rank, zero;
    std::array<std::uint32_t, 5> sizes;
};

static_assert(sizeof(Header) == 64 && offsetof(Header, sha256) == 32);
static_assert(sizeof(Model) == 64 && offsetof(Model, data_bytes) == 40);
static_assert(sizeof(Tensor) == 64 && offsetof(Tensor, sizes) == 12 && offsetof(Tensor, arena) == 48);
static_assert(sizeof(Op) == 32 && offsetof(Op, output) == 8 && offsetof(Op, zero) == 24);
static_assert(sizeof(Port) == 32 && offsetof(Port, time_axis) == 20);
static_assert(sizeof(Blob) == 32 && offsetof(Blob, sizes) == 12);

}  // namespace spk::format
