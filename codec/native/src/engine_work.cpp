#include "engine_work.hpp"

#include <algorithm>

namespace splatcall {

void Work::begin(const WorkBudget& budget, Clock::time_point start) {
    budget_ = budget;
    start_ = start;
    cut_ = budget.cut;
    limit_ = spent_ = bits_ = next_ticket_ = started_ = 0;
    std::fill_n(steps_, kWorkStages, 0);
    std::fill_n(worked_ms_, kWorkStages, 0.);
}

void Work::enter(WorkStage stage, double share) {
    stage_ = stage;
    limit_ = static_cast<int64_t>(share * static_cast<double>(budget_.units));
}

void Work::begin_round(int n, int threads) {
    if (static_cast<int>(jobs_.size()) < n) jobs_ = std::vector<Job>(n);
    for (int i = 0; i < n; ++i) jobs_[i].done.store(false, std::memory_order_relaxed);
    cursors_.assign(threads, {});
    lag_ = kLag * threads;
    round_start_ = Clock::now();
}

bool Work::admit(int64_t ticket) {
    if (budget_.clock_s <= 0) return cut_ < 0 || ticket < cut_;
    std::lock_guard<std::mutex> lock(mutex_);
    // Jobs with later tickets may have started already: the cut comes after them, and this one is done too.
    if (cut_ < 0 && Clock::now() >= start_ + std::chrono::duration<double>(budget_.clock_s))
        cut_ = std::max(started_, next_ticket_);
    if (cut_ >= 0 && ticket >= cut_) return false;
    started_ = std::max(started_, ticket + 1);
    return true;
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
}

void Work::end_job(int index) {
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
