#include "engine_key.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace splatcall {
namespace {

constexpr int kThresholds[4] = {48, 92, 137, 181};
constexpr int kReference[kClasses] = {1, 4, 7, 10, 14};  // l at the middle of a class
constexpr int kGridPx = 8;                               // accumulators of predictions
constexpr int kReach[kClasses] = {1, 1, 2, 3, 5};
constexpr int kBaseWeightUnit = 26;
constexpr float kPlaceContextGain = .4f;  // bits that contexts of the counts save a splat
constexpr float kLeastGain = 1e-3f;
constexpr int kMapCell = 16;
constexpr float kMostShape = 126;

constexpr int kShapeColor[6] = {2, 3, 4, 5, 6, 7};
constexpr FieldSubset kSubsets[4] = {{kAllFields, 8}, {kColorFields, 3}, {kPlaceColorFields, 5}, {kShapeColor, 6}};

int clamp(int v, int low, int high) { return std::min(std::max(v, low), high); }
int floor_div(int a, int b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }
int round_div(int a, int b) { return floor_div(2 * a + b, 2 * b); }

// Sums of one 8 px cell: weight, then weight times Y, Cb, Cr, e1, e2.
struct Accumulator {
    double weight = 0, value[5] = {};
};

using PredictionWeights = std::array<std::array<double, 51>, kClasses>;  // by class and squared distance in cells

const PredictionWeights& prediction_weights() {
    static const PredictionWeights weights = [] {
        PredictionWeights made{};
        for (int k = 0; k < kClasses; ++k) {
            const double width = 1.5 * 1.5 * (1 << k) + 4;
            for (int q = 0; q < 51; ++q) made[k][q] = std::floor((1 << (8 - k)) * std::exp(-32. * q / (width * width)) + .5);
        }
        return made;
    }();
    return weights;
}

}  // namespace

int size_class(int log_scale) {
    return static_cast<int>(std::count_if(kThresholds, kThresholds + 4, [&](int t) { return log_scale > t; }));
}

KeyEngine::KeyEngine(int width, int height, float chroma_weight, KeySteps steps, const TableCosts& costs, int threads)
    : width_(width),
      height_(height),
      steps_(steps),
      costs_(costs),
      own_(std::make_unique<Canvas>(width, height, chroma_weight, threads)),
      canvas_(*own_) {
    set_steps();
}

KeyEngine::KeyEngine(Canvas& canvas, KeySteps steps, const TableCosts& costs)
    : width_(canvas.width()), height_(canvas.height()), steps_(steps), costs_(costs), canvas_(canvas) {
    set_steps();
}

void KeyEngine::set_steps() {
    for (int field = 2; field < 8; ++field) inverse_steps_[field] = 1.f / static_cast<float>(step_of(field, 0));
}

int KeyEngine::step_of(int field, int k) const {
    return field < 2 ? steps_.mean[k] : field == 2 ? steps_.scale : field < 5 ? steps_.shape : field == 5 ? steps_.luma : steps_.chroma;
}

void KeyEngine::snap(int32_t* f) const {
    f[2] = round_div(clamp(f[2], -29, 290), steps_.scale) * steps_.scale;
    const int k = size_class(f[2]);
    for (int i = 3; i < 8; ++i) f[i] = round_div(f[i], step_of(i, k)) * step_of(i, k);
    // Neither thinner than a pixel shows nor wider than the cut-off; the slack is what rounding may add, so that what is
    // snapped stays as it is.
    const float r = std::hypot(static_cast<float>(f[3]), static_cast<float>(f[4]));
    const float most = std::max(0.f, std::min({kMostShape, 300.f - f[2], 29.f + f[2]}));
    if (r > most + .75f * steps_.shape)
        for (int i = 3; i < 5; ++i) f[i] = round_div(static_cast<int>(f[i] * most / r), steps_.shape) * steps_.shape;
    const int step = steps_.mean[k];
    f[0] = clamp(round_div(f[0], step), 0, (width_ - 1) * 16 / step) * step;
    f[1] = clamp(round_div(f[1], step), 0, (height_ - 1) * 16 / step) * step;
    f[5] = clamp(f[5], -40 * 4, 295 * 4);
    f[5] = round_div(f[5], steps_.luma) * steps_.luma;
    for (int i = 6; i < 8; ++i) f[i] = clamp(f[i], -140 * 4, 140 * 4) / steps_.chroma * steps_.chroma;
}

