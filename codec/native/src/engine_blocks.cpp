#include "engine_blocks.hpp"

#include <algorithm>
#include <cmath>

#include "engine_robust.hpp"
#include "thread_pool.hpp"

namespace splatcall {
namespace {

constexpr int kSteps[] = {8, 4, 2, 1};  // 1/4 px, of the descent from the best candidate
constexpr int kMostMoves = 4;           // of one step of the descent
constexpr int kMostCandidates = 3;      // of a cell above the blocks
// Factors on the bits of a cell, by level: what pixels say of the smallest cells, the splats hardly follow.
constexpr float kMargin[kLevels] = {1, 1, 1.5f, 4};
constexpr int kCoarsePx = 8;            // window of the coarse search, in px of the quarter plane
constexpr int kCoarseReach = 6;         // likewise
constexpr int kQuarter = 4;
constexpr int kErrorsExpected = 48;

float length_bits(int v) { return 2.f * std::log2(1.f + static_cast<float>(std::abs(v))); }

void add_once(std::vector<BlockVector>& list, BlockVector v) {
    if (std::find(list.begin(), list.end(), v) == list.end()) list.push_back(v);
}

}  // namespace

PaddedLuma::PaddedLuma(int width, int height)
    : width_(width), height_(height), stride_(width + 2 * kMarginPx + kRowPadding),
      samples_((height + 2 * kMarginPx) * stride_) {}

void PaddedLuma::set_row(int y, const float* luma) {
    float* row = &samples_[(y + kMarginPx) * stride_];
    std::fill_n(row, kMarginPx, luma[0]);
    std::copy_n(luma, width_, row + kMarginPx);
    std::fill(row + kMarginPx + width_, row + stride_, luma[width_ - 1]);
}

void PaddedLuma::close() {
    const float *first = &samples_[kMarginPx * stride_], *last = &samples_[(height_ + kMarginPx - 1) * stride_];
    for (int k = 0; k < kMarginPx; ++k) {
        std::copy_n(first, stride_, &samples_[k * stride_]);
        std::copy_n(last, stride_, &samples_[(height_ + kMarginPx + k) * stride_]);
    }
}

BlockVector PaddedLuma::bounded(BlockVector v, int x, int y, int px) const {
    constexpr int kReach = kMarginPx - 2;
    const auto bound = [&](int value, int at, int size) {
        return std::min(std::max(value, 4 * (at + px - size - kReach)), 4 * (at + kReach));
    };
    return {bound(v.x, x, width_), bound(v.y, y, height_)};
}

void LumaPyramid::finish() {
    whole.close();
    std::vector<float> row(quarter.width());
    for (int y = 0; y < quarter.height(); ++y) {
        for (int x = 0; x < quarter.width(); ++x) {
            float sum = 0;
            for (int k = 0; k < kQuarter * kQuarter; ++k) sum += *whole.at(kQuarter * x + k % kQuarter, kQuarter * y + k / kQuarter);
            row[x] = sum / (kQuarter * kQuarter);
        }
        quarter.set_row(y, row.data());
    }
    quarter.close();
}

BlockSearch::BlockSearch(const BlockMatch& match, int threads)
    : m_(match), threads_(threads), columns_(columns_of(kLevels - 1)), rows_(rows_of(kLevels - 1)),
      errors_(static_cast<size_t>(columns_) * rows_), coarse_(static_cast<size_t>(columns_of(2)) * rows_of(2)), found_(errors_.size()) {}

template <class Fn>
void BlockSearch::for_children(int level, int column, int row, Fn fn) const {
    for (int r = 2 * row; r < std::min(rows_of(level + 1), 2 * row + 2); ++r)
        for (int c = 2 * column; c < std::min(columns_of(level + 1), 2 * column + 2); ++c) fn(c, r);
}

void BlockSearch::find() {
    ThreadPool& pool = shared_pool(threads_);
    pool.parallel_for(rows_of(2), [&](int row) {
        for (int column = 0; column < columns_of(2); ++column) find_coarse(column, row);
    });
    pool.parallel_for(rows_, [&](int row) {
        for (int column = 0; column < columns_; ++column) find_alone(column, row);
    });
    const std::vector<BlockVector> alone = found_;
    pool.parallel_for(rows_, [&](int row) {
        for (int column = 0; column < columns_; ++column) find_beside(column, row, alone);
    });
}

void BlockSearch::choose(BlockLevel levels[kLevels]) {
    for (int level = kLevels - 1; level >= 0; --level) {
        BlockLevel& out = levels[level];
        out.rows = rows_of(level);
        out.columns = columns_of(level);
        const size_t cells = static_cast<size_t>(out.rows) * out.columns;
        out.on.assign(cells, 0);
        out.added.assign(cells, {});
        out.gain.assign(cells, 0);
        candidates_[level].resize(cells);
        for (int row = 0; row < out.rows; ++row)
            for (int column = 0; column < out.columns; ++column) gather_candidates(level, column, row);
    }
    const int columns = columns_of(0);
    shared_pool(threads_).parallel_for(rows_of(0) * columns, [&](int i) { settle(0, i % columns, i / columns, {}, levels); });
}

float BlockSearch::error_of(int column, int row, BlockVector v) {
    Errors& known = errors_[row * columns_ + column];
    for (const auto& entry : known)
        if (entry.first == v) return entry.second;
    const PaddedLuma &before = m_.before.whole, &target = m_.target.whole;
    const int x = column * kMatchPx, y = row * kMatchPx;
    // the picture at (x - v/4, y - v/4): whole px towards minus infinity, and the rest
    const float fx = .25f * static_cast<float>((-v.x) & 3), fy = .25f * static_cast<float>((-v.y) & 3);
    const float error = m_.kernels.block_error(before.at(x + ((-v.x) >> 2), y + ((-v.y) >> 2)), before.stride(), target.at(x, y),
                                               target.stride(), std::min(kMatchPx, target.width() - x),
                                               std::min(kMatchPx, target.height() - y), fx, fy);
    known.emplace_back(v, error);
    return error;
}

float BlockSearch::lambda_of(int level, int column, int row) const {
    const int px = cell_px_of(level);
    return m_.lambda_at(column * px + px / 2, row * px + px / 2);
}

float BlockSearch::alone_cost(int column, int row, BlockVector v) {
    const BlockVector last = last_at(kLevels - 1, column, row);
    const float bits = std::min(length_bits(v.x) + length_bits(v.y), length_bits(v.x - last.x) + length_bits(v.y - last.y));
    return error_of(column, row, v) + lambda_of(kLevels - 1, column, row) * bits;
}

void BlockSearch::consider(int column, int row, BlockVector v, BlockVector& best, float& cost) {
    const BlockVector inside = m_.before.whole.bounded(v, column * kMatchPx, row * kMatchPx, kMatchPx);
    const float tried = alone_cost(column, row, inside);
    if (tried < cost) best = inside, cost = tried;
}

void BlockSearch::descend(int column, int row, BlockVector& best, float& cost) {
    for (const int step : kSteps)
        for (int move = 0; move < kMostMoves; ++move) {
            const BlockVector center = best;
            for (const BlockVector d : {BlockVector{step, 0}, {-step, 0}, {0, step}, {0, -step}})
                consider(column, row, {center.x + d.x, center.y + d.y}, best, cost);
            if (best == center) break;
        }
}

void BlockSearch::find_coarse(int column, int row) {
    bool calm = true;
    for_children(2, column, row, [&](int c, int r) { calm &= m_.calm[r * columns_ + c] != 0; });
    if (calm) return;
    const PaddedLuma &before = m_.before.quarter, &target = m_.target.quarter;
    const int x = column * kCoarsePx, y = row * kCoarsePx;
    const int width = std::min(kCoarsePx, target.width() - x), height = std::min(kCoarsePx, target.height() - y);
    float least = 1e30f;
    for (int dy = -kCoarseReach; dy <= kCoarseReach; ++dy)
        for (int dx = -kCoarseReach; dx <= kCoarseReach; ++dx) {
            const float error = m_.kernels.block_error(before.at(x - dx, y - dy), before.stride(), target.at(x, y), target.stride(),
                                                       width, height, 0, 0);
            const float cost = kQuarter * kQuarter * error + lambda_of(2, column, row) * (length_bits(dx) + length_bits(dy));
            if (cost < least) least = cost, coarse_[row * columns_of(2) + column] = {4 * kQuarter * dx, 4 * kQuarter * dy};
        }
}

void BlockSearch::find_alone(int column, int row) {
    const int at = row * columns_ + column;
    if (m_.calm[at]) return;
    errors_[at].reserve(kErrorsExpected);
    float cost = alone_cost(column, row, {});
    consider(column, row, last_at(kLevels - 1, column, row), found_[at], cost);
    consider(column, row, coarse_[row / 2 * columns_of(2) + column / 2], found_[at], cost);
    descend(column, row, found_[at], cost);
}

void BlockSearch::find_beside(int column, int row, const std::vector<BlockVector>& alone) {
    const int at = row * columns_ + column;
    if (m_.calm[at]) return;
    float cost = alone_cost(column, row, found_[at]);
    for (int r = std::max(0, row - 1); r <= std::min(rows_ - 1, row + 1); ++r)
        for (int c = std::max(0, column - 1); c <= std::min(columns_ - 1, column + 1); ++c)
            consider(column, row, alone[r * columns_ + c], found_[at], cost);
    if (!(found_[at] == alone[at])) descend(column, row, found_[at], cost);
}

BlockVector BlockSearch::last_at(int level, int column, int row) const {
    const int px = cell_px_of(level);
    const int c = std::min(column * px + px / 2, m_.target.whole.width() - 1) / kMatchPx;
    const int r = std::min(row * px + px / 2, m_.target.whole.height() - 1) / kMatchPx;
    const int32_t* v = &m_.last_vectors[2 * (static_cast<size_t>(r) * columns_ + c)];
    return {v[0], v[1]};
}

void BlockSearch::gather_candidates(int level, int column, int row) {
    std::vector<BlockVector>& list = candidates_[level][row * columns_of(level) + column];
    const int across = cell_px_of(level) / kMatchPx;
    std::vector<int> x, y;
    for (int r = row * across; r < std::min(rows_, (row + 1) * across); ++r)
        for (int c = column * across; c < std::min(columns_, (column + 1) * across); ++c)
            if (!m_.calm[r * columns_ + c]) x.push_back(found_[r * columns_ + c].x), y.push_back(found_[r * columns_ + c].y);
    if (x.empty()) return;
    const BlockVector middle = {median(x), median(y)};
    list.push_back(middle);
    if (level == kLevels - 1) return;
    // of the cells below, those farthest from the middle stand for what does not move with it
    std::vector<BlockVector> below;
    for_children(level, column, row, [&](int c, int r) {
        const std::vector<BlockVector>& finer = candidates_[level + 1][r * columns_of(level + 1) + c];
        if (!finer.empty()) add_once(below, finer[0]);
    });
    const auto distance = [&](BlockVector v) { return std::abs(v.x - middle.x) + std::abs(v.y - middle.y); };
    std::stable_sort(below.begin(), below.end(), [&](BlockVector a, BlockVector b) { return distance(a) > distance(b); });
    for (const BlockVector v : below)
        if (static_cast<int>(list.size()) < kMostCandidates) add_once(list, v);
}

float BlockSearch::vector_bits(int level, int column, int row, BlockVector parent, BlockVector v) const {
    const auto bits = [&](BlockVector from) { return cell_vector_bits(m_.vector_costs, level, v.x - from.x, v.y - from.y); };
    return kMargin[level] * (kCellFlagBits + std::min(bits(parent), bits(last_at(level, column, row))));
}

float BlockSearch::cost_by(int level, int column, int row, BlockVector v) {
    if (level == kLevels - 1)
        return error_of(column, row, m_.before.whole.bounded(v, column * kMatchPx, row * kMatchPx, kMatchPx));
    float sum = 0;
    for_children(level, column, row, [&](int c, int r) { sum += cell_cost(level + 1, c, r, v); });
    return sum;
}

float BlockSearch::cell_cost(int level, int column, int row, BlockVector parent) {
    float best = cost_by(level, column, row, parent);
    for (const BlockVector v : candidates_[level][row * columns_of(level) + column])
        if (!(v == parent))
            best = std::min(best, cost_by(level, column, row, v) +
                                      lambda_of(level, column, row) * vector_bits(level, column, row, parent, v));
    return best;
}

void BlockSearch::settle(int level, int column, int row, BlockVector parent, BlockLevel levels[kLevels]) {
    const int at = row * columns_of(level) + column;
    BlockVector taken = parent;
    const float still = cost_by(level, column, row, parent);
    float best = still;
    for (const BlockVector v : candidates_[level][at]) {
        if (v == parent) continue;
        const float cost = cost_by(level, column, row, v) + lambda_of(level, column, row) * vector_bits(level, column, row, parent, v);
        if (cost < best) best = cost, taken = v;
    }
    levels[level].on[at] = !(taken == parent);
    levels[level].added[at] = {taken.x - parent.x, taken.y - parent.y};
    levels[level].gain[at] = still - best;
    if (level < kLevels - 1)
        for_children(level, column, row, [&](int c, int r) { settle(level + 1, c, r, taken, levels); });
}

}  // namespace splatcall
