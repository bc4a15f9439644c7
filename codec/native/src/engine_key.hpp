// The key frame's closed loop: sweeps over quantised splats with the true cost of a key frame's symbols, deleting every
// splat whose exact rise in error costs less than its bits.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "engine_canvas.hpp"
#include "engine_cost.hpp"
#include "engine_items.hpp"
#include "engine_quadratic.hpp"

namespace splatcall {

inline constexpr int kClasses = 5;

struct KeySteps {
    int mean[kClasses];
    int scale, shape, luma, chroma;
};

// Size class of a log-scale (SPEC section 5).
int size_class(int log_scale);

class KeyEngine {
public:
    KeyEngine(int width, int height, float chroma_weight, KeySteps steps, const TableCosts& costs, int threads);

    void set_target(const uint8_t* rgb) { canvas_.set_target(rgb); }
    // splats: [count, 8] state values on the key lattice; samples: base, [3, rows, columns]; base: [3, height, width].
    void load(const int32_t* splats, int count, const int32_t* samples, int rows, int columns, const float* base);
    // What a sweep does: change splats, delete them, or both.
    struct SweepKind {
        bool changes, deletes;
    };
    // One sweep over all splats at this lambda; returns how many changed or went.
    int sweep(float lambda, const float* lambda_map, SweepKind kind);
    // Snaps state values [8] to the lattice and into the ranges that key frames may hold.
    void snap(int32_t* fields) const;

    std::vector<int32_t> splats() const;  // [alive, 8]
    double bits() const;                  // estimate for all splats, places included
    double squared_error() const { return canvas_.squared_error(); }
    Canvas& canvas() { return canvas_; }

private:
    struct Prediction {
        int color[3], e[2];
    };
    struct Candidate {
        int32_t f[8];
        float cost, bits;
    };
    struct Visit {
        int index;
        Geometry now;
        float gradient[8], hessian[64];
        float lambda, bits_now;
    };

    void predict();
    float rate(int index, const int32_t f[8]) const;
    void residuals(int index, const int32_t f[8], int k, int r[8]) const;
    void visit(int index, const SweepItem& item, SweepKind kind);
    float evaluate(const Visit& v, const int32_t f[8], QuadraticWalk& walk, float& bits) const;
    void descend(const Visit& v, Candidate& c) const;
    bool improve(const Visit& v, Candidate& c, QuadraticWalk& here, int32_t f[8]) const;
    bool take_best(Visit& v, const SweepItem& item, Candidate* candidates, int count);
    int step_of(int field, int k) const;
    Fields fields(int index) const { return &splats_[static_cast<size_t>(index) * kFields]; }

    int width_, height_;
    KeySteps steps_;
    KeyCosts costs_;
    Canvas canvas_;
    std::vector<int32_t> splats_, samples_;
    int base_rows_ = 0, base_columns_ = 0, count_ = 0;
    std::vector<Prediction> predictions_;
    float place_bits_[kClasses] = {};
    float lambda_ = 0;
    const float* lambda_map_ = nullptr;
    std::atomic<int> changes_{0};
};

}  // namespace splatcall
