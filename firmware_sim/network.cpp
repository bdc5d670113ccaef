// What connects records: destinations, producers, and the order in which steps wait for one another.
#include <algorithm>
#include <string>

#include "check.hpp"
#include "firmware.hpp"

namespace spk::chip {
namespace {

// Where something is sent from: the extent of a tile or an input.
struct Extent {
    std::int64_t y, x, channel, rows, columns, channels;
};

// The sites and channels that arrive: inclusive.
struct Box {
    std::int64_t y_low, y_high, x_low, x_high, c_low, c_high;
    bool empty() const { return y_low > y_high || x_low > x_high || c_low > c_high; }
};

class NetworkCheck {
  public:
    explicit NetworkCheck(const Firmware& firmware) : fw_(firmware) {}

    void run() {
        std::uint64_t to_cores = 0;
        for (std::size_t s = 0; s < fw_.steps.size(); ++s) {
            const format::Step& step = fw_.steps[s];
            const format::Tile& tile = fw_.tiles[fw_.step_tile[s]];
            const Extent extent{tile.y, tile.x, tile.channel, tile.rows, tile.columns, tile.channels};
            for (std::uint32_t d = 0; d < step.destinations; ++d) {
                const std::uint32_t number = step.first_destination + d;
                check_destination(number, extent, step.kind == format::kFire);
                if (fw_.destinations[number].core != format::kEdge) ++to_cores;
            }
        }
        for (const format::Input& input : fw_.inputs) {
            const Extent extent{0, 0, 0, input.height, input.width, input.channels};
            for (std::uint32_t d = 0; d < input.destinations; ++d, ++to_cores) {
                const std::uint32_t number = input.first_destination + d;
                Record("destination", number)
                    .require(fw_.destinations[number].core != format::kEdge, "an input that sends to the edge");
                check_destination(number, extent, input.kind == format::kCounts);
            }
        }
        for (std::size_t p = 0; p < fw_.ports.size(); ++p) check_producers(p);
        // Producers are distinct and name distinct destinations that name them, so equal numbers make them a bijection.
        if (to_cores != fw_.producers.size())
            throw FirmwareError("there are destinations that no port names among its producers");
    }

  private:
    void check_destination(std::uint32_t number, const Extent& from, bool counts) const {
        const format::Destination& to = fw_.destinations[number];
        const Record record("destination", number);
        const Box box = sent(to, from);
        if (to.core == format::kEdge) {
            record.require(to.port == format::kEdgePort, "the edge has port 255");
            if (!box.empty()) check_edge(record, box, counts);
            return;
        }
        const bool known = to.core < fw_.mesh_cores() && fw_.core_index[to.core] >= 0;
        record.require(known, "no such core, or one without tiles");
        const format::Core& core = fw_.cores[static_cast<std::size_t>(fw_.core_index[to.core])];
        record.require(to.port < core.ports, "no such port in that core");
        const format::Port& port = fw_.ports[core.first_port + to.port];
        record.require((port.kind == format::kSynapse) == counts,
                       "counts go to synapse ports, potentials to load ports");
        if (box.empty()) return;
        record.in(box.y_low, 0, format::kSites - 1, "y of what is sent");
        record.in(box.y_high, 0, format::kSites - 1, "y of what is sent");
        record.in(box.x_low, 0, format::kSites - 1, "x of what is sent");
        record.in(box.x_high, 0, format::kSites - 1, "x of what is sent");
        record.in(box.c_low, 0, format::kChannels - 1, "channel of what is sent");
        record.in(box.c_high, 0, format::kChannels - 1, "channel of what is sent");
    }

    static Box sent(const format::Destination& to, const Extent& from) {
        Box box{std::max<std::int64_t>(to.y_low, from.y),
                std::min<std::int64_t>(to.y_high, from.y + from.rows - 1),
                std::max<std::int64_t>(to.x_low, from.x),
                std::min<std::int64_t>(to.x_high, from.x + from.columns - 1),
                std::max<std::int64_t>(to.c_low, from.channel),
                std::min<std::int64_t>(to.c_high, from.channel + from.channels - 1)};
        box.y_low += to.dy, box.y_high += to.dy;
        box.x_low += to.dx, box.x_high += to.dx;
        box.c_low += to.dc, box.c_high += to.dc;
        return box;
    }

