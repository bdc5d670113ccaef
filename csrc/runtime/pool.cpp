#include "runtime/pool.hpp"

namespace spk {
namespace {

constexpr int kPatience = 1000;  // looks at a condition before a thread sleeps on it

void pause() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#else
    std::this_thread::yield();
#endif
}

// Whether `holds` became true soon: operators follow each other faster than threads fall asleep and wake.
template <typename Condition>
bool soon(const Condition& holds) {
    for (int look = 0; look < kPatience; ++look) {
        if (holds()) return true;
        pause();
    }
    return false;
}

}  // namespace

Pool::Pool(std::uint32_t threads) {
    try {
        workers_.reserve(threads - 1);
        for (std::uint32_t thread = 1; thread < threads; ++thread)
            workers_.emplace_back([this, thread] { serve(thread); });
    } catch (...) {
        stop();
        throw;
    }
}

Pool::~Pool() { stop(); }

void Pool::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
}

void Pool::start(std::size_t items, const void* task, Call call) {
    items_ = items;
    task_ = task;
    call_ = call;
    next_.store(0, std::memory_order_relaxed);
    {
        const std::lock_guard lock(mutex_);
        const std::uint64_t round = (state_.load(std::memory_order_relaxed) / kRound + 1) * kRound;
        state_.store(round | kOpen, std::memory_order_release);
    }
    wake_.notify_all();
    work(0);
    state_.fetch_and(~kOpen, std::memory_order_acq_rel);
    const auto done = [this] { return working(state_.load(std::memory_order_acquire)) == 0; };
    if (soon(done)) return;
    std::unique_lock lock(mutex_);
    done_.wait(lock, done);
}

void Pool::work(std::uint32_t thread) {
    for (;;) {
        const std::size_t item = next_.fetch_add(1, std::memory_order_relaxed);
        if (item >= items_) return;
        call_(task_, item, thread);
    }
}

// Takes part in the latest round, where it is open and not the one seen last.
bool Pool::join(std::uint64_t* seen) {
    std::uint64_t state = state_.load(std::memory_order_acquire);
    while ((state & kOpen) != 0 && state / kRound != *seen) {
        if (state_.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel)) {
            *seen = state / kRound;
            return true;
        }
    }
    return false;
}

void Pool::serve(std::uint32_t thread) {
    std::uint64_t seen = 0;
    for (;;) {
        bool joined = false;
        const auto called = [&] { return stopping_.load() || (joined = join(&seen)); };
        if (!soon(called)) {
            std::unique_lock lock(mutex_);
            wake_.wait(lock, called);
        }
        if (joined) {
            work(thread);
            if (working(state_.fetch_sub(1, std::memory_order_acq_rel)) == 1) {
                const std::lock_guard lock(mutex_);
                done_.notify_one();
            }
        }
        if (stopping_.load()) return;
    }
}

}  // namespace spk
