// What every fit of splats to a picture does.
#pragma once

#include "thread_pool.hpp"

constexpr int FIT_PARAMS = 8;  // of a splat: two of the mean, three of the shape, three colours

// A picture to fit and rows [n, FIT_PARAMS] as they stand, in the caller's order. Calls must not overlap.
class SplatFit {
public:
    virtual ~SplatFit() = default;
    virtual void set_splats(const float* splats, int n) = 0;  // and forgets Adam's moments
    virtual void splats(float* out) const = 0;                // as they are, not rounded
    virtual int size() const = 0;
    // One pass over the picture: the loss at the splats as they are drawn, and their gradients inside.
    virtual double gradient(ThreadPool& pool) = 0;
    virtual void gradients(float* out) const = 0;  // [n, FIT_PARAMS] of gradient(), right after it
    // gradient(), then Adam with `rate` times the parameters' own rates. Returns the loss before the step.
    virtual double step(float rate, ThreadPool& pool) = 0;
};
