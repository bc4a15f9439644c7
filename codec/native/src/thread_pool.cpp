#include "thread_pool.hpp"

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

struct ThreadPool::Shared {
    std::mutex owner;  // held by the one caller who has the threads
    std::mutex mutex;
    std::condition_variable wake, done;
    Task task = nullptr;
    void* body = nullptr;
    int n = 0, running = 0;
    unsigned long round = 0;
    bool stop = false;
    std::atomic<int> next{0};
    std::vector<std::thread> workers;

    void drain(Task with, void* on, int count, int worker) {
        for (int index; (index = next.fetch_add(1, std::memory_order_relaxed)) < count;) with(on, index, worker);
    }

    void work(int worker) {
        unsigned long seen = 0;
        std::unique_lock<std::mutex> lock(mutex);
        for (;;) {
            wake.wait(lock, [&] { return stop || round != seen; });
            if (stop) return;
            seen = round;
            if (!task) continue;  // the round was over before this thread woke
            ++running;
            const Task with = task;
            void* const on = body;
            const int count = n;
            lock.unlock();
            drain(with, on, count, worker);
            lock.lock();
            if (--running == 0) done.notify_one();
        }
    }
};

ThreadPool::ThreadPool(int threads) : shared_(std::make_unique<Shared>()) {
    for (int worker = 1; worker < threads; ++worker)
        shared_->workers.emplace_back([this, worker] { shared_->work(worker); });
}

ThreadPool::~ThreadPool() {
    {
        std::lock_guard<std::mutex> lock(shared_->mutex);
        shared_->stop = true;
    }
    shared_->wake.notify_all();
    for (auto& worker : shared_->workers) worker.join();
}

int ThreadPool::threads() const { return static_cast<int>(shared_->workers.size()) + 1; }

void ThreadPool::run(int n, Task task, void* body) {
    std::unique_lock<std::mutex> owner(shared_->owner, std::defer_lock);
    if (n <= 1 || shared_->workers.empty() || !owner.try_lock()) {
        for (int index = 0; index < n; ++index) task(body, index, 0);
        return;
    }
    Shared& shared = *shared_;
    {
        std::lock_guard<std::mutex> lock(shared.mutex);
        shared.task = task;
        shared.body = body;
        shared.n = n;
        shared.next.store(0, std::memory_order_relaxed);
        ++shared.round;
    }
    shared.wake.notify_all();
    shared.drain(task, body, n, 0);
    std::unique_lock<std::mutex> lock(shared.mutex);
    shared.task = nullptr;  // late wakers find nothing
    shared.done.wait(lock, [&] { return shared.running == 0; });
}

ThreadPool& shared_pool(int threads) {
    if (threads < 1 || threads > 64)
        throw std::invalid_argument("threads: expected 1..64, got " + std::to_string(threads));
    static std::mutex mutex;
    static std::map<std::pair<pid_t, int>, ThreadPool*>& pools = *new std::map<std::pair<pid_t, int>, ThreadPool*>;
    std::lock_guard<std::mutex> lock(mutex);
    ThreadPool*& pool = pools[{getpid(), threads}];  // a fork has none of its parent's threads
    if (!pool) pool = new ThreadPool(threads);
    return *pool;
}
