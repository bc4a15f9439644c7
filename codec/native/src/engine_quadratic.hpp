// A point on a quadratic model that moves a few coordinates at a time, at a cost that follows their number.
#pragma once

#include <algorithm>

namespace splatcall {

// change(x) = g.x + x^T H x / 2 with 8 coordinates; x starts at 0.
class QuadraticWalk {
public:
    QuadraticWalk(const float* gradient, const float* hessian) : gradient_(gradient), hessian_(hessian) {}

    float change() const { return change_; }
    // Moves to x; only coordinates that differ cost anything.
    void to(const float x[8]) {
        for (int k = 0; k < 8; ++k)
            if (x[k] != x_[k]) step(k, x[k] - x_[k]);
    }

private:
    void step(int k, float d) {
        change_ += d * (gradient_[k] + hx_[k] + .5f * d * hessian_[k * 8 + k]);
        x_[k] += d;
        for (int j = 0; j < 8; ++j) hx_[j] += d * hessian_[k * 8 + j];
    }

    const float* gradient_;
    const float* hessian_;
    float x_[8] = {}, hx_[8] = {};
    float change_ = 0;
};

}  // namespace splatcall
