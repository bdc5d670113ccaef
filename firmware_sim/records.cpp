// Every record by itself: sizes, ranges, memories, and that records follow one another.
#include <algorithm>
#include <string>
#include <utility>

#include "check.hpp"
#include "firmware.hpp"

namespace spk::chip {
namespace {

// More than this is no chip but an attempt to exhaust the memory of the host computer.
constexpr std::uint64_t kMaxPotentialBytes = std::uint64_t{1} << 31, kMaxOutputs = std::uint64_t{1} << 29;

// What has been used of every section when the cores before are done.
struct Used {
    std::uint64_t tiles = 0, steps = 0, ports = 0, destinations = 0, producers = 0, constants = 0, shifts = 0,
                  weights = 0;
    std::uint64_t potential_words = 0;  // of all cores
};

class RecordCheck {
  public:
    explicit RecordCheck(Firmware& firmware) : fw_(firmware) {}

    void run() {
        fw_.core_index.assign(fw_.mesh_cores(), -1);
        fw_.tile_core.resize(fw_.tiles.size());
        fw_.step_tile.resize(fw_.steps.size());
        fw_.port_step.resize(fw_.ports.size());
        for (std::size_t i = 0; i < fw_.cores.size(); ++i) check_core(i);
        if (used_.tiles != fw_.tiles.size() || used_.steps != fw_.steps.size() || used_.ports != fw_.ports.size() ||
            used_.producers != fw_.producers.size()) {
            throw FirmwareError("there are tiles, steps, ports or producers that no core uses");
        }
        if (used_.constants != fw_.constants.size() || used_.shifts != fw_.chip.shift_words ||
            used_.weights != fw_.chip.weight_words) {
            throw FirmwareError("there are constants, shifts or weights that no core uses");
        }
        check_values();
        fw_.host_destination = static_cast<std::uint32_t>(used_.destinations);
        for (std::size_t i = 0; i < fw_.inputs.size(); ++i) check_input(i);
        if (used_.destinations != fw_.destinations.size())
            throw FirmwareError("there are destinations that neither a core nor an input uses");
        const std::uint64_t of_host = used_.destinations - fw_.host_destination;
        if (of_host > format::kMaxDestinations) throw FirmwareError("the inputs have more than 16384 destinations");
        for (std::size_t i = 0; i < fw_.outputs.size(); ++i) check_output(i);
    }

  private:
    using Interval = std::pair<std::uint64_t, std::uint64_t>;  // potential words [first, second)

    void check_core(std::size_t index) {
        const format::Core& core = fw_.cores[index];
        const Record record("core record", index);
        record.in(core.number, 0, fw_.mesh_cores() - 1, "the core's number");
        record.require(index == 0 || core.number > fw_.cores[index - 1].number, "core numbers must ascend");
        record.require(core.tiles > 0, "a core record without tiles");
        record.require(core.ports <= fw_.chip.port_table, "more ports than the port table holds");
        record.require(core.destinations <= format::kMaxDestinations, "more than 16384 destinations");
        fw_.core_index[core.number] = static_cast<std::int32_t>(index);

        Used next = used_;
        record.follows(core.first_tile, core.tiles, next.tiles, fw_.tiles.size(), "tiles");
        record.follows(core.first_port, core.ports, next.ports, fw_.ports.size(), "ports");
        record.follows(core.first_destination, core.destinations, next.destinations, fw_.destinations.size(),
                       "destinations");
        record.follows(core.first_constant, core.constants, next.constants, fw_.constants.size(), "constants");
        record.follows(core.first_shift, core.shifts, next.shifts, fw_.chip.shift_words, "shifts");
        record.follows(core.first_weight, core.weights, next.weights, fw_.chip.weight_words, "weights");
        const std::uint64_t lanes = fw_.chip.lanes;
        const std::uint64_t bits =
            core.weights * lanes * fw_.chip.weight_bits + core.shifts * lanes * 5 + std::uint64_t{core.constants} * 32;
        record.require(bits <= std::uint64_t{fw_.chip.weight_sram} * 8,
                       "weights, shifts and constants exceed the weight SRAM");
        end_ = next;
        memory_.clear();
        for (std::uint32_t t = 0; t < core.tiles; ++t) check_tile(core, index, core.first_tile + t);
        record.require(used_.ports == next.ports, "there are ports that no step uses");
        record.require(used_.destinations == next.destinations, "there are destinations that no step uses");
        check_memory(record);
        used_.tiles = next.tiles;
        used_.constants = next.constants, used_.shifts = next.shifts, used_.weights = next.weights;
    }

