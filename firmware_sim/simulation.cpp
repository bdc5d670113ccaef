#include "simulation.hpp"

#include <algorithm>
#include <exception>
#include <thread>
#include <utility>

#include "barrier.hpp"
#include "errors.hpp"

namespace spk::chip {
namespace {

constexpr std::uint32_t kWorthMeeting = 100;  // units to visit
constexpr std::size_t kMaxLines = 20;         // of the state that is shown of a deadlock

MeshShape shape_of(const format::Chip& chip) {
    return {chip.width, chip.height, chip.router_fifo, chip.out_fifo, chip.axon_fifo, chip.link_delay};
}

// A trace is written by one thread.
std::uint32_t bands(const format::Chip& chip, const Options& options) {
    return options.trace.empty() ? std::clamp(options.threads, 1u, chip.height) : 1;
}

using Values = std::vector<std::span<const std::int32_t>>;

Values checked(const Firmware& firmware, Values inputs) {
    if (inputs.size() != firmware.inputs.size()) {
        throw InputError(false, "expected " + std::to_string(firmware.inputs.size()) + " inputs, found " +
                                    std::to_string(inputs.size()));
    }
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        const format::Input& input = firmware.inputs[i];
        const std::size_t size =
            std::size_t{firmware.timesteps(input.varies)} * input.height * input.width * input.channels;
        if (inputs[i].size() != size) {
            throw InputError(false, "input " + std::to_string(i) + ": expected " + std::to_string(size) +
                                        " values, found " + std::to_string(inputs[i].size()));
        }
        if (input.kind != format::kCounts) continue;
        for (const std::int32_t value : inputs[i]) {
            if (value < 0 || value > static_cast<std::int32_t>(format::kMaxCount)) {
                throw InputError(
                    true, "input " + std::to_string(i) + ": counts must be 0..255, found " + std::to_string(value));
            }
        }
    }
    return inputs;
}

}  // namespace

Simulation::Simulation(const Firmware& firmware, std::vector<std::span<const std::int32_t>> inputs,
                       const Options& options)
    : options_(options),
      trace_(options.trace.empty() ? nullptr : std::make_unique<Trace>(options.trace)),
      mesh_(shape_of(firmware.chip), trace_.get(), bands(firmware.chip, options)),
      raster_(options.raster, mesh_.bands.size()),
      shared_{firmware,
              mesh_,
              trace_.get(),
              raster_,
              options.ignore_ready,
              std::vector<PortCounts>(firmware.ports.size()),
              std::vector<StepCounts>(firmware.steps.size()),
              std::vector<InputCounts>(firmware.inputs.size()),
              std::vector<Times>(firmware.steps.size() * firmware.chip.timesteps),
              std::vector<Times>(firmware.inputs.size() * firmware.chip.timesteps)},
      cores_(firmware.mesh_cores()),
      host_(shared_, checked(firmware, std::move(inputs))),
      series_(options.windows) {
    for (const format::Core& core : firmware.cores) cores_[core.number] = std::make_unique<Core>(shared_, core);
}

void Simulation::run() {
    for (const format::Core& core : shared_.firmware.cores) mesh_.wake(core.number, 0);
    mesh_.wake(mesh_.host(), 0);
    if (series_.wanted()) begin_windows(0);
    now_ = mesh_.next_cycle();
    if (mesh_.bands.size() == 1) {
        while (now_ != kNever) {
            visit(0);
            go_on();
        }
    } else {
        run_bands();
    }
    if (!finished()) deadlock();
    finish();
}

// Each band on a thread of its own, the first on the caller's, which does cycles with little to do alone: to meet costs
// more than they take. Whoever fails still comes to the barrier.
void Simulation::run_bands() {
    const auto count = static_cast<std::uint32_t>(mesh_.bands.size());
    Barrier barrier(count);
    std::vector<std::exception_ptr> errors(count);
    const auto attempt = [&errors](std::uint32_t band, auto what) {
        try {
            what();
        } catch (...) {
            if (errors[band] == nullptr) errors[band] = std::current_exception();
        }
    };
    const auto failed = [&errors] {
        return std::any_of(errors.begin(), errors.end(), [](const auto& error) { return error != nullptr; });
    };
    bool over = now_ == kNever;
    const auto follow = [&](std::uint32_t band) {
        while (!over) {
            attempt(band, [&] { visit(band); });
            barrier.follow();
            mesh_.exchange(band, now_);
            barrier.follow();
        }
    };
    std::vector<std::thread> threads;
    for (std::uint32_t band = 1; band < count; ++band) threads.emplace_back(follow, band);
    while (!over) {
        attempt(0, [&] { visit(0); });
        barrier.lead();
        mesh_.exchange(0, now_);
        barrier.gather();
        if (!failed()) attempt(0, [&] { go_on_alone(); });
        over = failed() || now_ == kNever;
        barrier.release();
    }
    for (std::thread& thread : threads) thread.join();
    for (const std::exception_ptr& error : errors) {
        if (error != nullptr) std::rethrow_exception(error);
    }
}

