#include "engine_groups.hpp"

#include <algorithm>
#include <cmath>

#include "engine_cells.hpp"
#include "engine_items.hpp"

namespace splatcall {
namespace {

constexpr int kFinestCell = 16;
constexpr float kAffineErrorBits = 30;  // and for affine terms, this many
constexpr float kAffineChance = 12;     // bits that a cell's first affine terms may cost more than what they are to beat
constexpr int kAffineSplats = 5;
constexpr int kAffineLimit = 12;        // 1/64, of a proposal
constexpr int kMostAffine = 63;
constexpr int kReachPx = 3;             // refinement beyond the largest candidate
// Factors on the bits of a cell's motion and of a shift: what moves many splats for a small gain is mostly moved back
// later, and the frame's own error does not know.
constexpr float kMotionMargin = 2, kShiftMargin = 1.5f;
constexpr int kShiftUnit = 6;           // 1.5 of 1/255 in 1/4 units
constexpr float kShiftValue = 1.5f;
constexpr float kShiftBits = 8;         // of one shift, about

constexpr float kDoubt = 4;  // standard deviations by which a trial must look too dear to end early

// A trial looks at every 8th or 4th strip in a pass; large cells have more strips than a proposal needs to tell.
constexpr int kPassOrder[2][kMostStripStep] = {{4, 0, 6, 2, 5, 1, 7, 3}, {2, 0, 3, 1}};
constexpr int strip_step_of(int level) { return level < 2 ? 8 : 4; }
constexpr int passes_of(int level, bool quick) { return (level == 0 ? 2 : 4) / (quick ? 2 : 1); }

// Where a whole trial would end that came to these sums in some of its strips, less what chance may have added to them.
float least_total(const StripSums& sums, int strips) {
    const double n = sums.strips, mean = sums.change / n, variance = std::max(0., sums.squares / n - mean * mean) / (n - 1);
    return static_cast<float>(strips * (mean - kDoubt * std::sqrt(variance * (1 - n / strips))));
}

int clamp(int v, int low, int high) { return std::min(std::max(v, low), high); }
int median(int a, int b, int c) { return std::max(std::min(a, b), std::min(std::max(a, b), c)); }

}  // namespace

GroupSearch::GroupSearch(PEngine& engine, const std::vector<Flow>& flows, PResult& result)
    : e_(engine),
      flows_(flows),
      result_(result),
      start_(engine.splats_),
      sums_(engine.vectors_.size()),
      scratch_(engine.canvas_.pool().threads()),
      columns16_((engine.width_ + kFinestCell - 1) / kFinestCell),
      rows16_((engine.height_ + kFinestCell - 1) / kFinestCell) {}

void GroupSearch::run() {
    prepare_cells(result_, e_.width_, e_.height_);
    constexpr int kChunk = 256;
    geometries_.resize(e_.own_slots_);
    e_.canvas_.pool().parallel_for((e_.own_slots_ + kChunk - 1) / kChunk, [&](int chunk) {
        for (int slot = chunk * kChunk; slot < std::min(e_.own_slots_, (chunk + 1) * kChunk); ++slot)
            if (e_.alive(slot)) geometries_[slot] = e_.geometry(slot);
    });
    for (int level = 0; level < kLevels && !flows_.empty() && !e_.work_.over(); ++level) run_level(level);
    for (size_t i = 0; i < sums_.size(); ++i) e_.vectors_[i] = clamp(sums_[i], -4096, 4095);
    for (int level = 0; level < kShiftLevels; ++level)
        if (e_.params_.cell_shift && !e_.work_.over()) run_shifts(level);
}

std::vector<GroupSearch::Cell> GroupSearch::make_cells(int px) const {
    const int columns = (e_.width_ + px - 1) / px, rows = (e_.height_ + px - 1) / px;
    std::vector<Cell> cells(static_cast<size_t>(rows) * columns);
    for (int slot = 0; slot < e_.own_slots_; ++slot)
        if (e_.alive(slot)) {
            const int32_t* f = e_.fields(slot);
            cells[e_.row_of(f, px) * columns + e_.column_of(f, px)].slots.push_back(slot);
        }
    std::vector<Cell> filled;
    for (int i = 0; i < rows * columns; ++i)
        if (!cells[i].slots.empty()) {
            std::stable_partition(cells[i].slots.begin(), cells[i].slots.end(),
                                  [&](int slot) { return e_.fields(slot)[8] == kKindNormalised; });
            cells[i].index = i;
            cells[i].column = i % columns;
            cells[i].row = i / columns;
            filled.push_back(std::move(cells[i]));
        }
    return filled;
}

void GroupSearch::screen(std::vector<Cell>& cells, int px) const {
    for (Cell& cell : cells) cell.rise = e_.rise_in(cell.column * px, cell.row * px, px);
    const auto calm = [&](const Cell& cell) { return cell.rise <= cell_lambda(cell, px) * kLeastErrorBits; };
    cells.erase(std::remove_if(cells.begin(), cells.end(), calm), cells.end());
    std::stable_sort(cells.begin(), cells.end(), [](const Cell& a, const Cell& b) { return a.rise > b.rise; });
}

float GroupSearch::cell_lambda(const Cell& cell, int px) const {
    return e_.lambda_at(cell.column * px + px / 2, cell.row * px + px / 2);
}

void GroupSearch::leave_worth(std::vector<Cell>& cells, int px) {
    if (block_errors_.empty()) e_.measure_blocks(block_errors_);
    for (Cell& cell : cells) {
        const int span = px / kFinestCell;
        for (int row = cell.row * span; row < std::min(rows16_, (cell.row + 1) * span); ++row)
            for (int column = cell.column * span; column < std::min(columns16_, (cell.column + 1) * span); ++column)
                cell.error += block_errors_[row * columns16_ + column];
    }
    const auto poor = [&](const Cell& cell) { return cell.error <= cell_lambda(cell, px) * kLeastErrorBits; };
    cells.erase(std::remove_if(cells.begin(), cells.end(), poor), cells.end());
}

Window GroupSearch::reach_of(const Cell& cell, int px) const {
    int reach = 0;
    for (const Motion& m : cell.candidates) {
        const int turn = *std::max_element(m.affine, m.affine + 4) * px / 64;
        reach = std::max({reach, std::abs(m.v[0]) / 4 + turn, std::abs(m.v[1]) / 4 + turn});
    }
    reach += kReachPx;
    Window all = e_.window(geometries_[cell.slots[0]]);
    for (const int slot : cell.slots) all = unite(all, e_.window(geometries_[slot]));
    return {std::max(0, all.x0 - reach), std::max(0, all.y0 - reach), std::min(e_.width_, all.x1 + reach),
            std::min(e_.height_, all.y1 + reach)};
}

void GroupSearch::predict_vector(int level, int column, int row, int out[2]) const {
    const int px = cell_px_of(level);
    const int cx = std::min(column * px + px / 2, e_.width_ - 1) / kFinestCell;
    const int cy = std::min(row * px + px / 2, e_.height_ - 1) / kFinestCell;
    const size_t center = (static_cast<size_t>(cy) * columns16_ + cx) * 2;
    const int t[2] = {e_.vectors_[center] - sums_[center], e_.vectors_[center + 1] - sums_[center + 1]};
    const CellLevelResult& cells = result_.cells[level];
    const int at = row * cells.columns + column;
    const bool left = column > 0 && cells.on[at - 1], up = row > 0 && cells.on[at - cells.columns];
    for (int k = 0; k < 2; ++k) {
        const int l = left ? cells.vectors[2 * (at - 1) + k] : 0;
        const int u = up ? cells.vectors[2 * (at - cells.columns) + k] : 0;
        if (left && up)
            out[k] = median(l, u, t[k]);
        else if (left || up)
            out[k] = t[0] == 0 && t[1] == 0 ? l + u : (l + u + t[k]) >> 1;
        else
            out[k] = t[k];
    }
}

float GroupSearch::any_bits(int level, int column, int row) const {
    const CellLevelResult& cells = result_.cells[level];
    const int at = row * cells.columns + column;
    if (cells.any[at]) return 0;
    const bool up_any = row > 0 && cells.any[at - cells.columns];
    const int context = 4 * level + 2 * cells.on[at] + up_any;
    float bits = e_.costs_.cell_any.symbol(context, 1) - e_.costs_.cell_any.symbol(context, 0);
    if (level > 0) bits += any_bits(level - 1, column / 2, row / 2);
    // Its children are coded from now on.
    return bits + 3 * e_.costs_.cell_on.symbol(4 * (level + 1) + 2 * cells.on[at], 0);
}

float GroupSearch::on_bits(int level, int column, int row) const {
    const CellLevelResult& cells = result_.cells[level];
    const int at = row * cells.columns + column;
    const bool parent_on = level > 0 && result_.cells[level - 1].on[row / 2 * result_.cells[level - 1].columns + column / 2];
    const bool up_on = row > 0 && cells.on[at - cells.columns];
    const int context = 4 * level + 2 * parent_on + up_on;
    const float bits = e_.costs_.cell_on.symbol(context, 1) - e_.costs_.cell_on.symbol(context, 0);
    return level > 0 ? bits + any_bits(level - 1, column / 2, row / 2) : bits;
}

float GroupSearch::motion_bits(const Cell& cell, int level, const Motion& m) const {
    int predicted[2];
    predict_vector(level, cell.column, cell.row, predicted);
    const int rx = m.v[0] - predicted[0], ry = m.v[1] - predicted[1];
    float bits = on_bits(level, cell.column, cell.row) + cell_vector_bits(e_.costs_.cell_vector, level, rx, ry);
    if (level < kLevels - 1) bits += e_.costs_.cell_affine_on.symbol(level, m.turns());
    if (m.turns())
        for (int k = 0; k < 4; ++k) bits += e_.costs_.cell_affine.value(k, m.affine[k]);
    return bits;
}

void GroupSearch::move(const Motion& m, int column, int row, int px, const int32_t* from, int32_t* to) const {
    std::copy_n(from, kFields, to);
    to[0] += kVectorUnit * m.v[0];
    to[1] += kVectorUnit * m.v[1];
    if (m.turns()) {
        const int dx = clamp(from[0] - 16 * (column * px + px / 2), -8192, 8191);
        const int dy = clamp(from[1] - 16 * (row * px + px / 2), -8192, 8191);
        to[0] += (m.affine[0] * dx + m.affine[1] * dy) >> 6;
        to[1] += (m.affine[2] * dx + m.affine[3] * dy) >> 6;
    }
    saturate(to, e_.width_, e_.height_);
}

void GroupSearch::find_candidates(Cell& cell, int level) const {
    const int px = cell_px_of(level);
    const auto add = [&](const Motion& m) {
        if (m == Motion{} || std::find(cell.candidates.begin(), cell.candidates.end(), m) != cell.candidates.end()) return;
        cell.candidates.push_back(m);
    };
    for (const Flow& flow : flows_) {
        double sum[2] = {0, 0};
        for (const int slot : cell.slots) {
            const int32_t* was = &start_[static_cast<size_t>(slot) * kFields];
            const int32_t* now = e_.fields(slot);
            const size_t at = static_cast<size_t>(clamp(was[1] >> 4, 0, e_.height_ - 1)) * e_.width_ +
                              clamp(was[0] >> 4, 0, e_.width_ - 1);
            sum[0] += flow.dx[at] - (now[0] - was[0]) * kUnit[0];
            sum[1] += flow.dy[at] - (now[1] - was[1]) * kUnit[1];
        }
        Motion m;
        for (int k = 0; k < 2; ++k) m.v[k] = clamp(static_cast<int>(std::lrint(4 * sum[k] / cell.slots.size())), -2048, 2047);
        add(m);
        if (e_.params_.cell_affine && (level == 1 || level == 2)) fit_affine(cell, flow, px, cell.candidates);
    }
    Motion last;
    predict_vector(level, cell.column, cell.row, last.v);
    for (int& v : last.v) v = clamp(v, -2048, 2047);
    add(last);
}

void GroupSearch::fit_affine(const Cell& cell, const Flow& flow, int px, std::vector<Motion>& out) const {
    if (static_cast<int>(cell.slots.size()) < kAffineSplats) return;
    const float cx = (cell.column + .5f) * px, cy = (cell.row + .5f) * px;
    double m[3][5] = {};
    for (const int slot : cell.slots) {
        const int32_t* was = &start_[static_cast<size_t>(slot) * kFields];
        const int32_t* now = e_.fields(slot);
        const size_t at = static_cast<size_t>(clamp(was[1] >> 4, 0, e_.height_ - 1)) * e_.width_ +
                          clamp(was[0] >> 4, 0, e_.width_ - 1);
        const double row[5] = {1, now[0] * kUnit[0] - cx, now[1] * kUnit[1] - cy,
                               flow.dx[at] - (now[0] - was[0]) * kUnit[0], flow.dy[at] - (now[1] - was[1]) * kUnit[1]};
        for (int i = 0; i < 3; ++i)
            for (int j = 0; j < 5; ++j) m[i][j] += row[i] * row[j];
    }
    m[0][0] += 1e-3;
    m[1][1] += .05 * px * px;
    m[2][2] += .05 * px * px;
    for (int i = 0; i < 3; ++i)
        for (int r = 0; r < 3; ++r) {
            if (r == i) continue;
            const double f = m[r][i] / m[i][i];
            for (int j = i; j < 5; ++j) m[r][j] -= f * m[i][j];
        }
    Motion motion;
    for (int k = 0; k < 2; ++k) motion.v[k] = clamp(static_cast<int>(std::lrint(4 * m[0][3 + k] / m[0][0])), -2048, 2047);
    for (int k = 0; k < 4; ++k) {
        const int term = 1 + k % 2;
        motion.affine[k] = clamp(static_cast<int>(std::lrint(64 * m[term][3 + k / 2] / m[term][term])), -kAffineLimit, kAffineLimit);
    }
    if (motion.turns()) out.push_back(motion);
}

void GroupSearch::begin_trials(const Cell& cell, Scratch& s) const {
    s.before.clear();
    for (const int slot : cell.slots) s.before.push_back(geometries_[slot]);
    s.group.begin(s.before, cell.window);
    const size_t padded = cell.slots.size() + kRowPadding;
    s.x.resize(std::max(s.x.size(), padded));
    s.y.resize(s.x.size());
}

bool GroupSearch::place(const Cell& cell, int level, Scratch& s, const Motion& m) const {
    const Window& w = cell.window;
    const float left = w.x0 > 0 ? static_cast<float>(w.x0) : -1e6f, top = w.y0 > 0 ? static_cast<float>(w.y0) : -1e6f;
    const float right = static_cast<float>(w.x1 < e_.width_ ? w.x1 - 1 : 1000000);
    const float bottom = static_cast<float>(w.y1 < e_.height_ ? w.y1 - 1 : 1000000);
    bool inside = true;
    for (size_t i = 0; i < cell.slots.size(); ++i) {
        int32_t moved[kFields];
        move(m, cell.column, cell.row, cell_px_of(level), e_.fields(cell.slots[i]), moved);
        const float x = moved[0] * kUnit[0], y = moved[1] * kUnit[1];
        const Reach reach = s.group.reach[i];
        inside &= x - reach.x >= left && x + reach.x <= right && y - reach.y >= top && y + reach.y <= bottom;
        s.x[i] = x;
        s.y[i] = y;
    }
    return inside;
}

float GroupSearch::try_motion(const Cell& cell, int level, Scratch& s, const Motion& m, int passes, float limit) const {
    if (!place(cell, level, s, m)) return 1e30f;
    const float bits = kMotionMargin * cell_lambda(cell, cell_px_of(level)) * motion_bits(cell, level, m);
    const int step = strip_step_of(level), strips = s.group.strips();
    StripSums sums;
    for (int pass = 0; pass < passes; ++pass) {
        const Strips part = {kPassOrder[level < 2 ? 0 : 1][pass], step};
        sums.add(e_.canvas_.kernels().group_trial(e_.canvas_.view(), s.group, s.x.data(), s.y.data(), part));
        if (pass + 1 < passes && sums.strips > 2 && least_total(sums, strips) + bits > limit) break;
    }
    return static_cast<float>(sums.change * strips / std::max(sums.strips, 1)) + bits;
}

void GroupSearch::refine(const Cell& cell, int level, Scratch& s, Motion& best, float& best_cost) const {
    const int passes = passes_of(level, e_.params_.quick), terms = best.turns() ? 6 : 2;
    for (int pass = 0; pass < (e_.params_.quick ? 1 : 2) && !out_of_work(); ++pass) {
        const Motion center = best;
        for (int k = 0; k < terms; ++k)
            for (const int d : {1, -1}) {
                Motion m = terms == 6 ? best : center;
                int& term = k < 2 ? m.v[k] : m.affine[k - 2];
                term += d;
                if (std::abs(term) > (k < 2 ? 2047 : kMostAffine)) continue;
                const float cost = try_motion(cell, level, s, m, passes, best_cost);
                if (cost < best_cost) best = m, best_cost = cost;
            }
        if (best == center) break;
    }
}

void GroupSearch::search(Cell& cell, int level, Scratch& s) const {
    const int px = cell_px_of(level), passes = passes_of(level, e_.params_.quick), all = strip_step_of(level);
    const float lambda = cell_lambda(cell, px);
    begin_trials(cell, s);
    Motion best;
    float best_cost = 0, best_affine_cost = 1e30f;
    Motion best_affine;
    for (const Motion& m : cell.candidates) {
        if (m.turns() && cell.error <= lambda * kAffineErrorBits) continue;
        const float limit = m.turns() ? std::min(best_affine_cost, best_cost + kAffineChance * lambda) : best_cost;
        const float cost = try_motion(cell, level, s, m, passes, limit);
        if (m.turns() && cost < best_affine_cost) best_affine = m, best_affine_cost = cost;
        if (!m.turns() && cost < best_cost) best = m, best_cost = cost;
    }
    if (best_cost < 0) refine(cell, level, s, best, best_cost);
    if (best_affine_cost < best_cost + kAffineChance * lambda) {
        refine(cell, level, s, best_affine, best_affine_cost);
        if (best_affine_cost < best_cost) best = best_affine, best_cost = best_affine_cost;
    }
    if (best_cost >= 0 || (passes < all && try_motion(cell, level, s, best, all, 0) >= 0)) return;
    cell.on = true;
    cell.taken = best;
}

void GroupSearch::commit(const Cell& cell, int level) {
    const int px = cell_px_of(level);
    for (const int slot : cell.slots) {
        int32_t moved[kFields];
        move(cell.taken, cell.column, cell.row, px, e_.fields(slot), moved);
        std::copy_n(moved, kFields, e_.fields(slot));
        const Geometry before = geometries_[slot];
        geometries_[slot] = moved_geometry(before, moved, e_.height_);
        e_.canvas_.kernels().commit(e_.canvas_.view(), &before, &geometries_[slot]);
    }
}

void GroupSearch::run_level(int level) {
    const int px = cell_px_of(level);
    std::vector<Cell> cells = make_cells(px);
    if (e_.params_.screen) screen(cells, px);
    leave_worth(cells, px);
    e_.canvas_.pool().parallel_for(static_cast<int>(cells.size()), [&](int i) { find_candidates(cells[i], level); });
    cells.erase(std::remove_if(cells.begin(), cells.end(), [](const Cell& cell) { return cell.candidates.empty(); }), cells.end());
    std::vector<Window> windows;
    for (Cell& cell : cells) windows.push_back(cell.window = reach_of(cell, px));
    CellLevelResult& out = result_.cells[level];
    for (const auto& round : disjoint_rounds(windows)) {
        e_.work_.run(e_.canvas_.pool(), static_cast<int>(round.size()), [&](int i, int worker) {
            Cell& cell = cells[round[i]];
            if (out_of_work() || out_of_bits() || bits_ > kMostCellBits || cell.window.x0 >= cell.window.x1 || cell.window.y0 >= cell.window.y1) return;
            search(cell, level, scratch_[worker]);
            if (!cell.on) return;
            commit(cell, level);
            count_bits(motion_bits(cell, level, cell.taken));
        });
        for (const int i : round) {
            const Cell& cell = cells[i];
            if (!cell.on) continue;
            block_errors_.clear();
            bits_ += motion_bits(cell, level, cell.taken);
            out.on[cell.index] = 1;
            std::copy_n(cell.taken.v, 2, &out.vectors[2 * cell.index]);
            std::copy_n(cell.taken.affine, 4, &out.affine[4 * cell.index]);
            if (level > 0) mark_any(result_, level - 1, cell.column / 2, cell.row / 2);
        }
    }
    add_vectors(result_, level, e_.width_, e_.height_, sums_);
}

void GroupSearch::search_shift(Cell& cell, int level, Scratch& s) const {
    const int px = 64 >> level;
    const Window square = {cell.column * px, cell.row * px, std::min(e_.width_, (cell.column + 1) * px),
                           std::min(e_.height_, (cell.row + 1) * px)};
    const CanvasView& view = e_.canvas_.view();
    const double sum = e_.canvas_.kernels().luma_error(view, square);
    const int pixels = (square.x1 - square.x0) * (square.y1 - square.y0);
    const int guess = static_cast<int>(std::lrint(-sum / pixels / kShiftValue));
    if (guess == 0) return;
    begin_trials(cell, s);
    const float lambda = cell_lambda(cell, px);
    const ColorModel model = e_.canvas_.kernels().group_luma(view, s.group);
    for (int shift = guess - 1; shift <= guess + 1; ++shift) {
        if (shift == 0) continue;
        const float by = shift * kShiftValue, change = by * (2 * model.gradient[0] + by * model.matrix);
        const float bits = e_.costs_.shift_on.symbol(2 * level, 1) - e_.costs_.shift_on.symbol(2 * level, 0) +
                           e_.costs_.shift_pattern.symbol(level, 2) + e_.costs_.shift.value(1, shift);
        const float cost = change + kShiftMargin * lambda * bits;
        if (cost < cell.shift_gain) cell.shift_gain = cost, cell.shift = shift;
    }
}

void GroupSearch::commit_shift(const Cell& cell) {
    for (const int slot : cell.slots) {
        int32_t* f = e_.fields(slot);
        if (f[8] != kKindNormalised) continue;
        const Geometry before = geometries_[slot];
        f[5] += kShiftUnit * cell.shift;
        saturate(f, e_.width_, e_.height_);
        geometries_[slot].color[0] = f[5] * kUnit[5];
        e_.canvas_.kernels().commit(e_.canvas_.view(), &before, &geometries_[slot]);
    }
}

void GroupSearch::run_shifts(int level) {
    const int px = 64 >> level;
    ShiftLevelResult& out = result_.shifts[level];
    out.columns = (e_.width_ + px - 1) / px;
    out.rows = (e_.height_ + px - 1) / px;
    std::vector<Cell> cells = make_cells(px);
    if (e_.params_.screen) screen(cells, px);
    e_.work_.run(e_.canvas_.pool(), static_cast<int>(cells.size()), [&](int i, int worker) {
        Cell& cell = cells[i];
        if (out_of_work()) return;
        Window all = e_.window(geometries_[cell.slots[0]]);
        for (const int slot : cell.slots) all = unite(all, e_.window(geometries_[slot]));
        cell.window = all;
        if (all.x0 < all.x1 && all.y0 < all.y1) search_shift(cell, level, scratch_[worker]);
    });
    // The flags of the whole grid must pay for themselves too.
    const double flags = out.rows * out.columns * e_.costs_.shift_on.symbol(2 * level, 0) * e_.params_.lambda;
    double gain = 0;
    for (const Cell& cell : cells) gain += cell.shift_gain;
    if (gain + flags >= 0) return;
    out.shifts.assign(static_cast<size_t>(out.rows) * out.columns * 4, 0);
    for (const Cell& cell : cells) {
        if (cell.shift == 0) continue;
        commit_shift(cell);
        e_.work_.add_bits(kShiftBits);
        out.shifts[4 * cell.index + 1] = cell.shift;
    }
}

}  // namespace splatcall
