// What the fits of splats to a picture share: drawing the splats column by column and, while a column is in cache,
// walking them again for what each gets from it. That is summed in a fixed order, so threads do not change a bit.
// Only for *_isa.cpp files.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "aligned.hpp"
#include "column.hpp"
#include "fit_session.hpp"

namespace ISA_NAMESPACE {

struct Moments { float m[FIT_PARAMS], v[FIT_PARAMS]; };  // of Adam

// The caller's indices of splats [n, 8] sorted by y, so that walks stay in cache.
inline std::vector<int> order_by_y(const float* splats, int n) {
    std::vector<int> order(n);
    std::iota(order.begin(), order.end(), 0);
    const auto y_of = [&](int i) { return splats[std::size_t(i) * FIT_PARAMS + 1]; };
    std::stable_sort(order.begin(), order.end(), [&](int i, int j) { return y_of(i) < y_of(j); });
    return order;
}

struct Totals { float of[FIT_PARAMS]; };

// normalised: the picture is divided by the sum of weights, which is a fourth plane; else that plane is not used.
template <bool normalised> class ColumnFit {
public:
    ColumnFit(int width, int height)
        : width_(width), height_(height), columns_((width + LANES - 1) / LANES), losses_(columns_) {}

    int columns() const { return columns_; }
    template <class Body> void for_splats(ThreadPool& pool, Body body) const {
        constexpr int SPLATS_A_TASK = 256;
        pool.parallel_for((n_ + SPLATS_A_TASK - 1) / SPLATS_A_TASK, [&](int task) {
            for (int i = task * SPLATS_A_TASK; i < std::min((task + 1) * SPLATS_A_TASK, n_); ++i) body(i);
        });
    }
    void resize(int n) {
        n_ = n;
        drawn_.resize(n);
        spans_.resize(n);
    }
    void set(int i, const ColumnSplat& s) {
        drawn_[i] = s;
        spans_[i] = touched_columns(s.g, width_, height_);
    }
    void copy(int i, const ColumnFit& from, int j) {
        drawn_[i] = from.drawn_[j];
        spans_[i] = from.spans_[j];
    }
    const SplatGeometry& geometry(int i) const { return drawn_[i].g; }
    // The rows of the picture that passes from now on look at; planes hold these alone.
    void set_rows(RowGrid grid) { grid_ = grid; }
    const RowGrid& rows() const { return grid_; }

    // For each column: background(column, planes) fills its planes [row][4][LANES], the splats are drawn over that, and
    // finish(column, planes) takes them.
    template <class Background, class Finish> void draw(ThreadPool& pool, Background background, Finish finish) {
        prepare(pool);
        pool.parallel_for(columns_, [&](int column, int worker) {
            float* planes = scratch_[worker].data();
            background(column, planes);
            grid_.step == 1 ? draw_column<1>(column, planes) : draw_column<2>(column, planes);
            finish(column, planes);
        });
    }

    // The same, where residual(column, planes) returns the column's loss and turns the planes into what splats get: the
    // gradient by w c, and if normalised the picture times that. Returns the loss; totals() then gives the sums.
    template <class Background, class Residual> double sum(ThreadPool& pool, Background background, Residual residual) {
        draw(pool, background, [&](int column, float* planes) {
            losses_[column] = residual(column, planes);
            grid_.step == 1 ? sum_column<1>(column, planes) : sum_column<2>(column, planes);
        });
        return std::accumulate(losses_.begin(), losses_.end(), 0.0);
    }

    // What splat i got from all its columns: see part_sums(). Only until the splat is set again.
    Totals totals(int i) const {
        Totals t{};
        for (int k = spans_[i].x0; k < spans_[i].x1; ++k) {
            const float* part = parts_.data() + std::size_t(bins_.part(i, k)) * FIT_PARAMS;
            for (int j = 0; j < FIT_PARAMS; ++j) t.of[j] += part[j];
        }
        return t;
    }

private:
    void prepare(const ThreadPool& pool) {
        bins_.build(spans_, columns_);
        parts_.resize(std::size_t(bins_.parts()) * FIT_PARAMS);
        part_rows_.resize(bins_.parts());
        while (int(scratch_.size()) < pool.threads()) scratch_.emplace_back(std::size_t(height_) * 4 * LANES);
    }

    template <int step> void draw_column(int column, float* planes) {
        const float x_first = float(column * LANES);
        const vfloat x = x_first + lane_numbers();
        for (int k = bins_.start(column); k < bins_.start(column + 1); ++k) {
            const int i = bins_.list()[k];
            const ColumnSplat& s = drawn_[i];
            const Rows all = rows_in_column(s, x_first, x_first + float(LANES - 1), 0, height_);
            const Rows rows = step == 1 ? all : Rows{grid_.above(all.y0), grid_.above(all.y1)};
            part_rows_[bins_.part(i, column)] = rows;
            draw_in_column<normalised, step>(s, x - s.g.x, rows, planes, grid_.first);
        }
    }

    template <int step> void sum_column(int column, const float* planes) {
        for (int k = bins_.start(column); k < bins_.start(column + 1); ++k) {
            const int i = bins_.list()[k], part = bins_.part(i, column);
            float* sums = &parts_.data()[std::size_t(part) * FIT_PARAMS];
            part_sums<step>(drawn_[i], column, grid_.first, part_rows_[part], planes, sums);
        }
    }

    // With e = w (E . color), less w times the fourth plane if normalised: the sums over a column of w E (three), e dx,
    // e dy, e dx^2, e dx dy, e dy^2.
    template <int step>
    static void part_sums(const ColumnSplat& s, int column, int first, Rows rows, const float* planes, float* out) {
        const vfloat dx = float(column * LANES) - s.g.x + lane_numbers();
        const vfloat c0 = splat(s.g.color[0]), c1 = splat(s.g.color[1]), c2 = splat(s.g.color[2]);
        vfloat w0{}, w1{}, w2{}, e0{}, e1{}, e2{};
        vfloat dy = splat(float(first + step * rows.y0) - s.g.y);
        walk_rows<step>(s, dx, first, rows.y0, rows.y1, [&](int y, vfloat w) {
            const float* p = planes + y * (4 * LANES);
            const vfloat p0 = load(p), p1 = load(p + LANES), p2 = load(p + 2 * LANES);
            vfloat pull = p0 * c0 + p1 * c1 + p2 * c2;
            if constexpr (normalised) pull -= load(p + 3 * LANES);
            const vfloat e = w * pull;
            w0 += w * p0;
            w1 += w * p1;
            w2 += w * p2;
            const vfloat ey = e * dy;
            e0 += e;
            e1 += ey;
            e2 += ey * dy;
            dy += float(step);
        });
        const vfloat sums[FIT_PARAMS] = {w0, w1, w2, e0 * dx, e1, e0 * dx * dx, e1 * dx, e2};
        sum_eight(sums, out);
    }

    const int width_, height_, columns_;
    int n_ = 0;
    std::vector<ColumnSplat> drawn_;
    std::vector<Span> spans_;
    ColumnBins bins_;
    AlignedFloats parts_;          // [parts, 8] sums of one splat in one column
    std::vector<Rows> part_rows_;  // [parts] of the grid
    RowGrid grid_;
    std::vector<AlignedFloats> scratch_;
    std::vector<double> losses_;
};

}  // namespace ISA_NAMESPACE