    void check_edge(const Record& record, const Box& box, bool counts) const {
        for (const format::Output& output : fw_.outputs) {
            const std::int64_t first = output.channel, last = first + output.channels - 1;
            if (box.c_low < first || box.c_low > last) continue;
            const bool inside = box.c_high <= last && box.y_low >= 0 && box.y_high < output.height && box.x_low >= 0 &&
                                box.x_high < output.width;
            record.require(inside, "what is sent to the edge does not lie in one output");
            record.require((output.kind == format::kCounts) == counts, "counts and potentials are mixed at the edge");
            return;
        }
        record.fail("what is sent to the edge lies in no output");
    }

    void check_producers(std::size_t number) const {
        const format::Port& port = fw_.ports[number];
        const Record record("port", number);
        const format::Core& own = fw_.cores[fw_.tile_core[fw_.step_tile[fw_.port_step[number]]]];
        for (std::uint32_t i = 0; i < port.producers; ++i) {
            const format::Producer& producer = fw_.producers[port.first_producer + i];
            if (i > 0) {
                const format::Producer& before = fw_.producers[port.first_producer + i - 1];
                record.require(before.core < producer.core ||
                                   (before.core == producer.core && before.destination < producer.destination),
                               "producers must ascend by core and destination");
            }
            const format::Destination* to = destination_of(producer);
            const bool mutual = to != nullptr && to->core == own.number && to->port == number - own.first_port;
            record.require(mutual, "a producer's destination does not name this port");
        }
    }

    const format::Destination* destination_of(const format::Producer& producer) const {
        if (producer.core == format::kEdge) {
            const std::uint64_t at = std::uint64_t{fw_.host_destination} + producer.destination;
            return at < fw_.destinations.size() ? &fw_.destinations[at] : nullptr;
        }
        if (producer.core >= fw_.mesh_cores() || fw_.core_index[producer.core] < 0) return nullptr;
        const format::Core& core = fw_.cores[static_cast<std::size_t>(fw_.core_index[producer.core])];
        if (producer.destination >= core.destinations) return nullptr;
        return &fw_.destinations[core.first_destination + producer.destination];
    }

    const Firmware& fw_;
};

// A step waits for the step before it in its tile and, by its destinations, for the steps before its readers' groups;
// its readers wait for it.
void check_readers(const Firmware& fw, const Record& record, std::uint32_t place, std::uint32_t first,
                   std::uint32_t count) {
    for (const format::Destination& to : fw.destinations.subspan(first, count)) {
        if (to.core == format::kEdge) continue;
        const format::Core& core = fw.cores[static_cast<std::size_t>(fw.core_index[to.core])];
        const std::uint32_t reader = fw.port_step[core.first_port + to.port];
        if (fw.steps[reader].number <= place)
            record.fail("its number must be lower than that of step " + std::to_string(reader) + ", which it feeds");
        const bool first_group = reader == fw.tiles[fw.step_tile[reader]].first_step;
        if (!first_group && fw.steps[reader - 1].number >= place) {
            record.fail("its number must be higher than that of step " + std::to_string(reader - 1) +
                        ", which comes before the group that it feeds");
        }
    }
}

}  // namespace

void check_network(const Firmware& firmware) { NetworkCheck(firmware).run(); }

void check_order(const Firmware& fw) {
    for (std::size_t s = 0; s < fw.steps.size(); ++s) {
        const format::Step& step = fw.steps[s];
        const Record record("step", s);
        if (s > fw.tiles[fw.step_tile[s]].first_step) {
            record.require(step.number > fw.steps[s - 1].number,
                           "its number must be higher than that of the step before it in its tile");
        }
        check_readers(fw, record, step.number, step.first_destination, step.destinations);
    }
    for (std::size_t i = 0; i < fw.inputs.size(); ++i) {
        const format::Input& input = fw.inputs[i];
        check_readers(fw, Record("input", i), input.number, input.first_destination, input.destinations);
    }
}

}  // namespace spk::chip
