// Tiles: two rows of as many columns as fill a vector. Splats are a few pixels wide, so that a vector along one row would
// be half empty. Only for *_isa.cpp files.
#pragma once

#include "kernel_math.hpp"

#include <algorithm>
#include <cmath>

#include "engine_kernels.hpp"

namespace splatcall::ISA_NAMESPACE {

using namespace ::ISA_NAMESPACE;

inline constexpr int kTileColumns = LANES / kStripRows;
inline constexpr float kHalfLog2E = .72134752f;
inline constexpr float kWhitenedCut = kCutSigma * kCutSigma;
inline constexpr float kExponentCut = kWhitenedCut * kHalfLog2E;  // of q in exp2(-q)
inline constexpr float kSlackPx = .01f;  // of a splat's columns, for rounding: its rim is cut pixel by pixel

typedef float vhalf __attribute__((vector_size(LANES * 2)));

// Columns and rows of a tile's pixels, from its corner.
struct TileLanes {
    vfloat column, row;
    TileLanes() {
        for (int i = 0; i < LANES; ++i)
            column[i] = static_cast<float>(i % kTileColumns), row[i] = static_cast<float>(i / kTileColumns);
    }
    // Which pixels of the tile at (x, y) lie before column x1 and row y1.
    vint before(int x1, int y1, int x, int y) const {
        return (column < static_cast<float>(x1 - x)) & (row < static_cast<float>(y1 - y));
    }
};

// A tile's values of one plane, from its two rows.
inline vfloat load_tile(const float* const row[kStripRows], int x) {
    vhalf upper, lower;
    std::memcpy(&upper, row[0] + x, sizeof upper);
    std::memcpy(&lower, row[1] + x, sizeof lower);
#if defined(__AVX512F__)
    return __builtin_shufflevector(upper, lower, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
#elif defined(__AVX2__)
    return __builtin_shufflevector(upper, lower, 0, 1, 2, 3, 4, 5, 6, 7);
#else
    return __builtin_shufflevector(upper, lower, 0, 1, 2, 3);
#endif
}

// exp2(-q) up to the cut, else 0; the polynomial is fast_exp's.
inline vfloat cut_exp2(vfloat q) {
    const vint whole = truncate(127.5f - q);
    const vfloat f = to_float(127 - whole) - q;
    const vfloat w = as_float(whole << 23) * (.99992806f + f * (.69326097f + f * (.24261113f + f * .05517167f)));
    return q <= kExponentCut ? w : vfloat{};
}

// The picture's rows of a strip; the last one again where the picture has no more.
struct PictureRows {
    const float *weight[kStripRows], *picture[3][kStripRows], *error[3][kStripRows];
    PictureRows(const CanvasView& canvas, int top) {
        for (int r = 0; r < kStripRows; ++r) {
            const size_t at = static_cast<size_t>(std::min(top + r, canvas.height - 1)) * canvas.stride;
            weight[r] = canvas.weight + at;
            for (int k = 0; k < 3; ++k) picture[k][r] = canvas.picture[k] + at, error[k][r] = canvas.error[k] + at;
        }
    }
    // Asks for the cache lines of columns from x on.
    void prefetch(int x) const {
        for (int r = 0; r < kStripRows; ++r) {
            __builtin_prefetch(weight[r] + x);
            for (int k = 0; k < 3; ++k) __builtin_prefetch(picture[k][r] + x), __builtin_prefetch(error[k][r] + x);
        }
    }
};

// A splat's extent from the mean, for strips.
struct StripReach {
    float inverse_a, shear, half_y, tip, c;  // `tip`: dy of its rightmost point
    explicit StripReach(const Geometry& g)
        : inverse_a(1 / g.a), shear(-g.b / g.a), half_y(kCutSigma / g.c), tip(-half_y * g.b / std::sqrt(g.b * g.b + g.c * g.c)),
          c(g.c) {}
};

// Columns, from the mean, of a splat in rows `up` to `up` + kStripRows - 1 from it; left > right where it has none.
inline void strip_columns(const StripReach& s, float up, float& left, float& right) {
    const float low = std::max(up, -s.half_y), high = std::min(up + (kStripRows - 1), s.half_y);
    const float at_right = std::min(std::max(s.tip, low), high), at_left = std::min(std::max(-s.tip, low), high);
    const float vr = s.c * at_right, vl = s.c * at_left;
    right = s.shear * at_right + s.inverse_a * std::sqrt(std::max(kWhitenedCut - vr * vr, 0.f)) + kSlackPx;
    left = s.shear * at_left - s.inverse_a * std::sqrt(std::max(kWhitenedCut - vl * vl, 0.f)) - kSlackPx;
    left = low <= high ? left : 1e6f;
}

// Calls visit(top, first column, end) for every step-th strip of a splat that shows in the picture.
template <class Visit>
inline void for_strips(const CanvasView& canvas, const Geometry& g, int step, Visit visit) {
    constexpr int kChunk = 2 * LANES;
    const StripReach reach(g);
    const int rows = kStripRows * step, end = std::min(canvas.height, g.row_end);
    for (int top = std::max(0, g.row_begin) + step / 2 * kStripRows; top < end; top += kChunk * rows) {
        int first[kChunk], last[kChunk];
        for (int i = 0; i < kChunk; ++i) {
            float left, right;
            strip_columns(reach, static_cast<float>(top) - g.y + static_cast<float>(i * rows), left, right);
            first[i] = static_cast<int>(std::min(std::max(g.x + left + .999f, 0.f), 1e6f));
            last[i] = static_cast<int>(std::min(std::max(g.x + right, -1.f), static_cast<float>(canvas.width - 1)));
        }
        for (int i = 0; i < kChunk && top + i * rows < end; ++i)
            if (first[i] <= last[i]) visit(top + i * rows, first[i], last[i] + 1);
    }
}

}  // namespace splatcall::ISA_NAMESPACE
