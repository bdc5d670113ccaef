#include "loader.hpp"

#include <initializer_list>
#include <string>

#include "errors.hpp"

namespace spk::chip::cosim {
namespace {

using Word = std::array<std::uint32_t, 16>;

// What firmware_sim/rtl/tables.sv declares.
constexpr std::uint32_t kLanes = 16, kTiles = 8, kSteps = 8, kPorts = 64, kStepDestinations = 8, kThresholds = 8;
constexpr std::uint32_t kNumbers = 64, kProducers = 256, kPotentials = 4096, kWeights = 8192, kShifts = 256;
constexpr std::uint32_t kConstants = 512;

enum Memory : std::uint32_t {
    kTileCount,
    kTile,
    kStep,
    kPort,
    kDestination,
    kProducer,
    kLadder,
    kBias,
    kShift,
    kWeight,
    kPotential
};

struct Field {
    std::uint64_t value;
    std::uint32_t bits;
};

// A packed struct: the first field is the most significant.
Word packed(std::initializer_list<Field> fields) {
    Word word{};
    std::uint32_t at = 0;
    for (const Field* field = std::end(fields); field != std::begin(fields);) {
        --field;
        for (std::uint32_t bit = 0; bit < field->bits; ++bit, ++at) {
            word[at / 32] |= static_cast<std::uint32_t>((field->value >> bit) & 1) << (at % 32);
        }
    }
    return word;
}

void limit(std::uint64_t found, std::uint64_t most, const std::string& what) {
    if (found > most) {
        throw FirmwareError("the Verilog twin takes at most " + std::to_string(most) + " " + what + ", found " +
                            std::to_string(found));
    }
}

class CoreLoader {
  public:
    CoreLoader(const Firmware& firmware, const format::Core& core, std::vector<Load>& loads)
        : firmware_(firmware), core_(core), loads_(loads) {}

    void run() {
        limit(core_.tiles, kTiles, "tiles in a core");
        limit(core_.ports, kPorts, "ports in a core");
        limit(core_.destinations, kNumbers, "destinations in a core");
        limit(core_.weights, kWeights, "weight words in a core");
        limit(core_.shifts, kShifts, "words of shifts in a core");
        write(kTileCount, 0, packed({{core_.tiles, 4}}));
        for (std::uint32_t k = 0; k < core_.tiles; ++k) tile(k);
        for (std::uint32_t k = 0; k < core_.weights; ++k)
            lanes(kWeight, k, firmware_.weights.data(), core_.first_weight, 8);
        for (std::uint32_t k = 0; k < core_.shifts; ++k)
            lanes(kShift, k, firmware_.shifts.data(), core_.first_shift, 5);
    }

  private:
    const Firmware& firmware_;
    const format::Core& core_;
    std::vector<Load>& loads_;
    std::uint32_t producers_ = 0, ladders_ = 0, biases_ = 0;

    void write(Memory memory, std::uint32_t address, const Word& word) {
        const std::uint32_t width = firmware_.chip.width;
        loads_.push_back({core_.number % width, core_.number / width, memory, address, word});
    }

    template <typename T>
    void lanes(Memory memory, std::uint32_t address, const T* values, std::uint32_t first, std::uint32_t bits) {
        Word word{};
        for (std::uint32_t lane = 0; lane < kLanes; ++lane) {
            const auto value = static_cast<std::uint8_t>(values[(first + address) * kLanes + lane]);
            for (std::uint32_t bit = 0; bit < bits; ++bit) {
                const std::uint32_t at = lane * bits + bit;
                word[at / 32] |= static_cast<std::uint32_t>((value >> bit) & 1) << (at % 32);
            }
        }
        write(memory, address, word);
    }

    void tile(std::uint32_t number) {
        const auto& tile = firmware_.tiles[core_.first_tile + number];
        const std::uint32_t words = firmware_.words_per_site(tile);
        const std::uint64_t size = firmware_.words(tile);
        limit(tile.base + size, kPotentials, "potential words in a core");
        limit(tile.steps, kSteps, "steps in a tile");
        write(kTile, number,
              packed({{tile.mode == format::kMax, 1},
                      {tile.y, 10},
                      {tile.x, 10},
                      {tile.rows, 11},
                      {tile.columns, 11},
                      {tile.channel, 14},
                      {tile.channels, 15},
                      {tile.base, 12},
                      {words, 11},
                      {tile.columns * words, 12}}));
        for (std::uint32_t k = 0; k < size; ++k) write(kPotential, tile.base + k, Word{});
        for (std::uint32_t k = 0; k < tile.steps; ++k) {
            step(number, k, firmware_.steps[tile.first_step + k], tile, words);
        }
    }

