#include <pybind11/functional.h>
#include <pybind11/stl.h>

#include <array>
#include <chrono>
#include <cstring>
#include <optional>

#include "bindings/simulator.hpp"
#include "simulation.hpp"

namespace spk::chip::bindings {
namespace {

using Inputs = std::vector<Array<std::int32_t>>;
using Progress = std::optional<py::function>;

std::span<const std::byte> bytes_of(const py::bytes& data) {
    const std::string_view text = data;
    return std::as_bytes(std::span(text.data(), text.size()));
}

Firmware read(const py::bytes& data, bool check_order) {
    const auto bytes = bytes_of(data);
    const py::gil_scoped_release release;
    return Firmware::read(bytes, check_order);
}

// Looks for signals, and calls `progress`, ten times a second.
std::function<void(Cycle, std::int64_t, std::int64_t)> reporter(const Progress& progress) {
    using Clock = std::chrono::steady_clock;
    return [&progress, next = Clock::now() + std::chrono::milliseconds(100)](Cycle cycle, std::int64_t done,
                                                                             std::int64_t steps) mutable {
        if (Clock::now() < next) return;
        next = Clock::now() + std::chrono::milliseconds(100);
        const py::gil_scoped_acquire acquire;
        if (PyErr_CheckSignals() != 0) throw py::error_already_set();
        if (progress) (*progress)(cycle, done, steps);
    };
}

py::list outputs_of(const Simulation& simulation) {
    py::list list;
    const Firmware& firmware = simulation.firmware();
    for (std::size_t i = 0; i < firmware.outputs.size(); ++i) {
        const format::Output& output = firmware.outputs[i];
        const std::vector<std::int32_t>& values = simulation.host().outputs[i];
        py::array_t<std::int32_t> array({std::size_t{firmware.timesteps(output.varies)}, std::size_t{output.height},
                                         std::size_t{output.width}, std::size_t{output.channels}});
        std::memcpy(array.mutable_data(), values.data(), values.size() * sizeof(std::int32_t));
        list.append(array);
    }
    return list;
}

py::array_t<std::int64_t> times_of(const std::vector<Times>& times, std::size_t timesteps) {
    py::array_t<std::int64_t> array({timesteps, times.size() / timesteps, std::size_t{2}});
    static_assert(sizeof(Times) == 2 * sizeof(std::int64_t));
    if (!times.empty()) std::memcpy(array.mutable_data(), times.data(), times.size() * sizeof(Times));
    return array;
}

// What windows hold: differences of the totals at their starts.
void add_windows(py::dict& result, Simulation& simulation) {
    const std::vector<Totals>& starts = simulation.windows();
    const Totals end = simulation.totals(simulation.cycles());
    const std::size_t windows = starts.size(), cores = simulation.mesh().cores();
    py::array_t<std::int64_t> classes({windows, cores, std::size_t{4}}), links({windows, cores, std::size_t{kSides}});
    py::array_t<std::int64_t> counters({windows, kCoreCounters.size()});
    auto class_at = classes.mutable_unchecked<3>();
    auto link_at = links.mutable_unchecked<3>();
    auto counter_at = counters.mutable_unchecked<2>();
    for (std::size_t w = 0; w < windows; ++w) {
        const Totals &a = starts[w], &b = w + 1 < windows ? starts[w + 1] : end;
        for (std::size_t core = 0; core < cores; ++core) {
            const auto from = std::bit_cast<std::array<std::int64_t, 4>>(a.classes[core]);
            const auto to = std::bit_cast<std::array<std::int64_t, 4>>(b.classes[core]);
            for (std::size_t k = 0; k < 4; ++k) class_at(w, core, k) = to[k] - from[k];
            for (std::size_t k = 0; k < kSides; ++k) link_at(w, core, k) = b.links[core][k] - a.links[core][k];
        }
        for (std::size_t k = 0; k < kCoreCounters.size(); ++k) counter_at(w, k) = b.counters[k] - a.counters[k];
    }
    result["window"] = simulation.window();
    result["window_classes"] = classes;
    result["window_links"] = links;
    result["window_counters"] = counters;
}

py::dict result_of(Simulation& simulation) {
    const Firmware& firmware = simulation.firmware();
    const Shared& shared = simulation.shared();
    const std::size_t cores = firmware.mesh_cores(), timesteps = firmware.chip.timesteps;
    const auto rows = [](const auto& counts, std::size_t columns) {
        return table(counts.size(), columns, [&](std::size_t i) { return row_of(counts[i]); });
    };
    py::dict result;
    result["outputs"] = outputs_of(simulation);
    result["cycles"] = simulation.cycles();
    result["cores"] = table(cores, kCoreCounters.size(), [&](std::size_t core) {
        return row_of(simulation.core_counts(static_cast<std::uint32_t>(core), simulation.cycles()));
    });
    result["ports"] = rows(shared.ports, kPortCounters.size());
    result["steps"] = rows(shared.steps, kStepCounters.size());
    result["inputs"] = rows(shared.inputs, kInputCounters.size());
    result["times"] = times_of(shared.step_times, timesteps);
    result["input_times"] = times_of(shared.input_times, timesteps);
    result["links"] = table(cores, kSides, [&](std::size_t core) { return simulation.mesh().routers[core].granted; });
    result["edge_in"] = simulation.mesh().host_sent;
    result["edge_out"] = simulation.mesh().host_received;
    add_windows(result, simulation);
    const std::vector<Firing>& raster = simulation.raster();
    result["raster"] = table(
        raster.size(), 3, [&](std::size_t i) { return std::array{raster[i].cycle, raster[i].step, raster[i].neuron}; });
    return result;
}

py::dict run(const py::bytes& data, const Inputs& inputs, std::uint32_t threads, std::uint32_t windows,
             std::uint64_t raster, const std::string& trace, bool ignore_ready, bool check_order, Cycle max_cycles,
             const Progress& progress) {
    const Firmware firmware = read(data, check_order);
    std::vector<std::span<const std::int32_t>> values;
    for (const auto& array : inputs) values.emplace_back(array.data(), static_cast<std::size_t>(array.size()));
    std::optional<Simulation> simulation;
    {
        const py::gil_scoped_release release;
        simulation.emplace(firmware, std::move(values),
                           Options{threads, windows, raster, trace, ignore_ready, max_cycles, reporter(progress)});
        simulation->run();
    }
    return result_of(*simulation);
}

}  // namespace

void bind_run(py::module_& module) {
    using namespace py::literals;
    module.def("check", [](const py::bytes& data) { read(data, true); }, "firmware"_a, "Verify a firmware image.");
    module.def("run", &run, "firmware"_a, "inputs"_a, py::kw_only(), "threads"_a = 1, "windows"_a = 0, "raster"_a = 0,
               "trace"_a = "", "ignore_ready"_a = false, "check_order"_a = true, "max_cycles"_a = 0,
               "progress"_a = py::none(), "Run a firmware image.");
}

}  // namespace spk::chip::bindings
