// Motion of blocks, found by matching pixels instead of trying splats: for frames that have no time for exact trials.
//
// The picture of the state, moved by a vector, is held against the target, block by block of 16 px; then the vectors of
// all levels of cells are chosen together, so that what the blocks of a cell share is coded once.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "engine_cost.hpp"
#include "engine_kernels.hpp"

namespace splatcall {

inline constexpr int kLevels = 4;    // cells of 128, 64, 32, 16 px
inline constexpr int kMatchPx = 16;  // of the finest cells
inline constexpr int cell_px_of(int level) { return 128 >> level; }

inline constexpr float kCellFlagBits = 4;  // of a cell that moves, beside its vector, about

// A vector in units of 1/4 px.
struct BlockVector {
    int x = 0, y = 0;
    bool operator==(const BlockVector& o) const { return x == o.x && y == o.y; }
};

// What each cell of one level adds to the vectors of those above it, and what that should save; [rows, columns].
struct BlockLevel {
    int rows = 0, columns = 0;
    std::vector<uint8_t> on;
    std::vector<BlockVector> added;
    std::vector<float> gain;
};

// A plane of luma whose edges go on, so that blocks can be read from beside it.
class PaddedLuma {
public:
    PaddedLuma(int width, int height);
    int width() const { return width_; }
    int height() const { return height_; }
    size_t stride() const { return stride_; }
    const float* at(int x, int y) const { return &samples_[(y + kMarginPx) * stride_ + x + kMarginPx]; }
    // luma: [width].
    void set_row(int y, const float* luma);
    // Repeats the first and last row beyond the edges, once all rows are set.
    void close();
    // The vector (1/4 px) nearest to v that a block of `px` at (x, y) may be read from without leaving the plane.
    BlockVector bounded(BlockVector v, int x, int y, int px) const;

private:
    static constexpr int kMarginPx = 48;
    int width_, height_;
    size_t stride_;
    std::vector<float> samples_;
};

// A plane and the means of its squares of 4 px.
struct LumaPyramid {
    PaddedLuma whole, quarter;
    LumaPyramid(int width, int height) : whole(width, height), quarter((width + 3) / 4, (height + 3) / 4) {}
    // Closes the whole plane, once all its rows are set, and makes the other.
    void finish();
};

struct BlockMatch {
    const EngineKernels& kernels;
    const LumaPyramid& before;  // the state's picture
    const LumaPyramid& target;
    const TableCost& vector_costs;             // of cells' vectors, as in GroupSearch::motion_bits
    const std::vector<int32_t>& last_vectors;  // [rows16, columns16, 2] of the last frame
    std::function<float(int, int)> lambda_at;  // at (x, y) px
    std::vector<uint8_t> calm;                 // [rows16, columns16] blocks that stay where they are
};

class BlockSearch {
public:
    BlockSearch(const BlockMatch& match, int threads);
    // Finds a vector for each block alone.
    void find();
    // After that, chooses the cells' vectors and fills the levels, coarse to fine.
    void choose(BlockLevel levels[kLevels]);
    // The vectors found, [rows16, columns16].
    const std::vector<BlockVector>& found() const { return found_; }

private:
    using Errors = std::vector<std::pair<BlockVector, float>>;  // of one block, worked out so far

    void find_coarse(int column, int row);
    void find_alone(int column, int row);
    void find_beside(int column, int row, const std::vector<BlockVector>& alone);
    void consider(int column, int row, BlockVector v, BlockVector& best, float& cost);
    void descend(int column, int row, BlockVector& best, float& cost);
    float alone_cost(int column, int row, BlockVector v);
    float error_of(int column, int row, BlockVector v);
    void gather_candidates(int level, int column, int row);
    // Least cost of a cell and all below it where those above it go by `parent`, and where it itself goes by v.
    float cell_cost(int level, int column, int row, BlockVector parent);
    float cost_by(int level, int column, int row, BlockVector v);
    float vector_bits(int level, int column, int row, BlockVector parent, BlockVector v) const;
    void settle(int level, int column, int row, BlockVector parent, BlockLevel levels[kLevels]);
    BlockVector last_at(int level, int column, int row) const;
    float lambda_of(int level, int column, int row) const;
    int columns_of(int level) const { return (m_.target.whole.width() + cell_px_of(level) - 1) / cell_px_of(level); }
    int rows_of(int level) const { return (m_.target.whole.height() + cell_px_of(level) - 1) / cell_px_of(level); }
    template <class Fn>
    void for_children(int level, int column, int row, Fn fn) const;

    const BlockMatch& m_;
    int threads_, columns_, rows_;
    std::vector<Errors> errors_;                                 // [blocks]
    std::vector<BlockVector> coarse_, found_;                    // [cells of 32 px], [blocks]
    std::vector<std::vector<BlockVector>> candidates_[kLevels];  // of each cell
};

}  // namespace splatcall
