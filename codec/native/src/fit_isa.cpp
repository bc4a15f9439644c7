// Adam on normalised splats. One pass does all pixel work of an iteration (column_fit.hpp): draw, normalise, take the
// loss and its gradient, and sum up each splat's part of that.
#include "fit.hpp"

#include <algorithm>

#include "aligned.hpp"
#include "column_fit.hpp"

namespace ISA_NAMESPACE {
namespace {

constexpr int PARAMS = FIT_PARAMS;  // x, y, a, b, c, Y, Cb, Cr
// Steps of Adam at rate 1 for a splat of size sigma = 1/sqrt(a c): of the mean MEAN_RATE sqrt(sigma) px, of a, b, c
// SHAPE_RATE/sigma. Short memories: no noise here to average away. Against 0.3 px, 0.02, 2.55 for all sizes with betas
// 0.9 and 0.99: +1.4 dB after 40 iterations, +0.65 after 150 (four pictures, rate 1.5).
constexpr float MEAN_RATE = 0.25f, SHAPE_RATE = 0.1f, COLOR_RATE = 3.4f;
struct Betas { float first, second; };
constexpr Betas SMOOTH{0.75f, 0.7f};
// On a lattice gradients jump as values flip; momentum then only overshoots. Against SMOOTH in the last 40 of 150
// iterations, at rate 0.5: +0.7 dB of the quantised picture (the same pictures).
constexpr Betas ON_LATTICE{0.f, 0.93f};
constexpr float TINY = 1e-12f;
constexpr float NARROWEST = 1.5f, WIDEST = 1.f / 60.f;  // limits of a and c, 1/px
constexpr float MAX_SHEAR = 4.f;    // of b / c

// The pictures of a fit, in columns of LANES px; made once, shared by a session and that of its lead.
struct Inputs {
    explicit Inputs(const FitTarget& target);
    void copy(const FitTarget& target);

    int width, height, columns;
    float channel_weights[3];
    bool weighted;
    AlignedFloats base, target;     // [column][row][3][LANES]; the base times EPS_BASE
    AlignedFloats weights;          // [column][row][LANES]
};

class Session final : public FitSession {
public:
    explicit Session(std::shared_ptr<const Inputs> inputs);
    void set_splats(const float* splats, int n) override;
    void splats(float* out) const override;
    int size() const override { return n_; }
    void set_lattice(const FitLattice& lattice) override;
    void set_lead(const uint8_t* flags, float weight) override;
    double gradient(ThreadPool& pool) override;
    void gradients(float* out) const override;
    void picture(float* out, ThreadPool& pool) override;
    double step(float rate, ThreadPool& pool) override;
    double step_by_rows(float rate, int parity, ThreadPool& pool) override;

private:
    void prepare(ThreadPool& pool);
    void prepare_splat(int i);
    void on_lattice(float* params) const;
    void background(int column, float* planes) const;
    double residual(int column, float* planes) const;
    template <bool weighted> double residual_rows(int column, float* planes) const;
    void splat_gradient(int i, float* out) const;
    void lead_gradient(ThreadPool& pool);
    Betas betas() const { return lattice_.on ? ON_LATTICE : SMOOTH; }
    void forget_moments();
    void adam(int i, float rate, float scale1, float scale2);