    void check_tile(const format::Core& core, std::size_t core_index, std::uint32_t number) {
        const format::Tile& tile = fw_.tiles[number];
        const Record record("tile", number);
        fw_.tile_core[number] = static_cast<std::uint32_t>(core_index);
        record.in(tile.mode, 0, 1, "mode");
        record.in(tile.rows, 1, format::kSites, "rows");
        record.in(tile.columns, 1, format::kSites, "columns");
        record.in(tile.channels, 1, format::kChannels, "channels");
        record.in(tile.y, 0, format::kSites - tile.rows, "y");
        record.in(tile.x, 0, format::kSites - tile.columns, "x");
        record.in(tile.channel, 0, format::kChannels - tile.channels, "channel");
        claim(record, tile.base, fw_.words(tile));
        record.require(tile.steps > 0, "a tile without steps");
        record.follows(tile.first_step, tile.steps, used_.steps, fw_.steps.size(), "steps");
        for (std::uint32_t s = 0; s < tile.steps; ++s) check_step(core, tile, number, tile.first_step + s);
    }

    void check_step(const format::Core& core, const format::Tile& tile, std::uint32_t tile_number,
                    std::uint32_t number) {
        const format::Step& step = fw_.steps[number];
        const Record record("step", number);
        fw_.step_tile[number] = tile_number;
        record.in(step.kind, 0, 1, "kind");
        record.in(step.per_channel, 0, 1, "per_channel");
        record.in(step.clear, 0, 1, "clear");
        record.in(step.last, 0, 1, "last");
        if (step.kind == format::kFire) {
            record.in(step.count, 1, format::kMaxCount, "count");
            check_membrane(record, core, tile, step);
        } else {
            record.require(step.count == 0 && step.ladder == 0 && step.per_channel == 0, "an OUTPUT with a ladder");
            record.require(step.membrane == 0, "an OUTPUT with a membrane");
        }
        if (step.membrane == 0) {
            const bool plain = step.reset == 0 && step.hard_reset == 0 && step.guard == 0 && step.leak_terms == 0 &&
                               step.leak_sign == decltype(step.leak_sign){} &&
                               step.leak_shift == decltype(step.leak_shift){};
            record.require(plain, "reset, guard or leak without a membrane");
        }
        constants(record, core, step.ladder, std::uint64_t{step.count} * (step.per_channel != 0 ? tile.channels : 1),
                  "ladder");
        if (step.bias != 0) constants(record, core, step.bias - 1, tile.channels, "bias");
        record.follows(step.first_port, step.ports, used_.ports, end_.ports, "ports");
        record.follows(step.first_destination, step.destinations, used_.destinations, end_.destinations,
                       "destinations");
        std::uint64_t ends = 0;
        for (std::uint32_t p = 0; p < step.ports; ++p) {
            check_port(core, tile, number, step.first_port + p);
            ends += fw_.ports[step.first_port + p].producers;
        }
        record.require(step.ends == ends, "ends must be the number of its ports' producers");
    }

    void check_membrane(const Record& record, const format::Core& core, const format::Tile& tile,
                        const format::Step& step) {
        if (step.membrane == 0) return;
        claim(record, step.membrane - 1, fw_.words(tile));
        record.in(step.hard_reset, 0, 1, "hard_reset");
        record.require(step.hard_reset == 0 || step.reset == 0, "hard_reset together with reset amounts");
        if (step.reset != 0) constants(record, core, step.reset - 1, step.count + 1, "reset amounts");
        record.in(step.guard, 0, 31, "guard");
        record.in(step.leak_terms, 0, 3, "leak terms");
        for (std::uint32_t k = 0; k < 3; ++k) {
            const std::int32_t sign = step.leak_sign[k];
            if (k < step.leak_terms) {
                record.require(sign == 1 || sign == -1, "the sign of a leak term must be 1 or -1");
                record.in(step.leak_shift[k], 0, 31, "leak shift");
            } else {
                record.require(sign == 0 && step.leak_shift[k] == 0, "an unused leak term must be 0");
            }
        }
    }

    void check_port(const format::Core& core, const format::Tile& tile, std::uint32_t step, std::uint32_t number) {
        const format::Port& port = fw_.ports[number];
        const Record record("port", number);
        fw_.port_step[number] = step;
        record.in(port.kind, 0, 1, "kind");
        record.in(port.coding, 0, 2, "coding");
        for (const auto size : {port.kernel_y, port.kernel_x}) record.in(size, 1, 255, "kernel");
        for (const auto stride : {port.stride_y, port.stride_x}) record.in(stride, 1, 16, "stride");
        for (const auto dilation : {port.dilation_y, port.dilation_x}) record.in(dilation, 1, 16, "dilation");
        for (const auto factor : {port.upsample_y, port.upsample_x}) record.in(factor, 1, 16, "upsampling");
        record.require(port.inputs > 0 && port.outputs > 0, "inputs and outputs must be at least 1");
        const bool bare =
            port.inputs == 1 && port.outputs == 1 && port.channel == 0 && port.weight == 0 && port.shift == 0;
        if (port.kind == format::kLoad) {
            const bool unit = port.kernel_y == 1 && port.kernel_x == 1 && port.stride_y == 1 && port.stride_x == 1 &&
                              port.top == 0 && port.left == 0 && port.dilation_y == 1 && port.dilation_x == 1 &&
                              port.upsample_y == 1 && port.upsample_x == 1;
            record.require(unit && bare, "a load port has no geometry and no weights");
            record.require(tile.mode == format::kAdd, "a load port in a tile of mode max");
        } else if (tile.mode == format::kMax) {
            record.require(bare, "a port of a tile of mode max has no channels and no weights");
        } else {
            const std::uint64_t words = fw_.words_per_site(tile);
            const std::uint64_t rows = std::uint64_t{port.kernel_y} * port.kernel_x * port.inputs;  // below 2^48
            record.require(port.weight <= core.weights && rows <= (core.weights - port.weight) / words,
                           "its weights exceed those of the core");
            record.require(port.shift <= core.shifts && words <= core.shifts - port.shift,
                           "its shifts exceed those of the core");
        }
        record.require(port.producers > 0, "a port without producers");
        record.follows(port.first_producer, port.producers, used_.producers, fw_.producers.size(), "producers");
    }

