#include "engine.hpp"

#include <algorithm>
#include <array>
#include <bit>

namespace spk::chip {
namespace {

constexpr std::uint32_t kMaxLanes = 32;

// potentials += weights * 2^shift * n, modulo 2^32. Channels of a site, and their weights, lie one behind the other.
void accumulate(std::int32_t* potentials, const std::int8_t* weights, const std::uint32_t* scales, std::uint32_t n,
                std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
        const auto weight = static_cast<std::uint32_t>(std::int32_t{weights[i]});
        potentials[i] = static_cast<std::int32_t>(static_cast<std::uint32_t>(potentials[i]) + weight * (scales[i] * n));
    }
}

}  // namespace

Engine::Engine(Shared& shared, const format::Core& core, std::span<std::int32_t> potentials)
    : shared_(shared), firmware_(shared.firmware), core_(core), potentials_(potentials) {
    const std::size_t lanes = firmware_.chip.lanes;
    for (const std::uint8_t shift : firmware_.shifts.subspan(core.first_shift * lanes, core.shifts * lanes))
        scales_.push_back(std::uint32_t{1} << shift);
    for (std::uint32_t p = 0; p < core.ports; ++p) {
        Plan plan{};
        plan.number = core.first_port + p;
        plan.port = &firmware_.ports[plan.number];
        plan.tile = &firmware_.tiles[firmware_.step_tile[firmware_.port_step[plan.number]]];
        plan.words_per_site = firmware_.words_per_site(*plan.tile);
        plan.max = plan.tile->mode == format::kMax;
        plan.synapse = plan.port->kind == format::kSynapse && !plan.max;
        if (plan.synapse) {
            plan.weights = firmware_.weights.data() + (core.first_weight + std::size_t{plan.port->weight}) * lanes;
            plan.scales = scales_.data() + plan.port->shift * lanes;
        }
        plans_.push_back(plan);
    }
}

Cycle Engine::without_write(Cycle from) const {
    if (!writes(from)) return from;
    return real_ && first_ < from ? last_ + 2 : from + 1;
}

// oy = (sy * U + u + padding - k * dilation) / stride, where the division leaves no rest and oy lies in the tile.
void Engine::find_targets(std::vector<Target>& targets, std::int64_t site, std::uint32_t upsample, std::int32_t padding,
                          std::uint32_t kernel, std::uint32_t dilation, std::uint32_t stride, std::uint32_t low,
                          std::uint32_t size) {
    targets.clear();
    for (std::uint32_t u = 0; u < upsample; ++u) {
        std::int64_t at = site * upsample + u + padding - std::int64_t{low} * stride;
        for (std::uint32_t k = 0; k < kernel && at >= 0; ++k, at -= dilation) {
            if (stride > 1 && at % stride != 0) continue;
            const std::int64_t place = at / stride;
            if (place < size) targets.push_back({u, k, static_cast<std::uint32_t>(place)});
        }
    }
}

// The channels that the event reaches; false where there are none.
bool Engine::find_channels() {
    const format::Tile& tile = *plan_->tile;
    std::int64_t first = event_.channel, count = 1;
    channel_ = 0;
    if (plan_->synapse) {
        const format::Port& port = *plan_->port;
        first = std::int64_t{port.channel} + std::int64_t{event_.channel / port.inputs} * port.outputs;
        count = port.outputs;
        channel_ = event_.channel % port.inputs;
    }
    const std::int64_t low = std::max<std::int64_t>(first - tile.channel, 0);
    const std::int64_t high = std::min<std::int64_t>(first + count - tile.channel, tile.channels);
    if (low >= high) return false;
    low_ = static_cast<std::uint32_t>(low), high_ = static_cast<std::uint32_t>(high);
    return true;
}

void Engine::accept(const Flit& event, Cycle now) {
    if (real_) last_write_before_ = last_ + 1;
    event_ = event;
    plan_ = &plans_[event.port];
    const format::Port& port = *plan_->port;
    const format::Tile& tile = *plan_->tile;
    find_targets(rows_, event.sy, port.upsample_y, port.top, port.kernel_y, port.dilation_y, port.stride_y, tile.y,
                 tile.rows);
    find_targets(columns_, event.sx, port.upsample_x, port.left, port.kernel_x, port.dilation_x, port.stride_x, tile.x,
                 tile.columns);
    const std::uint32_t lanes = firmware_.chip.lanes;
    real_ = find_channels() && !rows_.empty() && !columns_.empty();
    Cycle count = 1;
    repeats_ = 1;
    if (real_) {
        const auto n = static_cast<std::uint32_t>(event.value);
        if (plan_->synapse && port.coding == format::kUnary) repeats_ = n;
        if (plan_->synapse && port.coding == format::kBitwise) repeats_ = static_cast<std::uint32_t>(std::popcount(n));
        const std::uint32_t words = (high_ - 1) / lanes - low_ / lanes + 1;
        count = static_cast<Cycle>(rows_.size() * columns_.size() * words) * repeats_;
        first_site();
    }
    first_ = next_ = now + 1;
    last_ = now + count;
    ++shared_.ports[plan_->number].events;
    advance(shared_.window_end);
}

