// Drawing column by column: a picture is cut into columns LANES px wide, each held row after row as
// [row][plane][LANES], so that a splat's part in a column is one walk down consecutive memory.
//
// Down a column a weight needs no exponential: exp(-q/2) along y is a Gaussian, so each row is the one above times a
// ratio, and each ratio the one above times a constant. Only for *_isa.cpp files.
#pragma once

#include <algorithm>
#include <vector>

#include "kernel_math.hpp"

namespace ISA_NAMESPACE {

constexpr float WEIGHT_CUT = 0.011108997f;  // exp(-CUT/2): smaller weights are outside the ellipse
constexpr int WALK_ROWS = 32;               // most rows walked on from one exponential

// A splat with what its walks need besides.
struct ColumnSplat {
    SplatGeometry g;
    float beta2;     // b^2 + c^2, 1/px^2: q along y is beta2 * dy^2 + ...
    float inv_beta;  // px
    float tilt;      // dy of the ellipse's middle for each px of dx
    float narrow;    // 1/px^2: CUT / half_x^2
    float top;       // dx where the ellipse is highest (dy = +half_y), px
    float decay;     // factor of the ratio from row to row
    int run;         // rows that one exponential carries without underflow of a weight that counts
};

KERNEL_INLINE ColumnSplat column_splat(const SplatGeometry& g) {
    ColumnSplat s;
    s.g = g;
    s.beta2 = g.b * g.b + g.c * g.c;
    const float beta = std::sqrt(s.beta2);
    s.inv_beta = 1.f / beta;
    s.tilt = -g.a * g.b * s.inv_beta * s.inv_beta;
    s.narrow = CUT / (g.half_x * g.half_x);
    s.top = g.shear * g.half_y;
    s.decay = fine_exp(-s.beta2);
    // (3 + beta (run - 1))^2 / 2 < 87: a lane that starts at exactly 0 does not reach the ellipse within the run
    const float run = 1.f + 9.5f * s.inv_beta;
    s.run = run < float(WALK_ROWS) ? int(run) : WALK_ROWS;
    return s;
}

// Rows of [low, high) where the ellipse meets the columns x_first..x_last (empty: y0 >= y1).
KERNEL_INLINE Rows rows_in_column(const ColumnSplat& s, float x_first, float x_last, int low, int high) {
    const float d0 = std::fmax(x_first - s.g.x, -s.g.half_x), d1 = std::fmin(x_last - s.g.x, s.g.half_x);
    if (!(d0 <= d1)) return {low, low};
    const float up = std::fmin(std::fmax(s.top, d0), d1), down = std::fmin(std::fmax(-s.top, d0), d1);
    const float up_rest = std::fmax(CUT - s.narrow * up * up, 0.f);
    const float down_rest = std::fmax(CUT - s.narrow * down * down, 0.f);
    const float bottom = s.g.y + s.tilt * up + std::sqrt(up_rest) * s.inv_beta;
    const float start = s.g.y + s.tilt * down - std::sqrt(down_rest) * s.inv_beta;
    return {ceil_clamped(start, low, high), ceil_clamped(bottom, low, high)};
}

// Which rows of a picture a pass looks at: all of them, or every second one.
struct RowGrid {
    int first = 0, step = 1;  // step: 1 or 2
    int y(int k) const { return first + step * k; }
    // How many of its rows lie above row y.
    int above(int y) const { return (y - first + step - 1) / step; }
};

// Calls body(k, w) for the rows first + step k, k0 <= k < k1, of one column; w holds the LANES weights, 0 outside the
// ellipse. dx: px from the mean to each lane.
template <int step, class Body>
KERNEL_INLINE void walk_rows(const ColumnSplat& s, vfloat dx, int first, int k0, int k1, Body body) {
    static_assert(step == 1 || step == 2);
    const vfloat slope = s.g.a * dx;
    const int run = step == 1 ? s.run : std::max(1, s.run / 2);
    const float decay = step == 1 ? s.decay : s.decay * s.decay * (s.decay * s.decay);
    while (k0 < k1) {
        const float dy = float(first + step * k0) - s.g.y, v = s.g.c * dy;
        const vfloat u = slope + s.g.b * dy;
        vfloat w = fine_exp<vfloat>(-0.5f * (u * u + v * v));
        vfloat ratio;
        if constexpr (step == 1)
            ratio = fine_exp<vfloat>(-s.g.b * u - (s.g.c * v + 0.5f * s.beta2));
        else
            ratio = fine_exp<vfloat>(-2.f * s.g.b * u - (2.f * s.g.c * v + 2.f * s.beta2));
        const int end = k1 - k0 > run ? k0 + run : k1;
        for (; k0 < end; ++k0) {
            body(k0, w > WEIGHT_CUT ? w : vfloat{});
            w *= ratio;
            ratio *= decay;
        }
    }
}

// The same for all rows y0 <= y < y1.
template <class Body>
KERNEL_INLINE void walk_column(const ColumnSplat& s, vfloat dx, int y0, int y1, Body body) {
    walk_rows<1>(s, dx, 0, y0, y1, body);
}

// Adds a splat to a column's planes: three of weight * colour, then (weighted only) one of weight. rows: of a grid.
template <bool weighted, int step = 1>
KERNEL_INLINE void draw_in_column(const ColumnSplat& s, vfloat dx, Rows rows, float* column, int first = 0) {
    const vfloat c0 = splat(s.g.color[0]), c1 = splat(s.g.color[1]), c2 = splat(s.g.color[2]);
    walk_rows<step>(s, dx, first, rows.y0, rows.y1, [&](int y, vfloat w) {
        float* p = column + y * (4 * LANES);
        store(p, load(p) + w * c0);
        store(p + LANES, load(p + LANES) + w * c1);
        store(p + 2 * LANES, load(p + 2 * LANES) + w * c2);
        if constexpr (weighted) store(p + 3 * LANES, load(p + 3 * LANES) + w);
    });
}

// Which splats touch which column.
class ColumnBins {
public:
    // spans: columns [x0, x1) of each splat. Afterwards column k's splats are list()[start(k) .. start(k + 1)), in
    // order, and splat i's part in column k has the number part(i, k); parts of one splat are consecutive.
    void build(const std::vector<Span>& spans, int columns) {
        const int n = int(spans.size());
        start_.assign(columns + 2, 0);
        first_.resize(n + 1);
        int parts = 0;
        for (int i = 0; i < n; ++i) {
            first_[i] = parts - spans[i].x0;
            if (spans[i].x0 >= spans[i].x1) continue;
            parts += spans[i].x1 - spans[i].x0;
            for (int k = spans[i].x0; k < spans[i].x1; ++k) ++start_[k + 2];
        }
        parts_ = parts;
        for (int k = 0; k < columns; ++k) start_[k + 2] += start_[k + 1];
        list_.resize(parts);
        for (int i = 0; i < n; ++i)
            for (int k = spans[i].x0; k < spans[i].x1; ++k) list_[start_[k + 1]++] = i;
    }
    int start(int column) const { return start_[column]; }
    const int* list() const { return list_.data(); }
    int part(int i, int column) const { return first_[i] + column; }
    int parts() const { return parts_; }

private:
    std::vector<int> start_, first_, list_;
    int parts_ = 0;
};

// Columns [x0, x1) that a splat touches in a picture of the given size; empty off the picture.
KERNEL_INLINE Span touched_columns(const SplatGeometry& g, int width, int height) {
    const Rows rows = row_range(g, 0, height);
    const Span pixels = column_range(g, 0, width);
    if (rows.y0 >= rows.y1 || pixels.x0 >= pixels.x1) return {0, 0};
    return {pixels.x0 / LANES, (pixels.x1 - 1) / LANES + 1};
}

}  // namespace ISA_NAMESPACE
