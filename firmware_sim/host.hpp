// The host at the edge of the mesh: sends the inputs, takes READYs and outputs.
//
// Contract: docs/chip.md, "The host".
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "state.hpp"

namespace spk::chip {

class Host {
  public:
    // `inputs`: for each Input record [T or 1, H, W, C], in the ranges that it allows.
    Host(Shared& shared, std::vector<std::span<const std::int32_t>> inputs);

    void visit(Cycle now);

    bool finished() const { return left_ == 0; }
    // For each Output record [T or 1, H, W, C].
    std::vector<std::vector<std::int32_t>> outputs;

    void describe(std::vector<std::string>& lines, std::size_t limit) const;

  private:
    struct Input {
        std::uint32_t t = 0, missing = 0;  // destinations that have not sent READY
        bool over = false;
    };

    bool take(Cycle now);
    void find_flits();
    void send(Cycle now);
    void send_end(Cycle now);
    void register_ready(const Flit& ready);
    void store(const Flit& flit);

    Shared& shared_;
    const Firmware& firmware_;
    std::vector<std::span<const std::int32_t>> values_;
    std::vector<Input> inputs_;
    std::vector<std::uint8_t> ready_;  // by destination of the host
    std::size_t left_;                 // inputs that are not over

    // The input that is being sent.
    bool sending_ = false;
    std::uint32_t input_ = 0;
    std::size_t at_ = 0, size_ = 0;  // the next value of this timestep
    std::vector<Flit> flits_;        // of the value before
    std::size_t flit_ = 0;
    std::uint32_t end_ = 0;

    Flit stage_;  // popped in the cycle before
    bool staged_ = false;
};

}  // namespace spk::chip
