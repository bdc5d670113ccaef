#include "fire.hpp"

#include <algorithm>

namespace spk::chip {
namespace {

std::uint32_t bits(std::int32_t value) { return static_cast<std::uint32_t>(value); }
std::int32_t wrapped(std::uint32_t value) { return static_cast<std::int32_t>(value); }

}  // namespace

bool FireUnit::act(Cycle now, bool can_send) {
    if (phase_ == Phase::kFree) {
        if (!programs_.can_take()) return false;
        begin(now);
        if (phase_ != Phase::kRead) return true;
    }
    switch (phase_) {
        case Phase::kRead:
            if (!engine_.issues(now)) read(now);
            break;
        case Phase::kCompare:
            compare(now);
            break;
        case Phase::kEmit:
            emit(now, can_send);
            break;
        case Phase::kEnds:
            if (can_send) send_end(now);
            break;
        case Phase::kFree:
            break;
    }
    return true;
}

Cycle FireUnit::next(Cycle now, bool full) const {
    switch (phase_) {
        case Phase::kFree:
            return programs_.can_take() ? now + 1 : kNever;
        case Phase::kRead:
            return engine_.without_issue(now + 1);
        case Phase::kCompare:
            return now + 1;
        case Phase::kEmit: {
            const Cycle write = write_ < kWrites ? engine_.without_write(now + 1) : kNever;
            return flit_ < flits_.size() && !full ? now + 1 : write;
        }
        case Phase::kEnds:
            return full ? kNever : now + 1;
    }
    return now + 1;
}

void FireUnit::begin(Cycle now) {
    start_ = *programs_.take();
    step_ = &firmware_.steps[start_.step];
    tile_ = &firmware_.tiles[start_.tile];
    shared_.step_times[start_.t * firmware_.steps.size() + start_.step].first = now;
    word_ = 0;
    words_ = static_cast<std::uint32_t>(firmware_.words(*tile_));
    end_ = 0;
    phase_ = Phase::kRead;
    if (step_->last != 0 && start_.t + 1 < firmware_.chip.timesteps) words_over(now);  // visits no word
}

void FireUnit::read(Cycle now) {
    StepCounts& counts = shared_.steps[start_.step];
    const std::uint32_t lanes = firmware_.chip.lanes;
    const bool first = !accumulator_read_;
    const std::int32_t* word = first ? accumulators() : membranes();
    ++counts.potential_reads;
    if (first) ++counts.fired_words;
    if (shared_.trace != nullptr)
        shared_.trace->read(now, core_.number, (word - potentials_.data()) / lanes, {word, lanes});
    if (first && step_->membrane != 0) {
        accumulator_read_ = true;
        return;
    }
    accumulator_read_ = false;
    compute();
    compares_left_ = std::max(1u, (step_->count + 7) / 8);
    phase_ = Phase::kCompare;
    compare(now);
}

void FireUnit::compute() {
    const std::uint32_t lanes = firmware_.chip.lanes, per_site = firmware_.words_per_site(*tile_);
    const std::uint32_t site = word_ / per_site, channel = word_ % per_site * lanes;
    const std::uint32_t valid = std::min(lanes, tile_->channels - channel);
    const std::int32_t* accumulator = accumulators();
    const auto constants = firmware_.constants.subspan(core_.first_constant, core_.constants);
    counts_.fill(0);
    membrane_.fill(0);
    for (std::uint32_t lane = 0; lane < valid; ++lane) {
        std::uint32_t drive = bits(accumulator[lane]);
        if (step_->bias != 0) drive += bits(constants[step_->bias - 1 + channel + lane]);
        if (step_->kind == format::kOutput) {
            counts_[lane] = wrapped(drive);
        } else if (step_->membrane == 0) {
            counts_[lane] = count(channel + lane, wrapped(drive));
        } else {
            const std::int32_t m = wrapped(bits(leak(membranes()[lane])) + (drive << step_->guard));
            const std::int32_t n = count(channel + lane, m);
            const bool cleared = step_->hard_reset != 0 && n > 0;
            const std::uint32_t reset =
                step_->reset != 0 ? bits(constants[step_->reset - 1 + static_cast<std::uint32_t>(n)]) : 0;
            counts_[lane] = n;
            membrane_[lane] = cleared ? 0 : wrapped(bits(m) - reset);
        }
    }
    if (step_->kind == format::kFire) {
        shared_.steps[start_.step].fired += std::count_if(counts_.begin(), counts_.end(), [](auto n) { return n > 0; });
    }
    write_ = 0;
    skip_writes();
    flits_.clear();
    flit_ = 0;
    find_flits(tile_->y + site / tile_->columns, tile_->x + site % tile_->columns, tile_->channel + channel, valid);
}

std::int32_t FireUnit::leak(std::int32_t potential) const {
    std::uint32_t sum = 0;
    for (std::uint32_t k = 0; k < step_->leak_terms; ++k) {
        const std::uint32_t term = bits(potential >> step_->leak_shift[k]);
        sum += step_->leak_sign[k] < 0 ? 0u - term : term;
    }
    return wrapped(sum);
}

// How many steps of the channel's ladder `potential` reaches.
std::int32_t FireUnit::count(std::uint32_t channel, std::int32_t potential) const {
    const std::size_t first = step_->per_channel != 0 ? std::size_t{channel} * step_->count : 0;
    const auto ladder = firmware_.constants.subspan(core_.first_constant + step_->ladder + first, step_->count);
    std::int32_t n = 0;
    for (const std::int32_t threshold : ladder) n += potential >= threshold ? 1 : 0;
    return n;
}

void FireUnit::find_flits(std::uint32_t y, std::uint32_t x, std::uint32_t channel, std::uint32_t lanes) {
    const auto destinations = firmware_.destinations.subspan(step_->first_destination, step_->destinations);
    const bool output = step_->kind == format::kOutput;
    for (std::uint32_t lane = 0; lane < lanes; ++lane) {
        if (!output && counts_[lane] == 0) continue;
        for (const format::Destination& to : destinations) {
            if (!holds_site(to, y, x) || !holds_channel(to, channel + lane)) continue;
            Flit flit = shared_.addressed(output ? kPotential : kSpike, to, start_.t);
            set_site(flit, to, y, x, channel + lane);
            flit.value = counts_[lane];
            flits_.push_back(flit);
        }
    }
}

void FireUnit::compare(Cycle now) {
    if (step_->kind == format::kFire) {
        StepCounts& counts = shared_.steps[start_.step];
        ++counts.compares;
        if (step_->per_channel != 0) ++counts.constant_words;
    }
    if (--compares_left_ > 0) return;
    if (shared_.trace != nullptr) {
        shared_.trace->fire(now, core_.number, start_.tile - core_.first_tile, tile_->base + word_,
                            {counts_.data(), firmware_.chip.lanes});
    }
    if (shared_.raster.wanted() && step_->kind == format::kFire) add_to_raster(now);
    if (write_ == kWrites && flits_.empty()) {
        word_over(now);
    } else {
        phase_ = Phase::kEmit;
    }
}

void FireUnit::add_to_raster(Cycle now) {
    const std::uint32_t lanes = firmware_.chip.lanes, per_site = firmware_.words_per_site(*tile_);
    const std::int64_t first = std::int64_t{word_ / per_site} * tile_->channels + word_ % per_site * lanes;
    const std::uint32_t band = shared_.mesh.band_number(core_.number);
    for (std::uint32_t lane = 0; lane < lanes; ++lane) {
        if (counts_[lane] > 0) shared_.raster.add(band, {now, start_.step, first + lane});
    }
}

void FireUnit::emit(Cycle now, bool can_send) {
    if (write_ < kWrites && !engine_.writes(now)) write(now);
    if (flit_ < flits_.size() && can_send) send(now, flits_[flit_++]);
    if (write_ == kWrites && flit_ == flits_.size()) word_over(now);
}

// On to the next write that the step makes.
void FireUnit::skip_writes() {
    if (write_ == 0 && step_->membrane == 0) ++write_;
    if (write_ == 1 && step_->clear == 0) ++write_;
}

void FireUnit::write(Cycle now) {
    const std::uint32_t lanes = firmware_.chip.lanes;
    std::int32_t* word = write_ == 0 ? membranes() : accumulators();
    if (write_ == 0) {
        std::copy_n(membrane_.begin(), lanes, word);
    } else {
        std::fill_n(word, lanes, 0);
    }
    ++shared_.steps[start_.step].potential_writes;
    if (shared_.trace != nullptr)
        shared_.trace->write(now, core_.number, (word - potentials_.data()) / lanes, {word, lanes});
    ++write_;
    skip_writes();
}

void FireUnit::send(Cycle now, const Flit& flit) {
    shared_.mesh.enter(core_.number, flit, now);
    shared_.count_sent(shared_.steps[start_.step], core_.number, flit);
}

void FireUnit::word_over(Cycle now) {
    phase_ = Phase::kRead;
    if (++word_ == words_) words_over(now);
}

void FireUnit::words_over(Cycle now) {
    if (step_->destinations == 0) {
        step_over(now);
    } else {
        phase_ = Phase::kEnds;
    }
}

void FireUnit::send_end(Cycle now) {
    const std::uint32_t number = step_->first_destination + end_;
    send(now, shared_.addressed(kEnd, firmware_.destinations[number], start_.t));
    programs_.end_sent(start_.step, number);
    if (++end_ == step_->destinations) step_over(now);
}

void FireUnit::step_over(Cycle now) {
    shared_.step_times[start_.t * firmware_.steps.size() + start_.step].last = now;
    phase_ = Phase::kFree;
    programs_.step_over(start_.tile);
}

std::string FireUnit::describe() const {
    if (phase_ == Phase::kFree) return "";
    constexpr std::array kDoing{"", "reading", "comparing", "sending or writing", "sending ENDs"};
    return "core " + std::to_string(core_.number) + " fires tile " + std::to_string(start_.tile - core_.first_tile) +
           ": " + kDoing[static_cast<std::size_t>(phase_)] + ", word " + std::to_string(word_) + " of " +
           std::to_string(words_);
}

}  // namespace spk::chip
