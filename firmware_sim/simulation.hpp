// One run of a firmware: the cycle loop, and all that is told of the run afterwards.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core.hpp"
#include "host.hpp"
#include "series.hpp"
#include "state.hpp"

namespace spk::chip {

struct Options {
    std::uint32_t threads = 1;  // results are the same for any number
    std::uint32_t windows = 0;
    std::uint64_t raster = 0;  // points, at most
    std::string trace;         // a path; empty: none
    bool ignore_ready = false;
    Cycle max_cycles = 0;  // 0: no limit
    // Called now and then with the cycle, the steps that are over, and how many there are in all. May throw.
    std::function<void(Cycle, std::int64_t, std::int64_t)> progress;
};

class Simulation {
  public:
    // Throws InputError. `firmware` and the inputs must outlive the simulation.
    Simulation(const Firmware& firmware, std::vector<std::span<const std::int32_t>> inputs, const Options& options);

    // Throws SimulationError.
    void run();

    const Firmware& firmware() const { return shared_.firmware; }
    const Shared& shared() const { return shared_; }
    const Mesh& mesh() const { return mesh_; }
    const Host& host() const { return host_; }
    Cycle cycles() const { return cycles_; }
    // Of one core of the mesh, and of all, when so many cycles are over.
    CoreCounts core_counts(std::uint32_t core, Cycle cycles) const;
    Totals totals(Cycle cycles) const;
    // Totals at the start of every window, and the length of a window.
    const std::vector<Totals>& windows() { return series_.finish(cycles_); }
    Cycle window() const { return series_.length(); }
    const std::vector<Firing>& raster() const { return raster_.points(); }

  private:
    void run_bands();
    void visit(std::uint32_t band);
    void go_on();
    void go_on_alone();
    void begin_windows(Cycle now);
    void finish();
    void report_progress(Cycle now) const;
    bool finished() const;
    Cycle last_act() const;
    [[noreturn]] void deadlock() const;

    Options options_;
    std::unique_ptr<Trace> trace_;
    Mesh mesh_;
    Raster raster_;
    Shared shared_;
    std::vector<std::unique_ptr<Core>> cores_;  // by number; null where there are no tiles
    Host host_;
    Series series_;
    Cycle now_ = 0, cycles_ = 0;
    std::int64_t visited_ = 0;  // cycles
};

}  // namespace spk::chip
