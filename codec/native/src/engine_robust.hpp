// What robust fits share: weights that leave out what does not go with the rest, worked out again in each pass.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

namespace splatcall {

constexpr int kFitPasses = 8;

// The middle value, of an even number the upper one.
template <class T>
T median(std::vector<T> values) {
    const auto middle = values.begin() + values.size() / 2;
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

// Size of a residual from which it counts for nothing, in a fit whose residuals have these sizes. Their deviation is
// that of the median, and at least `least`.
inline double tukey_reach(const std::vector<double>& sizes, double least) {
    constexpr double kTukey = 4.685, kMadToDeviation = 1.4826;
    return kTukey * std::max(kMadToDeviation * median(sizes), least);
}

inline double tukey_weight(double size, double reach) {
    const double t = size / reach;
    return t < 1 ? (1 - t * t) * (1 - t * t) : 0;
}

inline int bounded(double value, int low, int high) {
    return std::min(std::max(static_cast<int>(std::lrint(value)), low), high);
}

}  // namespace splatcall