void KeyEngine::set_target(const uint8_t* rgb) {
    target_.assign(rgb, rgb + static_cast<size_t>(3) * width_ * height_);
    canvas_.set_target(rgb);
    if (lead_) lead_->set_target(rgb);
}

void KeyEngine::load(const int32_t* splats, const int32_t* roles, int count, const int32_t* samples, int rows, int columns,
                     const float* base, float lead_weight) {
    count_ = count;
    lead_weight_ = lead_weight;
    splats_.assign(splats, splats + static_cast<size_t>(count) * kFields);
    roles_.clear();
    for (int i = 0; i < count; ++i) {
        roles_.push_back(static_cast<KeyRole>(roles[i]));
        if (!is_fixed(i)) snap(&splats_[static_cast<size_t>(i) * kFields]);
    }
    samples_.assign(samples, samples + static_cast<size_t>(3) * rows * columns);
    base_rows_ = rows;
    base_columns_ = columns;
    canvas_.set_base(base);
    canvas_.render(geometries(false));
    const bool leads = lead_weight > 0 && std::find(roles_.begin(), roles_.end(), KeyRole::kLead) != roles_.end();
    if (!leads) {
        lead_.reset();
        return;
    }
    if (!lead_) {
        lead_ = std::make_unique<Canvas>(width_, height_, canvas_.chroma_weight(), canvas_.pool().threads());
        if (!target_.empty()) lead_->set_target(target_.data());
    }
    lead_->set_base(base);
    lead_->render(geometries(true));
}

void KeyEngine::join(const std::vector<int32_t>& splats, const std::vector<KeyRole>& roles,
                     const std::vector<int32_t>& samples, int rows, int columns) {
    count_ = static_cast<int>(roles.size());
    splats_ = splats;
    roles_ = roles;
    samples_ = samples;
    base_rows_ = rows;
    base_columns_ = columns;
    for (int i = 0; i < count_; ++i) {
        if (is_fixed(i)) continue;
        int32_t* f = &splats_[static_cast<size_t>(i) * kFields];
        const Geometry before = make_geometry(f, height_);
        snap(f);
        if (std::equal(f, f + kFields, &splats[static_cast<size_t>(i) * kFields])) continue;
        const Geometry after = make_geometry(f, height_);
        canvas_.kernels().commit(canvas_.view(), &before, &after);
    }
}

std::vector<float> KeyEngine::lead_errors(int cell_px) const {
    std::vector<float> errors;
    if (!lead_) return errors;
    for (int y = 0; y < height_; y += cell_px)
        for (int x = 0; x < width_; x += cell_px)
            errors.push_back(static_cast<float>(
                lead_->squared_error({x, y, std::min(width_, x + cell_px), std::min(height_, y + cell_px)})));
    return errors;
}

std::vector<Geometry> KeyEngine::geometries(bool lead_only) const {
    std::vector<Geometry> made;
    for (int i = 0; i < count_; ++i)
        if (fields(i)[8] != kKindDead && (!lead_only || roles_[i] == KeyRole::kLead))
            made.push_back(make_geometry(fields(i), height_));
    return made;
}

// What predictions are made from: sums on a grid of 8 px cells.
struct KeyEngine::Grid {
    Grid(int width, int height)
        : columns((width + kGridPx - 1) / kGridPx), rows((height + kGridPx - 1) / kGridPx),
          cells(static_cast<size_t>(columns) * rows) {}

    const Accumulator& at(Fields f) const {
        return cells[static_cast<size_t>(clamp(f[1] >> 7, 0, rows - 1)) * columns + clamp(f[0] >> 7, 0, columns - 1)];
    }

    void add(Fields f) {
        const int k = size_class(f[2]), cx = clamp(f[0] >> 7, 0, columns - 1), cy = clamp(f[1] >> 7, 0, rows - 1);
        for (int y = std::max(0, cy - kReach[k]); y <= std::min(rows - 1, cy + kReach[k]); ++y)
            for (int x = std::max(0, cx - kReach[k]); x <= std::min(columns - 1, cx + kReach[k]); ++x) {
                const double w = weights[k][(x - cx) * (x - cx) + (y - cy) * (y - cy)];
                Accumulator& a = cells[static_cast<size_t>(y) * columns + x];
                a.weight += w;
                constexpr int kFrom[5] = {5, 6, 7, 3, 4};
                for (int c = 0; c < 5; ++c) a.value[c] += w * f[kFrom[c]];
            }
    }

