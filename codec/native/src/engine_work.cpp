#include "engine_work.hpp"

#include <algorithm>
#include <ctime>

namespace splatcall {

namespace {

double thread_cpu_s() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double seconds(Work::Clock::duration time) { return std::chrono::duration<double>(time).count(); }

}  // namespace

void Work::begin(const WorkBudget& budget, Clock::time_point start) {
    budget_ = budget;
    start_ = start;
    cut_ = budget.cut;
    limit_ = spent_ = bits_ = next_ticket_ = started_ = 0;
    std::fill_n(steps_, kWorkStages, 0);
    std::fill_n(worked_ms_, kWorkStages, 0.);
    lost_s_.clear();
}

void Work::enter(WorkStage stage, double share) {
    stage_ = stage;
    limit_ = static_cast<int64_t>(share * static_cast<double>(budget_.units));
}

void Work::begin_round(int n, int threads) {
    if (static_cast<int>(jobs_.size()) < n) jobs_ = std::vector<Job>(n);
    for (int i = 0; i < n; ++i) jobs_[i].done.store(false, std::memory_order_relaxed);
    cursors_.assign(threads, {});
    lost_s_.resize(threads);
    lag_ = kLag * threads;
    round_start_ = Clock::now();
}

bool Work::admit(int64_t ticket) {
    if (budget_.clock_s <= 0) return cut_ < 0 || ticket < cut_;
    std::lock_guard<std::mutex> lock(mutex_);
    // Jobs with later tickets may have started already: the cut comes after them, and this one is done too.
    if (cut_ < 0 && clock_struck()) cut_ = std::max(started_, next_ticket_);
    if (cut_ >= 0 && ticket >= cut_) return false;
    started_ = std::max(started_, ticket + 1);
    return true;
}

// The worker that lost most counts: the others wait for its jobs.
bool Work::clock_struck() const {
    const double wall_s = seconds(Clock::now() - start_);
    return wall_s >= kLongest * budget_.clock_s ||
           wall_s - lost_ms() / 1000 >= budget_.clock_s;
}

double Work::lost_ms() const {
    return lost_s_.empty() ? 0 : 1000 * *std::max_element(lost_s_.begin(), lost_s_.end());
}

void Work::begin_job(int index, int worker) {
    ThreadWork& own = thread_work();
    jobs_[index].steps = own.steps;
    jobs_[index].bits = own.bits;
    own.stop = own.stop_bits = ThreadWork::kFree;
    if (budget_.units > 0 || budget_.bits > 0) {
        Cursor& cursor = cursors_[worker];
        for (; cursor.next <= index - lag_; ++cursor.next) {
            const Job& job = jobs_[cursor.next];
            while (!job.done.load(std::memory_order_acquire)) std::this_thread::yield();
            cursor.units += job.steps * budget_.prices[stage_];
            cursor.bits += job.bits;
        }
        if (budget_.units > 0)
            own.stop = own.steps + std::max<int64_t>(0, (limit_ - spent_ - cursor.units) / budget_.prices[stage_]);
        // The jobs that run beside this one share what is left.
        if (budget_.bits > 0) own.stop_bits = own.bits + std::max<int64_t>(0, (bits_limit() - bits_ - cursor.bits) / lag_);
    }
    if (!admit(next_ticket_ + index)) own.stop = own.steps;
    if (budget_.clock_s > 0) {
        cursors_[worker].began = Clock::now();
        cursors_[worker].began_cpu_s = thread_cpu_s();
    }
}

void Work::end_job(int index, int worker) {
    if (budget_.clock_s > 0) {
        const Cursor& cursor = cursors_[worker];
        const double lost_s = seconds(Clock::now() - cursor.began) - (thread_cpu_s() - cursor.began_cpu_s);
        std::lock_guard<std::mutex> lock(mutex_);
        lost_s_[worker] += std::max(lost_s, 0.);
    }
    Job& job = jobs_[index];
    job.steps = thread_work().steps - job.steps;
    job.bits = thread_work().bits - job.bits;
    job.done.store(true, std::memory_order_release);
}

void Work::end_round(int n) {
    worked_ms_[stage_] += std::chrono::duration<double, std::milli>(Clock::now() - round_start_).count();
    thread_work().stop = thread_work().stop_bits = ThreadWork::kFree;
    for (int i = 0; i < n; ++i) {
        steps_[stage_] += jobs_[i].steps;
        spent_ += jobs_[i].steps * budget_.prices[stage_];
        bits_ += jobs_[i].bits;
    }
    next_ticket_ += n;
}

}  // namespace splatcall
