// The retire-level trace: one line per act, sorted by cycle, core and kind (docs/chip.md, "Trace").
//
// Contract: acts may be reported in any order, but none of a cycle that has been flushed.
#pragma once

#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include "fifo.hpp"
#include "flit.hpp"

namespace spk::chip {

class Trace {
  public:
    // Throws std::system_error, as `flush` does.
    explicit Trace(const std::string& path);
    ~Trace();
    Trace(const Trace&) = delete;
    Trace& operator=(const Trace&) = delete;

    void enter(Cycle now, std::uint32_t core, const Flit& flit);
    void grant(Cycle now, std::uint32_t core, std::uint32_t input, std::uint32_t output, const Flit& flit);
    void receive(Cycle now, std::uint32_t core, const Flit& flit);
    // `address` -1: a null issue.
    void issue(Cycle now, std::uint32_t core, const Flit& event, std::int64_t address,
               std::span<const std::int32_t> before, std::span<const std::int32_t> after);
    void read(Cycle now, std::uint32_t core, std::int64_t address, std::span<const std::int32_t> word);
    void fire(Cycle now, std::uint32_t core, std::uint32_t tile, std::int64_t address,
              std::span<const std::int32_t> counts);
    void write(Cycle now, std::uint32_t core, std::int64_t address, std::span<const std::int32_t> word);
    void host_send(Cycle now, const Flit& flit);
    void host_receive(Cycle now, const Flit& flit);

    // Write all lines of cycles before `now`, of which none can follow.
    void flush(Cycle now);

  private:
    enum Rank : std::uint32_t { kOut, kGrant, kAxon, kIssue, kRead, kFire, kWrite, kSend, kPop };

    struct Line {
        Cycle cycle;
        std::uint64_t order;  // core, rank, and the output of a grant
        std::string text;
    };

    std::string& line(Cycle now, std::uint32_t core, Rank rank, std::uint32_t minor = 0);

    [[noreturn]] void fail() const;

    std::string path_;
    std::FILE* file_;
    std::vector<Line> lines_;
};

}  // namespace spk::chip
