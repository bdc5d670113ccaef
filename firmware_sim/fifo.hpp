// A FIFO of the mesh, together with the link that leads to it and the credits of that link's sender.
//
// A flit is put in as it is sent, with the cycle from which it is visible at the FIFO's head; a slot is therefore taken
// from sending to popping, which is just what the sender's credits count.
//
// Contract: at most one push and one pop in a cycle. What `visible` and `credit` answer about a cycle does not depend
// on whether pushes and pops of that same cycle have been made already: units may be visited in any order.
#pragma once

#include <cstdint>
#include <vector>

#include "flit.hpp"

namespace spk::chip {

using Cycle = std::int64_t;

class Fifo {
  public:
    explicit Fifo(std::uint32_t depth = 1) : depth_(depth) {}

    bool empty() const { return count_ == 0; }
    std::uint32_t size() const { return count_; }
    std::uint32_t depth() const { return depth_; }

    // Of a FIFO that is not empty: its first flit, and since when that can be popped.
    const Flit& head() const { return ring_[first_].flit; }
    Cycle head_visible() const { return ring_[first_].visible; }
    bool visible(Cycle now) const { return count_ > 0 && ring_[first_].visible <= now; }

    // Whether the sender has a credit at the start of cycle `now`; pops of `now` itself give theirs back in the next.
    bool credit(Cycle now) const { return count_ + (last_pop_ == now ? 1 : 0) < depth_; }
    bool popped_at(Cycle now) const { return last_pop_ == now; }

    void push(const Flit& flit, Cycle visible) {
        if (count_ == ring_.size()) grow();
        ring_[(first_ + count_) & (ring_.size() - 1)] = {flit, visible};
        ++count_;
    }

    void pop(Cycle now) {
        first_ = (first_ + 1) & (static_cast<std::uint32_t>(ring_.size()) - 1);
        --count_;
        last_pop_ = now;
    }

    // The sender waits for a credit: whoever pops must wake it.
    bool sender_waits = false;

  private:
    struct Entry {
        Flit flit;
        Cycle visible;
    };

    void grow() {
        std::vector<Entry> larger(ring_.empty() ? 4 : ring_.size() * 2);
        for (std::uint32_t i = 0; i < count_; ++i) larger[i] = ring_[(first_ + i) & (ring_.size() - 1)];
        ring_.swap(larger);
        first_ = 0;
    }

    std::vector<Entry> ring_;  // a power of two, grown when needed: most FIFOs never fill
    std::uint32_t depth_, first_ = 0, count_ = 0;
    Cycle last_pop_ = -1;
};

}  // namespace spk::chip
