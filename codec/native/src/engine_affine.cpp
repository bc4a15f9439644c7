#include "engine_affine.hpp"

#include <algorithm>
#include <cmath>

#include "engine_robust.hpp"

namespace splatcall {
namespace {

constexpr int kGridPx = 8;        // between the points of flow that are looked at
constexpr double kLeastDeviation = .1;  // px
constexpr double kLinearUnit = 4096, kShiftUnit = 8;
constexpr int kMostLinear = 2047, kMostShift = 2047;
constexpr double kLeastReachPx = .15;  // moved less at every corner, the picture is left as it is

constexpr float kPrice = 2;  // on a map's bits: the cells find part of what it gains
constexpr double kLeastShare = .3;  // of the squared error that a map must save: smaller gains are mostly undone by cells
constexpr double kClosePx = .3, kCloseShare = .6;  // of the points must go with the map: else it is no camera's

struct Point {
    double x, y, flow[2];
};

// Distance between a point's flow and where a map (shift, by x, by y for each axis) takes it.
double miss(const double map[2][3], const Point& p) {
    return std::hypot(map[0][0] + map[0][1] * p.x + map[0][2] * p.y - p.flow[0],
                      map[1][0] + map[1][1] * p.x + map[1][2] * p.y - p.flow[1]);
}

// Solves a symmetric 3 x 3 system; the rows beyond hold the right sides of both axes.
void solve(double m[3][5]) {
    for (int i = 0; i < 3; ++i)
        for (int r = 0; r < 3; ++r) {
            if (r == i) continue;
            const double f = m[r][i] / m[i][i];
            for (int j = i; j < 5; ++j) m[r][j] -= f * m[i][j];
        }
}

}  // namespace

Affine AffineSearch::fit(const Flow& flow) const {
    std::vector<Point> points;
    std::vector<double> across, down;
    for (int y = kGridPx / 2; y < e_.height_; y += kGridPx)
        for (int x = kGridPx / 2; x < e_.width_; x += kGridPx) {
            const size_t at = static_cast<size_t>(y) * e_.width_ + x;
            points.push_back({x - .5 * e_.width_, y - .5 * e_.height_, {flow.dx[at], flow.dy[at]}});
            across.push_back(flow.dx[at]);
            down.push_back(flow.dy[at]);
        }
    if (points.empty()) return {};
    double map[2][3] = {{median(across), 0, 0}, {median(down), 0, 0}};  // shift, by x, by y
    std::vector<double> misses(points.size());
    for (int pass = 0; pass < kFitPasses; ++pass) {
        for (size_t i = 0; i < points.size(); ++i) misses[i] = miss(map, points[i]);
        const double reach = tukey_reach(misses, kLeastDeviation);
        double m[3][5] = {};
        for (size_t i = 0; i < points.size(); ++i) {
            const double weight = tukey_weight(misses[i], reach);
            if (weight == 0) continue;
            const double row[5] = {1, points[i].x, points[i].y, points[i].flow[0], points[i].flow[1]};
            for (int r = 0; r < 3; ++r)
                for (int c = 0; c < 5; ++c) m[r][c] += weight * row[r] * row[c];
        }
        for (int r = 0; r < 3; ++r) m[r][r] += 1e-6;
        solve(m);
        for (int axis = 0; axis < 2; ++axis)
            for (int term = 0; term < 3; ++term) map[axis][term] = m[term][3 + axis] / m[term][term];
    }
    const auto close = std::count_if(points.begin(), points.end(), [&](const Point& p) { return miss(map, p) < kClosePx; });
    if (close < kCloseShare * points.size()) return {};
    Affine out;
    for (int axis = 0; axis < 2; ++axis) {
        out.terms[2 * axis] = bounded(kLinearUnit * map[axis][1], -kMostLinear, kMostLinear);
        out.terms[2 * axis + 1] = bounded(kLinearUnit * map[axis][2], -kMostLinear, kMostLinear);
        out.terms[4 + axis] = bounded(kShiftUnit * map[axis][0], -kMostShift, kMostShift);
    }
    double reach = 0;
    for (const int sx : {-1, 1})
        for (int axis = 0; axis < 2; ++axis)
            reach = std::max(reach, std::fabs(map[axis][0]) + .5 * std::fabs(map[axis][1] * e_.width_ + sx * map[axis][2] * e_.height_));
    return reach < kLeastReachPx ? Affine{} : out;
}

float AffineSearch::bits(const Affine& affine) const {
    float bits = e_.costs_.present.symbol(2, 1) - e_.costs_.present.symbol(2, 0) +
                 e_.costs_.affine_shape.symbol(0, affine.shape);
    for (int k = 0; k < 6; ++k) bits += e_.costs_.affine.value(k, affine.terms[k]);
    return bits;
}

void AffineSearch::apply(const Affine& affine) {
    const int32_t *t = affine.terms, turn = t[2] - t[1];
    for (int slot = 0; slot < e_.own_slots_; ++slot) {
        if (!e_.alive(slot)) continue;
        int32_t* f = e_.fields(slot);
        const int32_t dx = f[0] - 8 * e_.width_, dy = f[1] - 8 * e_.height_, e1 = f[3], e2 = f[4];
        f[0] += ((t[0] * dx + t[1] * dy) >> 12) + 2 * t[4];
        f[1] += ((t[2] * dx + t[3] * dy) >> 12) + 2 * t[5];
        if (affine.shape) {
            f[2] += (t[0] + t[3]) >> 7;
            f[3] += -((turn * e2) >> 12);
            f[4] += (turn * e1) >> 12;
        }
        saturate(f, e_.width_, e_.height_);
    }
    e_.render_splats();
}

double AffineSearch::cost_of(const Affine& affine, const std::vector<int32_t>& before, double error) {
    e_.splats_ = before;
    apply(affine);
    return e_.canvas_.squared_error() - error + kPrice * e_.params_.lambda * bits(affine);
}

void AffineSearch::run() {
    const std::vector<int32_t> before = e_.splats_;
    const double error = e_.canvas_.squared_error();
    double least = -kLeastShare * error;
    Affine best, shown;
    const auto consider = [&](const Affine& affine) {
        shown = affine;
        const double cost = cost_of(affine, before, error);
        if (cost >= least) return;
        least = cost;
        best = affine;
    };
    for (const Flow& flow : flows_) {
        const Affine affine = fit(flow);
        if (affine.moves()) consider(affine);
    }
    if (best.reshapes()) {
        Affine affine = best;
        affine.shape = true;
        consider(affine);
    }
    if (!(shown == best)) {
        e_.splats_ = before;
        apply(best);
    }
    if (!best.moves()) return;
    result_.affine.assign(best.terms, best.terms + 6);
    result_.affine_shape = best.shape;
}

}  // namespace splatcall
