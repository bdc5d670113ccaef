#include "programs.hpp"

#include <algorithm>
#include <string>
#include <tuple>

#include "errors.hpp"

namespace spk::chip {

Programs::Programs(const Shared& shared, const format::Core& core)
    : shared_(shared),
      firmware_(shared.firmware),
      core_(core),
      ready_(core.destinations),
      first_step_(firmware_.tiles[core.first_tile].first_step),
      left_(core.tiles) {
    for (std::uint32_t i = 0; i < core.tiles; ++i) {
        const format::Tile& tile = firmware_.tiles[core.first_tile + i];
        tiles_.push_back({tile.first_step});
        for (std::uint32_t s = 0; s < tile.steps; ++s) {
            const format::Step& step = firmware_.steps[tile.first_step + s];
            std::uint32_t to_cores = 0;
            for (const auto& to : firmware_.destinations.subspan(step.first_destination, step.destinations)) {
                if (to.core != format::kEdge) ++to_cores;
            }
            missing_.push_back(to_cores);
        }
    }
    for (std::uint32_t i = 0; i < core.tiles; ++i) begin_group(i);
}

void Programs::begin_group(std::uint32_t tile) {
    const Tile& state = tiles_[tile];
    if (firmware_.steps[state.step].ports > 0) {
        // Behind (nearer to being sent) are lower tiles, and earlier groups of the same one.
        const auto at =
            std::find_if(readies_.begin(), readies_.end(), [tile](const Readies& other) { return other.tile <= tile; });
        readies_.insert(at, Readies{tile, state.step, state.t});
    }
    consider(tile);
}

Programs::Ready Programs::next_ready() {
    Readies& next = readies_.back();
    const format::Step& step = firmware_.steps[next.step];
    const std::uint32_t number = step.first_port + next.port;
    const format::Port& port = firmware_.ports[number];
    const format::Producer& producer = firmware_.producers[port.first_producer + next.producer];
    format::Destination to{};
    to.core = producer.core;
    to.port = producer.core == format::kEdge ? format::kEdgePort : 0;
    Flit flit = shared_.addressed(kReady, to, next.t);
    flit.channel = static_cast<std::uint16_t>(producer.destination);
    if (++next.producer == port.producers) {
        next.producer = 0;
        if (++next.port == step.ports) readies_.pop_back();
    }
    return {flit, number};
}

bool Programs::complete(std::uint32_t tile) const {
    return tiles_[tile].ends == firmware_.steps[tiles_[tile].step].ends;
}

void Programs::consider(std::uint32_t tile) {
    Tile& state = tiles_[tile];
    if (state.over || state.startable || !complete(tile)) return;
    if (missing_[state.step - first_step_] > 0 && !shared_.ignore_ready) return;
    state.startable = true;
    startable_.push_back(tile);
}

std::optional<Programs::Start> Programs::take() {
    if (startable_.empty()) return std::nullopt;
    const auto key = [this](std::uint32_t tile) {
        return std::tuple(tiles_[tile].t, firmware_.steps[tiles_[tile].step].number, tile);
    };
    const auto least = std::min_element(startable_.begin(), startable_.end(),
                                        [&](std::uint32_t a, std::uint32_t b) { return key(a) < key(b); });
    const std::uint32_t tile = *least;
    startable_.erase(least);
    return Start{core_.first_tile + tile, tiles_[tile].step, tiles_[tile].t};
}

void Programs::step_over(std::uint32_t number) {
    const std::uint32_t index = number - core_.first_tile;
    const format::Tile& tile = firmware_.tiles[number];
    Tile& state = tiles_[index];
    state.ends = 0;
    state.startable = false;
    ++done_;
    if (++state.step == tile.first_step + tile.steps) {
        state.step = tile.first_step;
        if (++state.t == firmware_.chip.timesteps) {
            state.over = true;
            --left_;
            return;
        }
    }
    begin_group(index);
}

void Programs::end_sent(std::uint32_t step, std::uint32_t destination) {
    std::uint8_t& ready = ready_[destination - core_.first_destination];
    if (ready == 0) return;  // the edge, or READY is ignored
    ready = 0;
    ++missing_[step - first_step_];
}

void Programs::receive(const Flit& token) {
    if (token.kind == kReady) {
        std::uint8_t& ready = ready_[token.channel];
        if (ready != 0) {
            if (shared_.ignore_ready) return;
            throw SimulationError("core " + std::to_string(core_.number) + ": a second READY came to destination " +
                                  std::to_string(token.channel) + " before its END had left");
        }
        ready = 1;
        const std::uint32_t number = core_.first_destination + token.channel;
        const auto steps = firmware_.steps.subspan(first_step_, missing_.size());
        const auto after =
            std::upper_bound(steps.begin(), steps.end(), number,
                             [](std::uint32_t n, const format::Step& s) { return n < s.first_destination; });
        const auto step = first_step_ + static_cast<std::uint32_t>(after - steps.begin()) - 1;
        --missing_[step - first_step_];
        const std::uint32_t tile = firmware_.step_tile[step] - core_.first_tile;
        if (tiles_[tile].step == step) consider(tile);
    } else {
        const std::uint32_t step = firmware_.port_step[core_.first_port + token.port];
        const std::uint32_t tile = firmware_.step_tile[step] - core_.first_tile;
        ++tiles_[tile].ends;
        consider(tile);
    }
}

void Programs::check(const Flit& flit, Cycle now) const {
    const std::uint32_t step = firmware_.port_step[core_.first_port + flit.port];
    const std::uint32_t tile = firmware_.step_tile[step] - core_.first_tile;
    const Tile& state = tiles_[tile];
    if (!state.over && state.step == step && state.t == flit.t && !complete(tile)) return;
    const std::uint32_t first = firmware_.tiles[core_.first_tile + tile].first_step;
    std::string message = "cycle " + std::to_string(now) + ": " + (flit.kind == kEnd ? "an END" : "an event") +
                          " outside its group at core " + std::to_string(core_.number) + ", tile " +
                          std::to_string(tile) + ", port " + std::to_string(flit.port) + ": it is for group " +
                          std::to_string(step - first) + " of t = " + std::to_string(flit.t) + ", but ";
    if (state.over) {
        message += "the tile's program has ended";
    } else {
        message += "group " + std::to_string(state.step - first) + " of t = " + std::to_string(state.t) +
                   (complete(tile) ? " is complete" : " is current");
    }
    throw SimulationError(message);
}

std::string Programs::name(std::uint32_t tile) const {
    const Tile& state = tiles_[tile];
    const format::Step& step = firmware_.steps[state.step];
    const std::uint32_t first = firmware_.tiles[core_.first_tile + tile].first_step;
    return "core " + std::to_string(core_.number) + " tile " + std::to_string(tile) + " step " +
           std::to_string(state.step - first) + " (number " + std::to_string(step.number) +
           ") of t = " + std::to_string(state.t);
}

void Programs::describe(std::vector<std::string>& lines, std::size_t limit) const {
    for (std::uint32_t tile = 0; tile < tiles_.size() && lines.size() < limit; ++tile) {
        const Tile& state = tiles_[tile];
        if (state.over) continue;
        const format::Step& step = firmware_.steps[state.step];
        std::string line =
            name(tile) + ": " + std::to_string(state.ends) + " of " + std::to_string(step.ends) + " ENDs";
        std::string missing;
        for (std::uint32_t d = step.first_destination; d < step.first_destination + step.destinations; ++d) {
            const format::Destination& to = firmware_.destinations[d];
            if (to.core == format::kEdge || ready_[d - core_.first_destination] != 0) continue;
            if (missing.size() > 60) {
                missing += " ...";
                break;
            }
            missing += ' ';
            missing += std::to_string(to.core) + ":" + std::to_string(to.port);
        }
        if (!missing.empty()) line += ", no READY from core:port" + missing;
        const auto pending =
            std::find_if(readies_.begin(), readies_.end(), [tile](const Readies& each) { return each.tile == tile; });
        if (pending != readies_.end()) line += ", READYs of its own not sent";
        lines.push_back(line);
    }
}

}  // namespace spk::chip
