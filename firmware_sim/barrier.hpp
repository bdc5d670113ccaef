// Where the threads of a run meet in every cycle: one leads, the others follow.
//
// Contract: what a thread did before it arrived is seen by all when they go on. A cycle takes less than a microsecond,
// so that threads spin for a while before they give the processor away.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

namespace spk::chip {

class Barrier {
  public:
    explicit Barrier(std::uint32_t threads) : threads_(threads) {}

    // The thread that leads: waits for all others, who then wait for it, and lets them go on.
    void gather() {
        wait([this] { return arrived_.load(std::memory_order_acquire) + 1 == threads_; });
    }
    void release() {
        arrived_.store(0, std::memory_order_relaxed);
        round_.fetch_add(1, std::memory_order_release);
    }
    void lead() {
        gather();
        release();
    }
    // The others.
    void follow() {
        const std::uint32_t round = round_.load(std::memory_order_relaxed);
        arrived_.fetch_add(1, std::memory_order_acq_rel);
        wait([this, round] { return round_.load(std::memory_order_acquire) != round; });
    }

  private:
    static constexpr int kSpins = 2000;

    template <class Done>
    static void wait(Done done) {
        for (int spins = 0; !done(); ++spins) {
            if (spins > kSpins) std::this_thread::yield();
        }
    }

    const std::uint32_t threads_;
    alignas(64) std::atomic<std::uint32_t> arrived_{0};
    alignas(64) std::atomic<std::uint32_t> round_{0};
};

}  // namespace spk::chip