    static void constants(const Record& record, const format::Core& core, std::uint32_t first, std::uint64_t count,
                          const char* what) {
        if (first <= core.constants && count <= core.constants - first) return;
        record.fail(std::string("its ") + what + " exceeds the core's " + std::to_string(core.constants) +
                    " constants");
    }

    void claim(const Record& record, std::uint32_t first, std::uint64_t words) {
        const std::uint64_t capacity = fw_.chip.potential_sram / (fw_.chip.lanes * 4);
        record.require(first <= capacity && words <= capacity - first, "its potentials exceed the potential SRAM");
        memory_.emplace_back(first, first + words);
    }

    void check_memory(const Record& record) {
        std::sort(memory_.begin(), memory_.end());
        for (std::size_t i = 1; i < memory_.size(); ++i) {
            record.require(memory_[i].first >= memory_[i - 1].second, "tiles or membranes overlap");
        }
        used_.potential_words += memory_.back().second;
        if (used_.potential_words * fw_.chip.lanes * 4 > kMaxPotentialBytes)
            throw FirmwareError("more than 2 GiB of potentials");
    }

    void check_values() const {
        const int bits = static_cast<int>(fw_.chip.weight_bits);
        const int low = -(1 << (bits - 1)), high = (1 << (bits - 1)) - 1;
        for (const std::int8_t weight : fw_.weights) {
            if (weight < low || weight > high) throw FirmwareError("a weight does not fit weight_bits");
        }
        for (const std::uint8_t shift : fw_.shifts) {
            if (shift > 31) throw FirmwareError("shifts must be 0..31");
        }
    }

    void check_input(std::size_t number) {
        const format::Input& input = fw_.inputs[number];
        const Record record("input", number);
        record.in(input.kind, 0, 1, "kind");
        record.in(input.varies, 0, 1, "varies");
        record.in(input.height, 1, format::kSites, "height");
        record.in(input.width, 1, format::kSites, "width");
        record.in(input.channels, 1, format::kChannels, "channels");
        record.require(input.destinations > 0, "an input without destinations");
        record.follows(input.first_destination, input.destinations, used_.destinations, fw_.destinations.size(),
                       "destinations");
    }

    void check_output(std::size_t number) {
        const format::Output& output = fw_.outputs[number];
        const Record record("output", number);
        record.in(output.kind, 0, 1, "kind");
        record.in(output.varies, 0, 1, "varies");
        record.in(output.height, 1, format::kSites, "height");
        record.in(output.width, 1, format::kSites, "width");
        record.require(output.channels > 0, "an output without channels");
        record.follows(output.channel, output.channels, output_channels_, format::kChannels, "channels");
        values_ += std::uint64_t{output.height} * output.width * output.channels * fw_.timesteps(output.varies);
        record.require(values_ <= kMaxOutputs, "the outputs have more than 2^29 values");
    }

    Firmware& fw_;
    Used used_, end_;  // so far, and at the end of the core under examination
    std::vector<Interval> memory_;
    std::uint64_t output_channels_ = 0, values_ = 0;
};

}  // namespace

void check_chip(const format::Chip& chip) {
    const Record record("chip", 0);
    record.in(chip.width, 1, format::kMaxMesh, "width");
    record.in(chip.height, 1, format::kMaxMesh, "height");
    record.require(chip.lanes == 8 || chip.lanes == 16 || chip.lanes == 32, "lanes must be 8, 16 or 32");
    for (const auto depth : {chip.router_fifo, chip.out_fifo, chip.axon_fifo})
        record.in(depth, 1, format::kMaxFifo, "the depth of a FIFO");
    record.in(chip.link_delay, 0, format::kMaxLinkDelay, "link_delay");
    record.in(chip.timesteps, 1, format::kMaxTimesteps, "timesteps");
    record.in(chip.weight_bits, 2, 8, "weight_bits");
    record.in(chip.port_table, 0, format::kMaxPorts, "port_table");
    record.require(chip.zeros == decltype(chip.zeros){}, "expected zeros at the end of its record");
}

void check_records(Firmware& firmware) { RecordCheck(firmware).run(); }

}  // namespace spk::chip
