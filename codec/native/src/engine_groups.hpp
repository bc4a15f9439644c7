// Motion and luma shift of cells: the splats of a square move together, taken only where the exact trial pays.
#pragma once

#include "engine_group.hpp"
#include "engine_pframe.hpp"

namespace splatcall {

class GroupSearch {
public:
    GroupSearch(PEngine& engine, const std::vector<Flow>& flows, PResult& result);
    // Works through the levels, coarse to fine, then the shifts; leaves the new vectors in the engine.
    void run();

private:
    struct Motion {
        int v[2] = {0, 0};
        int affine[4] = {0, 0, 0, 0};
        bool turns() const { return affine[0] || affine[1] || affine[2] || affine[3]; }
        bool operator==(const Motion& o) const {
            return std::equal(v, v + 2, o.v) && std::equal(affine, affine + 4, o.affine);
        }
    };
    struct Cell {
        int index, column, row;
        std::vector<int> slots;
        std::vector<Motion> candidates;
        Window window;
        double error = 0;  // when its level began
        float rise = 0;
        Motion taken;
        bool on = false;
        int shift = 0;
        float shift_gain = 0;
    };
    // What a worker needs to try one cell.
    struct Scratch {
        std::vector<Geometry> before;
        Group group;
        std::vector<float> x, y;  // [padded splats] of the motion under trial
    };

    void run_level(int level);
    void run_shifts(int level);
    std::vector<Cell> make_cells(int cell_px) const;
    // Leaves the cells whose error has risen enough to pay for motion, the most risen first.
    void screen(std::vector<Cell>& cells, int cell_px) const;
    // Leaves the cells whose error could pay for motion.
    void leave_worth(std::vector<Cell>& cells, int cell_px);
    void find_candidates(Cell& cell, int level) const;
    // A window for all that a cell's splats may do.
    Window reach_of(const Cell& cell, int cell_px) const;
    void fit_affine(const Cell& cell, const Flow& flow, int cell_px, std::vector<Motion>& out) const;
    void search(Cell& cell, int level, Scratch& scratch) const;
    void search_shift(Cell& cell, int level, Scratch& scratch) const;
    void begin_trials(const Cell& cell, Scratch& scratch) const;
    void commit(const Cell& cell, int level);
    void commit_shift(const Cell& cell);
    void move(const Motion& motion, int column, int row, int cell_px, const int32_t* from, int32_t* to) const;
    void predict_vector(int level, int column, int row, int out[2]) const;
    float motion_bits(const Cell& cell, int level, const Motion& motion) const;
    float on_bits(int level, int column, int row) const;
    float any_bits(int level, int column, int row) const;
    float cell_lambda(const Cell& cell, int cell_px) const;
    void refine(const Cell& cell, int level, Scratch& scratch, Motion& best, float& best_cost) const;
    bool place(const Cell& cell, int level, Scratch& scratch, const Motion& motion) const;
    // What a motion costs, as far as this many passes over the strips tell; fewer where those before them tell that it is more
    // than `limit`.
    float try_motion(const Cell& cell, int level, Scratch& scratch, const Motion& motion, int passes, float limit) const;

    PEngine& e_;
    const std::vector<Flow>& flows_;
    PResult& result_;
    std::vector<Geometry> geometries_;  // [slots] as the splats are now
    std::vector<int32_t> start_;    // [slots, 9] where each splat was before the cells
    std::vector<int32_t> sums_;     // [rows16, columns16, 2] vectors of this frame so far
    std::vector<Scratch> scratch_;  // one a worker
    std::vector<float> block_errors_;  // of 16 px blocks; none where motion has changed them since
    float bits_ = 0;                // spent on cells so far
    int columns16_, rows16_;
};

}  // namespace splatcall
