// Changes of single splats: proposals from a Gauss-Newton model in quantiser steps, integer descent with the bits in it,
// exact trials of the best two, committed at once.
#pragma once

#include <atomic>

#include "engine_items.hpp"
#include "engine_pframe.hpp"
#include "engine_quadratic.hpp"

namespace splatcall {

class Sweep {
public:
    Sweep(PEngine& engine, PResult& result);
    // Sweep number `index` over the splats; later ones visit only what changed around them and what nearly paid.
    void run(int index);
    // Before the sweeps: colours alone, whose effect on the error is known exactly without a trial.
    void run_colors();
    // Writes updates and deaths into the result.
    void finish();

private:
    // One splat under trial: its model in steps and what it costs now.
    struct Visit {
        int slot;
        Geometry now;
        float gradient[8], hessian[64];
        float lambda, activation, bits_now;
        int limit[8];
    };
    struct Candidate {
        int delta[8];
        float cost;  // predicted change of error + lambda * bits
    };

    void make_plan();
    void mark_risen();
    // Visits the splats of all items, or of those where some splat passes.
    template <class Visitor, class Passes>
    void run_rounds(Visitor visitor, Passes passes);
    // Whether a later sweep has no reason to look at a splat.
    bool settled(int slot) const;
    float lambda_at(int slot) const { return e_.lambda_at(e_.fields(slot)[0] >> 4, e_.fields(slot)[1] >> 4); }
    void visit(int slot, const SweepItem& item, int index);
    void visit_color(int slot);
    void best_color(const Visit& v, const ColorModel& model, int best[8]) const;
    void load_model(Visit& v) const;
    float activation_bits(int slot) const;
    float bits(const Visit& v, const int delta[8]) const;
    float predict(const Visit& v, const int delta[8], QuadraticWalk& walk) const;
    void descend(const Visit& v, Candidate& c) const;
    bool place(int slot, const int delta[8], int32_t out[kFields]) const;
    bool try_candidates(Visit& v, const SweepItem& item, Candidate* candidates, int count);
    bool try_death(Visit& v);
    void take(Visit& v, const int32_t fields[kFields], const int delta[8], const Geometry& after);
    bool near_change(const Geometry& g) const;
    void mark_change(const Geometry& g);
    template <class Fn>
    void for_core_tiles(const Geometry& g, float most_px, Fn fn) const;

    PEngine& e_;
    PResult& result_;
    std::vector<int32_t> predicted_;  // [slots, 9] state after motion and shifts: deltas count from here
    std::vector<int32_t> delta_;      // [slots, 8]
    std::vector<Geometry> geometries_;  // [slots] of the live ones, as they are now
    std::vector<uint8_t> changed_, changed_before_;  // [slots] now, and at the start of the round
    std::vector<int> block_changed_;
    std::vector<uint8_t> dirty_before_;
    std::vector<std::atomic<uint8_t>> dirty_;  // [tiles of 16 px]
    SweepPlan plan_;
    std::atomic<int> trials_{0}, matrices_{0}, unvisited_{0};
    float lambda_factor_ = 1;
    int tile_columns_, tile_rows_;
};

}  // namespace splatcall
