#include "engine_pframe.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine_affine.hpp"
#include "engine_base.hpp"
#include "engine_births.hpp"
#include "engine_groups.hpp"
#include "engine_light.hpp"
#include "engine_matched.hpp"
#include "engine_sweep.hpp"

namespace splatcall {
namespace {

constexpr int kMapCell = 16;      // px of a block of lambda and error maps
constexpr float kUntried = 1e30f;  // gain of a splat that was never looked at
constexpr float kNoiseShare = .04f;  // of a block's error, by which noise alone may raise it
constexpr double kCellShare = .6, kSweepShare = .9;  // of the units, by when cells and sweeps end
constexpr int kRenderEvery = 16;  // frames after which the float sums are worked out anew
constexpr float kThinnest = -29, kWidest = 300;  // log-scale minus or plus |e|, 1/64

double milliseconds(std::chrono::steady_clock::time_point a, std::chrono::steady_clock::time_point b) {
    return std::chrono::duration<double, std::milli>(b - a).count();
}

int32_t clamp(int32_t v, int32_t low, int32_t high) { return std::min(std::max(v, low), high); }

}  // namespace

void saturate(int32_t* f, int width, int height) {
    f[0] = clamp(f[0], -2048, 16 * width + 2047);
    f[1] = clamp(f[1], -2048, 16 * height + 2047);
    f[2] = clamp(f[2], -32, 352);
    f[3] = clamp(f[3], -128, 128);
    f[4] = clamp(f[4], -128, 128);
    f[5] = clamp(f[5], -1024, 2047);
    f[6] = clamp(f[6], -1024, 1023);
    f[7] = clamp(f[7], -1024, 1023);
}

bool allowed_shape(Fields f) {
    const float r = std::hypot(static_cast<float>(f[3]), static_cast<float>(f[4]));
    return f[2] - r >= kThinnest && f[2] + r <= kWidest;
}

PEngine::PEngine(int width, int height, int slots, int reserve, float chroma_weight, UpdateSteps steps, const TableCosts& costs,
                 std::vector<int32_t> cell_rank, int threads)
    : width_(width),
      height_(height),
      slots_(slots + reserve),
      own_slots_(slots),
      steps_(steps),
      costs_(costs),
      cell_rank_(std::move(cell_rank)),
      canvas_(width, height, chroma_weight, threads),
      splats_(static_cast<size_t>(slots + reserve) * kFields),
      vectors_(static_cast<size_t>((width + 15) / 16) * ((height + 15) / 16) * 2),
      gain_left_(slots + reserve, kUntried) {}

void PEngine::load(const int32_t* splats, const int32_t* vectors, const int32_t* samples, int base_rows,
                   int base_columns, const float* base) {
    samples_.assign(samples, samples + static_cast<size_t>(3) * base_rows * base_columns);
    base_rows_ = base_rows;
    base_columns_ = base_columns;
    std::copy_n(splats, splats_.size(), splats_.begin());
    std::copy_n(vectors, vectors_.size(), vectors_.begin());
    canvas_.set_base(base);
    base_stale_ = false;
    canvas_valid_ = false;
    std::fill(gain_left_.begin(), gain_left_.end(), kUntried);
    rest_error_.clear();
}

void PEngine::set_target(const uint8_t* rgb) {
    canvas_.set_target(rgb);
    if (canvas_valid_) canvas_.move_target();
}

void PEngine::refresh_canvas() {
    if (canvas_valid_ && ++frames_since_render_ < kRenderEvery) return;
    if (base_stale_) draw_base();
    std::vector<Geometry> geometries;
    for (int i = 0; i < slots_; ++i)
        if (alive(i)) geometries.push_back(geometry(i));
    canvas_.render(geometries);
    canvas_valid_ = true;
    frames_since_render_ = 0;
}

void PEngine::draw_base() {
    canvas_.set_base(base_picture(samples_, base_rows_, base_columns_, height_, width_).data());
    base_stale_ = false;
}

void PEngine::redraw() {
    draw_base();
    render_splats();
}

void PEngine::shine(float gain, const int32_t offsets[3]) {
    const float by_plane[3] = {static_cast<float>(offsets[0]), static_cast<float>(offsets[1]), static_cast<float>(offsets[2])};
    canvas_.shine(gain, by_plane);
    base_stale_ = true;
}

void PEngine::render_splats() {
    canvas_valid_ = false;
    refresh_canvas();
}

double PEngine::squared_error() {
    refresh_canvas();
    return canvas_.squared_error();
}

QuadraticModel PEngine::model(int slot) {
    refresh_canvas();
    const Geometry g = geometry(slot);
    QuadraticModel model;
    canvas_.kernels().quadratic(canvas_.view(), g, make_shape_forms(fields(slot), g), model);
    return model;
}

double PEngine::trial(int slot, const int32_t* after) {
    refresh_canvas();
    const Geometry now = geometry(slot);
    if (!after) return canvas_.kernels().trial(canvas_.view(), &now, nullptr);
    const Geometry then = make_geometry(after, height_);
    return canvas_.kernels().trial(canvas_.view(), &now, &then);
}

Group PEngine::group_of(std::vector<int>& slots) {
    refresh_canvas();
    std::stable_partition(slots.begin(), slots.end(), [&](int slot) { return fields(slot)[8] == kKindNormalised; });
    std::vector<Geometry> geometries;
    for (const int slot : slots) geometries.push_back(geometry(slot));
    Group group;
    group.begin(geometries, {0, 0, width_, height_});
    return group;
}

double PEngine::group_trial(std::vector<int> slots, int dx, int dy) {
    Group group = group_of(slots);
    std::vector<float> x(slots.size() + kRowPadding), y(x.size());
    for (size_t i = 0; i < slots.size(); ++i) {
        x[i] = group.x[i] + dx * kUnit[0];
        y[i] = group.y[i] + dy * kUnit[1];
    }
    return canvas_.kernels().group_trial(canvas_.view(), group, x.data(), y.data(), {}).change;
}

ColorModel PEngine::group_luma(std::vector<int> slots) {
    Group group = group_of(slots);
    return canvas_.kernels().group_luma(canvas_.view(), group);
}

std::vector<int32_t> PEngine::propose_light(float lambda) {
    refresh_canvas();
    params_.lambda = lambda;
    PResult unused;
    const LightProposal proposal = LightSearch(*this, unused).propose();
    return {proposal.light, proposal.light + 4};
}

std::vector<BlockLevel> PEngine::match_blocks(float lambda, const std::vector<uint8_t>& calm) {
    refresh_canvas();
    PResult unused;
    MatchedMotion motion(*this, unused);
    const BlockLevel* levels = motion.propose(calm, [&](int, int) { return lambda; });
    return {levels, levels + kLevels};
}

ColorModel PEngine::color_model(int slot) {
    refresh_canvas();
    ColorModel model;
    canvas_.kernels().color(canvas_.view(), geometry(slot), model);
    return model;
}

std::vector<int32_t> PEngine::fit_affine(const Flow& flow) {
    PResult unused;
    const Affine affine = AffineSearch(*this, {}, unused).fit(flow);
    return {affine.terms, affine.terms + 6};
}

float PEngine::lambda_at(int x_px, int y_px) const {
    const int columns = (width_ + kMapCell - 1) / kMapCell;
    const int x = clamp(x_px, 0, width_ - 1) / kMapCell, y = clamp(y_px, 0, height_ - 1) / kMapCell;
    return params_.lambda * lambda_map_[y * columns + x];
}

int PEngine::column_of(Fields f, int cell_px) const { return clamp(f[0] >> 4, 0, width_ - 1) / cell_px; }
int PEngine::row_of(Fields f, int cell_px) const { return clamp(f[1] >> 4, 0, height_ - 1) / cell_px; }

void PEngine::measure_blocks(std::vector<float>& out) const {
    const int columns = (width_ + kMapCell - 1) / kMapCell, rows = (height_ + kMapCell - 1) / kMapCell;
    out.resize(static_cast<size_t>(columns) * rows);
    canvas_.pool().parallel_for(rows, [&](int row) {
        for (int column = 0; column < columns; ++column)
            out[row * columns + column] = static_cast<float>(canvas_.squared_error(
                {column * kMapCell, row * kMapCell, std::min(width_, (column + 1) * kMapCell),
                 std::min(height_, (row + 1) * kMapCell)}));
    });
}

float PEngine::rise_in(int x_px, int y_px, int size_px) const {
    const int columns = (width_ + kMapCell - 1) / kMapCell, rows = (height_ + kMapCell - 1) / kMapCell;
    float rise = 0;
    for (int y = y_px / kMapCell; y < std::min(rows, (y_px + size_px) / kMapCell); ++y)
        for (int x = x_px / kMapCell; x < std::min(columns, (x_px + size_px) / kMapCell); ++x)
            rise += rise_[y * columns + x];
    return rise;
}

double PEngine::settle_blocks() {
    std::vector<float> error;
    measure_blocks(error);
    const int columns = (width_ + kMapCell - 1) / kMapCell;
    const bool first = rest_error_.size() != error.size();
    if (first) rest_error_ = error;
    double sum = 0;
    for (int i = 0; i < static_cast<int>(error.size()); ++i) {
        const bool looked_at = rise_[i] > kRisenBits * lambda_at(i % columns * kMapCell, i / columns * kMapCell);
        if (looked_at || error[i] < rest_error_[i]) rest_error_[i] = error[i];
        sum += error[i];
    }
    return sum;
}

PResult PEngine::encode(const std::vector<Flow>& flows, const float* lambda_map, const PParams& params) {
    params_ = params;
    lambda_map_ = lambda_map;
    const auto start = Clock::now();
    work_.begin(params.work, start);
    PResult result;
    refresh_canvas();
    const auto rendered = Clock::now();
    if (params.light) LightSearch(*this, result).run();
    const auto lit = Clock::now();
    if (params.affine) AffineSearch(*this, flows, result).run();
    measure_blocks(rise_);
    if (rest_error_.size() == rise_.size())
        for (size_t i = 0; i < rise_.size(); ++i) rise_[i] -= (1 + kNoiseShare) * rest_error_[i];
    const auto mapped = Clock::now();
    work_.enter(kCellStage, kCellShare);
    if (params.quick)
        MatchedMotion(*this, result).run();
    else
        GroupSearch(*this, flows, result).run();
    result.shared_bits = work_.bits();
    const auto grouped = Clock::now();
    work_.enter(kSweepStage, kSweepShare);
    Sweep sweep(*this, result);
    if (params.quick) sweep.run_colors();
    for (int i = 0; i < params.sweeps && !(i > 0 && work_.over()); ++i) sweep.run(i);
    sweep.finish();
    const auto swept = Clock::now();
    // Births come last: what the splats that exist could mend is not worth a new one.
    const bool all_swept = !work_.over();
    work_.enter(kBirthStage, 1);
    if (params.max_births > 0 && all_swept) BirthSearch(*this, result).run();
    result.squared_error = settle_blocks();
    const auto born = Clock::now();
    result.render_ms = milliseconds(start, rendered);
    result.light_ms = milliseconds(rendered, lit);
    result.affine_ms = milliseconds(lit, mapped);
    result.cells_ms = milliseconds(mapped, grouped);
    result.sweeps_ms = milliseconds(grouped, swept);
    result.births_ms = milliseconds(swept, born);
    for (int stage = 0; stage < kWorkStages; ++stage) {
        result.steps[stage] = work_.steps(static_cast<WorkStage>(stage));
        result.worked_ms[stage] = work_.worked_ms(static_cast<WorkStage>(stage));
    }
    result.cut = work_.cut();
    result.lost_ms = work_.lost_ms();
    result.bits = work_.bits();
    return result;
}

}  // namespace splatcall
