#include "traffic.hpp"

#include "bindings/simulator.hpp"
#include "errors.hpp"

namespace spk::chip::bindings {
namespace {

std::vector<Injection> injections_of(const Array<std::int64_t>& flits, std::int64_t cores) {
    if (flits.ndim() != 2 || flits.shape(1) != 3 || flits.shape(0) > INT32_MAX)
        throw InputError(false, "expected flits of shape [n, 3]: cycle, source, destination");
    std::vector<Injection> injections;
    const auto rows = flits.unchecked<2>();
    for (py::ssize_t i = 0; i < rows.shape(0); ++i) {
        const std::int64_t cycle = rows(i, 0), source = rows(i, 1), destination = rows(i, 2);
        if (cycle < (i > 0 ? rows(i - 1, 0) : 0)) {
            throw InputError(
                true, "flit " + std::to_string(i) + ": cycles must ascend from 0, found " + std::to_string(cycle));
        }
        if (source < 0 || source >= cores || destination < 0 || destination >= cores) {
            throw InputError(true, "flit " + std::to_string(i) + ": no such core: " + std::to_string(source) + " or " +
                                       std::to_string(destination));
        }
        injections.push_back({cycle, static_cast<std::uint32_t>(source), static_cast<std::uint32_t>(destination)});
    }
    return injections;
}

py::dict traffic(std::uint32_t width, std::uint32_t height, const Array<std::int64_t>& flits, std::uint32_t router_fifo,
                 std::uint32_t out_fifo, std::uint32_t axon_fifo, std::uint32_t link_delay, Cycle max_cycles) {
    format::Chip chip{};
    chip.width = width, chip.height = height, chip.lanes = 16;
    chip.router_fifo = router_fifo, chip.out_fifo = out_fifo, chip.axon_fifo = axon_fifo;
    chip.link_delay = link_delay, chip.timesteps = 1, chip.weight_bits = 8;
    check_chip(chip);
    const auto injections = injections_of(flits, std::int64_t{width} * height);
    TrafficResult result;
    {
        const py::gil_scoped_release release;
        result =
            simulate_traffic({width, height, router_fifo, out_fifo, axon_fifo, link_delay}, injections, max_cycles);
    }
    py::array_t<std::int64_t> entered(static_cast<py::ssize_t>(result.passages.size()));
    py::array_t<std::int64_t> popped(static_cast<py::ssize_t>(result.passages.size()));
    for (std::size_t i = 0; i < result.passages.size(); ++i) {
        entered.mutable_data()[i] = result.passages[i].entered;
        popped.mutable_data()[i] = result.passages[i].popped;
    }
    py::dict dict;
    dict["entered"] = entered;
    dict["popped"] = popped;
    dict["links"] = table(result.links.size(), kSides, [&](std::size_t core) { return result.links[core]; });
    dict["cycles"] = result.cycles;
    return dict;
}

}  // namespace

void bind_traffic(py::module_& module) {
    using namespace py::literals;
    module.def("traffic", &traffic, "width"_a, "height"_a, "flits"_a, py::kw_only(), "router_fifo"_a = 4,
               "out_fifo"_a = 16, "axon_fifo"_a = 64, "link_delay"_a = 0, "max_cycles"_a = 0,
               "Run the mesh alone under given traffic.");
}

}  // namespace spk::chip::bindings
