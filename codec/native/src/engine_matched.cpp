#include "engine_matched.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine_cells.hpp"
#include "engine_groups.hpp"

namespace splatcall {
namespace {

constexpr int kFinestJudged = 2;    // level from which on cells are judged by their part of the picture: splats reach further
constexpr int kRedrawShare = 6;     // where more than one splat in so many moves, drawing all anew is quicker
constexpr float kRowSteps = 12;     // of one row of a splat in one trial of its cell, beside one a pixel
constexpr double kTrials = 4;       // full drawings of its splats that the search of one cell takes, about
constexpr double kExactShare = .7;  // of the work, that exact trials may take

}  // namespace

MatchedMotion::MatchedMotion(PEngine& engine, PResult& result)
    : e_(engine), result_(result), columns_((engine.width_ + kMatchPx - 1) / kMatchPx), rows_((engine.height_ + kMatchPx - 1) / kMatchPx),
      picture_(engine.width_, engine.height_), target_(engine.width_, engine.height_), start_(engine.splats_) {}

void MatchedMotion::run() {
    std::vector<uint8_t> calm;
    for (int i = 0; i < rows_ * columns_; ++i) calm.push_back(e_.rise_in(i % columns_ * kMatchPx, i / columns_ * kMatchPx, kMatchPx) <= 0);
    draw_luma();
    const Lambda lambda_at = [&](int x, int y) { return e_.lambda_at(x, y); };
    const BlockMatch match = match_of(std::move(calm), lambda_at);
    BlockSearch search(match, e_.canvas_.pool().threads());
    search.find();
    const WorkBudget& work = e_.params_.work;
    if (work.units == 0 || exact_steps(search.found()) * work.prices[kCellStage] < kExactShare * static_cast<double>(work.units))
        try_exactly(search.found());
    else
        move_at_once(search);
}

const BlockLevel* MatchedMotion::propose(std::vector<uint8_t> calm, const Lambda& lambda_at) {
    draw_luma();
    const BlockMatch match = match_of(std::move(calm), lambda_at);
    BlockSearch search(match, e_.canvas_.pool().threads());
    search.find();
    search.choose(levels_);
    return levels_;
}

void MatchedMotion::draw_luma() {
    const Canvas& canvas = e_.canvas_;
    canvas.pool().parallel_for(e_.height_, [&](int y) {
        const float *error = canvas.view().error[0] + y * canvas.view().stride, *wanted = canvas.target(0) + y * canvas.view().stride;
        std::vector<float> row(e_.width_);
        for (int x = 0; x < e_.width_; ++x) row[x] = error[x] + wanted[x];
        picture_.whole.set_row(y, row.data());
        target_.whole.set_row(y, wanted);
    });
    canvas.pool().parallel_for(2, [&](int i) { (i ? picture_ : target_).finish(); });
}

BlockMatch MatchedMotion::match_of(std::vector<uint8_t> calm, const Lambda& lambda_at) const {
    return {e_.canvas_.kernels().uncounted(), picture_, target_, e_.costs_.cell_vector, e_.vectors_, lambda_at, std::move(calm)};
}

double MatchedMotion::exact_steps(const std::vector<BlockVector>& found) const {
    std::vector<float> drawing(found.size());  // steps of drawing the splats of a block once
    for (int slot = 0; slot < e_.slots_; ++slot) {
        if (!e_.alive(slot)) continue;
        const Geometry g = e_.geometry(slot);
        const float px = std::min(kMeanChord / g.a, static_cast<float>(e_.width_));
        drawing[e_.row_of(e_.fields(slot), kMatchPx) * columns_ + e_.column_of(e_.fields(slot), kMatchPx)] +=
            static_cast<float>(g.row_end - g.row_begin) * (kRowSteps + px);
    }
    double steps = 0;
    for (int level = 0; level < kLevels; ++level) {
        const int px = cell_px_of(level), across = px / kMatchPx;
        for (int row = 0; row < rows_; row += across)
            for (int column = 0; column < columns_; column += across) {
                const int x = column * kMatchPx, y = row * kMatchPx;
                if (e_.rise_in(x, y, px) <= kLeastErrorBits * e_.lambda_at(x + px / 2, y + px / 2)) continue;
                double cell = 0;
                bool moves = false;
                for (int r = row; r < std::min(rows_, row + across); ++r)
                    for (int c = column; c < std::min(columns_, column + across); ++c) {
                        cell += drawing[r * columns_ + c];
                        moves |= !(found[r * columns_ + c] == BlockVector{});
                    }
                if (moves) steps += kTrials * cell;
            }
    }
    return steps;
}

void MatchedMotion::try_exactly(const std::vector<BlockVector>& found) {
    const size_t pixels = static_cast<size_t>(e_.width_) * e_.height_;
    std::vector<float> planes(2 * pixels);
    for (int y = 0; y < e_.height_; ++y)
        for (int x = 0; x < e_.width_; ++x) {
            const BlockVector v = found[y / kMatchPx * columns_ + x / kMatchPx];
            const size_t at = static_cast<size_t>(y) * e_.width_ + x;
            planes[at] = .25f * static_cast<float>(v.x);
            planes[pixels + at] = .25f * static_cast<float>(v.y);
        }
    const std::vector<Flow> flows = {{planes.data(), planes.data() + pixels}};
    GroupSearch(e_, flows, result_).run();
}

void MatchedMotion::move_at_once(BlockSearch& search) {
    prepare_cells(result_, e_.width_, e_.height_);
    search.choose(levels_);
    trim();
    std::vector<float> before;
    e_.measure_blocks(before);
    apply();
    if (drop_worse(before)) apply();
    write();
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
    return kCellFlagBits + cell_vector_bits(e_.costs_.cell_vector, level, v.x, v.y);
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
