// The Gauss-Newton model of one splat, compiled once for each instruction set.
#include "engine_tile.hpp"

namespace splatcall::ISA_NAMESPACE {
namespace {

// Sums of one splat over its pixels, in whitened coordinates u, v.
struct Moments {
    float z[5];     // r (e . D) times u, v, uu, uv, vv
    float m[12];    // r^2 |D|^2 times uu, uv, vv, u3, u2v, uv2, v3, u4, u3v, u2v2, uv3, v4
    float k[3][5];  // r^2 D_k times u, v, uu, uv, vv
    float g[3], q;  // r e_k; r^2
};
constexpr int kMoments = sizeof(Moments) / sizeof(float);
static_assert(kMoments == 36);

// The same sums lane by lane.
struct MomentLanes {
    vfloat z[5]{}, m[12]{}, k[3][5]{}, g[3]{}, q{};

    Moments sums() const {
        vfloat all[40]{};
        static_assert(sizeof *this == kMoments * sizeof(vfloat));
        std::memcpy(all, this, sizeof *this);
        float out[40];
        for (int i = 0; i < 5; ++i) {
            vfloat eight[8];
            std::copy_n(all + 8 * i, 8, eight);
            sum_eight(eight, out + 8 * i);
        }
        Moments moments;
        std::memcpy(&moments, out, sizeof moments);
        return moments;
    }
};

inline void add_by_place(vfloat out[5], vfloat value, vfloat u, vfloat v, vfloat uu, vfloat uv, vfloat vv) {
    out[0] += value * u, out[1] += value * v, out[2] += value * uu, out[3] += value * uv, out[4] += value * vv;
}

// Adds a tile: r the splat's share of each pixel.
inline void add_tile(MomentLanes& sums, const CanvasView& canvas, const Geometry& g, const PictureRows& rows, int x, vfloat r,
                     vfloat u, vfloat v) {
    const vfloat uu = u * u, uv = u * v, vv = v * v, r2 = r * r;
    vfloat z{}, m{};
    for (int k = 0; k < 3; ++k) {
        const float weight = k ? canvas.chroma_weight : 1.f;
        const vfloat e = load_tile(rows.error[k], x);
        const vfloat d = g.additive ? splat(g.color[k]) : g.color[k] - load_tile(rows.picture[k], x);
        sums.g[k] += r * e;
        z += weight * (e * d);
        m += weight * (d * d);
        add_by_place(sums.k[k], r2 * d, u, v, uu, uv, vv);
    }
    sums.q += r2;
    add_by_place(sums.z, r * z, u, v, uu, uv, vv);
    m *= r2;
    const vfloat muu = m * uu, muv = m * uv, mvv = m * vv;
    sums.m[0] += muu, sums.m[1] += muv, sums.m[2] += mvv;
    sums.m[3] += muu * u, sums.m[4] += muu * v, sums.m[5] += mvv * u, sums.m[6] += mvv * v;
    sums.m[7] += muu * uu, sums.m[8] += muu * uv, sums.m[9] += muu * vv, sums.m[10] += mvv * uv, sums.m[11] += mvv * vv;
}

Moments moments_of(const CanvasView& canvas, const Geometry& g, int strip_step) {
    const TileLanes lanes;
    MomentLanes sums;
    for_strips(canvas, g, strip_step, [&](int top, int x0, int x1) {
        const PictureRows rows(canvas, top);
        PictureRows(canvas, std::min(top + strip_step * kStripRows, canvas.height - 1)).prefetch(x0);
        const vfloat dy = (static_cast<float>(top) - g.y) + lanes.row, v = g.c * dy, vv = v * v;
        vfloat u = g.a * lanes.column + (g.b * dy + g.a * (static_cast<float>(x0) - g.x));
        for (int x = x0; x < x1; x += kTileColumns, u += g.a * kTileColumns) {
            vfloat r = cut_exp2(kHalfLog2E * (u * u + vv));
            if (top + kStripRows > canvas.height || x + kTileColumns > canvas.width)
                r = lanes.before(canvas.width, canvas.height, x, top) ? r : vfloat{};
            if (!g.additive) r /= load_tile(rows.weight, x);
            add_tile(sums, canvas, g, rows, x, r, u, v);
        }
    });
    return sums.sums();
}

void quadratic(const CanvasView& canvas, const Geometry& g, const ShapeForms& forms, int strip_step, QuadraticModel& out) {
    const Moments s = moments_of(canvas, g, strip_step);
    // Derivatives of ln w as combinations of u, v, uu, uv, vv.
    const float basis[5][5] = {{g.a, 0, 0, 0, 0},
                               {g.b, g.c, 0, 0, 0},
                               {0, 0, 1, 0, 1},
                               {0, 0, -.5f * forms.uu[0], -forms.uv[0], -.5f * forms.vv[0]},
                               {0, 0, -.5f * forms.uu[1], -forms.uv[1], -.5f * forms.vv[1]}};
    const float* m = s.m;
    const float product[5][5] = {{m[0], m[1], m[3], m[4], m[5]},
                                 {m[1], m[2], m[4], m[5], m[6]},
                                 {m[3], m[4], m[7], m[8], m[9]},
                                 {m[4], m[5], m[8], m[9], m[10]},
                                 {m[5], m[6], m[9], m[10], m[11]}};
    std::memset(&out, 0, sizeof out);
    for (int i = 0; i < 5; ++i) {
        float left[5] = {};
        for (int p = 0; p < 5; ++p) {
            out.gradient[i] += 2 * basis[i][p] * s.z[p];
            for (int q = 0; q < 5; ++q) left[q] += basis[i][p] * product[p][q];
        }
        for (int j = 0; j <= i; ++j) {
            float h = 0;
            for (int q = 0; q < 5; ++q) h += left[q] * basis[j][q];
            out.hessian[i * 8 + j] = out.hessian[j * 8 + i] = 2 * h;
        }
    }
    for (int k = 0; k < 3; ++k) {
        const float w = 2 * (k ? canvas.chroma_weight : 1.f);
        const int row = 5 + k;
        out.gradient[row] = w * s.g[k];
        out.hessian[row * 8 + row] = w * s.q;
        for (int i = 0; i < 5; ++i) {
            float h = 0;
            for (int p = 0; p < 5; ++p) h += basis[i][p] * s.k[k][p];
            out.hessian[row * 8 + i] = out.hessian[i * 8 + row] = w * h;
        }
    }
    if (strip_step == 1) return;
    for (float& v : out.gradient) v *= strip_step;
    for (float& v : out.hessian) v *= strip_step;
}

}  // namespace

const ModelKernels& model_kernels() {
    static constexpr ModelKernels kernels = {quadratic};
    return kernels;
}

}  // namespace splatcall::ISA_NAMESPACE
