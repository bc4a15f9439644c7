// The key frame's closed loop: sweeps over quantised splats with the true cost of a key frame's symbols, deleting every
// splat whose exact rise in error costs less than its bits.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
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

// What a splat is to a sweep. The lead is swept like the free ones, but its picture alone counts too, and the others are
// predicted from it: part 0 of a key frame. Fixed ones stay as they are: known to decoders already, or still to come.
enum class KeyRole : int32_t { kFree = 0, kLead = 1, kKnown = 2, kPending = 3 };

class KeyEngine {
public:
    KeyEngine(int width, int height, float chroma_weight, KeySteps steps, const TableCosts& costs, int threads);
    // Works on a canvas that another engine keeps: `join` in place of `set_target` and `load`.
    KeyEngine(Canvas& canvas, KeySteps steps, const TableCosts& costs);

    void set_target(const uint8_t* rgb);
    // splats: [count, 9] state values, free ones and the lead are snapped to the key lattice; roles: [count] KeyRole; samples:
    // base, [3, rows, columns]; base: [3, height, width]. lead_weight: of the error of the lead's picture alone.
    void load(const int32_t* splats, const int32_t* roles, int count, const int32_t* samples, int rows, int columns,
              const float* base, float lead_weight);
    // Takes splats as `load` does, all of which the canvas shows already; free ones are drawn anew where they are snapped.
    void join(const std::vector<int32_t>& splats, const std::vector<KeyRole>& roles, const std::vector<int32_t>& samples,
              int rows, int columns);
    // What a sweep does: change splats, delete them, or both.
    struct SweepKind {
        bool changes, deletes;
    };
    // One sweep over all splats at this lambda; returns how many changed or went.
    int sweep(float lambda, const float* lambda_map, SweepKind kind);
    // Snaps state values [8] to the lattice and into the ranges that key frames may hold.
    void snap(int32_t* fields) const;

    std::vector<int32_t> splats() const;  // [alive, 9] of the free ones and the lead: fields and role
    double bits() const;                  // estimate for all splats, places included
    // Values of one splat as it is now, [9], kind 0 where it was deleted.
    Fields values(int index) const { return fields(index); }
    double squared_error() const { return canvas_.squared_error(); }
    // Squared error of the lead's picture alone, summed over square cells, in raster order; empty without a lead.
    std::vector<float> lead_errors(int cell_px) const;
    Canvas& canvas() { return canvas_; }

private:
    struct Prediction {
        int levels[8];  // of e1, e2, Y, Cb, Cr in their steps, at their fields
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

    struct Grid;

    bool is_fixed(int index) const { return roles_[index] == KeyRole::kKnown || roles_[index] == KeyRole::kPending; }
    bool counts_alone(int index) const { return lead_ && roles_[index] == KeyRole::kLead; }
    std::vector<Geometry> geometries(bool lead_only) const;
    void predict();
    void predict_splats(KeyRole role, Grid& grid);
    void set_place_bits();
    double trial(const Visit& v, const Geometry* after) const;
    void commit(const Visit& v, const Geometry* after);
    float rate(int index, const int32_t f[8]) const;
    void residuals(int index, const int32_t f[8], int k, int r[8]) const;
    void visit(int index, const SweepItem& item, SweepKind kind);
    float evaluate(const Visit& v, const int32_t f[8], QuadraticWalk& walk, float& bits) const;
    void descend(const Visit& v, Candidate& c) const;
    bool improve(const Visit& v, Candidate& c, QuadraticWalk& here, const int32_t f[8]) const;
    bool step_field(int32_t f[8], int field, int steps) const;
    bool is_snapped_shape(const int32_t* f) const;
    int level_of(int32_t value, int field) const;
    bool take_best(Visit& v, const SweepItem& item, Candidate* candidates, int count);
    int step_of(int field, int k) const;
    void set_steps();
    Fields fields(int index) const { return &splats_[static_cast<size_t>(index) * kFields]; }

    int width_, height_;
    KeySteps steps_;
    float inverse_steps_[8];  // of fields 2 on
    KeyCosts costs_;
    std::unique_ptr<Canvas> own_;   // where no other engine keeps one
    Canvas& canvas_;
    std::unique_ptr<Canvas> lead_;  // the lead alone; null where it does not count
    std::vector<uint8_t> target_;   // [height, width, 3]
    float lead_weight_ = 0;
    std::vector<int32_t> splats_, samples_;
    std::vector<KeyRole> roles_;
    int base_rows_ = 0, base_columns_ = 0, count_ = 0;
    std::vector<Prediction> predictions_;
    float place_bits_[kClasses] = {};
    float lambda_ = 0;
    const float* lambda_map_ = nullptr;
    std::atomic<int> changes_{0};
};

}  // namespace splatcall
