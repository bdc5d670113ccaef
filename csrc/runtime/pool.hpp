// A few threads that share the items of one task at a time.
//
// Contract: threads start in the constructor and end in the destructor; between tasks they sleep, after waiting a few
// dozen microseconds for the next one. A worker that comes too late is not waited for. `run` returns when every item is
// done, the caller working as thread 0; tasks do not nest. Which thread does which item is not determined, so items
// must write apart from each other. Only the constructor may allocate or throw.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace spk {

class Pool {
  public:
    explicit Pool(std::uint32_t threads);
    ~Pool();
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    std::uint32_t threads() const { return static_cast<std::uint32_t>(workers_.size()) + 1; }

    // Calls task(item, thread) for every item below `items`.
    template <typename Task>
    void run(std::size_t items, const Task& task) {
        if (workers_.empty() || items < 2) {
            for (std::size_t item = 0; item < items; ++item) task(item, 0u);
            return;
        }
        start(items, &task, [](const void* data, std::size_t item, std::uint32_t thread) {
            (*static_cast<const Task*>(data))(item, thread);
        });
    }

  private:
    using Call = void (*)(const void* task, std::size_t item, std::uint32_t thread);

    void start(std::size_t items, const void* task, Call call);
    void work(std::uint32_t thread);
    void serve(std::uint32_t thread);
    void stop();

    // Rounds: the number of the latest in the upper half; whether workers may still join it; how many are at work on
    // it.
    static constexpr std::uint64_t kRound = std::uint64_t{1} << 32, kOpen = std::uint64_t{1} << 31;
    static std::uint64_t working(std::uint64_t state) { return state & (kOpen - 1); }

    bool join(std::uint64_t* seen);

    std::vector<std::thread> workers_;
    std::mutex mutex_;
    std::condition_variable wake_, done_;
    std::atomic<std::uint64_t> state_{0};
    std::atomic<bool> stopping_{false};
    std::size_t items_ = 0;  // these three change only while no worker is at work
    const void* task_ = nullptr;
    Call call_ = nullptr;
    std::atomic<std::size_t> next_{0};
};

}  // namespace spk
