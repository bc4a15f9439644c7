#include "engine_work.hpp"

#include <algorithm>

namespace splatcall {

void Work::begin(const WorkBudget& budget, Clock::time_point start) {
    budget_ = budget;
    start_ = start;
    cut_ = budget.cut;
    limit_ = spent_ = next_ticket_ = started_ = 0;
    std::fill_n(steps_, kWorkStages, 0);
    std::fill_n(worked_ms_, kWorkStages, 0.);
}

void Work::enter(WorkStage stage, double share) {
    stage_ = stage;
    limit_ = static_cast<int64_t>(share * static_cast<double>(budget_.units));
}

void Work::begin_round(int n, int threads) {
    if (static_cast<int>(done_.size()) < n) done_ = std::vector<std::atomic<int64_t>>(n);
    begun_.resize(n);
    for (int i = 0; i < n; ++i) done_[i].store(-1, std::memory_order_relaxed);
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
    begun_[index] = own.steps;
    own.stop = std::numeric_limits<int64_t>::max();
    if (budget_.units > 0) {
        Cursor& cursor = cursors_[worker];
        for (; cursor.next <= index - lag_; ++cursor.next) {
            int64_t units;
            while ((units = done_[cursor.next].load(std::memory_order_acquire)) < 0) std::this_thread::yield();
            cursor.units += units;
        }
        own.stop = own.steps + std::max<int64_t>(0, (limit_ - spent_ - cursor.units) / budget_.prices[stage_]);
    }
    if (!admit(next_ticket_ + index)) own.stop = own.steps;
}

void Work::end_job(int index) {
    done_[index].store((thread_work().steps - begun_[index]) * budget_.prices[stage_], std::memory_order_release);
}

void Work::end_round(int n) {
    worked_ms_[stage_] += std::chrono::duration<double, std::milli>(Clock::now() - round_start_).count();
    thread_work().stop = std::numeric_limits<int64_t>::max();
    for (int i = 0; i < n; ++i) {
        const int64_t units = done_[i].load(std::memory_order_relaxed);
        spent_ += units;
        steps_[stage_] += units / budget_.prices[stage_];
    }
    next_ticket_ += n;
}

}  // namespace splatcall
