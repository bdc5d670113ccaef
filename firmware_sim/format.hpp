// The records of a firmware image (.sfw), as pyspike/chip/firmware.py defines them and docs/firmware.md explains them.
//
// Contract: every struct has the fields and the order of its record, 32 bits each; a test compares all of it with
// pyspike/chip/firmware.py.
#pragma once

#include <array>
#include <cstdint>

namespace spk::chip::format {

inline constexpr std::uint32_t kKindFirmware = 2;
inline constexpr std::uint32_t kEdge = 0xFFFFFFFF, kEdgePort = 255;
inline constexpr std::uint32_t kFire = 0, kOutput = 1;                 // of steps
inline constexpr std::uint32_t kAdd = 0, kMax = 1;                     // modes of tiles
inline constexpr std::uint32_t kSynapse = 0, kLoad = 1;                // of ports
inline constexpr std::uint32_t kCounts = 0, kPotentials = 1;           // of inputs and outputs
inline constexpr std::uint32_t kUnary = 0, kBitwise = 1, kFolded = 2;  // codings

inline constexpr std::uint32_t kMaxMesh = 64, kMaxFifo = 4096, kMaxLinkDelay = 1024, kMaxTimesteps = 256;
inline constexpr std::uint32_t kMaxPorts = 255, kMaxDestinations = 16384;
inline constexpr std::uint32_t kSites = 1024, kChannels = 16384;  // what the fields of a flit can number
inline constexpr std::uint32_t kMaxCount = 255;

struct Chip {
    std::uint32_t width, height, lanes, router_fifo, out_fifo, axon_fifo, link_delay, timesteps;
    std::uint32_t weight_bits, weight_sram, potential_sram, port_table;
    std::uint32_t cores, tiles, steps, ports, destinations, producers, inputs, outputs;
    std::uint32_t constants, shift_words, weight_words, metadata_bytes;
    std::array<std::uint32_t, 8> zeros;
};

struct Core {
    std::uint32_t number, first_tile, tiles, first_port, ports, first_destination, destinations;
    std::uint32_t first_constant, constants, first_shift, shifts, first_weight, weights;
};

struct Tile {
    std::uint32_t mode, y, x, rows, columns, channel, channels, base, first_step, steps;
};

struct Step {
    std::uint32_t kind, number, count, ladder, per_channel, bias, membrane, reset, hard_reset, guard, leak_terms;
    std::array<std::int32_t, 3> leak_sign;
    std::array<std::uint32_t, 3> leak_shift;
    std::uint32_t clear, last, first_port, ports, ends, first_destination, destinations;
};

struct Port {
    std::uint32_t kind, kernel_y, kernel_x, stride_y, stride_x;
    std::int32_t top, left;
    std::uint32_t dilation_y, dilation_x, upsample_y, upsample_x, inputs, outputs, channel, coding, weight, shift;
    std::uint32_t first_producer, producers;
};

struct Destination {
    std::uint32_t core, port, y_low, y_high, x_low, x_high, c_low, c_high;
    std::int32_t dy, dx, dc;
};

struct Producer {
    std::uint32_t core, destination;
};

struct Input {
    std::uint32_t number, kind, varies, height, width, channels, first_destination, destinations;
};

struct Output {
    std::uint32_t kind, varies, height, width, channels, channel;
};

static_assert(sizeof(Chip) == 32 * 4 && sizeof(Core) == 13 * 4 && sizeof(Tile) == 10 * 4 && sizeof(Step) == 24 * 4);
static_assert(sizeof(Port) == 19 * 4 && sizeof(Destination) == 11 * 4 && sizeof(Producer) == 2 * 4);
static_assert(sizeof(Input) == 8 * 4 && sizeof(Output) == 6 * 4);

}  // namespace spk::chip::format
