// The gsvc baseline's kernels: additive splats drawn column by column, the loss, its gradient and Adam in one pass over
// the picture (column_fit.hpp).
#include "gsvc.hpp"

#include <algorithm>
#include <vector>

#include "aligned.hpp"
#include "column_fit.hpp"

namespace ISA_NAMESPACE {
namespace {

constexpr int PARAMS = FIT_PARAMS;
constexpr float TINY = 1e-12f;
constexpr float LOW_LOG = -0.9f, HIGH_LOG = 4.6f, MAX_SHEAR = 4.f;  // of ln p and ln r, of k
constexpr float MARGIN = 16.f;                                     // px that a mean may leave the picture

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

void render(const float* splats, int n, int width, int height, float* out, ThreadPool& pool) {
    ColumnFit<false> picture(width, height);
    picture.resize(n);
    for (int i = 0; i < n; ++i) picture.set(i, column_splat_of(splats + std::size_t(i) * PARAMS));
    const auto black = [&](int, float* planes) { std::fill_n(planes, std::size_t(height) * 4 * LANES, 0.f); };
    picture.draw(pool, black, [&](int column, const float* planes) {
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
    void round_to_lattice(int i, float* params) const;
    void prepare(ThreadPool& pool);
    // apart, so that -ffast-math rounds it the same way for a first pass and within a step
    __attribute__((noinline)) void prepare_splat(int i);
    double residual(int column, float* planes) const;
    void splat_gradient(int i, float* out) const;
    void adam(int i, float rate, float scale1, float scale2);

    int width_, height_, n_ = 0, steps_ = 0;
    float channel_weights_[3];
    GsvcAdam adam_;
    bool stale_ = true;
    GsvcLattice lattice_;
    float lattice_steps_[PARAMS], epsilon_[PARAMS];
    AlignedFloats target_;            // [column][row][3][LANES]
    std::vector<int> order_;          // place here -> the caller's index; sorted by y, so that walks stay in cache
    std::vector<float> params_, anchors_;  // [n, 8]
    std::vector<Moments> moments_;
    ColumnFit<false> fit_;
};

Session::Session(const GsvcTarget& target, const GsvcAdam& adam)
    : width_(target.width), height_(target.height), adam_(adam), fit_(width_, height_) {
    std::copy_n(target.channel_weights, 3, channel_weights_);
    const std::size_t area = std::size_t(width_) * height_;
    target_.resize(std::size_t(fit_.columns()) * height_ * 3 * LANES);
    float* to = target_.data();
    for (int column = 0; column < fit_.columns(); ++column)
        for (int y = 0; y < height_; ++y)
            for (int c = 0; c < 3; ++c)
                for (int lane = 0; lane < LANES; ++lane) {
                    const int x = std::min(column * LANES + lane, width_ - 1);
                    *to++ = target.target[c * area + std::size_t(y) * width_ + x];
                }
}

void Session::set_splats(const float* splats, int n) {
    n_ = n;
    order_ = order_by_y(splats, n);
    params_.resize(std::size_t(n) * PARAMS);
    for (int i = 0; i < n; ++i)
        std::copy_n(splats + std::size_t(order_[i]) * PARAMS, PARAMS, &params_[std::size_t(i) * PARAMS]);
    fit_.resize(n);
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
    moments_.assign(n_, {});
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
    fit_.set(i, column_splat_of(p));
}

void Session::prepare(ThreadPool& pool) {
    if (stale_) fit_.for_splats(pool, [&](int i) { prepare_splat(i); });
    stale_ = false;
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

double Session::gradient(ThreadPool& pool) {
    prepare(pool);
    return fit_.sum(pool, [&](int, float* planes) { std::fill_n(planes, std::size_t(height_) * 4 * LANES, 0.f); },
                    [&](int column, float* planes) { return residual(column, planes); });
}

// d w / d u = -u w and so on, with u = a dx + b dy, v = c dy, a = exp(-ln p), c = exp(-ln r), b = -k c.
void Session::splat_gradient(int i, float* out) const {
    const Totals totals = fit_.totals(i);
    const float(&t)[PARAMS] = totals.of;
    const SplatGeometry& g = fit_.geometry(i);
    const float a = g.a, b = g.b, c = g.c;
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
    fit_.for_splats(pool, [&](int i) {
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
