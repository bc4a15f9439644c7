#include "engine_sweep.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>

namespace splatcall {
namespace {

constexpr int kDirtyTile = 16;
constexpr float kNearlyPaid = .6f;   // share of its cost a splat must have gained to be visited again
constexpr float kLeastGain = 1e-3f;
constexpr float kLeastBits = 1;      // that a splat's predicted gain must pay beyond its activation
constexpr int kMostTrials = 4, kQuickTrials = 2;  // exact trials of a splat's candidates
constexpr int kPasses = 3, kQuickPasses = 1;  // of the descent of one candidate
constexpr int kQuickRows = 12, kMostModelStep = 4;  // rows of a splat that a quick model looks at, at least; of how many one
constexpr float kMostColorStep = 60;  // 1/255, of one change
// Factors on lambda of the first sweeps: the large gains first, so that small ones do not stand in their way.
constexpr float kAnnealing[3] = {2.5f, 1.6f, 1.25f};
constexpr int kAnnealedSweeps = 4;   // with fewer sweeps only the first is annealed, by the factor below
constexpr float kShortAnnealing = 1.6f;

constexpr int kGeometry[5] = {0, 1, 2, 3, 4};
constexpr FieldSubset kSubsets[4] = {{kAllFields, 8}, {kColorFields, 3}, {kPlaceColorFields, 5}, {kGeometry, 5}};
constexpr int kParts[4] = {0, 2, 5, 8};  // mean, shape, colour as ranges of fields

float annealing(int index, int sweeps) {
    if (sweeps >= kAnnealedSweeps) return index < 3 ? kAnnealing[index] : 1.f;
    return index == 0 && sweeps > 1 ? kShortAnnealing : 1.f;
}

bool any(const int delta[8]) {
    return std::any_of(delta, delta + 8, [](int d) { return d != 0; });
}

}  // namespace

Sweep::Sweep(PEngine& engine, PResult& result)
    : e_(engine),
      result_(result),
      predicted_(engine.splats_),
      delta_(static_cast<size_t>(engine.own_slots_) * 8),
      geometries_(engine.own_slots_),
      changed_(engine.own_slots_),
      changed_before_(engine.own_slots_),
      block_changed_(engine.own_slots_ / kBlockSlots),
      dirty_(static_cast<size_t>((engine.width_ + kDirtyTile - 1) / kDirtyTile) *
             ((engine.height_ + kDirtyTile - 1) / kDirtyTile)),
      tile_columns_((engine.width_ + kDirtyTile - 1) / kDirtyTile),
      tile_rows_((engine.height_ + kDirtyTile - 1) / kDirtyTile) {
    make_plan();
    if (e_.params_.screen) mark_risen();
}

void Sweep::make_plan() {
    e_.canvas_.pool().parallel_for(e_.own_slots_ / kBlockSlots, [&](int block) {
        for (int slot = block * kBlockSlots; slot < (block + 1) * kBlockSlots; ++slot)
            if (e_.alive(slot)) geometries_[slot] = e_.geometry(slot);
    });
    std::vector<PlacedSplat> placed;
    for (int slot = 0; slot < e_.own_slots_; ++slot) {
        if (!e_.alive(slot)) continue;
        PlacedSplat splat = {slot, e_.column_of(e_.fields(slot), 1), e_.row_of(e_.fields(slot), 1),
                             e_.window(geometries_[slot])};
        if (e_.params_.screen)
            splat.priority = std::max(0.f, e_.rise_in(splat.x_px / kDirtyTile * kDirtyTile,
                                                      splat.y_px / kDirtyTile * kDirtyTile, kDirtyTile));
        placed.push_back(splat);
    }
    plan_ = make_sweep_plan(placed, e_.width_, e_.height_);
}

// Splats near blocks whose error has risen are looked at in the first sweep.
void Sweep::mark_risen() {
    for (int row = 0; row < tile_rows_; ++row)
        for (int column = 0; column < tile_columns_; ++column) {
            const int x = column * kDirtyTile, y = row * kDirtyTile;
            if (e_.rise_in(x, y, kDirtyTile) > kRisenBits * e_.lambda_at(x, y)) dirty_[row * tile_columns_ + column] = 1;
        }
}

void Sweep::run(int index) {
    lambda_factor_ = annealing(index, e_.params_.sweeps);
    dirty_before_.resize(dirty_.size());
    for (size_t i = 0; i < dirty_.size(); ++i) dirty_before_[i] = dirty_[i].exchange(0, std::memory_order_relaxed);
    const auto look = [&](int slot, const SweepItem& item) {
        if (out_of_work()) {
            if (index == 0) unvisited_.fetch_add(1, std::memory_order_relaxed);
        } else if (!out_of_bits()) {
            visit(slot, item, index);
        }
    };
    run_rounds(look, [&](int slot) { return index == 0 || (e_.alive(slot) && !settled(slot)); });
}

void Sweep::run_colors() {
    lambda_factor_ = 1;
    dirty_before_.assign(dirty_.begin(), dirty_.end());
    run_rounds([&](int slot, const SweepItem&) { if (!out_of_work() && !out_of_bits()) visit_color(slot); },
               [](int) { return true; });
}

template <class Visitor, class Passes>
void Sweep::run_rounds(Visitor visitor, Passes passes) {
    std::vector<uint8_t> active(plan_.items.size());
    e_.canvas_.pool().parallel_for(static_cast<int>(active.size()), [&](int i) {
        const std::vector<int>& slots = plan_.items[i].slots;
        active[i] = std::any_of(slots.begin(), slots.end(), passes);
    });
    std::vector<int> items;
    for (const auto& round : plan_.rounds) {
        items.clear();
        std::copy_if(round.begin(), round.end(), std::back_inserter(items), [&](int i) { return active[i]; });
        if (items.empty()) continue;
        changed_before_ = changed_;
        for (size_t b = 0; b < block_changed_.size(); ++b)
            block_changed_[b] = static_cast<int>(
                std::count(changed_.begin() + b * kBlockSlots, changed_.begin() + (b + 1) * kBlockSlots, 1));
        e_.work_.run(e_.canvas_.pool(), static_cast<int>(items.size()), [&](int i, int) {
            const SweepItem& item = plan_.items[items[i]];
            for (const int slot : item.slots) visitor(slot, item);
        });
    }
}

bool Sweep::settled(int slot) const {
    return e_.gain_left_[slot] < kNearlyPaid * lambda_at(slot) && !near_change(geometries_[slot]);
}

float Sweep::activation_bits(int slot) const {
    const int density = e_.params_.density, block = slot / kBlockSlots, at = slot % kBlockSlots;
    int before = 0;
    for (int j = std::max(0, at - 4); j < at; ++j) before += changed_before_[block * kBlockSlots + j];
    const int context = 6 * density + 3 * (at >= kBlockFill) + std::min(2, before);
    float bits = e_.costs_.slot_on.symbol(context, 1) - e_.costs_.slot_on.symbol(context, 0);
    if (block_changed_[block] - changed_before_[slot] == 0)
        bits += e_.costs_.block_on.symbol(4 * density, 1) - e_.costs_.block_on.symbol(4 * density, 0) +
                kBlockFill * e_.costs_.slot_on.symbol(6 * density, 0);
    return std::max(bits, .5f);
}

void Sweep::load_model(Visit& v) const {
    const int32_t* f = e_.fields(v.slot);
    QuadraticModel model;
    const Canvas& canvas = e_.canvas_;
    const int rows = v.now.row_end - v.now.row_begin;
    const int strip_step = e_.params_.quick ? std::min(kMostModelStep, std::max(1, rows / kQuickRows)) : 1;
    canvas.kernels().quadratic(canvas.view(), v.now, make_shape_forms(f, v.now), model, strip_step);
    float unit[8];
    for (int k = 0; k < 8; ++k) unit[k] = e_.steps_.of(k) * kUnit[k];
    scale_model(model.gradient, model.hessian, unit, v.gradient, v.hessian);
    const float sigma = std::exp(f[2] * kUnit[2]);
    const int reach = static_cast<int>(std::max(1.f, .5f * sigma) * 2.f / unit[0]);
    for (int k = 0; k < 8; ++k) v.limit[k] = k < 2 ? reach : k < 5 ? 4 : static_cast<int>(kMostColorStep / unit[k]);
}

float Sweep::bits(const Visit& v, const int delta[8]) const {
    return any(delta) ? e_.costs_.update(delta, e_.params_.density) + v.activation : 0.f;
}

float Sweep::predict(const Visit& v, const int delta[8], QuadraticWalk& walk) const {
    const int* now = &delta_[static_cast<size_t>(v.slot) * 8];
    float x[8];
    for (int k = 0; k < 8; ++k) x[k] = static_cast<float>(delta[k] - now[k]);
    walk.to(x);
    return walk.change() + v.lambda * (bits(v, delta) - v.bits_now);
}

void Sweep::descend(const Visit& v, Candidate& c) const {
    QuadraticWalk here(v.gradient, v.hessian);
    c.cost = predict(v, c.delta, here);
    const auto better = [&](const int trial[8]) {
        QuadraticWalk there = here;
        const float cost = predict(v, trial, there);
        if (cost >= c.cost - kLeastGain) return false;
        std::copy_n(trial, 8, c.delta);
        c.cost = cost;
        here = there;
        return true;
    };
    for (int pass = 0; pass < (e_.params_.quick ? kQuickPasses : kPasses); ++pass) {
        bool improved = false;
        int trial[8];
        for (int k = 0; k < 8; ++k) {
            const int value = c.delta[k];
            for (const int to : {value - 1, value + 1, 0}) {
                if (to == c.delta[k] || (to == 0 && std::abs(value) <= 1)) continue;
                std::copy_n(c.delta, 8, trial);
                trial[k] = to;
                improved |= better(trial);
            }
        }
        for (int part = 0; part < 3; ++part) {
            std::copy_n(c.delta, 8, trial);
            std::fill(trial + kParts[part], trial + kParts[part + 1], 0);
            if (!std::equal(trial, trial + 8, c.delta)) improved |= better(trial);
        }
        if (!improved) break;
    }
}

bool Sweep::place(int slot, const int delta[8], int32_t out[kFields]) const {
    std::copy_n(&predicted_[static_cast<size_t>(slot) * kFields], kFields, out);
    for (int k = 0; k < 8; ++k) out[k] += delta[k] * e_.steps_.of(k);
    saturate(out, e_.width_, e_.height_);
    return allowed_shape(out) || (!delta[2] && !delta[3] && !delta[4]);
}

void Sweep::take(Visit& v, const int32_t fields[kFields], const int delta[8], const Geometry& after) {
    const Canvas& canvas = e_.canvas_;
    const bool dies = fields[8] == kKindDead;
    canvas.kernels().commit(canvas.view(), &v.now, dies ? nullptr : &after);
    mark_change(v.now);
    if (!dies) mark_change(after);
    std::copy_n(fields, kFields, e_.fields(v.slot));
    std::copy_n(delta, 8, &delta_[static_cast<size_t>(v.slot) * 8]);
    geometries_[v.slot] = after;
    changed_[v.slot] = dies || any(delta);
}

bool Sweep::try_candidates(Visit& v, const SweepItem& item, Candidate* candidates, int count) {
    std::sort(candidates, candidates + count, [](const Candidate& a, const Candidate& b) { return a.cost < b.cost; });
    const Canvas& canvas = e_.canvas_;
    const int* now = &delta_[static_cast<size_t>(v.slot) * 8];
    float best = -kLeastGain;
    int chosen = -1, tried = 0;
    Geometry geometry_chosen{};
    int32_t fields_chosen[kFields];
    const int most = e_.params_.quick ? kQuickTrials : kMostTrials;
    for (int i = 0; i < count && tried < most && candidates[i].cost < 0; ++i) {
        const Candidate& c = candidates[i];
        if (std::equal(c.delta, c.delta + 8, now)) continue;
        if (i && std::equal(c.delta, c.delta + 8, candidates[i - 1].delta)) continue;
        int32_t fields[kFields];
        if (!place(v.slot, c.delta, fields)) continue;
        const Geometry after = make_geometry(fields, e_.height_);
        if (!contains(item.window, e_.window(after))) continue;
        ++tried;
        const float cost = static_cast<float>(canvas.kernels().trial(canvas.view(), &v.now, &after)) +
                           v.lambda * (bits(v, c.delta) - v.bits_now);
        if (cost >= best) continue;
        best = cost;
        chosen = i;
        geometry_chosen = after;
        std::copy_n(fields, kFields, fields_chosen);
    }
    trials_.fetch_add(tried, std::memory_order_relaxed);
    if (chosen < 0) return false;
    take(v, fields_chosen, candidates[chosen].delta, geometry_chosen);
    count_bits(bits(v, candidates[chosen].delta) - v.bits_now);
    return true;
}

bool Sweep::try_death(Visit& v) {
    const Canvas& canvas = e_.canvas_;
    const float bits_dead = e_.costs_.pattern.symbol(e_.params_.density, 0) + v.activation;
    trials_.fetch_add(1, std::memory_order_relaxed);
    const double rise = canvas.kernels().trial(canvas.view(), &v.now, nullptr);
    if (rise + v.lambda * (bits_dead - v.bits_now) >= 0) return false;
    const int32_t dead[kFields] = {};
    const int none[8] = {};
    take(v, dead, none, v.now);
    count_bits(bits_dead - v.bits_now);
    return true;
}

void Sweep::best_color(const Visit& v, const ColorModel& model, int best[8]) const {
    const float chroma_weight = e_.canvas_.view().chroma_weight;
    float step[3];
    int ideal[3];
    for (int k = 0; k < 3; ++k) {
        step[k] = e_.steps_.of(5 + k) * kUnit[5 + k];
        const int most = static_cast<int>(kMostColorStep / step[k]);
        ideal[k] = std::min(std::max(static_cast<int>(std::lrint(-model.gradient[k] / model.matrix / step[k])), -most), most);
    }
    const auto change = [&](int k, int d) {
        const float by = d * step[k];
        return (k ? chroma_weight : 1.f) * by * (2 * model.gradient[k] + by * model.matrix);
    };
    float least = 0;
    for (const int luma : {ideal[0], ideal[0] - (ideal[0] > 0) + (ideal[0] < 0), 0})
        for (const int with_chroma : {0, 1}) {
            const int trial[8] = {0, 0, 0, 0, 0, luma, with_chroma * ideal[1], with_chroma * ideal[2]};
            if (!any(trial)) continue;
            const float cost = change(0, trial[5]) + change(1, trial[6]) + change(2, trial[7]) + v.lambda * bits(v, trial);
            if (cost < least) least = cost, std::copy_n(trial, 8, best);
        }
}

void Sweep::visit_color(int slot) {
    Visit v;
    v.slot = slot;
    v.now = geometries_[slot];
    if (e_.params_.screen && !near_change(v.now)) return;
    v.lambda = lambda_at(slot);
    v.activation = activation_bits(slot);
    v.bits_now = 0;
    const Canvas& canvas = e_.canvas_;
    ColorModel model;
    canvas.kernels().color(canvas.view(), v.now, model);
    float gain = 0;
    for (int k = 0; k < 3; ++k) gain += (k ? canvas.view().chroma_weight : 1.f) * model.gradient[k] * model.gradient[k];
    if (gain < model.matrix * v.lambda * (v.activation + kLeastBits) || model.matrix < kLeastGain) return;
    int best[8] = {};
    best_color(v, model, best);
    if (!any(best)) return;
    int32_t fields[kFields];
    place(slot, best, fields);
    take(v, fields, best, make_geometry(fields, e_.height_));
    count_bits(bits(v, best));
}

void Sweep::visit(int slot, const SweepItem& item, int index) {
    if (!e_.alive(slot)) return;
    Visit v;
    v.slot = slot;
    if ((index > 0 || e_.params_.screen) && settled(slot)) return;
    v.now = geometries_[slot];
    v.lambda = lambda_at(slot) * lambda_factor_;
    if (!contains(item.window, e_.window(v.now))) return;
    const int* delta = &delta_[static_cast<size_t>(slot) * 8];
    const bool was = any(delta);
    v.activation = activation_bits(slot);
    v.bits_now = bits(v, delta);
    load_model(v);
    matrices_.fetch_add(1, std::memory_order_relaxed);
    float step[8];
    solve_step(v.hessian, v.gradient, kAllFields, 8, step);
    float gain = 0;
    for (int k = 0; k < 8; ++k) gain -= .5f * v.gradient[k] * step[k];
    const float least = v.lambda * (v.activation + kLeastBits);
    e_.gain_left_[slot] = was ? v.lambda : gain / (v.activation + kLeastBits);
    if (!was && gain < least) return;

    Candidate candidates[5];
    int count = 0;
    if (was) {
        std::fill_n(candidates[0].delta, 8, 0);
        QuadraticWalk walk(v.gradient, v.hessian);
        candidates[count++].cost = predict(v, candidates[0].delta, walk);
    }
    for (const FieldSubset& subset : kSubsets) {
        if (count > (was ? 1 : 0)) solve_step(v.hessian, v.gradient, subset.fields, subset.count, step);
        Candidate& c = candidates[count++];
        for (int k = 0; k < 8; ++k) {
            const float bounded = std::min(std::max(step[k], -static_cast<float>(v.limit[k])), static_cast<float>(v.limit[k]));
            c.delta[k] = static_cast<int>(std::lrint(delta[k] + bounded));
        }
        descend(v, c);
    }
    if (!try_candidates(v, item, candidates, count) && !was) try_death(v);
}

template <class Fn>
void Sweep::for_core_tiles(const Geometry& g, float most_px, Fn fn) const {
    const float reach_x = .6f * std::min(kCutSigma * std::sqrt(g.b * g.b + g.c * g.c) / (g.a * g.c), most_px);
    const float reach_y = .6f * std::min(kCutSigma / g.c, most_px);
    const auto tile = [](float px, int count) {
        return std::min(std::max(static_cast<int>(px) / kDirtyTile, 0), count - 1);
    };
    const int x0 = tile(g.x - reach_x, tile_columns_), x1 = tile(g.x + reach_x, tile_columns_);
    for (int y = tile(g.y - reach_y, tile_rows_); y <= tile(g.y + reach_y, tile_rows_); ++y)
        for (int x = x0; x <= x1; ++x) fn(y * tile_columns_ + x);
}

bool Sweep::near_change(const Geometry& g) const {
    bool found = false;
    for_core_tiles(g, 24.f, [&](int tile) { found |= dirty_before_[tile] != 0; });
    return found;
}

void Sweep::mark_change(const Geometry& g) {
    for_core_tiles(g, 40.f, [&](int tile) { dirty_[tile].store(1, std::memory_order_relaxed); });
}

void Sweep::finish() {
    for (int slot = 0; slot < e_.own_slots_; ++slot) {
        if (!changed_[slot]) continue;
        if (!e_.alive(slot)) {
            result_.death_slots.push_back(slot);
            continue;
        }
        const int* delta = &delta_[static_cast<size_t>(slot) * 8];
        result_.update_slots.push_back(slot);
        result_.update_deltas.insert(result_.update_deltas.end(), delta, delta + 8);
    }
    result_.trials += trials_;
    result_.matrices += matrices_;
    result_.unvisited = unvisited_;
}

}  // namespace splatcall
