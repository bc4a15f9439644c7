// Splats of a P-engine that decoders do not have yet: a picture that grows keeps them in slots after the state's own.
//
// The canvas shows them, so that motion and changes of the state's splats are decided as if all were there. What happens to
// them costs no bits: they go with the flow, and are swept like a key frame's splats when their turn to be sent comes.
#pragma once

#include <vector>

#include "engine_key.hpp"
#include "engine_pframe.hpp"

namespace splatcall {

class Reserve {
public:
    Reserve(PEngine& engine, KeySteps steps, const TableCosts& costs);

    // Moves all of them along a flow to the target, a cell at a time and only where that brings the picture nearer to it.
    // Returns how many moved.
    int follow(const Flow& flow);
    // Sweeps those in these slots `passes` times with deletion, those already known and the rest in place. Returns the bits
    // that what is left of them takes.
    double sweep(const std::vector<int>& slots, int passes, float lambda, const float* lambda_map);
    // Gives those in `from` the slots `to` of the state, which must be dead.
    void move(const std::vector<int>& from, const std::vector<int>& to);

    const PEngine& engine() const { return e_; }

private:
    struct Cell {
        std::vector<int> slots;
        std::vector<Geometry> before, after;
        std::vector<int32_t> moved;  // [slots, 9]
        Window window;
        bool taken = false;
    };
    std::vector<Cell> moving_cells(const Flow& flow) const;
    void try_cell(Cell& cell) const;
    void commit(const std::vector<Geometry>& before, const std::vector<Geometry>& after) const;

    PEngine& e_;
    KeyEngine key_;
};

}  // namespace splatcall
