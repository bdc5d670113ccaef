// A firmware image that has been read and verified, and who belongs to whom in it.
//
// Contract: whatever `Firmware::read` returns obeys every rule of docs/firmware.md: all indices lie in their sections,
// all addresses in their memories, all sites and channels in the fields of a flit, and the waits have no cycle.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "format.hpp"

namespace spk::chip {

class Firmware {
  public:
    // Copies `bytes`. Throws FirmwareError. Without `check_order` waits may have cycles: to see what a deadlock is.
    static Firmware read(std::span<const std::byte> bytes, bool check_order = true);

    format::Chip chip{};
    std::span<const format::Core> cores;
    std::span<const format::Tile> tiles;
    std::span<const format::Step> steps;
    std::span<const format::Port> ports;
    std::span<const format::Destination> destinations;
    std::span<const format::Producer> producers;
    std::span<const format::Input> inputs;
    std::span<const format::Output> outputs;
    std::span<const std::int32_t> constants;
    std::span<const std::uint8_t> shifts;
    std::span<const std::int8_t> weights;

    // Index of the record of the core with that number, -1 where it has no tiles.
    std::vector<std::int32_t> core_index;
    std::vector<std::uint32_t> tile_core, step_tile, port_step;
    std::uint32_t host_destination = 0;  // number of the host's first

    std::uint32_t mesh_cores() const { return chip.width * chip.height; }
    std::uint32_t words_per_site(const format::Tile& tile) const {
        return (tile.channels + chip.lanes - 1) / chip.lanes;
    }
    std::uint64_t words(const format::Tile& tile) const {
        return std::uint64_t{tile.rows} * tile.columns * words_per_site(tile);
    }
    // What an output's number of timesteps is, of an input likewise.
    std::uint32_t timesteps(std::uint32_t varies) const { return varies != 0 ? chip.timesteps : 1; }

  private:
    struct alignas(64) Block {
        std::byte bytes[64];
    };
    std::vector<Block> image_;

    void cut(std::span<const std::byte> bytes);
};

// Each throws FirmwareError. `check_records`: every record by itself, and that they follow one another; fills the
// tables of who belongs to whom. `check_network`: destinations and producers. `check_order`: the order of waits.
void check_chip(const format::Chip& chip);
void check_records(Firmware& firmware);
void check_network(const Firmware& firmware);
void check_order(const Firmware& firmware);

}  // namespace spk::chip
