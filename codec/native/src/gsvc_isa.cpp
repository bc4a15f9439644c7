// The gsvc baseline's kernels: additive splats drawn column by column, the loss, its gradient and Adam in one pass over
// the picture. What a splat gets from its columns is summed in a fixed order, so threads do not change a bit.
#include "gsvc.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

#include "aligned.hpp"
#include "column.hpp"

namespace ISA_NAMESPACE {
namespace {

constexpr int PARAMS = GSVC_PARAMS;
constexpr float TINY = 1e-12f;
constexpr float LOW_LOG = -0.9f, HIGH_LOG = 4.6f, MAX_SHEAR = 4.f;  // of ln p and ln r, of k
constexpr float MARGIN = 16.f;                                     // px that a mean may leave the picture
constexpr int SPLATS_A_TASK = 256;

struct Moments { float m[PARAMS], v[PARAMS]; };

ColumnSplat column_splat_of(const float* p) {
    SplatGeometry g;
    g.x = p[0];
    g.y = p[1];
    std::copy_n(p + 5, 3, g.color);
    g.kind = 2;
    const float c = fine_exp(-p[4]);
    set_whitening(g, fine_exp(-p[2]), -p[3] * c, c);
    return column_splat(g);
}

void draw_column(const std::vector<ColumnSplat>& splats, const ColumnBins& bins, int column, int height, float* planes,
                 Rows* part_rows) {
    std::fill_n(planes, std::size_t(height) * 4 * LANES, 0.f);
    const float x_first = float(column * LANES);
    const vfloat x = x_first + lane_numbers();
    for (int k = bins.start(column); k < bins.start(column + 1); ++k) {
        const int i = bins.list()[k];
        const Rows rows = rows_in_column(splats[i], x_first, x_first + float(LANES - 1), 0, height);
        if (part_rows) part_rows[bins.part(i, column)] = rows;
        draw_in_column<false>(splats[i], x - splats[i].g.x, rows, planes);
    }
}

void render(const float* splats, int n, int width, int height, float* out, ThreadPool& pool) {
    const int columns = (width + LANES - 1) / LANES;
    std::vector<ColumnSplat> drawn(n);
    std::vector<Span> spans(n);
    for (int i = 0; i < n; ++i) {
        drawn[i] = column_splat_of(splats + std::size_t(i) * PARAMS);
        spans[i] = touched_columns(drawn[i].g, width, height);
    }
    ColumnBins bins;
    bins.build(spans, columns);
    std::vector<AlignedFloats> scratch;
    for (int worker = 0; worker < pool.threads(); ++worker) scratch.emplace_back(std::size_t(height) * 4 * LANES);
    pool.parallel_for(columns, [&](int column, int worker) {
        float* planes = scratch[worker].data();
        draw_column(drawn, bins, column, height, planes, nullptr);
        const int lanes = std::min(LANES, width - column * LANES);
        for (int c = 0; c < 3; ++c)
            for (int y = 0; y < height; ++y)
                std::copy_n(planes + (y * 4 + c) * LANES, lanes,
                            out + (std::size_t(c) * height + y) * width + column * LANES);
    });
}

class Session final : public GsvcSession {
public:
    Session(const GsvcTarget& target, const GsvcAdam& adam);
    void set_splats(const float* splats, int n) override;
    void splats(float* out) const override;
    void drawn(float* out) const override;
    int size() const override { return n_; }
    void set_lattice(const GsvcLattice& lattice, const float* anchors) override;
    double gradient(ThreadPool& pool) override;
    void gradients(float* out) const override;
    double step(float rate, ThreadPool& pool) override;

private:
    template <class Body> void for_splats(ThreadPool& pool, Body body) const;
    void round_to_lattice(int i, float* params) const;
    void prepare(ThreadPool& pool);
    void prepare_splat(int i);
    double residual(int column, float* planes) const;
    void part_sums(const ColumnSplat& s, int column, Rows rows, const float* planes, float* out) const;
    void splat_gradient(int i, float* out) const;
    void adam(int i, float rate, float scale1, float scale2);