    int columns, rows;
    std::vector<Accumulator> cells;
    const PredictionWeights& weights = prediction_weights();
};

// The decoder's predictions (SPEC section 5), as if all but the lead were one part. An estimate: each of several parts
// predicts from the lead and itself.
void KeyEngine::predict() {
    predictions_.assign(count_, {});
    Grid grid(width_, height_);
    for (int i = 0; i < count_; ++i)
        if (roles_[i] == KeyRole::kKnown && fields(i)[8] == kKindNormalised) grid.add(fields(i));
    predict_splats(KeyRole::kLead, grid);
    predict_splats(KeyRole::kFree, grid);
    set_place_bits();
}

void KeyEngine::predict_splats(KeyRole role, Grid& grid) {
    constexpr int kRowPx = 16;
    std::vector<int> order;
    for (int i = 0; i < count_; ++i)
        if (roles_[i] == role && fields(i)[8] != kKindDead) order.push_back(i);
    const auto batch = [&](int i) { return std::make_pair(-size_class(fields(i)[2]), fields(i)[1] / (16 * kRowPx)); };
    std::sort(order.begin(), order.end(), [&](int a, int b) { return std::make_pair(batch(a), a) < std::make_pair(batch(b), b); });
    for (size_t from = 0, to; from < order.size(); from = to) {
        for (to = from; to < order.size() && batch(order[to]) == batch(order[from]); ++to) {
            Fields f = fields(order[to]);
            const int w0 = kBaseWeightUnit >> size_class(f[2]);
            const Accumulator& a = grid.at(f);
            const int bx = std::min((f[0] >> 4) * base_columns_ / width_, base_columns_ - 1);
            const int by = std::min((f[1] >> 4) * base_rows_ / height_, base_rows_ - 1);
            Prediction& p = predictions_[order[to]];
            for (int c = 0; c < 3; ++c) {
                const int base = samples_[(c * base_rows_ + by) * base_columns_ + bx];
                const int color = static_cast<int>(std::floor((a.value[c] + w0 * base) / (a.weight + w0)));
                p.levels[5 + c] = round_div(color, step_of(5 + c, 0));
            }
            for (int c = 0; c < 2; ++c) {
                const int e = static_cast<int>(std::floor(7 * a.value[3 + c] / (10 * (a.weight + w0))));
                p.levels[3 + c] = round_div(e, steps_.shape);
            }
        }
        for (size_t i = from; i < to; ++i) grid.add(fields(order[i]));
    }
}

void KeyEngine::set_place_bits() {
    int counts[kClasses] = {};
    for (int i = 0; i < count_; ++i)
        if (roles_[i] != KeyRole::kKnown && fields(i)[8] != kKindDead) ++counts[size_class(fields(i)[2])];
    for (int k = 0; k < kClasses; ++k) {
        const double places = (width_ * 16. / steps_.mean[k]) * (height_ * 16. / steps_.mean[k]);
        place_bits_[k] = static_cast<float>(std::log2(places / std::max(counts[k], 1)) + 1.44) - kPlaceContextGain;
    }
}

// Of a value that is a multiple of the field's step; far below 2^24, so that floats are exact enough.
int KeyEngine::level_of(int32_t value, int field) const {
    return static_cast<int>(std::lrint(static_cast<float>(value) * inverse_steps_[field]));
}

void KeyEngine::residuals(int index, const int32_t f[8], int k, int r[8]) const {
    const Prediction& p = predictions_[index];
    r[0] = r[1] = 0;
    r[2] = level_of(f[2], 2) - kReference[k];
    for (int field = 3; field < 8; ++field) r[field] = level_of(f[field], field) - p.levels[field];
}

float KeyEngine::rate(int index, const int32_t f[8]) const {
    const int k = size_class(f[2]);
    int r[8];
    residuals(index, f, k, r);
    return place_bits_[k] + costs_.attributes(r, k);
}

double KeyEngine::bits() const {
    double total = 0;
    for (int i = 0; i < count_; ++i)
        if (fields(i)[8] != kKindDead && !is_fixed(i) && !predictions_.empty()) total += rate(i, fields(i));
    return total;
}

std::vector<int32_t> KeyEngine::splats() const {
    std::vector<int32_t> out;
    for (int i = 0; i < count_; ++i)
        if (fields(i)[8] != kKindDead && !is_fixed(i)) {
            out.insert(out.end(), fields(i), fields(i) + 8);
            out.push_back(static_cast<int32_t>(roles_[i]));
        }
    return out;
}

