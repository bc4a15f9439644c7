#include "engine_births.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace splatcall {
namespace {

constexpr int kBlockPx = 8;
constexpr int kRankCell = 64;
constexpr int kCandidatesPerBirth = 3;
constexpr float kBirthBits = 22;  // of a birth beside its place, about
constexpr int kLastSize = 5;  // sizes above are left to key frames: a wide birth rarely pays

}  // namespace

BirthSearch::BirthSearch(PEngine& engine, PResult& result)
    : e_(engine),
      result_(result),
      columns_(engine.width_ / kBlockPx),
      rows_(engine.height_ / kBlockPx),
      place_bits_(std::log2(static_cast<float>(engine.width_)) + std::log2(static_cast<float>(engine.height_))) {}

std::vector<int> BirthSearch::worst_blocks(int count) const {
    std::vector<float> score(static_cast<size_t>(columns_) * rows_);
    e_.canvas_.pool().parallel_for(rows_, [&](int y) {
        for (int x = 0; x < columns_; ++x) {
            const int px = x * kBlockPx, py = y * kBlockPx;
            const double error = e_.canvas_.squared_error({px, py, px + kBlockPx, py + kBlockPx});
            score[y * columns_ + x] = static_cast<float>(error) / e_.lambda_at(px, py);
        }
    });
    std::vector<int> order(score.size());
    std::iota(order.begin(), order.end(), 0);
    count = std::min<int>(count, static_cast<int>(order.size()));
    std::partial_sort(order.begin(), order.begin() + count, order.end(), [&](int a, int b) {
        return score[a] != score[b] ? score[a] > score[b] : a < b;
    });
    order.resize(count);
    return order;
}

void BirthSearch::base_at(int x, int y, int out[3]) const {
    const int column = std::min(x * e_.base_columns_ / e_.width_, e_.base_columns_ - 1);
    const int row = std::min(y * e_.base_rows_ / e_.height_, e_.base_rows_ - 1);
    for (int k = 0; k < 3; ++k) out[k] = e_.samples_[(k * e_.base_rows_ + row) * e_.base_columns_ + column];
}

Geometry BirthSearch::geometry(const Birth& b, int32_t f[kFields]) const {
    int base[3] = {0, 0, 0};
    if (b.kind == kKindNormalised) base_at(b.x_px, b.y_px, base);
    const int32_t fields[kFields] = {16 * b.x_px, 16 * b.y_px, kBirthScale[b.size], 0, 0,
                                     base[0] + b.color[0] * e_.steps_.luma, base[1] + b.color[1] * e_.steps_.chroma,
                                     base[2] + b.color[2] * e_.steps_.chroma, b.kind};
    std::copy_n(fields, kFields, f);
    saturate(f, e_.width_, e_.height_);
    return make_geometry(f, e_.height_);
}

void BirthSearch::try_birth(int x, int y, int kind, int size, Birth& best) const {
    Birth b{x, y, kind, size, {0, 0, 0}};
    int32_t fields[kFields];
    BirthScore score;
    e_.canvas_.kernels().birth(e_.canvas_.view(), geometry(b, fields), score);
    if (score.gain_matrix < 1e-6f) return;
    int base[3] = {0, 0, 0};
    if (kind == kKindNormalised) base_at(x, y, base);
    const float lambda = e_.lambda_at(x, y), wc = e_.canvas_.view().chroma_weight;
    const int context = kind - 1;
    const float fixed = place_bits_ + e_.costs_.birth_kind.symbol(0, context) + e_.costs_.birth_size.symbol(context, size) +
                        e_.costs_.birth_block.value(0, 1) + 2;
    b.cost = score.constant + lambda * fixed;
    for (int k = 0; k < 3; ++k) {
        const float step = e_.steps_.of(5 + k) * kUnit[5 + k], weight = k ? wc : 1.f, start = base[k] * .25f;
        const int ideal = static_cast<int>(std::lrint((-score.gain_vector[k] / score.gain_matrix - start) / step));
        float least = 1e30f;
        for (const int d : {ideal, ideal - (ideal > 0) + (ideal < 0), 0}) {
            const float value = start + d * step;
            const float bits = k ? e_.costs_.birth_chroma.value(2 * context + k - 1, d) : e_.costs_.birth_luma.value(context, d);
            const float cost =
                weight * value * (value * score.gain_matrix + 2 * score.gain_vector[k]) + lambda * bits;
            if (cost < least) least = cost, b.color[k] = d;
        }
        b.cost += least;
    }
    if (b.cost < best.cost) best = b;
}

