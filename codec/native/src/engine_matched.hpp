// Motion of cells by matching pixels. Where little moves, exact trials decide about what the pixels suggest; where more
// moves than there is time for, all cells move at once, and what did not pay on the splats' picture is taken back.
#pragma once

#include "engine_blocks.hpp"
#include "engine_pframe.hpp"

namespace splatcall {

class MatchedMotion {
public:
    MatchedMotion(PEngine& engine, PResult& result);
    // Moves the splats and writes the cells; leaves the new vectors in the engine.
    void run();
    // The vectors that cells would move by all at once. calm: [rows16, columns16] blocks that stay where they are.
    const BlockLevel* propose(std::vector<uint8_t> calm, const std::function<float(int, int)>& lambda_at);

private:
    using Lambda = std::function<float(int, int)>;  // at (x, y) px

    void draw_luma();
    BlockMatch match_of(std::vector<uint8_t> calm, const Lambda& lambda_at) const;
    // About how many steps exact trials of all cells would take.
    double exact_steps(const std::vector<BlockVector>& found) const;
    // Lets exact trials decide, with the blocks' vectors for a flow.
    void try_exactly(const std::vector<BlockVector>& found);
    void move_at_once(BlockSearch& search);
    // Leaves out the finest cells that save least, until the cells fit into one part of a frame.
    void trim();
    // Puts every splat where the cells that are on lead it.
    void apply();
    // Leaves out cells whose part of the picture did not get better by their bits; tells whether there were any.
    bool drop_worse(const std::vector<float>& before);
    void write();
    float bits(int level, int at) const;
    template <class Fn>
    void for_cells_below(int level, int column, int row, Fn fn) const;

    PEngine& e_;
    PResult& result_;
    int columns_, rows_;  // blocks
    LumaPyramid picture_, target_;
    BlockLevel levels_[kLevels];
    std::vector<int32_t> start_;  // [slots, 9] where each splat was before
};

}  // namespace splatcall