// To the next cycle that is worth more than one thread.
void Simulation::go_on_alone() {
    const auto count = static_cast<std::uint32_t>(mesh_.bands.size());
    for (go_on(); now_ != kNever; go_on()) {
        std::uint32_t due = 0;
        for (const Band& band : mesh_.bands) due += band.wheel.due(now_);
        if (due >= kWorthMeeting) return;
        for (std::uint32_t band = 0; band < count; ++band) visit(band);
        for (std::uint32_t band = 0; band < count; ++band) mesh_.exchange(band, now_);
    }
}

void Simulation::visit(std::uint32_t band) {
    const std::uint32_t cores = mesh_.cores();
    const Cycle now = now_;
    mesh_.visit(band, now, [&](std::uint32_t unit) {
        if (unit < cores) {
            cores_[unit]->visit(now);
        } else if (unit < 2 * cores) {
            mesh_.route(unit - cores, now);
        } else {
            host_.visit(now);
        }
    });
}

// To the next cycle in which something can happen.
void Simulation::go_on() {
    const Cycle next = mesh_.next_cycle();
    raster_.collect();
    if (next != kNever && next >= shared_.window_end) begin_windows(next);
    if (options_.max_cycles > 0 && mesh_.last_act() >= options_.max_cycles) {
        throw SimulationError("the run has not ended after " + std::to_string(options_.max_cycles) + " cycles");
    }
    if (++visited_ % 1024 == 0) {
        if (trace_ != nullptr) trace_->flush(now_);
        report_progress(now_);
    }
    now_ = next;
}

// All windows that begin up to `now`, before anything happens in it.
void Simulation::begin_windows(Cycle now) {
    while (series_.end() <= now) {
        const Cycle start = series_.end();
        for (const auto& core : cores_) {
            if (core != nullptr) core->settle(start);
        }
        series_.begin(totals(start), last_act());
        shared_.window_end = series_.end();
        for (const auto& core : cores_) {
            if (core != nullptr) core->advance(shared_.window_end);
        }
    }
}

void Simulation::report_progress(Cycle now) const {
    if (!options_.progress) return;
    std::int64_t done = 0;
    for (const auto& core : cores_) done += core != nullptr ? core->programs().steps_done() : 0;
    const Firmware& firmware = shared_.firmware;
    options_.progress(now, done, static_cast<std::int64_t>(firmware.steps.size()) * firmware.chip.timesteps);
}

bool Simulation::finished() const {
    const bool over = std::all_of(cores_.begin(), cores_.end(),
                                  [](const auto& core) { return core == nullptr || core->programs().finished(); });
    return over && host_.finished() && mesh_.flits_inside() == 0;
}

// The last cycle so far that counts as one of the run.
Cycle Simulation::last_act() const {
    Cycle last = mesh_.last_act();
    for (const auto& core : cores_) {
        if (core != nullptr) last = std::max(last, core->last_issue());
    }
    return last;
}

void Simulation::finish() {
    cycles_ = last_act() + 1;
    for (const auto& core : cores_) {
        if (core == nullptr) continue;
        core->settle(cycles_);
        // Visits behind the end were in vain.
        Classes& classes = core->classes;
        classes.idle -= classes.busy + classes.stalled + classes.waiting + classes.idle - cycles_;
    }
    if (trace_ != nullptr) trace_->flush(kNever);
    report_progress(cycles_);
}

CoreCounts Simulation::core_counts(std::uint32_t number, Cycle cycles) const {
    CoreCounts counts;
    const Firmware& firmware = shared_.firmware;
    const auto& granted = mesh_.routers[number].granted;
    counts.hops_x = granted[kEast] + (number > 0 ? granted[kWest] : 0);
    counts.hops_y = granted[kNorth] + granted[kSouth];
    if (cores_[number] == nullptr) {
        counts.classes.idle = cycles;
        return counts;
    }
    counts.classes = cores_[number]->classes;
    counts.flits_received = cores_[number]->received;
    const format::Core& core = firmware.cores[static_cast<std::size_t>(firmware.core_index[number])];
    for (std::uint32_t p = core.first_port; p < core.first_port + core.ports; ++p) counts.add(shared_.ports[p]);
    for (const format::Tile& tile : firmware.tiles.subspan(core.first_tile, core.tiles)) {
        for (std::uint32_t s = tile.first_step; s < tile.first_step + tile.steps; ++s) counts.add(shared_.steps[s]);
    }
    return counts;
}

Totals Simulation::totals(Cycle cycles) const {
    Totals totals;
    for (std::uint32_t core = 0; core < mesh_.cores(); ++core) {
        const CoreCounts counts = core_counts(core, cycles);
        totals.classes.push_back(counts.classes);
        totals.links.push_back(mesh_.routers[core].granted);
        const auto row = row_of(counts);
        for (std::size_t i = 0; i < row.size(); ++i) totals.counters[i] += row[i];
    }
    return totals;
}

void Simulation::deadlock() const {
    std::vector<std::string> lines;
    host_.describe(lines, kMaxLines);
    for (const auto& core : cores_) {
        if (core != nullptr) core->describe(lines, kMaxLines);
    }
    std::string message = "deadlock in cycle " + std::to_string(mesh_.last_act() + 1) +
                          ": nothing can happen any more, " + std::to_string(mesh_.flits_inside()) +
                          " flits are under way";
    for (const std::string& line : lines) message += "\n  " + line;
    if (lines.size() >= kMaxLines) message += "\n  ...";
    throw SimulationError(message);
}

}  // namespace spk::chip