BirthSearch::Birth BirthSearch::best_birth(int block) const {
    const int x0 = block % columns_ * kBlockPx, y0 = block / columns_ * kBlockPx;
    const CanvasView& view = e_.canvas_.view();
    int peak_x = x0, peak_y = y0;
    float peak = -1;
    for (int y = y0; y < y0 + kBlockPx; ++y)
        for (int x = x0; x < x0 + kBlockPx; ++x) {
            float sum = 0;
            for (int dy = -1; dy <= 1; ++dy)
                for (int dx = -1; dx <= 1; ++dx) {
                    const int yy = std::min(std::max(y + dy, 0), e_.height_ - 1), xx = std::min(std::max(x + dx, 0), e_.width_ - 1);
                    sum += view.error[0][yy * view.stride + xx];
                }
            if (std::fabs(sum) > peak) peak = std::fabs(sum), peak_x = x, peak_y = y;
        }
    Birth best{};
    for (int size = 0; size <= kLastSize; ++size)
        for (const int kind : {kKindNormalised, kKindAdditive}) {
            try_birth(peak_x, peak_y, kind, size, best);
            try_birth(x0 + kBlockPx / 2, y0 + kBlockPx / 2, kind, size, best);
        }
    return best;
}

int BirthSearch::dead_slot(int block) const {
    for (int slot = block * kBlockSlots; slot < (block + 1) * kBlockSlots; ++slot)
        if (!e_.alive(slot)) return slot;
    return -1;
}

// The free block nearest to the one that the place suggests (SPEC section 6.1), -1 if all are full.
int BirthSearch::find_block(int x, int y) const {
    const int columns = (e_.width_ + kRankCell - 1) / kRankCell;
    const int cells = static_cast<int>(e_.cell_rank_.size()), blocks = e_.own_slots_ / kBlockSlots;
    const int guess = e_.cell_rank_[y / kRankCell * columns + x / kRankCell] * blocks / cells;
    for (int d = 0; d <= blocks / 2; ++d)
        for (const int sign : {1, -1}) {
            const int block = ((guess + sign * d) % blocks + blocks) % blocks;
            if (dead_slot(block) >= 0) return block;
        }
    return -1;
}

void BirthSearch::run() {
    const std::vector<int> blocks = worst_blocks(e_.params_.max_births * kCandidatesPerBirth);
    std::vector<Birth> births(blocks.size());
    e_.work_.run(e_.canvas_.pool(), static_cast<int>(blocks.size()), [&](int i, int) {
        if (!out_of_work()) births[i] = best_birth(blocks[i]);
    });
    std::stable_sort(births.begin(), births.end(), [](const Birth& a, const Birth& b) { return a.cost < b.cost; });
    int taken = 0;
    for (const Birth& b : births) {
        if (taken == e_.params_.max_births || b.cost >= 0 || e_.work_.over_bits()) break;
        // Others born meanwhile may have changed the picture here: score again, exactly.
        Birth now{};
        try_birth(b.x_px, b.y_px, b.kind, b.size, now);
        if (now.cost >= 0) continue;
        const int block = find_block(b.x_px, b.y_px);
        if (block < 0) break;
        int32_t fields[kFields];
        const Geometry g = geometry(now, fields);
        e_.canvas_.kernels().commit(e_.canvas_.view(), nullptr, &g);
        const int slot = dead_slot(block);
        std::copy_n(fields, kFields, e_.fields(slot));
        e_.gain_left_[slot] = e_.params_.lambda;
        e_.work_.add_bits(place_bits_ + kBirthBits);
        result_.births.insert(result_.births.end(), {block, now.kind, now.x_px, now.y_px, now.size, now.color[0],
                                                     now.color[1], now.color[2], 0});
        ++taken;
    }
}

}  // namespace splatcall
