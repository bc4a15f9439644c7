// The budget of one frame in work units: counted where kernels run, so that neither threads nor the clock decide what
// is done within it.
//
// A kernel call counts steps, about one a pixel that it visits; a step costs the price of the stage it runs in. Jobs of
// a round get tickets in order. Job i starts if the jobs up to i - kLag x threads left it units, whichever thread ran
// them, so the same units give the same work. The clock only backs this up: when it strikes, no later ticket starts,
// and that ticket, given back as the cut, ends another run of the same frame at the same place. Time for which the
// system took a job off its core does not count for it, up to as much again: what another process does for a moment
// must not leave a frame half done. On an idle machine there is no such time.
//
// Bits are shared out in the same way: what jobs commit to is counted as the entropy coder would spend it, and each job
// may take its part of what those before it left, so that a frame stays within its allowance.
#pragma once

#include <atomic>
#include <chrono>
#include <cmath>
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
    static constexpr int64_t kFree = std::numeric_limits<int64_t>::max();
    int64_t steps = 0, stop = kFree;
    int64_t bits = 0, stop_bits = kFree;  // 1/256
};

inline ThreadWork& thread_work() {
    static thread_local ThreadWork work;
    return work;
}

// True when the running job has used up what it may.
inline bool out_of_work() { return thread_work().steps >= thread_work().stop; }

// True when the running job has committed to all the bits that it may.
inline bool out_of_bits() { return thread_work().bits >= thread_work().stop_bits; }

inline constexpr double kBitUnit = 256;

// Counts bits that the running job has committed to.
inline void count_bits(float bits) { thread_work().bits += static_cast<int64_t>(std::lrint(bits * kBitUnit)); }

struct WorkBudget {
    int64_t units = 0;                           // 0: no limit
    int32_t prices[kWorkStages] = {1, 1, 1};     // units of one step, by stage
    int64_t cut = -1;                            // ticket from which on nothing starts, -1: none
    double clock_s = 0;                          // time after which nothing starts, 0: none
    double bits = 0;                             // that the frame's commands may take, 0: no limit
};

class Work {
public:
    using Clock = std::chrono::steady_clock;

    void begin(const WorkBudget& budget, Clock::time_point start);
    // Work from here on belongs to a stage, which ends when this share of the units is spent.
    void enter(WorkStage stage, double share);
    // True when nothing more is to start in this stage.
    bool over() const {
        return (budget_.units > 0 && spent_ >= limit_) || (cut_ >= 0 && next_ticket_ >= cut_) || over_bits();
    }
    // True when the bits are committed to.
    bool over_bits() const { return budget_.bits > 0 && bits_ >= bits_limit(); }

    // Calls fn(index, worker) for 0..n-1 on the pool; jobs that must not start find out_of_work() true at once.
    template <class Fn>
    void run(ThreadPool& pool, int n, Fn&& fn) {
        begin_round(n, pool.threads());
        pool.parallel_for(n, [&](int index, int worker) {
            begin_job(index, worker);
            fn(index, worker);
            end_job(index, worker);
        });
        end_round(n);
    }

    int64_t steps(WorkStage stage) const { return steps_[stage]; }
    // Wall time inside run().
    double worked_ms(WorkStage stage) const { return worked_ms_[stage]; }
    // Wall time that jobs of the worker hit worst were off their core; 0 without a clock.
    double lost_ms() const;
    // Bits of all that was committed to.
    double bits() const { return static_cast<double>(bits_) / kBitUnit; }
    // Counts bits committed to between rounds.
    void add_bits(float bits) { bits_ += static_cast<int64_t>(std::lrint(bits * kBitUnit)); }
    // The ticket from which on nothing started, by the budget or by the clock; -1: neither.
    int64_t cut() const { return cut_; }

private:
    static constexpr int kLag = 2;  // jobs a thread may run ahead of what is counted
    static constexpr double kLongest = 2;  // times the clock's, wall time after which nothing starts whatever was lost
    struct Cursor {                 // of one worker: what the jobs before `next` took
        int next = 0;
        int64_t units = 0, bits = 0;
        Clock::time_point began;  // the running job, on the wall and in its thread's CPU time
        double began_cpu_s = 0;
    };
    struct Job {
        std::atomic<bool> done{false};
        int64_t steps = 0, bits = 0;  // the thread's when it began, then its own
    };

    void begin_round(int n, int threads);
    void begin_job(int index, int worker);
    void end_job(int index, int worker);
    void end_round(int n);
    bool admit(int64_t ticket);
    bool clock_struck() const;
    int64_t bits_limit() const { return static_cast<int64_t>(budget_.bits * kBitUnit); }

    WorkBudget budget_;
    Clock::time_point start_, round_start_;
    WorkStage stage_ = kCellStage;
    int64_t limit_ = 0, spent_ = 0, bits_ = 0, next_ticket_ = 0, cut_ = -1, started_ = 0;
    int64_t steps_[kWorkStages] = {};
    double worked_ms_[kWorkStages] = {};
    std::vector<Job> jobs_;        // of the round
    std::vector<Cursor> cursors_;  // one a worker
    std::vector<double> lost_s_;   // wall time of each worker's jobs off their core, in the whole frame
    int lag_ = kLag;
    std::mutex mutex_;
};

}  // namespace splatcall