int KeyEngine::sweep(float lambda, const float* lambda_map, SweepKind kind) {
    lambda_ = lambda;
    lambda_map_ = lambda_map;
    changes_ = 0;
    predict();
    std::vector<PlacedSplat> placed;
    for (int i = 0; i < count_; ++i) {
        Fields f = fields(i);
        if (f[8] == kKindDead || is_fixed(i)) continue;
        placed.push_back({i, clamp(f[0] >> 4, 0, width_ - 1), clamp(f[1] >> 4, 0, height_ - 1),
                          window_of(make_geometry(f, height_), width_, height_)});
    }
    const SweepPlan plan = make_sweep_plan(placed, width_, height_);
    for (const auto& round : plan.rounds)
        canvas_.pool().parallel_for(static_cast<int>(round.size()), [&](int i) {
            const SweepItem& item = plan.items[round[i]];
            for (const int index : item.slots)
                visit(index, item, kind);
        });
    return changes_;
}

double KeyEngine::trial(const Visit& v, const Geometry* after) const {
    double change = canvas_.kernels().trial(canvas_.view(), &v.now, after);
    if (counts_alone(v.index)) change += lead_weight_ * lead_->kernels().trial(lead_->view(), &v.now, after);
    return change;
}

void KeyEngine::commit(const Visit& v, const Geometry* after) {
    canvas_.kernels().commit(canvas_.view(), &v.now, after);
    if (counts_alone(v.index)) lead_->kernels().commit(lead_->view(), &v.now, after);
}

float KeyEngine::evaluate(const Visit& v, const int32_t f[8], QuadraticWalk& walk, float& bits) const {
    float x[8];
    for (int k = 0; k < 8; ++k) x[k] = (f[k] - fields(v.index)[k]) * kUnit[k];
    walk.to(x);
    bits = rate(v.index, f);
    return walk.change() + v.lambda * (bits - v.bits_now);
}

// True where `snap` would leave a splat's shape as it is: surely so, not at every rounding's edge.
bool KeyEngine::is_snapped_shape(const int32_t* f) const {
    const float most = std::max(0.f, std::min({kMostShape, 300.f - f[2], 29.f + f[2]})) + .75f * steps_.shape;
    return static_cast<float>(f[3] * f[3] + f[4] * f[4]) < most * most - 1;
}

// Moves one field of a snapped splat by so many steps, and snaps it; false where that leads back to where it was.
bool KeyEngine::step_field(int32_t f[8], int field, int steps) const {
    const int by = steps * step_of(field, size_class(f[2])), to = f[field] + by;
    const bool within = field == 0   ? to >= 0 && to <= (width_ - 1) * 16
                        : field == 1 ? to >= 0 && to <= (height_ - 1) * 16
                        : field == 5 ? to >= -40 * 4 && to <= 295 * 4
                                     : to >= -140 * 4 && to <= 140 * 4;
    if (field != 2 && within) {
        f[field] = to;
        if (field < 2 || field > 4 || is_snapped_shape(f)) return steps != 0;
        f[field] -= by;
    }
    int32_t before[8];
    std::copy_n(f, 8, before);
    f[field] = to;
    snap(f);
    return !std::equal(f, f + 8, before);
}

bool KeyEngine::improve(const Visit& v, Candidate& c, QuadraticWalk& here, const int32_t f[8]) const {
    float bits;
    QuadraticWalk there = here;
    const float cost = evaluate(v, f, there, bits);
    if (cost >= c.cost - kLeastGain) return false;
    std::copy_n(f, 8, c.f);
    c.cost = cost;
    c.bits = bits;
    here = there;
    return true;
}

void KeyEngine::descend(const Visit& v, Candidate& c) const {
    QuadraticWalk here(v.gradient, v.hessian);
    c.cost = evaluate(v, c.f, here, c.bits);
    constexpr int kParts[4][2] = {{5, 6}, {6, 8}, {3, 5}, {6, 7}};
    for (int pass = 0; pass < 4; ++pass) {
        bool improved = false;
        int32_t f[8];
        for (int field = 0; field < 8; ++field)
            for (const int sign : {-1, 1}) {
                std::copy_n(c.f, 8, f);
                if (step_field(f, field, sign)) improved |= improve(v, c, here, f);
            }
        for (const auto& part : kParts) {  // to the prediction
            std::copy_n(c.f, 8, f);
            const int k = size_class(f[2]);
            int r[8];
            residuals(v.index, f, k, r);
            bool moved = false;
            for (int field = part[0]; field < part[1]; ++field)
                if (r[field]) moved |= step_field(f, field, -r[field]);
            if (moved) improved |= improve(v, c, here, f);
        }
        if (!improved) break;
    }
}

