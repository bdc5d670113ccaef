#include "trace.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace spk::chip {
namespace {

constexpr std::uint32_t kHostPlace = 0xFFFFFFFF;  // behind all cores
constexpr char kLetters[] = "LNESW";

void add(std::string& text, std::int64_t number) {
    text += ' ';
    text += std::to_string(number);
}

void add(std::string& text, const Flit& flit) {
    for (const std::int64_t field : {std::int64_t{flit.kind}, std::int64_t{flit.x}, std::int64_t{flit.y},
                                     std::int64_t{flit.port}, std::int64_t{flit.t}, std::int64_t{flit.sy},
                                     std::int64_t{flit.sx}, std::int64_t{flit.channel}, std::int64_t{flit.value}}) {
        add(text, field);
    }
}

void add(std::string& text, std::span<const std::int32_t> word) {
    for (const std::int32_t lane : word) add(text, lane);
}

}  // namespace

Trace::Trace(const std::string& path) : path_(path), file_(std::fopen(path.c_str(), "wb")) {
    if (file_ == nullptr) fail();
}

// What happened before an error is worth having, but a second error is not.
Trace::~Trace() {
    try {
        flush(INT64_MAX);
    } catch (const std::system_error&) {
    }
    std::fclose(file_);
}

void Trace::fail() const { throw std::system_error(errno, std::generic_category(), "cannot write the trace " + path_); }

std::string& Trace::line(Cycle now, std::uint32_t core, Rank rank, std::uint32_t minor) {
    lines_.push_back({now, std::uint64_t{core} << 8 | rank << 4 | minor, std::to_string(now)});
    std::string& text = lines_.back().text;
    text += ' ';
    text += core == kHostPlace ? "host" : std::to_string(core);
    return text;
}

void Trace::enter(Cycle now, std::uint32_t core, const Flit& flit) {
    std::string& text = line(now, core, kOut);
    text += " out";
    add(text, flit);
}

void Trace::grant(Cycle now, std::uint32_t core, std::uint32_t input, std::uint32_t output, const Flit& flit) {
    std::string& text = line(now, core, kGrant, output);
    text += " grant ";
    text += kLetters[input];
    text += ' ';
    text += kLetters[output];
    add(text, flit);
}

void Trace::receive(Cycle now, std::uint32_t core, const Flit& flit) {
    std::string& text = line(now, core, kAxon);
    text += " axon";
    add(text, flit);
}

void Trace::issue(Cycle now, std::uint32_t core, const Flit& event, std::int64_t address,
                  std::span<const std::int32_t> before, std::span<const std::int32_t> after) {
    std::string& text = line(now, core, kIssue);
    text += " issue";
    for (const std::int64_t field : {std::int64_t{event.port}, std::int64_t{event.sy}, std::int64_t{event.sx},
                                     std::int64_t{event.channel}, std::int64_t{event.value}, address}) {
        add(text, field);
    }
    add(text, before);
    add(text, after);
}

void Trace::read(Cycle now, std::uint32_t core, std::int64_t address, std::span<const std::int32_t> word) {
    std::string& text = line(now, core, kRead);
    text += " read";
    add(text, address);
    add(text, word);
}

void Trace::fire(Cycle now, std::uint32_t core, std::uint32_t tile, std::int64_t address,
                 std::span<const std::int32_t> counts) {
    std::string& text = line(now, core, kFire);
    text += " fire";
    add(text, std::int64_t{tile});
    add(text, address);
    add(text, counts);
}

void Trace::write(Cycle now, std::uint32_t core, std::int64_t address, std::span<const std::int32_t> word) {
    std::string& text = line(now, core, kWrite);
    text += " write";
    add(text, address);
    add(text, word);
}

void Trace::host_send(Cycle now, const Flit& flit) {
    std::string& text = line(now, kHostPlace, kSend);
    text += " send";
    add(text, flit);
}

void Trace::host_receive(Cycle now, const Flit& flit) {
    std::string& text = line(now, kHostPlace, kPop);
    text += " pop";
    add(text, flit);
}

void Trace::flush(Cycle now) {
    std::stable_sort(lines_.begin(), lines_.end(), [](const Line& a, const Line& b) {
        return a.cycle != b.cycle ? a.cycle < b.cycle : a.order < b.order;
    });
    const auto end = std::find_if(lines_.begin(), lines_.end(), [now](const Line& line) { return line.cycle >= now; });
    for (auto each = lines_.begin(); each != end; ++each) std::fprintf(file_, "%s\n", each->text.c_str());
    lines_.erase(lines_.begin(), end);
    if (std::fflush(file_) != 0) fail();
}

}  // namespace spk::chip
