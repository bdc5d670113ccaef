#include "chip.hpp"

#include <algorithm>
#include <array>
#include <tuple>

#include "Vmesh.h"
#include "Vmesh__Dpi.h"
#include "errors.hpp"
#include "loader.hpp"
#include "verilated.h"

namespace spk::chip::cosim {
namespace {

constexpr std::uint32_t kLanes = 16, kCases = 64;
const char* const kLetters[] = {"L", "N", "E", "S", "W"};

// Parameters of the mesh that was built: columns, rows, FIFO depths and link delay.
constexpr std::array<std::uint32_t, 6> kBuilt{COSIM_BUILT};

void check(const format::Chip& chip) {
    const std::array<std::uint32_t, 4> wanted{chip.router_fifo, chip.out_fifo, chip.axon_fifo, chip.link_delay};
    if (chip.width > kBuilt[0] || chip.height > kBuilt[1] || !std::equal(wanted.begin(), wanted.end(), &kBuilt[2])) {
        std::string text =
            "this co-simulation was built for another chip: its columns, rows, router, out and axon FIFO, "
            "and link delay are";
        for (const std::uint32_t each : kBuilt) text += ' ' + std::to_string(each);
        throw FirmwareError(text);
    }
}

struct Line {
    std::uint32_t core;
    int order;
    std::string text;
};

// What the calls of the model that is being evaluated write to.
struct Watched {
    std::uint32_t mesh_width = 1, mutant = 0;
    std::vector<Line> lines;
    // Of every kind of module, by name: its cases' names and counts.
    std::map<std::string, std::pair<std::vector<std::string>, std::vector<std::uint64_t>>> cases;

    std::uint32_t core(int x, int y) const {
        return static_cast<std::uint32_t>(y) * mesh_width + static_cast<std::uint32_t>(x);
    }
};
Watched watched;

std::string words(const svBitVecVal* values) {
    std::string text;
    for (std::uint32_t lane = 0; lane < kLanes; ++lane)
        text += ' ' + std::to_string(static_cast<std::int32_t>(values[lane]));
    return text;
}

}  // namespace

extern "C" {

void watch_flit(int x, int y, int line, int detail, const svBitVecVal* flit) {
    static const char* const names[] = {"out ", "grant ", "axon "};
    std::string line_text = names[line];
    if (line == 1) line_text += std::string(kLetters[detail % 5]) + ' ' + kLetters[detail / 5] + ' ';
    watched.lines.push_back({watched.core(x, y), line, line_text + text({flit[0], flit[1], flit[2]})});
}

void watch_issue(int x, int y, const svBitVecVal* flit, int address, const svBitVecVal* before,
                 const svBitVecVal* after) {
    const std::uint64_t high = (std::uint64_t{flit[2]} << 32) | flit[1];
    const auto field = [high](int at, std::uint32_t mask) { return std::to_string((high >> at) & mask); };
    std::string line = "issue " + field(42, 255) + ' ' + field(24, 1023) + ' ' + field(14, 1023) + ' ' +
                       field(0, 16383) + ' ' + std::to_string(static_cast<std::int32_t>(flit[0])) + ' ' +
                       std::to_string(address);
    if (address >= 0) line += words(before) + words(after);
    watched.lines.push_back({watched.core(x, y), 3, line});
}

void watch_word(int x, int y, int line, int tile, int address, const svBitVecVal* values) {
    static const char* const names[] = {"read ", "fire ", "write "};
    std::string line_text = names[line - 4];
    if (line == 5) line_text += std::to_string(tile) + ' ';
    watched.lines.push_back({watched.core(x, y), line, line_text + std::to_string(address) + words(values)});
}

// Only a mesh with planted bugs asks.
int watch_mutant() { return static_cast<int>(watched.mutant); }

void watch_case(const char* unit, int number, const char* name) {
    auto& [names, counts] = watched.cases[unit];
    names.resize(std::max(names.size(), static_cast<std::size_t>(number) + 1));
    counts.resize(names.size());
    names[static_cast<std::size_t>(number)] = name;
}

void watch_hits(const char* unit, const svBitVecVal* hits) {
    auto& counts = watched.cases[unit].second;
    for (std::size_t k = 0; k < counts.size() && k < kCases; ++k) counts[k] += (hits[k / 32] >> (k % 32)) & 1;
}

}  // extern "C"

Chip::Chip(const Firmware& firmware, std::uint32_t mutant)
    : context_(std::make_unique<VerilatedContext>()), mesh_(std::make_unique<Vmesh>(context_.get())) {
    check(firmware.chip);
    const auto writes = loads(firmware);
    watched = Watched{firmware.chip.width, mutant, {}, {}};
    mesh_->rst = 1;
    mesh_->load = 0;
    clock();
    mesh_->load = 1;
    for (const auto& write : writes) {
        mesh_->load_x = static_cast<std::uint8_t>(write.x);
        mesh_->load_y = static_cast<std::uint8_t>(write.y);
        mesh_->load_memory = static_cast<std::uint8_t>(write.memory);
        mesh_->load_address = static_cast<std::uint16_t>(write.address);
        for (std::uint32_t k = 0; k < 16; ++k) mesh_->load_word[k] = write.word[k];
        clock();
    }
    mesh_->load = 0;
    clock();
    mesh_->rst = 0;
}

Chip::~Chip() { mesh_->final(); }

void Chip::clock() {
    mesh_->clk = 0;
    mesh_->eval();
    mesh_->clk = 1;
    mesh_->eval();
    context_->timeInc(1);
}

std::vector<std::string> Chip::cycle(EdgeHost& host, const EdgeHost::Acts& acts) {
    mesh_->host_valid = link_.sends;
    for (std::uint32_t k = 0; k < 3; ++k) mesh_->host_flit[k] = link_.sent[k];
    mesh_->edge_credit = acts.pops;
    mesh_->clk = 0;
    mesh_->eval();
    const bool credit = mesh_->host_credit, arrives = mesh_->edge_valid;
    const Flit arriving{mesh_->edge_flit[0], mesh_->edge_flit[1], mesh_->edge_flit[2]};
    watched.lines.clear();
    mesh_->clk = 1;
    mesh_->eval();
    context_->timeInc(1);
    host.end(cycle_, acts, credit, arrives, arriving);
    link_ = acts;

    std::stable_sort(watched.lines.begin(), watched.lines.end(), [](const Line& a, const Line& b) {
        return std::tie(a.core, a.order) < std::tie(b.core, b.order);
    });
    std::vector<std::string> lines;
    for (const auto& line : watched.lines) {
        lines.push_back(std::to_string(cycle_) + ' ' + std::to_string(line.core) + ' ' + line.text);
    }
    ++cycle_;
    return lines;
}

void Chip::add(Coverage& coverage) const {
    for (const auto& [unit, cases] : watched.cases) {
        for (std::size_t k = 0; k < cases.first.size(); ++k) coverage[unit + ": " + cases.first[k]] += cases.second[k];
    }
}

}  // namespace spk::chip::cosim