    int width_, height_, columns_, n_ = 0, steps_ = 0;
    float channel_weights_[3];
    GsvcAdam adam_;
    bool stale_ = true;
    GsvcLattice lattice_;
    float lattice_steps_[PARAMS], epsilon_[PARAMS];
    AlignedFloats target_;            // [column][row][3][LANES]
    std::vector<int> order_;          // place here -> the caller's index; sorted by y, so that walks stay in cache
    std::vector<float> params_, anchors_;  // [n, 8]
    std::vector<Moments> moments_;
    std::vector<ColumnSplat> drawn_;
    std::vector<Span> spans_;
    ColumnBins bins_;
    AlignedFloats parts_;             // [parts, 8] sums of one splat in one column
    std::vector<Rows> part_rows_;     // [parts]
    std::vector<AlignedFloats> scratch_;
    std::vector<double> losses_;
};

Session::Session(const GsvcTarget& target, const GsvcAdam& adam)
    : width_(target.width), height_(target.height), columns_((target.width + LANES - 1) / LANES), adam_(adam),
      losses_(columns_) {
    std::copy_n(target.channel_weights, 3, channel_weights_);
    const std::size_t area = std::size_t(width_) * height_;
    target_.resize(std::size_t(columns_) * height_ * 3 * LANES);
    float* to = target_.data();
    for (int column = 0; column < columns_; ++column)
        for (int y = 0; y < height_; ++y)
            for (int c = 0; c < 3; ++c)
                for (int lane = 0; lane < LANES; ++lane) {
                    const int x = std::min(column * LANES + lane, width_ - 1);
                    *to++ = target.target[c * area + std::size_t(y) * width_ + x];
                }
}

void Session::set_splats(const float* splats, int n) {
    n_ = n;
    order_.resize(n);
    std::iota(order_.begin(), order_.end(), 0);
    const auto y_of = [&](int i) { return splats[std::size_t(i) * PARAMS + 1]; };
    std::stable_sort(order_.begin(), order_.end(), [&](int i, int j) { return y_of(i) < y_of(j); });
    params_.resize(std::size_t(n) * PARAMS);
    for (int i = 0; i < n; ++i)
        std::copy_n(splats + std::size_t(order_[i]) * PARAMS, PARAMS, &params_[std::size_t(i) * PARAMS]);
    drawn_.resize(n);
    spans_.resize(n);
    set_lattice(GsvcLattice{false, 1.f, 1.f, 1.f, 1.f, 0.5f, 0.f}, nullptr);
}

void Session::set_lattice(const GsvcLattice& lattice, const float* anchors) {
    lattice_ = lattice;
    const float steps[PARAMS] = {lattice.mean, lattice.mean, lattice.shape, lattice.shape, lattice.shape,
                                 lattice.luma, lattice.chroma, lattice.chroma};
    for (int k = 0; k < PARAMS; ++k) {
        lattice_steps_[k] = steps[k];
        epsilon_[k] = TINY + (lattice.on ? lattice.calm / steps[k] : 0.f);
    }
    steps_ = 0;
    stale_ = true;
    moments_.assign(n_, Moments{});
    anchors_.assign(std::size_t(n_) * PARAMS, 0.f);
    if (anchors)
        for (int i = 0; i < n_; ++i)
            std::copy_n(anchors + std::size_t(order_[i]) * PARAMS, PARAMS, &anchors_[std::size_t(i) * PARAMS]);
}

void Session::splats(float* out) const {
    for (int i = 0; i < n_; ++i)
        std::copy_n(&params_[std::size_t(i) * PARAMS], PARAMS, out + std::size_t(order_[i]) * PARAMS);
}

void Session::drawn(float* out) const {
    for (int i = 0; i < n_; ++i) {
        float* to = out + std::size_t(order_[i]) * PARAMS;
        std::copy_n(&params_[std::size_t(i) * PARAMS], PARAMS, to);
        round_to_lattice(i, to);
    }
}

// The gradient passes as if it had not rounded (straight-through).
void Session::round_to_lattice(int i, float* p) const {
    if (!lattice_.on) return;
    for (int k = 0; k < PARAMS; ++k) {
        const float anchor = anchors_[std::size_t(i) * PARAMS + k], away = (p[k] - anchor) / lattice_steps_[k];
        p[k] = anchor + std::copysign(std::floor(std::fabs(away) + lattice_.bias), away) * lattice_steps_[k];
    }
}

void Session::prepare_splat(int i) {
    float p[PARAMS];
    std::copy_n(&params_[std::size_t(i) * PARAMS], PARAMS, p);
    round_to_lattice(i, p);
    drawn_[i] = column_splat_of(p);
    spans_[i] = touched_columns(drawn_[i].g, width_, height_);
}

template <class Body> void Session::for_splats(ThreadPool& pool, Body body) const {
    pool.parallel_for((n_ + SPLATS_A_TASK - 1) / SPLATS_A_TASK, [&](int task) {
        for (int i = task * SPLATS_A_TASK; i < std::min((task + 1) * SPLATS_A_TASK, n_); ++i) body(i);
    });
}

void Session::prepare(ThreadPool& pool) {
    if (stale_) for_splats(pool, [&](int i) { prepare_splat(i); });
    stale_ = false;
    bins_.build(spans_, columns_);
    parts_.resize(std::size_t(bins_.parts()) * PARAMS);
    part_rows_.resize(bins_.parts());
    while (int(scratch_.size()) < pool.threads()) scratch_.emplace_back(std::size_t(height_) * 4 * LANES);
}

// Turns the picture into dL/dI. Returns the loss.
double Session::residual(int column, float* planes) const {
    const float* target = target_.data() + std::size_t(column) * height_ * 3 * LANES;
    vfloat inside = lane_numbers() + float(column * LANES) < float(width_) ? splat(1.f) : vfloat{};
    double total = 0;
    for (int first = 0; first < height_; first += 64) {  // in float within 64 rows
        vfloat loss{};
        for (int y = first; y < std::min(first + 64, height_); ++y)
            for (int c = 0; c < 3; ++c) {
                float* p = planes + (y * 4 + c) * LANES;
                const vfloat error = load(p) - load(target + (y * 3 + c) * LANES);
                const vfloat pull = error * inside * channel_weights_[c];
                loss += error * pull;
                store(p, pull);
            }
        total += sum(loss);
    }
    return 0.5 * total;
}

// With e = w (E . color): the sums over a column of w E (three), e dx, e dy, e dx^2, e dx dy, e dy^2.
void Session::part_sums(const ColumnSplat& s, int column, Rows rows, const float* planes, float* out) const {
    const vfloat dx = float(column * LANES) - s.g.x + lane_numbers();
    const vfloat c0 = splat(s.g.color[0]), c1 = splat(s.g.color[1]), c2 = splat(s.g.color[2]);
    vfloat w0{}, w1{}, w2{}, e0{}, e1{}, e2{};
    vfloat dy = splat(float(rows.y0) - s.g.y);
    walk_column(s, dx, rows.y0, rows.y1, [&](int y, vfloat w) {
        const float* p = planes + y * (4 * LANES);
        const vfloat p0 = load(p), p1 = load(p + LANES), p2 = load(p + 2 * LANES);
        const vfloat e = w * (p0 * c0 + p1 * c1 + p2 * c2);
        w0 += w * p0;
        w1 += w * p1;
        w2 += w * p2;
        const vfloat ey = e * dy;
        e0 += e;
        e1 += ey;
        e2 += ey * dy;
        dy += 1.f;
    });
    const vfloat sums[PARAMS] = {w0, w1, w2, e0 * dx, e1, e0 * dx * dx, e1 * dx, e2};
    sum_eight(sums, out);
}

double Session::gradient(ThreadPool& pool) {
    prepare(pool);
    pool.parallel_for(columns_, [&](int column, int worker) {
        float* planes = scratch_[worker].data();
        draw_column(drawn_, bins_, column, height_, planes, part_rows_.data());
        losses_[column] = residual(column, planes);
        for (int k = bins_.start(column); k < bins_.start(column + 1); ++k) {
            const int i = bins_.list()[k], part = bins_.part(i, column);
            part_sums(drawn_[i], column, part_rows_[part], planes, parts_.data() + std::size_t(part) * PARAMS);
        }
    });
    return std::accumulate(losses_.begin(), losses_.end(), 0.0);
}

// d w / d u = -u w and so on, with u = a dx + b dy, v = c dy, a = exp(-ln p), c = exp(-ln r), b = -k c.
void Session::splat_gradient(int i, float* out) const {
    float t[PARAMS] = {};
    for (int k = spans_[i].x0; k < spans_[i].x1; ++k) {
        const float* part = parts_.data() + std::size_t(bins_.part(i, k)) * PARAMS;
        for (int j = 0; j < PARAMS; ++j) t[j] += part[j];
    }
    const float a = drawn_[i].g.a, b = drawn_[i].g.b, c = drawn_[i].g.c;
    const float eu = a * t[3] + b * t[4];
    const float by_a = -(a * t[5] + b * t[6]), by_b = -(a * t[6] + b * t[7]), by_c = -c * t[7];
    out[0] = a * eu;
    out[1] = b * eu + c * c * t[4];
    out[2] = -a * by_a;
    out[3] = -c * by_b;
    out[4] = -(b * by_b + c * by_c);
    std::copy_n(t, 3, out + 5);
}

void Session::gradients(float* out) const {
    for (int i = 0; i < n_; ++i) splat_gradient(i, out + std::size_t(order_[i]) * PARAMS);
}

void Session::adam(int i, float rate, float scale1, float scale2) {
    float gradient[PARAMS];
    splat_gradient(i, gradient);
    float* p = &params_[std::size_t(i) * PARAMS];
    Moments& moments = moments_[i];
    const float mean_rate = adam_.mean * std::exp(0.25f * (p[2] + p[4]));
    const float rates[PARAMS] = {mean_rate, mean_rate, adam_.shape, adam_.shape, adam_.shape,
                                 adam_.color, adam_.color, adam_.color};
    for (int k = 0; k < PARAMS; ++k) {
        moments.m[k] = adam_.beta1 * moments.m[k] + (1.f - adam_.beta1) * gradient[k];
        moments.v[k] = adam_.beta2 * moments.v[k] + (1.f - adam_.beta2) * gradient[k] * gradient[k];
        p[k] -= rate * rates[k] * (moments.m[k] * scale1) / (std::sqrt(moments.v[k] * scale2) + epsilon_[k]);
    }
    const auto limit = [](float& value, float low, float high) { value = std::fmin(std::fmax(value, low), high); };
    limit(p[0], -MARGIN, float(width_) + MARGIN);
    limit(p[1], -MARGIN, float(height_) + MARGIN);
    limit(p[2], LOW_LOG, HIGH_LOG);
    limit(p[3], -MAX_SHEAR, MAX_SHEAR);
    limit(p[4], LOW_LOG, HIGH_LOG);
}

double Session::step(float rate, ThreadPool& pool) {
    const double loss = gradient(pool);
    ++steps_;
    const float scale1 = 1.f / (1.f - std::pow(adam_.beta1, float(steps_)));
    const float scale2 = 1.f / (1.f - std::pow(adam_.beta2, float(steps_)));
    for_splats(pool, [&](int i) {
        adam(i, rate, scale1, scale2);
        prepare_splat(i);
    });
    return loss;
}

std::unique_ptr<GsvcSession> make(const GsvcTarget& target, const GsvcAdam& adam) {
    return std::make_unique<Session>(target, adam);
}

}  // namespace

const GsvcKernels& gsvc_kernels() {
    static const GsvcKernels table{make, render};
    return table;
}

}  // namespace ISA_NAMESPACE
