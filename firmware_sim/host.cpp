#include "host.hpp"

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>

#include "errors.hpp"

namespace spk::chip {

Host::Host(Shared& shared, std::vector<std::span<const std::int32_t>> inputs)
    : shared_(shared),
      firmware_(shared.firmware),
      values_(std::move(inputs)),
      ready_(firmware_.destinations.size() - firmware_.host_destination),
      left_(firmware_.inputs.size()) {
    for (const format::Input& input : firmware_.inputs) inputs_.push_back({0, input.destinations});
    for (const format::Output& output : firmware_.outputs) {
        outputs.emplace_back(std::size_t{firmware_.timesteps(output.varies)} * output.height * output.width *
                             output.channels);
    }
}

void Host::visit(Cycle now) {
    Mesh& mesh = shared_.mesh;
    bool acts = (sending_ || take(now)) && mesh.host_can_send(now);
    if (acts) send(now);
    if (staged_) {
        if (stage_.kind == kReady) register_ready(stage_);
        staged_ = false;
        acts = true;
    }
    if (mesh.host_fifo.visible(now)) {
        stage_ = mesh.host_receive(now);
        staged_ = true;
        store(stage_);
    }
    // Without a credit it is woken by whoever gives one; what it must see of its FIFO, it is woken for.
    if (acts || staged_) mesh.wake(mesh.host(), now + 1);
    if (!mesh.host_fifo.empty()) mesh.wake(mesh.host(), std::max(now + 1, mesh.host_fifo.head_visible()));
}

// Takes the input that is least in (t, step number, input) of those that may start.
bool Host::take(Cycle now) {
    const std::size_t none = inputs_.size();
    std::size_t best = none;
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
        const Input& input = inputs_[i];
        if (input.over || (input.missing > 0 && !shared_.ignore_ready)) continue;
        if (best == none || std::tuple(input.t, firmware_.inputs[i].number) <
                                std::tuple(inputs_[best].t, firmware_.inputs[best].number)) {
            best = i;
        }
    }
    if (best == none) return false;
    const format::Input& input = firmware_.inputs[best];
    input_ = static_cast<std::uint32_t>(best);
    sending_ = true;
    size_ = std::size_t{input.height} * input.width * input.channels;
    at_ = 0, end_ = 0;
    flits_.clear();
    flit_ = 0;
    shared_.input_times[inputs_[best].t * inputs_.size() + best].first = now;
    return true;
}

// The flits of the next value that gives any, unless some are left.
void Host::find_flits() {
    if (flit_ < flits_.size()) return;
    flits_.clear();
    flit_ = 0;
    const format::Input& input = firmware_.inputs[input_];
    const std::uint32_t t = inputs_[input_].t;
    const auto values = values_[input_].subspan(input.varies != 0 ? t * size_ : 0, size_);
    const auto destinations = firmware_.destinations.subspan(input.first_destination, input.destinations);
    for (; at_ < size_ && flits_.empty(); ++at_) {
        if (values[at_] == 0 && input.kind == format::kCounts) continue;
        const auto channel = static_cast<std::uint32_t>(at_ % input.channels);
        const auto x = static_cast<std::uint32_t>(at_ / input.channels % input.width);
        const auto y = static_cast<std::uint32_t>(at_ / input.channels / input.width);
        for (const format::Destination& to : destinations) {
            if (!holds_site(to, y, x) || !holds_channel(to, channel)) continue;
            Flit flit = shared_.addressed(input.kind == format::kCounts ? kSpike : kPotential, to, t);
            set_site(flit, to, y, x, channel);
            flit.value = values[at_];
            flits_.push_back(flit);
        }
    }
}

void Host::send(Cycle now) {
    find_flits();
    if (flits_.empty()) {
        send_end(now);
        return;
    }
    const Flit& flit = flits_[flit_++];
    shared_.mesh.host_send(flit, now);
    shared_.count_sent(shared_.inputs[input_], 0, flit);
}

void Host::send_end(Cycle now) {
    const format::Input& input = firmware_.inputs[input_];
    Input& state = inputs_[input_];
    const std::uint32_t number = input.first_destination + end_;
    const Flit flit = shared_.addressed(kEnd, firmware_.destinations[number], state.t);
    shared_.mesh.host_send(flit, now);
    shared_.count_sent(shared_.inputs[input_], 0, flit);
    std::uint8_t& ready = ready_[number - firmware_.host_destination];
    state.missing += ready;
    ready = 0;
    if (++end_ < input.destinations) return;
    shared_.input_times[state.t * inputs_.size() + input_].last = now;
    sending_ = false;
    if (++state.t == firmware_.chip.timesteps) {
        state.over = true;
        --left_;
    }
}

void Host::register_ready(const Flit& flit) {
    std::uint8_t& ready = ready_[flit.channel];
    if (ready != 0) {
        if (shared_.ignore_ready) return;
        throw SimulationError("host: a second READY came to destination " + std::to_string(flit.channel) +
                              " before its END had left");
    }
    ready = 1;
    const std::uint32_t number = firmware_.host_destination + flit.channel;
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
        const format::Input& input = firmware_.inputs[i];
        if (number >= input.first_destination && number - input.first_destination < input.destinations)
            --inputs_[i].missing;
    }
}

void Host::store(const Flit& flit) {
    if (flit.is_token()) return;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
        const format::Output& output = firmware_.outputs[i];
        if (flit.channel < output.channel || flit.channel - output.channel >= output.channels) continue;
        // Where only the last timestep gives values, all others are not looked at.
        if (output.varies == 0 && flit.t + 1u < firmware_.chip.timesteps) return;
        const std::size_t t = output.varies != 0 ? flit.t : 0;
        const std::size_t site = (t * output.height + flit.sy) * output.width + flit.sx;
        outputs[i][site * output.channels + (flit.channel - output.channel)] = flit.value;
        return;
    }
}

void Host::describe(std::vector<std::string>& lines, std::size_t limit) const {
    for (std::size_t i = 0; i < inputs_.size() && lines.size() < limit; ++i) {
        if (inputs_[i].over) continue;
        lines.push_back("host input " + std::to_string(i) + " of t = " + std::to_string(inputs_[i].t) + ": " +
                        (sending_ && input_ == i
                             ? "being sent"
                             : "no READY from " + std::to_string(inputs_[i].missing) + " of its destinations"));
    }
}

}  // namespace spk::chip
