// What is counted, and where: by port, by step, by input. What a core counted is the sum over its ports and steps.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace spk::chip {

struct PortCounts {
    std::int64_t events = 0, issues = 0, null_issues = 0, sops = 0, adds = 0, lane_adds = 0, multiplies = 0, maxes = 0,
                 weight_words = 0, readies = 0, hops_x = 0, hops_y = 0;
};
inline constexpr std::array kPortCounters{"events",     "issues", "null_issues",  "sops",    "adds",   "lane_adds",
                                          "multiplies", "maxes",  "weight_words", "readies", "hops_x", "hops_y"};

struct StepCounts {
    std::int64_t fired_words = 0, compares = 0, constant_words = 0, potential_reads = 0, potential_writes = 0,
                 spikes = 0, potentials = 0, ends = 0, hops_x = 0, hops_y = 0, fired = 0;
};
inline constexpr std::array kStepCounters{"fired_words",      "compares", "constant_words", "potential_reads",
                                          "potential_writes", "spikes",   "potentials",     "ends",
                                          "hops_x",           "hops_y",   "fired"};

struct InputCounts {
    std::int64_t spikes = 0, potentials = 0, ends = 0, hops_x = 0, hops_y = 0;
};
inline constexpr std::array kInputCounters{"spikes", "potentials", "ends", "hops_x", "hops_y"};

// What every cycle of a core is.
struct Classes {
    std::int64_t busy = 0, stalled = 0, waiting = 0, idle = 0;
};

struct CoreCounts {
    Classes classes;
    std::int64_t events = 0, issues = 0, null_issues = 0, sops = 0, adds = 0, lane_adds = 0, multiplies = 0, maxes = 0,
                 weight_words = 0, potential_reads = 0, potential_writes = 0, fired_words = 0, compares = 0,
                 constant_words = 0, spikes = 0, potentials = 0, ends = 0, readies = 0, flits_received = 0, hops_x = 0,
                 hops_y = 0, fired = 0;

    void add(const PortCounts& port) {
        events += port.events, issues += port.issues, null_issues += port.null_issues;
        sops += port.sops, adds += port.adds, lane_adds += port.lane_adds;
        multiplies += port.multiplies, maxes += port.maxes, weight_words += port.weight_words;
        potential_reads += port.issues, potential_writes += port.issues;  // one each of every real issue
        readies += port.readies;
    }

    void add(const StepCounts& step) {
        fired_words += step.fired_words, compares += step.compares, constant_words += step.constant_words;
        potential_reads += step.potential_reads, potential_writes += step.potential_writes;
        spikes += step.spikes, potentials += step.potentials, ends += step.ends, fired += step.fired;
    }
};
inline constexpr std::array kCoreCounters{"busy",
                                          "stalled",
                                          "waiting",
                                          "idle",
                                          "events",
                                          "issues",
                                          "null_issues",
                                          "sops",
                                          "adds",
                                          "lane_adds",
                                          "multiplies",
                                          "maxes",
                                          "weight_words",
                                          "potential_reads",
                                          "potential_writes",
                                          "fired_words",
                                          "compares",
                                          "constant_words",
                                          "spikes",
                                          "potentials",
                                          "ends",
                                          "readies",
                                          "flits_received",
                                          "hops_x",
                                          "hops_y",
                                          "fired"};

// A record of counters as the row of a table.
template <class Counts>
using Row = std::array<std::int64_t, sizeof(Counts) / sizeof(std::int64_t)>;

template <class Counts>
Row<Counts> row_of(const Counts& counts) {
    return std::bit_cast<Row<Counts>>(counts);
}

static_assert(std::tuple_size_v<Row<PortCounts>> == kPortCounters.size());
static_assert(std::tuple_size_v<Row<StepCounts>> == kStepCounters.size());
static_assert(std::tuple_size_v<Row<InputCounts>> == kInputCounters.size());
static_assert(std::tuple_size_v<Row<CoreCounts>> == kCoreCounters.size());

// First and last cycle in which a step is under way; -1 where it never was.
struct Times {
    std::int64_t first = -1, last = -1;
};

}  // namespace spk::chip