    std::shared_ptr<const Inputs> inputs_;
    const int width_, height_;
    int n_ = 0, steps_ = 0;
    bool stale_ = true;
    FitLattice lattice_;
    std::vector<int> order_;          // place here -> the caller's index; sorted by y, so that walks stay in cache
    std::vector<float> params_;       // [n, 8]
    std::vector<Moments> moments_;
    ColumnFit<true> fit_;
    std::unique_ptr<Session> lead_;   // of the splats whose picture alone counts too; null: none
    std::vector<int> leading_;        // [lead] their places here, ascending
    std::vector<int> lead_place_;     // [n] the place there, -1: none
    float lead_weight_ = 0;
};

Inputs::Inputs(const FitTarget& from)
    : width(from.width), height(from.height), columns((from.width + LANES - 1) / LANES),
      // the weights also switch the lanes right of the picture off
      weighted(from.weight != nullptr || from.width % LANES != 0) {
    std::copy_n(from.channel_weights, 3, channel_weights);
    copy(from);
}

void Inputs::copy(const FitTarget& from) {
    const std::size_t blocks = std::size_t(columns) * height, area = std::size_t(width) * height;
    base.resize(blocks * 3 * LANES);
    target.resize(blocks * 3 * LANES);
    if (weighted) weights.resize(blocks * LANES);
    for (int column = 0; column < columns; ++column)
        for (int y = 0; y < height; ++y) {
            const std::size_t block = std::size_t(column) * height + y;
            for (int lane = 0; lane < LANES; ++lane) {
                const int x = column * LANES + lane;
                const std::size_t at = std::size_t(y) * width + std::min(x, width - 1);
                for (int c = 0; c < 3; ++c) {
                    base.data()[(block * 3 + c) * LANES + lane] = EPS_BASE * from.base[c * area + at];
                    target.data()[(block * 3 + c) * LANES + lane] = from.target[c * area + at];
                }
                if (weighted)
                    weights.data()[block * LANES + lane] = x >= width ? 0.f : from.weight ? from.weight[at] : 1.f;
            }
        }
}

Session::Session(std::shared_ptr<const Inputs> inputs)
    : inputs_(std::move(inputs)), width_(inputs_->width), height_(inputs_->height),
      fit_(width_, height_) {}

void Session::set_splats(const float* splats, int n) {
    n_ = n;
    forget_moments();
    stale_ = true;
    lead_.reset();
    order_ = order_by_y(splats, n);
    params_.resize(std::size_t(n) * PARAMS);
    fit_.resize(n);
    for (int i = 0; i < n; ++i) {
        const float* from = splats + 8 * std::size_t(order_[i]);
        float* to = &params_[std::size_t(i) * PARAMS];
        std::copy_n(from, PARAMS, to);
        const Whitening w = whitening_of(from[2], from[3], from[4]);
        to[2] = w.a;
        to[3] = w.b;
        to[4] = w.c;
    }
}

void Session::set_lattice(const FitLattice& lattice) {
    lattice_ = lattice;
    forget_moments();
    stale_ = true;
}

void Session::set_lead(const uint8_t* flags, float weight) {
    lead_weight_ = weight;
    lead_place_.assign(n_, -1);
    leading_.clear();
    for (int i = 0; i < n_; ++i)
        if (flags[order_[i]]) {
            lead_place_[i] = int(leading_.size());
            leading_.push_back(i);
        }
    lead_ = std::make_unique<Session>(inputs_);
    const std::size_t count = leading_.size();
    lead_->n_ = int(count);
    lead_->params_.resize(count * PARAMS);
    lead_->fit_.resize(lead_->n_);
}

// Gives the lead the splats as they are drawn here, and takes its gradient.
void Session::lead_gradient(ThreadPool& pool) {
    for (std::size_t k = 0; k < leading_.size(); ++k) lead_->fit_.copy(int(k), fit_, leading_[k]);
    lead_->stale_ = false;
    lead_->gradient(pool);
}

void Session::forget_moments() {
    steps_ = 0;
    moments_.assign(n_, {});
}

void Session::splats(float* out) const {
    for (int i = 0; i < n_; ++i) {
        const float* from = &params_[std::size_t(i) * PARAMS];
        float* to = out + 8 * std::size_t(order_[i]);
        std::copy_n(from, PARAMS, to);
        const LogShape shape = log_shape_of(from[2], from[3], from[4]);
        to[2] = shape.s;
        to[3] = shape.e1;
        to[4] = shape.e2;
    }
}

KERNEL_INLINE float to_step(float value, float step) { return std::nearbyint(value / step) * step; }

// Rounds to what a key frame can say. The gradient passes as if it had not (straight-through).
void Session::on_lattice(float* p) const {
    const LogShape shape = log_shape_of(p[2], p[3], p[4]);
    const float s = std::fmin(std::fmax(to_step(shape.s, lattice_.scale), -0.5f), 5.5f);
    const float e1 = std::fmin(std::fmax(to_step(shape.e1, lattice_.shape), -2.f), 2.f);
    const float e2 = std::fmin(std::fmax(to_step(shape.e2, lattice_.shape), -2.f), 2.f);
    const float fine = s * 64.f;
    const float mean = lattice_.mean[(fine > 48.f) + (fine > 92.f) + (fine > 137.f) + (fine > 181.f)];
    p[0] = to_step(p[0], mean);
    p[1] = to_step(p[1], mean);
    const Whitening w = whitening_of(s, e1, e2);
    p[2] = w.a;
    p[3] = w.b;
    p[4] = w.c;
    p[5] = to_step(p[5], lattice_.luma);
    p[6] = to_step(p[6], lattice_.chroma);
    p[7] = to_step(p[7], lattice_.chroma);
}

void Session::prepare_splat(int i) {
    float p[PARAMS];
    std::copy_n(&params_[std::size_t(i) * PARAMS], PARAMS, p);
    if (lattice_.on) on_lattice(p);
    SplatGeometry g;
    g.x = p[0];
    g.y = p[1];
    std::copy_n(p + 5, 3, g.color);
    g.kind = 1;
    set_whitening(g, p[2], p[3], p[4]);
    fit_.set(i, column_splat(g));
}

void Session::prepare(ThreadPool& pool) {
    if (stale_) fit_.for_splats(pool, [&](int i) { prepare_splat(i); });
    stale_ = false;
}

void Session::background(int column, float* planes) const {
    const float* base = inputs_->base.data() + std::size_t(column) * height_ * 3 * LANES;
    const RowGrid grid = fit_.rows();
    for (int k = 0; k < grid.above(height_); ++k) {
        float* p = planes + k * (4 * LANES);
        for (int c = 0; c < 3; ++c) store(p + c * LANES, load(base + (grid.y(k) * 3 + c) * LANES));
        store(p + 3 * LANES, splat(EPS_BASE));
    }
}

// Turns (sum w c, sum w) into dL/dI / sum w (three planes) and its product with I (one plane). Returns the loss.
double Session::residual(int column, float* planes) const {
    return inputs_->weighted ? residual_rows<true>(column, planes) : residual_rows<false>(column, planes);
}

template <bool weighted> double Session::residual_rows(int column, float* planes) const {
    const float* target = inputs_->target.data() + std::size_t(column) * height_ * 3 * LANES;
    const float* weights = inputs_->weights.data() + std::size_t(column) * height_ * LANES;
    const RowGrid grid = fit_.rows();
    const int rows = grid.above(height_);
    double total = 0;
    for (int first = 0; first < rows; first += 64) {  // in float within 64 rows
        vfloat loss{};
        for (int k = first; k < std::min(first + 64, rows); ++k) {
            const int y = grid.y(k);
            float* p = planes + k * (4 * LANES);
            const vfloat inverse = 1.f / load(p + 3 * LANES);
            vfloat product{};
            for (int c = 0; c < 3; ++c) {
                const vfloat value = load(p + c * LANES) * inverse;
                const vfloat error = value - load(target + (y * 3 + c) * LANES);
                vfloat pull = error * inputs_->channel_weights[c];
                if constexpr (weighted) pull *= load(weights + y * LANES);
                loss += error * pull;
                pull *= inverse;
                product += pull * value;
                store(p + c * LANES, pull);
            }
            store(p + 3 * LANES, product);
        }
        total += sum(loss);
    }
    return 0.5 * total;
}

double Session::gradient(ThreadPool& pool) {
    prepare(pool);
    return fit_.sum(pool, [&](int column, float* planes) { background(column, planes); },
                    [&](int column, float* planes) { return residual(column, planes); });
}

// d w / d u = -u w and so on, with u = a dx + b dy, v = c dy.
void Session::splat_gradient(int i, float* out) const {
    const Totals totals = fit_.totals(i);
    const float(&t)[PARAMS] = totals.of;
    const SplatGeometry& g = fit_.geometry(i);
    const float a = g.a, b = g.b, c = g.c;
    const float eu = a * t[3] + b * t[4];
    out[0] = a * eu;
    out[1] = b * eu + c * c * t[4];
    out[2] = -(a * t[5] + b * t[6]);
    out[3] = -(a * t[6] + b * t[7]);
    out[4] = -c * t[7];
    out[5] = t[0];
    out[6] = t[1];
    out[7] = t[2];
}

void Session::gradients(float* out) const {
    for (int i = 0; i < n_; ++i) splat_gradient(i, out + std::size_t(order_[i]) * PARAMS);
}

void Session::adam(int i, float rate, float scale1, float scale2) {
    float gradient[PARAMS];
    splat_gradient(i, gradient);
    if (lead_ && lead_place_[i] >= 0) {
        float alone[PARAMS];
        lead_->splat_gradient(lead_place_[i], alone);
        for (int k = 0; k < PARAMS; ++k) gradient[k] += lead_weight_ * alone[k];
    }
    float* p = &params_[std::size_t(i) * PARAMS];
    Moments& moments = moments_[i];
    const float narrow = std::sqrt(p[2] * p[4]);
    const float mean_rate = MEAN_RATE / std::sqrt(narrow), shape_rate = SHAPE_RATE * narrow;
    const float rates[PARAMS] = {mean_rate, mean_rate, shape_rate, shape_rate, shape_rate,
                                 COLOR_RATE, COLOR_RATE, COLOR_RATE};
    const Betas beta = betas();
    for (int k = 0; k < PARAMS; ++k) {
        const float m = beta.first * moments.m[k] + (1.f - beta.first) * gradient[k];
        const float v = beta.second * moments.v[k] + (1.f - beta.second) * gradient[k] * gradient[k];
        moments.m[k] = m;
        moments.v[k] = v;
        p[k] -= rate * rates[k] * (m * scale1) / (std::sqrt(v * scale2) + TINY);
    }
    p[2] = std::fmin(std::fmax(p[2], WIDEST), NARROWEST);
    p[4] = std::fmin(std::fmax(p[4], WIDEST), NARROWEST);
    p[3] = std::fmin(std::fmax(p[3], -MAX_SHEAR * p[4]), MAX_SHEAR * p[4]);
}

double Session::step_by_rows(float rate, int parity, ThreadPool& pool) {
    fit_.set_rows({parity, 2});
    if (lead_) lead_->fit_.set_rows({parity, 2});
    const double loss = step(rate, pool);
    fit_.set_rows({});
    if (lead_) lead_->fit_.set_rows({});
    return loss;
}

double Session::step(float rate, ThreadPool& pool) {
    const double loss = gradient(pool);
    if (lead_) lead_gradient(pool);
    ++steps_;
    const float scale1 = 1.f / (1.f - std::pow(betas().first, float(steps_)));
    const float scale2 = 1.f / (1.f - std::pow(betas().second, float(steps_)));
    fit_.for_splats(pool, [&](int i) {
        adam(i, rate, scale1, scale2);
        prepare_splat(i);
    });
    return loss;
}

void Session::picture(float* out, ThreadPool& pool) {
    prepare(pool);
    const std::size_t area = std::size_t(width_) * height_;
    const auto take = [&](int column, const float* planes) {
        const int lanes = std::min(LANES, width_ - column * LANES);
        for (int y = 0; y < height_; ++y) {
            const float* p = planes + y * (4 * LANES);
            for (int lane = 0; lane < lanes; ++lane)
                for (int c = 0; c < 3; ++c)
                    out[c * area + std::size_t(y) * width_ + column * LANES + lane] =
                        p[c * LANES + lane] / p[3 * LANES + lane];
        }
    };
    fit_.draw(pool, [&](int column, float* planes) { background(column, planes); }, take);
}

std::unique_ptr<FitSession> make(const FitTarget& target) {
    return std::make_unique<Session>(std::make_shared<const Inputs>(target));
}

}  // namespace

const FitKernels& fit_kernels() {
    static const FitKernels table{make};
    return table;
}

}  // namespace ISA_NAMESPACE