void Engine::advance(Cycle until) {
    const std::uint32_t lanes = firmware_.chip.lanes;
    while (next_ <= last_ && next_ < until) {
        if (!real_) {
            ++shared_.ports[plan_->number].null_issues;
            if (shared_.trace != nullptr) shared_.trace->issue(next_, core_.number, event_, -1, {}, {});
            ++next_;
            continue;
        }
        const std::uint32_t words = (high_ - 1) / lanes - low_ / lanes + 1;
        const Cycle count = Cycle{words} * repeats_;
        const bool at_start = word_ == low_ / lanes && repeat_ == 0;
        if (at_start && until - next_ >= count && shared_.trace == nullptr) {
            whole_site();
            next_site();
            next_ += count;
        } else {
            one_issue();
            ++next_;
        }
    }
}

// Behind the targets of the same upsampled copy as that at `begin`.
std::size_t Engine::copy_end(const std::vector<Target>& targets, std::size_t begin) {
    std::size_t end = begin;
    while (end < targets.size() && targets[end].u == targets[begin].u) ++end;
    return end;
}

void Engine::first_site() {
    row_ = row_begin_ = 0, row_end_ = copy_end(rows_, 0);
    column_ = column_begin_ = 0, column_end_ = copy_end(columns_, 0);
    word_ = low_ / firmware_.chip.lanes, repeat_ = 0;
}

// Outer to inner: copies uy, copies ux, kernel rows, kernel columns.
void Engine::next_site() {
    word_ = low_ / firmware_.chip.lanes, repeat_ = 0;
    if (++column_ < column_end_) return;
    column_ = column_begin_;
    if (++row_ < row_end_) return;
    column_begin_ = column_end_;
    if (column_begin_ == columns_.size()) {
        column_begin_ = 0;
        row_begin_ = row_end_;
        if (row_begin_ == rows_.size()) return;  // the event is over
        row_end_ = copy_end(rows_, row_begin_);
    }
    column_ = column_begin_, column_end_ = copy_end(columns_, column_begin_);
    row_ = row_begin_;
}

std::int32_t* Engine::site_potentials() const {
    const format::Tile& tile = *plan_->tile;
    const std::size_t site = std::size_t{rows_[row_].at} * tile.columns + columns_[column_].at;
    return potentials_.data() + (tile.base + site * plan_->words_per_site) * firmware_.chip.lanes;
}

// Counts `repeats` issues of each of `words` words of a site, with `lanes` targeted lanes in all words together.
// `first`: the first of a word's repeats is among them, for which its weights are read.
void Engine::count(std::int64_t words, std::int64_t lanes, std::int64_t repeats, bool first) {
    PortCounts& counts = shared_.ports[plan_->number];
    counts.issues += words * repeats;
    if (plan_->max) {
        counts.maxes += words * repeats;
        return;
    }
    counts.adds += lanes * repeats;
    counts.lane_adds += words * repeats * firmware_.chip.lanes;
    if (!plan_->synapse) return;
    if (plan_->port->coding == format::kFolded) counts.multiplies += lanes * repeats;
    if (!first) return;
    counts.weight_words += words;
    counts.sops += lanes * event_.value;
}

// What issues do to channels low..high - 1 of the site; `factor`: how often a synapse adds its shifted weight.
void Engine::apply(std::uint32_t low, std::uint32_t high, std::uint32_t factor) {
    std::int32_t* potentials = site_potentials() + low;
    if (plan_->synapse) {
        const format::Port& port = *plan_->port;
        const std::size_t kernel = std::size_t{rows_[row_].k} * port.kernel_x + columns_[column_].k;
        const std::size_t row = std::size_t{channel_} * port.kernel_y * port.kernel_x + kernel;
        const std::int8_t* weights = plan_->weights + row * plan_->words_per_site * firmware_.chip.lanes;
        accumulate(potentials, weights + low, plan_->scales + low, factor, high - low);
    } else if (plan_->max) {
        *potentials = std::max(*potentials, event_.value);
    } else {
        const std::uint32_t sum = static_cast<std::uint32_t>(*potentials) + static_cast<std::uint32_t>(event_.value);
        *potentials = static_cast<std::int32_t>(sum);
    }
}

// All repeats add up to n times the shifted weight.
void Engine::whole_site() {
    const std::uint32_t width = firmware_.chip.lanes;
    count((high_ - 1) / width - low_ / width + 1, high_ - low_, repeats_, true);
    apply(low_, high_, static_cast<std::uint32_t>(event_.value));
}

void Engine::one_issue() {
    const std::uint32_t width = firmware_.chip.lanes;
    const std::uint32_t low = std::max(low_, word_ * width), high = std::min(high_, (word_ + 1) * width);
    const std::int32_t* word = site_potentials() + std::size_t{word_} * width;
    std::array<std::int32_t, kMaxLanes> before;
    std::copy_n(word, width, before.begin());
    count(1, high - low, 1, repeat_ == 0);
    apply(low, high, factor());
    if (shared_.trace != nullptr) {
        shared_.trace->issue(next_, core_.number, event_, (word - potentials_.data()) / width, {before.data(), width},
                             {word, width});
    }
    if (++repeat_ == repeats_) {
        repeat_ = 0;
        if (++word_ > (high_ - 1) / width) next_site();
    }
}

// Of the repeat that is due: unary 1, bitwise the next bit from the top, folded n.
std::uint32_t Engine::factor() const {
    auto n = static_cast<std::uint32_t>(event_.value);
    if (plan_->port->coding == format::kUnary) return 1;
    if (plan_->port->coding == format::kFolded) return n;
    for (std::uint32_t r = 0; r < repeat_; ++r) n -= std::bit_floor(n);
    return std::bit_floor(n);
}

}  // namespace spk::chip
