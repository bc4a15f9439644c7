// A small pool of threads that sleep on condition variables while they wait: they never spin.
#pragma once

#include <memory>
#include <type_traits>

class ThreadPool {
public:
    // `threads` counts the caller, who always works too: 1 means no thread is made.
    explicit ThreadPool(int threads);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    int threads() const;

    // Calls fn(index) or fn(index, worker) for index 0..n-1, in any order, and returns when all are done. `worker` is
    // 0..threads-1 and no two calls at a time share one. If another thread (or a call from inside fn) is using the
    // pool, the caller does all of it alone as worker 0. fn must not throw.
    template <class Fn>
    void parallel_for(int n, Fn&& fn) {
        using Body = std::remove_reference_t<Fn>;
        run(n, [](void* body, int index, int worker) {
            if constexpr (std::is_invocable_v<Body&, int, int>)
                (*static_cast<Body*>(body))(index, worker);
            else
                (*static_cast<Body*>(body))(index);
        }, const_cast<void*>(static_cast<const void*>(&fn)));
    }

private:
    using Task = void (*)(void*, int, int);
    void run(int n, Task task, void* body);
    struct Shared;
    std::unique_ptr<Shared> shared_;
};

// The process's pool of this many threads (1..64, made at first use, kept for ever, made anew after a fork).
// Throws std::invalid_argument.
ThreadPool& shared_pool(int threads);
