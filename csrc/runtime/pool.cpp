#include "runtime/pool.hpp"

namespace spk {

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
    {
        const std::lock_guard lock(mutex_);
        items_ = items;
        task_ = task;
        call_ = call;
        next_.store(0, std::memory_order_relaxed);
        busy_ = static_cast<std::uint32_t>(workers_.size());
        ++round_;
    }
    wake_.notify_all();
    work(0);
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return busy_ == 0; });
}

void Pool::work(std::uint32_t thread) {
    for (;;) {
        const std::size_t item = next_.fetch_add(1, std::memory_order_relaxed);
        if (item >= items_) return;
        call_(task_, item, thread);
    }
}

void Pool::serve(std::uint32_t thread) {
    std::uint64_t seen = 0;
    std::unique_lock lock(mutex_);
    for (;;) {
        wake_.wait(lock, [&] { return stopping_ || round_ != seen; });
        if (stopping_) return;
        seen = round_;
        lock.unlock();
        work(thread);
        lock.lock();
        if (--busy_ == 0) done_.notify_one();
    }
}

}  // namespace spk