bool KeyEngine::take_best(Visit& v, const SweepItem& item, Candidate* candidates, int count) {
    std::sort(candidates, candidates + count, [](const Candidate& a, const Candidate& b) { return a.cost < b.cost; });
    float best = -kLeastGain;
    int chosen = -1, tried = 0;
    Geometry geometry_chosen{};
    for (int i = 0; i < count && tried < 2 && candidates[i].cost < 0; ++i) {
        const Candidate& c = candidates[i];
        if (std::equal(c.f, c.f + 8, fields(v.index))) continue;
        if (i && std::equal(c.f, c.f + 8, candidates[i - 1].f)) continue;
        int32_t f[kFields];
        std::copy_n(c.f, 8, f);
        f[8] = kKindNormalised;
        const Geometry after = make_geometry(f, height_);
        if (!contains(item.window, window_of(after, width_, height_))) continue;
        ++tried;
        const float cost = static_cast<float>(trial(v, &after)) + v.lambda * (c.bits - v.bits_now);
        if (cost < best) best = cost, chosen = i, geometry_chosen = after;
    }
    if (chosen < 0) return false;
    commit(v, &geometry_chosen);
    std::copy_n(candidates[chosen].f, 8, &splats_[static_cast<size_t>(v.index) * kFields]);
    return true;
}

void KeyEngine::visit(int index, const SweepItem& item, SweepKind kind) {
    Fields f = fields(index);
    Visit v;
    v.index = index;
    v.now = make_geometry(f, height_);
    const Window window = window_of(v.now, width_, height_);
    if (!contains(item.window, window)) return;
    const int column = clamp(f[0] >> 4, 0, width_ - 1) / kMapCell, row = clamp(f[1] >> 4, 0, height_ - 1) / kMapCell;
    v.lambda = lambda_ * lambda_map_[row * ((width_ + kMapCell - 1) / kMapCell) + column];
    v.bits_now = rate(index, f);
    if (kind.deletes && trial(v, nullptr) < v.lambda * v.bits_now) {
        commit(v, nullptr);
        splats_[static_cast<size_t>(index) * kFields + 8] = kKindDead;
        ++changes_;
        return;
    }
    if (!kind.changes) return;
    QuadraticModel model;
    canvas_.kernels().quadratic(canvas_.view(), v.now, make_shape_forms(f, v.now), model);
    std::copy_n(model.gradient, 8, v.gradient);
    std::copy_n(model.hessian, 64, v.hessian);
    if (counts_alone(index)) {
        lead_->kernels().quadratic(lead_->view(), v.now, make_shape_forms(f, v.now), model);
        for (int i = 0; i < 8; ++i) v.gradient[i] += lead_weight_ * model.gradient[i];
        for (int i = 0; i < 64; ++i) v.hessian[i] += lead_weight_ * model.hessian[i];
    }
    const int k = size_class(f[2]);
    float unit[8], gradient[8], hessian[64];
    for (int i = 0; i < 8; ++i) unit[i] = step_of(i, k) * kUnit[i];
    scale_model(v.gradient, v.hessian, unit, gradient, hessian);
    const float reach = std::max(1.5f, .7f * std::exp(f[2] * kUnit[2]));
    const float limit[8] = {reach, reach, .5f, .5f, .5f, 50, 50, 50};
    Candidate candidates[5];
    std::copy_n(f, 8, candidates[0].f);
    descend(v, candidates[0]);
    int count = 1;
    for (const FieldSubset& subset : kSubsets) {
        float step[8];
        solve_step(hessian, gradient, subset.fields, subset.count, step);
        Candidate& c = candidates[count++];
        for (int i = 0; i < 8; ++i)
            c.f[i] = f[i] + static_cast<int>(std::lrint(std::min(std::max(step[i] * unit[i], -limit[i]), limit[i]) / kUnit[i]));
        snap(c.f);
        descend(v, c);
    }
    changes_ += take_best(v, item, candidates, count);
}

}  // namespace splatcall
