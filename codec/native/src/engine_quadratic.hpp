// Quadratic models of one splat: their steps, and a point that moves a few coordinates at a time.
#pragma once

#include <algorithm>

namespace splatcall {

// Fields of a splat that a step may change together.
struct FieldSubset {
    const int* fields;
    int count;
};
inline constexpr int kAllFields[8] = {0, 1, 2, 3, 4, 5, 6, 7}, kColorFields[3] = {5, 6, 7},
                     kPlaceColorFields[5] = {0, 1, 5, 6, 7};

// Solves the damped model for the fields listed; the others stay 0. hessian [8, 8] row-major.
void solve_step(const float* hessian, const float* gradient, const int* fields, int count, float step[8]);
// The model with field k counted in units of unit[k].
void scale_model(const float* gradient, const float* hessian, const float unit[8], float scaled_gradient[8],
                 float scaled_hessian[64]);

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
