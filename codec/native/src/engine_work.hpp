// The budget of one frame in work units: counted where kernels run, so that neither threads nor the clock decide what
// is done within it.
//
// A kernel call counts steps, about one a pixel that it visits; a step costs the price of the stage it runs in. Jobs of
// a round get tickets in order. Job i starts if the jobs up to i - kLag x threads left it units, whichever thread ran
// them, so the same units give the same work. The clock only backs this up: when it strikes, no later ticket starts,
// and that ticket, given back as the cut, ends another run of the same frame at the same place.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <mutex>
#include <thread>
#include <vector>

#include "thread_pool.hpp"

namespace splatcall {

enum WorkStage { kCellStage, kSweepStage, kBirthStage, kWorkStages };

// What a thread did and may still do; only jobs of Work::run look at `stop`.
struct ThreadWork {
    int64_t steps = 0;
    int64_t stop = std::numeric_limits<int64_t>::max();
};

inline ThreadWork& thread_work() {
    static thread_local ThreadWork work;
    return work;
}

// True when the running job has used up what it may.
inline bool out_of_work() { return thread_work().steps >= thread_work().stop; }

struct WorkBudget {
    int64_t units = 0;                           // 0: no limit
    int32_t prices[kWorkStages] = {1, 1, 1};     // units of one step, by stage
    int64_t cut = -1;                            // ticket from which on nothing starts, -1: none
    double clock_s = 0;                          // wall time after which nothing starts, 0: none
};

class Work {
public:
    using Clock = std::chrono::steady_clock;

    void begin(const WorkBudget& budget, Clock::time_point start);
    // Work from here on belongs to a stage, which ends when this share of the units is spent.
    void enter(WorkStage stage, double share);
    // True when nothing more is to start in this stage.
    bool over() const { return (budget_.units > 0 && spent_ >= limit_) || (cut_ >= 0 && next_ticket_ >= cut_); }

    // Calls fn(index, worker) for 0..n-1 on the pool; jobs that must not start find out_of_work() true at once.
    template <class Fn>
    void run(ThreadPool& pool, int n, Fn&& fn) {
        begin_round(n, pool.threads());
        pool.parallel_for(n, [&](int index, int worker) {
            begin_job(index, worker);
            fn(index, worker);
            end_job(index);
        });
        end_round(n);
    }

    int64_t steps(WorkStage stage) const { return steps_[stage]; }
    // Wall time inside run().
    double worked_ms(WorkStage stage) const { return worked_ms_[stage]; }
    int64_t spent() const { return spent_; }
    // The ticket from which on nothing started, by the budget or by the clock; -1: neither.
    int64_t cut() const { return cut_; }

private:
    static constexpr int kLag = 2;  // jobs a thread may run ahead of what is counted
    struct Cursor {                 // of one worker: units of the jobs before `next`
        int next = 0;
        int64_t units = 0;
    };

    void begin_round(int n, int threads);
    void begin_job(int index, int worker);
    void end_job(int index);
    void end_round(int n);
    bool admit(int64_t ticket);

    WorkBudget budget_;
    Clock::time_point start_, round_start_;
    WorkStage stage_ = kCellStage;
    int64_t limit_ = 0, spent_ = 0, next_ticket_ = 0, cut_ = -1, started_ = 0;
    int64_t steps_[kWorkStages] = {};
    double worked_ms_[kWorkStages] = {};
    std::vector<std::atomic<int64_t>> done_;  // units of each job of the round, -1: not done
    std::vector<int64_t> begun_;              // [jobs] the thread's steps when it began
    std::vector<Cursor> cursors_;             // one a worker
    int lag_ = kLag;
    std::mutex mutex_;
};

}  // namespace splatcall
