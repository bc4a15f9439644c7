#include "engine_matched.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine_cells.hpp"

namespace splatcall {
namespace {

constexpr float kCellBits = 4;      // of a cell's flags, about
constexpr int kFinestJudged = 2;    // level from which on cells are judged by their part of the picture: splats reach further
constexpr int kRedrawShare = 6;     // where more than one splat in so many moves, drawing all anew is quicker

}  // namespace

MatchedMotion::MatchedMotion(PEngine& engine, PResult& result) : e_(engine), result_(result), start_(engine.splats_) {}

void MatchedMotion::run() {
    prepare_cells(result_, e_.width_, e_.height_);
    std::vector<uint8_t> calm;
    const int columns = (e_.width_ + kMatchPx - 1) / kMatchPx, rows = (e_.height_ + kMatchPx - 1) / kMatchPx;
    for (int i = 0; i < rows * columns; ++i)
        calm.push_back(e_.rise_in(i % columns * kMatchPx, i / columns * kMatchPx, kMatchPx) <= 0);
    search(std::move(calm), [&](int x, int y) { return e_.lambda_at(x, y); });
    trim();
    std::vector<float> before;
    e_.measure_blocks(before);
    apply();
    if (drop_worse(before)) apply();
    write();
}

const BlockLevel* MatchedMotion::search(std::vector<uint8_t> calm, const std::function<float(int, int)>& lambda_at) {
    const Canvas& canvas = e_.canvas_;
    LumaPyramid picture(e_.width_, e_.height_), target(e_.width_, e_.height_);
    canvas.pool().parallel_for(e_.height_, [&](int y) {
        const float *error = canvas.view().error[0] + y * canvas.view().stride, *wanted = canvas.target(0) + y * canvas.view().stride;
        std::vector<float> row(e_.width_);
        for (int x = 0; x < e_.width_; ++x) row[x] = error[x] + wanted[x];
        picture.whole.set_row(y, row.data());
        target.whole.set_row(y, wanted);
    });
    canvas.pool().parallel_for(2, [&](int i) { (i ? picture : target).finish(); });
    const BlockMatch match = {canvas.kernels().uncounted(), picture, target, e_.costs_.cell_vector, e_.vectors_, lambda_at, std::move(calm)};
    BlockSearch(match, canvas.pool().threads()).run(levels_);
    return levels_;
}

void MatchedMotion::trim() {
    float sum = 0;
    for (int level = 0; level < kLevels; ++level)
        for (int at = 0; at < static_cast<int>(levels_[level].on.size()); ++at)
            if (levels_[level].on[at]) sum += bits(level, at);
    for (int level = kLevels - 1; level >= 0 && sum > kMostCellBits; --level) {
        BlockLevel& cells = levels_[level];
        std::vector<int> order(cells.on.size());
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return cells.gain[a] < cells.gain[b]; });
        for (const int at : order)
            if (cells.on[at] && sum > kMostCellBits) sum -= bits(level, at), cells.on[at] = 0;
    }
}

void MatchedMotion::apply() {
    std::vector<int32_t> moved = start_;
    std::vector<int> changed;
    int alive = 0;
    for (int slot = 0; slot < e_.slots_; ++slot) {
        if (!e_.alive(slot)) continue;
        ++alive;
        int32_t* f = &moved[static_cast<size_t>(slot) * kFields];
        for (int level = 0; level < kLevels; ++level) {
            const int px = cell_px_of(level), at = e_.row_of(f, px) * levels_[level].columns + e_.column_of(f, px);
            if (!levels_[level].on[at]) continue;
            f[0] += kVectorUnit * levels_[level].added[at].x;
            f[1] += kVectorUnit * levels_[level].added[at].y;
            saturate(f, e_.width_, e_.height_);
        }
        if (!std::equal(f, f + kFields, e_.fields(slot))) changed.push_back(slot);
    }
    const bool redraw = static_cast<int>(changed.size()) * kRedrawShare > alive;
    for (const int slot : changed) {
        const Geometry before = e_.geometry(slot);
        std::copy_n(&moved[static_cast<size_t>(slot) * kFields], kFields, e_.fields(slot));
        if (redraw) continue;
        const Geometry after = moved_geometry(before, e_.fields(slot), e_.height_);
        e_.canvas_.kernels().uncounted().commit(e_.canvas_.view(), &before, &after);
    }
    if (redraw) e_.render_splats();
}

template <class Fn>
void MatchedMotion::for_cells_below(int level, int column, int row, Fn fn) const {
    for (int l = level; l < kLevels; ++l) {
        const int finer = 1 << (l - level);
        for (int r = row * finer; r < std::min(levels_[l].rows, (row + 1) * finer); ++r)
            for (int c = column * finer; c < std::min(levels_[l].columns, (column + 1) * finer); ++c)
                fn(l, r * levels_[l].columns + c);
    }
}

bool MatchedMotion::drop_worse(const std::vector<float>& before) {
    std::vector<float> after;
    e_.measure_blocks(after);
    bool dropped = false;
    for (int level = kFinestJudged; level >= 0; --level)
        for (int at = 0; at < static_cast<int>(levels_[level].on.size()); ++at) {
            const int column = at % levels_[level].columns, row = at / levels_[level].columns, px = cell_px_of(level);
            float spent = 0;
            double change = 0;
            for_cells_below(level, column, row, [&](int l, int i) {
                if (levels_[l].on[i]) spent += bits(l, i);
                if (l == kLevels - 1) change += after[i] - before[i];
            });
            if (spent == 0 || change + spent * e_.lambda_at(column * px + px / 2, row * px + px / 2) <= 0) continue;
            for_cells_below(level, column, row, [&](int l, int i) { levels_[l].on[i] = 0; });
            dropped = true;
        }
    return dropped;
}

float MatchedMotion::bits(int level, int at) const {
    const BlockVector v = levels_[level].added[at];
    return kCellBits + e_.costs_.cell_vector.value(3 * level, v.x) + e_.costs_.cell_vector.value(3 * level + 1 + (v.x != 0), v.y);
}

void MatchedMotion::write() {
    std::vector<int32_t> sums(e_.vectors_.size());
    float spent = 0;
    for (int level = 0; level < kLevels; ++level) {
        CellLevelResult& out = result_.cells[level];
        for (int at = 0; at < static_cast<int>(levels_[level].on.size()); ++at) {
            if (!levels_[level].on[at]) continue;
            out.on[at] = 1;
            out.vectors[2 * at] = levels_[level].added[at].x;
            out.vectors[2 * at + 1] = levels_[level].added[at].y;
            if (level > 0) mark_any(result_, level - 1, at % out.columns / 2, at / out.columns / 2);
            spent += bits(level, at);
        }
        add_vectors(result_, level, e_.width_, e_.height_, sums);
    }
    for (size_t i = 0; i < sums.size(); ++i) e_.vectors_[i] = std::min(std::max(sums[i], -4096), 4095);
    e_.work_.add_bits(spent);
}

}  // namespace splatcall