    void step(std::uint32_t tile_number, std::uint32_t place, const format::Step& step, const format::Tile& tile,
              std::uint32_t words) {
        limit(step.count, kThresholds, "thresholds of a channel");
        limit(step.membrane, 0, "membranes");
        limit(step.destinations, kStepDestinations, "destinations of a step");
        limit(step.number, 0xFFFF, "as the number of a step");
        const std::uint32_t first_producer = producers_, first_ladder = ladders_, first_bias = biases_;
        for (std::uint32_t k = 0; k < step.ports; ++k) {
            const std::uint32_t index = step.first_port + k;
            port(index - core_.first_port, firmware_.ports[index], tile_number, place, words);
        }
        if (step.kind == format::kFire) ladder(step, tile, words);
        if (step.bias != 0) bias(step, tile, words);
        std::uint64_t waits = 0;
        for (std::uint32_t k = 0; k < step.destinations; ++k) {
            const std::uint32_t index = step.first_destination + k;
            const auto& destination = firmware_.destinations[index];
            const bool edge = destination.core == format::kEdge;
            if (!edge) waits |= std::uint64_t{1} << (index - core_.first_destination);
            const std::uint32_t at = edge ? 0 : destination.core, width = firmware_.chip.width;
            write(kDestination, (tile_number * kSteps + place) * kStepDestinations + k,
                  packed({{at % width, 6},
                          {at / width, 6},
                          {destination.port, 8},
                          {destination.y_low, 10},
                          {destination.y_high, 10},
                          {destination.x_low, 10},
                          {destination.x_high, 10},
                          {destination.c_low, 14},
                          {destination.c_high, 14},
                          {bits(destination.dy), 10},
                          {bits(destination.dx), 10},
                          {bits(destination.dc), 14}}));
        }
        write(kStep, tile_number * kSteps + place,
              packed({{place + 1 == tile.steps, 1},
                      {step.kind == format::kOutput, 1},
                      {step.number, 16},
                      {step.count, 4},
                      {first_ladder, 9},
                      {step.per_channel, 1},
                      {step.bias != 0, 1},
                      {first_bias, 9},
                      {step.clear, 1},
                      {step.ends, 10},
                      {first_producer, 8},
                      {producers_ - first_producer, 8},
                      {(1u << step.destinations) - 1, 8},
                      {step.first_destination - core_.first_destination, 6},
                      {waits, 64}}));
    }

    static std::uint64_t bits(std::int32_t value) { return static_cast<std::uint32_t>(value); }

    void port(std::uint32_t number, const format::Port& port, std::uint32_t tile, std::uint32_t place,
              std::uint32_t words) {
        limit(port.dilation_y, 1, "as dilation");
        limit(port.dilation_x, 1, "as dilation");
        limit(port.upsample_y, 1, "as upsampling");
        limit(port.upsample_x, 1, "as upsampling");
        limit(port.stride_y, 2, "as stride");
        limit(port.stride_x, 2, "as stride");
        limit(port.coding, format::kBitwise, "as coding (folded is not there)");
        limit(producers_ + port.producers, kProducers - 1, "producers of ports in a core");
        for (std::uint32_t k = 0; k < port.producers; ++k) {
            const auto& producer = firmware_.producers[port.first_producer + k];
            const bool edge = producer.core == format::kEdge;
            const std::uint32_t at = edge ? 0 : producer.core, width = firmware_.chip.width;
            write(kProducer, producers_++,
                  packed({{at % width, 6}, {at / width, 6}, {edge ? 255u : 0u, 8}, {producer.destination, 14}}));
        }
        const std::uint32_t reciprocal = ((1u << 28) + port.inputs - 1) / port.inputs;
        write(kPort, number,
              packed({{port.kind == format::kLoad, 1},
                      {tile, 3},
                      {place, 3},
                      {port.kernel_y, 8},
                      {port.kernel_x, 8},
                      {port.stride_y == 2, 1},
                      {port.stride_x == 2, 1},
                      {bits(port.top), 12},
                      {bits(port.left), 12},
                      {reciprocal, 29},
                      {port.inputs, 15},
                      {port.outputs, 15},
                      {port.channel, 14},
                      {port.coding == format::kBitwise, 1},
                      {port.weight, 13},
                      {port.shift, 8},
                      {port.kernel_y * port.kernel_x * words, 13},
                      {port.kernel_x * words, 13}}));
    }

    // Thresholds are stored by word and number, one of every lane side by side.
    void ladder(const format::Step& step, const format::Tile& tile, std::uint32_t words) {
        const std::uint32_t rows = step.per_channel != 0 ? words : 1;
        limit(ladders_ + rows, kConstants, "words of thresholds in a core");
        for (std::uint32_t row = 0; row < rows; ++row, ++ladders_) {
            for (std::uint32_t k = 0; k < step.count; ++k) {
                Word word{};
                for (std::uint32_t lane = 0; lane < kLanes; ++lane) {
                    const std::uint32_t channel = step.per_channel != 0 ? row * kLanes + lane : 0;
                    if (channel < tile.channels) word[lane] = constant(step.ladder + channel * step.count + k);
                }
                write(kLadder, ladders_ * kThresholds + k, word);
            }
        }
    }

    void bias(const format::Step& step, const format::Tile& tile, std::uint32_t words) {
        limit(biases_ + words, kConstants, "words of biases in a core");
        for (std::uint32_t row = 0; row < words; ++row, ++biases_) {
            Word word{};
            for (std::uint32_t lane = 0; lane < kLanes; ++lane) {
                const std::uint32_t channel = row * kLanes + lane;
                if (channel < tile.channels) word[lane] = constant(step.bias - 1 + channel);
            }
            write(kBias, biases_, word);
        }
    }

    std::uint32_t constant(std::uint32_t number) const {
        return static_cast<std::uint32_t>(firmware_.constants[core_.first_constant + number]);
    }
};

}  // namespace

std::vector<Load> loads(const Firmware& firmware) {
    if (firmware.chip.lanes != kLanes) throw FirmwareError("the Verilog twin has 16 lanes");
    limit(firmware.chip.timesteps, 1, "timesteps");
    std::vector<Load> loads;
    for (const auto& core : firmware.cores) CoreLoader(firmware, core, loads).run();
    return loads;
}

}  // namespace spk::chip::cosim
