// Runs programs on the Verilated mesh and compares its trace with another implementation's, every cycle, line by line.
//
//     cosim LIST REPORT [MUTANT]
//
// LIST has a line `name image inputs [trace]` for each program; `inputs` are int32 values of every input in turn. The
// trace is that of the simulator in firmware_sim/, which runs first, or the given file. REPORT is a JSON file: cycles,
// lines and the first difference of every program, and how often each case of functional coverage was seen. With a
// MUTANT, a planted bug, it stops after the first program that differs.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "chip.hpp"
#include "edge.hpp"
#include "errors.hpp"
#include "firmware.hpp"
#include "simulation.hpp"

namespace spk::chip::cosim {
namespace {

constexpr std::uint64_t kSilence = 64;  // cycles without an act after the expected trace's last line

struct Result {
    std::string name;
    std::uint64_t cycles = 0, lines = 0;
    bool differs = false;
    std::string rtl, expected;
};

std::vector<char> contents(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw InputError(false, "cannot open " + path);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::int32_t> integers(const std::string& path) {
    const auto bytes = contents(path);
    std::vector<std::int32_t> values(bytes.size() / 4);
    std::copy_n(bytes.data(), values.size() * 4, reinterpret_cast<char*>(values.data()));
    return values;
}

std::uint64_t cycle_of(const std::string& line) { return std::stoull(line); }

// The expected trace, a cycle at a time.
class Expected {
  public:
    explicit Expected(const std::string& path) : file_(path) {
        if (!file_) throw InputError(false, "cannot open " + path);
        std::getline(file_, next_);
    }
    bool ended() const { return !file_; }
    std::vector<std::string> cycle(std::uint64_t cycle) {
        std::vector<std::string> lines;
        while (!ended() && cycle_of(next_) == cycle) {
            lines.push_back(std::move(next_));
            std::getline(file_, next_);
        }
        return lines;
    }

  private:
    std::ifstream file_;
    std::string next_;
};

// The trace of the simulator, in a file beside the image.
std::string simulate(const Firmware& firmware, std::span<const std::int32_t> values, const std::string& image) {
    std::vector<std::span<const std::int32_t>> inputs;
    for (const auto& input : firmware.inputs) {
        const std::size_t size = std::size_t{input.height} * input.width * input.channels;
        inputs.push_back(values.subspan(0, std::min(size, values.size())));
        values = values.subspan(inputs.back().size());
    }
    Options options;
    options.trace = image + ".trace";
    Simulation simulation(firmware, inputs, options);
    simulation.run();
    return options.trace;
}

Result compare(const std::string& name, const std::string& image, const std::string& inputs, const std::string& trace,
               std::uint32_t mutant, Coverage& coverage) {
    const auto bytes = contents(image);
    const auto firmware = Firmware::read(std::as_bytes(std::span(bytes)));
    const auto values = integers(inputs);
    Chip chip(firmware, mutant);
    EdgeHost host(firmware, values);
    Expected expected(trace.empty() ? simulate(firmware, values, image) : trace);
    Result result{name, 0, 0, false, {}, {}};
    for (std::uint64_t cycle = 0, silence = 0; !result.differs && silence < kSilence; ++cycle) {
        const auto acts = host.begin(cycle);
        auto lines = chip.cycle(host, acts);
        const std::string prefix = std::to_string(cycle) + " host ";
        if (acts.sends) lines.push_back(prefix + "send " + text(acts.sent));
        if (acts.pops) lines.push_back(prefix + "pop " + text(acts.popped));
        silence = expected.ended() ? silence + 1 : 0;
        const auto wanted = expected.cycle(cycle);
        for (std::size_t k = 0; k < std::max(lines.size(), wanted.size()) && !result.differs; ++k) {
            const std::string none = std::to_string(cycle) + " (nothing more)";
            const auto& ours = k < lines.size() ? lines[k] : none;
            const auto& theirs = k < wanted.size() ? wanted[k] : none;
            ++result.lines;
            result.differs = ours != theirs;
            if (result.differs) result.rtl = ours, result.expected = theirs;
        }
        if (silence == 0) result.cycles = cycle + 1;
    }
    chip.add(coverage);
    return result;
}

void write(const std::string& path, const std::vector<Result>& results, const Coverage& coverage) {
    std::ofstream out(path);
    out << "{\"programs\":[";
    const char* separator = "";
    for (const auto& each : results) {
        out << separator << "\n{\"name\":\"" << each.name << "\",\"cycles\":" << each.cycles
            << ",\"lines\":" << each.lines << ",\"rtl\":\"" << each.rtl << "\",\"expected\":\"" << each.expected
            << "\"}";
        separator = ",";
    }
    out << "],\"coverage\":{";
    separator = "";
    for (const auto& [name, count] : coverage) {
        out << separator << "\n\"" << name << "\":" << count;
        separator = ",";
    }
    out << "}}\n";
}

int run(int count, char** arguments) {
    if (count < 3) throw InputError(false, "usage: cosim LIST REPORT [MUTANT]");
    const auto mutant = count > 3 ? static_cast<std::uint32_t>(std::stoul(arguments[3])) : 0;
    std::ifstream list(arguments[1]);
    std::vector<Result> results;
    Coverage coverage;
    for (std::string line; std::getline(list, line);) {
        std::istringstream fields(line);
        std::string name, image, inputs, trace;
        if (!(fields >> name >> image >> inputs)) throw InputError(false, "not a program: " + line);
        fields >> trace;
        results.push_back(compare(name, image, inputs, trace, mutant, coverage));
        if (mutant != 0 && results.back().differs) break;
    }
    write(arguments[2], results, coverage);
    return 0;
}

}  // namespace
}  // namespace spk::chip::cosim

int main(int count, char** arguments) {
    try {
        return spk::chip::cosim::run(count, arguments);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "cosim: %s\n", error.what());
        return 1;
    }
}
