// What every kernel shares: short vectors, a fast exponential, and the geometry of one splat (SPEC 1.1).
//
// Only for *_isa.cpp files: all of it lives in ISA_NAMESPACE, so that the three builds never share a symbol.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#ifndef ISA_NAMESPACE
#define ISA_NAMESPACE isa_plain
#endif
#define KERNEL_INLINE inline __attribute__((always_inline))

namespace ISA_NAMESPACE {

#if defined(__AVX512F__)
constexpr int LANES = 16;
#elif defined(__AVX2__)
constexpr int LANES = 8;
#else
constexpr int LANES = 4;
#endif
typedef float vfloat __attribute__((vector_size(LANES * 4)));
typedef int32_t vint __attribute__((vector_size(LANES * 4)));

KERNEL_INLINE vfloat load(const float* p) { vfloat v; std::memcpy(&v, p, sizeof v); return v; }
KERNEL_INLINE void store(float* p, vfloat v) { std::memcpy(p, &v, sizeof v); }
KERNEL_INLINE vfloat splat(float x) { return x - vfloat{}; }
KERNEL_INLINE vfloat lane_numbers() { vfloat v; for (int i = 0; i < LANES; ++i) v[i] = float(i); return v; }
KERNEL_INLINE float sum(vfloat v) {  // pairwise: the same order in every caller
    float lane[LANES];
    std::memcpy(lane, &v, sizeof v);
    for (int half = LANES / 2; half; half /= 2)
        for (int i = 0; i < half; ++i) lane[i] += lane[i + half];
    return lane[0];
}
// Lanes 0, 2, 4, ... of a, then of b; lanes 1, 3, 5, ... likewise.
template <int odd> KERNEL_INLINE vfloat every_second(vfloat a, vfloat b) {
    vint pick;
    for (int i = 0; i < LANES; ++i) pick[i] = 2 * i + odd;  // LANES and up are b's
    return __builtin_shuffle(a, b, pick);
}
KERNEL_INLINE vfloat add_pairs(vfloat a, vfloat b) { return every_second<0>(a, b) + every_second<1>(a, b); }
// The lane sums of eight vectors.
KERNEL_INLINE void sum_eight(const vfloat (&v)[8], float* out) {
    vfloat four[4], two[2];
    for (int k = 0; k < 4; ++k) four[k] = add_pairs(v[2 * k], v[2 * k + 1]);
    for (int k = 0; k < 2; ++k) two[k] = add_pairs(four[2 * k], four[2 * k + 1]);
    float sums[2 * LANES];
    if constexpr (LANES == 4) {
        store(sums, two[0]);
        store(sums + LANES, two[1]);
    } else {
        vfloat one = add_pairs(two[0], two[1]);
        if constexpr (LANES == 16) one = add_pairs(one, one);
        store(sums, one);
    }
    std::memcpy(out, sums, 8 * sizeof(float));
}
KERNEL_INLINE vfloat vmin(vfloat a, vfloat b) { return a < b ? a : b; }
KERNEL_INLINE vfloat vmax(vfloat a, vfloat b) { return a > b ? a : b; }

KERNEL_INLINE float as_float(int32_t bits) { float x; std::memcpy(&x, &bits, sizeof x); return x; }
KERNEL_INLINE vfloat as_float(vint bits) { vfloat x; std::memcpy(&x, &bits, sizeof x); return x; }
KERNEL_INLINE int32_t truncate(float x) { return int32_t(x); }
KERNEL_INLINE vint truncate(vfloat x) { return __builtin_convertvector(x, vint); }
KERNEL_INLINE float to_float(int32_t x) { return float(x); }
KERNEL_INLINE vfloat to_float(vint x) { return __builtin_convertvector(x, vfloat); }

// 2^t = 2^whole * 2^f, |f| <= 1/2. Results below 2^-126 are exactly 0, exponents above 120 count as 120.
template <class F> struct ExpParts { F scale, f; };
template <class F> KERNEL_INLINE ExpParts<F> exp_parts(F x) {
    F t = x * 1.44269504f;
    t = t < -127.f ? F{} - 127.f : t;
    t = t > 120.f ? F{} + 120.f : t;
    const auto whole = truncate(t + 127.5f);  // positive, so truncation is floor: t rounded to nearest, biased
    return {as_float(whole << 23), t - to_float(whole - 127)};
}
// exp(x), float or vfloat, relative error at most 8e-5: for a weight of one pixel.
template <class F> KERNEL_INLINE F fast_exp(F x) {
    const auto e = exp_parts(x);
    return e.scale * (0.99992806f + e.f * (0.69326097f + e.f * (0.24261113f + e.f * 0.05517167f)));
}
// exp(x), float or vfloat, relative error at most 3e-7 for |x| <= 1, growing with |x| by rounding (4e-6 at 80).
template <class F> KERNEL_INLINE F fine_exp(F x) {
    const auto e = exp_parts(x);
    return e.scale * (1.00000012f + e.f * (0.69314694f + e.f * (0.24022120f + e.f * (0.05550713f +
                                    e.f * (0.00967554f + e.f * 0.00132765f)))));
}

constexpr float CUT = 9.f;         // a splat ends where d^T M d reaches this (3 sigma)
constexpr float EPS_BASE = 0.05f;  // weight of the base in the normalised sum

// One splat ready for drawing. With dx, dy from the mean: u = a dx + b dy, v = c dy, weight exp(-(u^2 + v^2)/2) where
// u^2 + v^2 < CUT, so A = [[a, b], [0, c]] whitens it and M = A^T A.
struct SplatGeometry {
    float x, y;      // mean, px
    float a, b, c;   // 1/px; a > 0, c > 0
    float color[3];  // Y, Cb, Cr in 1/255
    float shear;     // -b/a: px that a row's centre moves for each px of dy
    float inv_a;     // px
    float half_x, half_y;  // the 3-sigma ellipse's half extents, px
    int kind;        // 0 dead, 1 normalised, 2 additive
};
struct Rows { int y0, y1; };  // rows y0 <= y < y1
struct Span { int x0, x1; };  // pixels x0 <= x < x1

KERNEL_INLINE void set_whitening(SplatGeometry& g, float a, float b, float c) {
    g.a = a;
    g.b = b;
    g.c = c;
    g.inv_a = 1.f / a;
    g.shear = -b * g.inv_a;
    g.half_y = 3.f / c;
    g.half_x = g.half_y * std::sqrt(b * b + c * c) * g.inv_a;
}

// The whitening of exp([[s+e1, e2], [e2, s-e1]]), natural units (SPEC 1.1): M = exp(-2s) (cosh 2r I - sinh 2r / r E).
struct Whitening { float a, b, c; };
KERNEL_INLINE Whitening whitening_of(float s, float e1, float e2) {
    const float r2 = e1 * e1 + e2 * e2, r = std::sqrt(r2);
    const float up = fine_exp(2.f * r), down = 1.f / up;
    const float ch = 0.5f * (up + down);
    // sinh(2r)/r; the series below r = 0.1, where the difference would cancel (its next term is below 1e-8)
    const float sh = r > 0.1f ? 0.5f * (up - down) / r : 2.f + r2 * (1.33333333f + r2 * (0.26666667f + r2 * 0.02539683f));
    // ch - sh e1, without cancelling where e1 is near r: ch = down + sh r and r - e1 = e2^2 / (r + e1)
    const float m00_rel = e1 > 0.f ? down + sh * e2 * e2 / (r + e1) : ch - sh * e1;
    const float scale = fine_exp(-s), root = std::sqrt(m00_rel);
    // det M = exp(-4s), so c = exp(-2s)/a: no cancelling square root of M11 - b^2
    return {scale * root, -scale * sh * e2 / root, scale / root};
}

// The inverse: natural (s, e1, e2) of a whitening.
struct LogShape { float s, e1, e2; };
KERNEL_INLINE LogShape log_shape_of(float a, float b, float c) {
    const float s = -0.5f * std::log(a * c);
    const float p = 0.5f * (a * a - b * b - c * c), q = a * b;  // deviator of M
    const float deviator = std::sqrt(p * p + q * q);
    if (deviator < 1e-12f) return {s, 0.f, 0.f};
    const float z = deviator / (a * c);  // sinh 2r
    const float r = 0.5f * std::log(z + std::sqrt(z * z + 1.f));
    return {s, -p / deviator * r, -q / deviator * r};
}

// From natural parameters: mean px, log-scale, e1, e2, colours 1/255.
KERNEL_INLINE SplatGeometry geometry_of(float x, float y, float s, float e1, float e2, float luma, float cb, float cr,
                                        int kind) {
    SplatGeometry g;
    g.x = x;
    g.y = y;
    g.color[0] = luma;
    g.color[1] = cb;
    g.color[2] = cr;
    g.kind = kind;
    const Whitening w = whitening_of(s, e1, e2);
    set_whitening(g, w.a, w.b, w.c);
    return g;
}

// From the nine integer fields of a state (SPEC 1), `scale` output pixels to a coded one: output pixel i is at
// (i + 1/2)/scale - 1/2.
KERNEL_INLINE SplatGeometry geometry_of_state(const int32_t* field, float scale = 1.f) {
    const float half = 0.5f * scale - 0.5f;
    const auto within = [](int32_t v, int32_t low, int32_t high) { return float(v < low ? low : v > high ? high : v); };
    const float s = within(field[2], -32, 352) * 0.015625f;  // saturated: any integers at all give finite geometry
    const float e1 = within(field[3], -128, 128) * 0.015625f, e2 = within(field[4], -128, 128) * 0.015625f;
    SplatGeometry g = geometry_of(float(field[0]) * 0.0625f * scale + half, float(field[1]) * 0.0625f * scale + half,
                                  s, e1, e2, float(field[5]) * 0.25f, float(field[6]) * 0.25f, float(field[7]) * 0.25f,
                                  field[8]);
    if (scale != 1.f) set_whitening(g, g.a / scale, g.b / scale, g.c / scale);
    return g;
}

KERNEL_INLINE int ceil_clamped(float x, int low, int high) {
    if (!(x > float(low))) return low;
    return x >= float(high) ? high : int(std::ceil(x));
}

// Rows of [low, high) that the 3-sigma ellipse may touch (empty: y0 >= y1).
KERNEL_INLINE Rows row_range(const SplatGeometry& g, int low, int high) {
    return {ceil_clamped(g.y - g.half_y, low, high), ceil_clamped(g.y + g.half_y, low, high)};
}
// Columns of [low, high) that the 3-sigma ellipse may touch.
KERNEL_INLINE Span column_range(const SplatGeometry& g, int low, int high) {
    return {ceil_clamped(g.x - g.half_x, low, high), ceil_clamped(g.x + g.half_x, low, high)};
}
// Pixels of row y, inside [low, high), with u^2 + v^2 < CUT (up to rounding at the rim; empty: x0 >= x1).
KERNEL_INLINE Span row_span(const SplatGeometry& g, int y, int low, int high) {
    const float dy = float(y) - g.y, v = g.c * dy, rest = CUT - v * v;
    if (rest <= 0.f) return {low, low};
    const float centre = g.x + g.shear * dy, half = std::sqrt(rest) * g.inv_a;
    return {ceil_clamped(centre - half, low, high), ceil_clamped(centre + half, low, high)};
}

}  // namespace ISA_NAMESPACE
