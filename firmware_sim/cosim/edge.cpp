#include "edge.hpp"

#include <limits>

#include "errors.hpp"

namespace spk::chip::cosim {
namespace {

constexpr std::uint32_t kSpike = 0, kEnd = 1, kReady = 2, kPotentialFlit = 3;
constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();

struct Fields {
    std::uint32_t kind, x, y, port, t, sy, sx, channel;
    std::int32_t value;
};

Flit packed(const Fields& f) {
    const std::uint64_t high = (std::uint64_t{f.kind} << 62) | (std::uint64_t{f.x} << 56) | (std::uint64_t{f.y} << 50) |
                               (std::uint64_t{f.port} << 42) | (std::uint64_t{f.t} << 34) |
                               (std::uint64_t{f.sy & 1023} << 24) | (std::uint64_t{f.sx & 1023} << 14) |
                               (f.channel & 16383);
    return {static_cast<std::uint32_t>(f.value), static_cast<std::uint32_t>(high),
            static_cast<std::uint32_t>(high >> 32)};
}

Fields unpacked(const Flit& flit) {
    const std::uint64_t high = (std::uint64_t{flit[2]} << 32) | flit[1];
    const auto field = [high](int at, int bits) {
        return static_cast<std::uint32_t>((high >> at) & ((std::uint64_t{1} << bits) - 1));
    };
    return {field(62, 2),  field(56, 6), field(50, 6),
            field(42, 8),  field(34, 8), field(24, 10),
            field(14, 10), field(0, 14), static_cast<std::int32_t>(flit[0])};
}

bool holds(const format::Destination& d, std::uint32_t y, std::uint32_t x, std::uint32_t channel) {
    return y >= d.y_low && y <= d.y_high && x >= d.x_low && x <= d.x_high && channel >= d.c_low && channel <= d.c_high;
}

}  // namespace

std::string text(const Flit& flit) {
    const Fields f = unpacked(flit);
    std::string line;
    for (const std::uint32_t each : {f.kind, f.x, f.y, f.port, f.t, f.sy, f.sx, f.channel}) {
        line += std::to_string(each) + ' ';
    }
    return line + std::to_string(f.value);
}

EdgeHost::EdgeHost(const Firmware& firmware, std::vector<std::int32_t> values)
    : firmware_(firmware), credits_(firmware.chip.router_fifo) {
    ready_from_.assign(firmware.destinations.size() - firmware.host_destination, kNever);
    done_.assign(firmware.inputs.size(), false);
    const std::int32_t* next = values.data();
    std::size_t left = values.size();
    for (const auto& input : firmware.inputs) {
        const std::size_t size = std::size_t{input.height} * input.width * input.channels;
        if (left < size) throw InputError(false, "the inputs' file is too short");
        auto& flits = inputs_.emplace_back();
        const auto destinations = firmware.destinations.subspan(input.first_destination, input.destinations);
        for (std::size_t at = 0; at < size; ++at) {
            const auto channel = static_cast<std::uint32_t>(at % input.channels);
            const auto x = static_cast<std::uint32_t>(at / input.channels % input.width);
            const auto y = static_cast<std::uint32_t>(at / input.channels / input.width);
            const bool potential = input.kind == format::kPotentials;
            if (!potential && next[at] == 0) continue;
            for (const auto& d : destinations) {
                if (!holds(d, y, x, channel)) continue;
                flits.push_back({packed({potential ? kPotentialFlit : kSpike, d.core % firmware.chip.width,
                                         d.core / firmware.chip.width, d.port, 0, y + static_cast<std::uint32_t>(d.dy),
                                         x + static_cast<std::uint32_t>(d.dx),
                                         channel + static_cast<std::uint32_t>(d.dc), next[at]}),
                                 false, 0});
            }
        }
        for (std::uint32_t k = 0; k < input.destinations; ++k) {
            const auto& d = destinations[k];
            flits.push_back({packed({kEnd, d.core % firmware.chip.width, d.core / firmware.chip.width, d.port, 0, 0, 0,
                                     static_cast<std::uint32_t>(d.dc), 0}),
                             true, input.first_destination + k - firmware.host_destination});
        }
        next += size;
        left -= size;
    }
    if (left != 0) throw InputError(false, "the inputs' file is too long");
}

// The input that a free host takes: of those whose destinations are all ready the one with the least number.
int EdgeHost::taken(std::uint64_t cycle) const {
    int best = -1;
    for (std::size_t k = 0; k < inputs_.size(); ++k) {
        const auto& input = firmware_.inputs[k];
        bool ready = !done_[k];
        for (std::uint32_t d = 0; d < input.destinations; ++d) {
            ready = ready && ready_from_[input.first_destination + d - firmware_.host_destination] <= cycle;
        }
        if (ready && (best < 0 || input.number < firmware_.inputs[static_cast<std::size_t>(best)].number)) {
            best = static_cast<int>(k);
        }
    }
    return best;
}

EdgeHost::Acts EdgeHost::begin(std::uint64_t cycle) const {
    Acts acts{};
    const int input = current_ >= 0 ? current_ : taken(cycle);
    if (input >= 0 && credits_ > 0) {
        acts.sends = true;
        acts.sent = inputs_[static_cast<std::size_t>(input)][place_].flit;
    }
    acts.pops = !queue_.empty() && queue_.front().visible <= cycle;
    if (acts.pops) acts.popped = queue_.front().flit;
    return acts;
}

void EdgeHost::end(std::uint64_t cycle, const Acts& acts, bool credit, bool arrives, const Flit& arriving) {
    if (current_ < 0) current_ = taken(cycle);
    if (acts.sends) {
        const auto& flits = inputs_[static_cast<std::size_t>(current_)];
        if (flits[place_].ends) ready_from_[flits[place_].number] = kNever;
        --credits_;
        if (++place_ == flits.size()) {
            done_[static_cast<std::size_t>(current_)] = true;
            current_ = -1;
            place_ = 0;
        }
    }
    if (acts.pops) {
        const Fields fields = unpacked(acts.popped);
        if (fields.kind == kReady && fields.channel < ready_from_.size()) ready_from_[fields.channel] = cycle + 2;
        queue_.pop_front();
    }
    if (credit) ++credits_;
    if (arrives) queue_.push_back({arriving, cycle + 1});
}

}  // namespace spk::chip::cosim
