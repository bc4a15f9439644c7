// The engine's hot loops, compiled once for each instruction set.
#include "kernel_math.hpp"

#include <algorithm>
#include <cmath>

#include "engine_kernels.hpp"

namespace splatcall::ISA_NAMESPACE {

using namespace ::ISA_NAMESPACE;
namespace {

inline vint lane_indices() {
    vint v;
    for (int i = 0; i < LANES; ++i) v[i] = i;
    return v;
}

constexpr float kSmallestWeight = 1e-3f;

inline bool columns_of(const Geometry& g, int y, int width, Columns& s) {
    if (y < g.row_begin || y >= g.row_end) return false;
    const float dy = static_cast<float>(y) - g.y;
    s.v = g.c * dy;
    const float rest = kCutSigma * kCutSigma - s.v * s.v;
    if (rest <= 0) return false;
    const float reach = std::sqrt(rest) / g.a;
    const float center = g.x - g.b * dy / g.a;
    s.x0 = std::max(0, static_cast<int>(std::ceil(std::max(center - reach, -1.f))));
    s.x1 = std::min(width, static_cast<int>(std::floor(std::min(center + reach, static_cast<float>(width)))) + 1);
    s.u0 = g.b * dy - g.a * g.x;
    s.half_v2 = -.5f * s.v * s.v;
    return s.x0 < s.x1;
}

// Weight of a splat in LANES columns from x on, zero outside its span.
inline vfloat span_weight(const Geometry& g, const Columns& s, int x, vint lanes) {
    const vint columns = lanes + x;
    const vfloat u = s.u0 + g.a * __builtin_convertvector(columns, vfloat);
    const vfloat w = fast_exp(s.half_v2 - .5f * u * u);
    return (columns >= s.x0) & (columns < s.x1) ? w : vfloat{};
}

struct Row {
    float* picture[3];
    float* weight;
    float* error[3];
};

inline Row row_of(const CanvasView& canvas, int y) {
    const size_t at = static_cast<size_t>(y) * canvas.stride;
    return {{canvas.picture[0] + at, canvas.picture[1] + at, canvas.picture[2] + at},
            canvas.weight + at,
            {canvas.error[0] + at, canvas.error[1] + at, canvas.error[2] + at}};
}

// Change of the three picture planes in one vector of columns, and of the weight.
struct Change {
    vfloat d[3];
    vfloat weight;
};

inline Change change_at(const Row& row, int x, const Geometry* before, const Columns& sb, const Geometry* after,
                        const Columns& sa, vint lanes) {
    Change out;
    const vfloat wb = before ? span_weight(*before, sb, x, lanes) : vfloat{};
    const vfloat wa = after ? span_weight(*after, sa, x, lanes) : vfloat{};
    const bool additive = (before ? before : after)->additive;
    if (additive) {
        for (int k = 0; k < 3; ++k)
            out.d[k] = wa * (after ? after->color[k] : 0.f) - wb * (before ? before->color[k] : 0.f);
        out.weight = vfloat{};
        return out;
    }
    out.weight = wa - wb;
    vfloat total = load(row.weight + x) + out.weight;
    total = total < kSmallestWeight ? splat(kSmallestWeight) : total;
    const vfloat inverse = 1.f / total;
    for (int k = 0; k < 3; ++k) {
        const vfloat now = load(row.picture[k] + x);
        out.d[k] = (wa * ((after ? after->color[k] : 0.f) - now) - wb * ((before ? before->color[k] : 0.f) - now)) * inverse;
    }
    return out;
}

template <class Visit>
inline void for_changed_rows(const CanvasView& canvas, const Geometry* before, const Geometry* after, Visit visit) {
    int y0 = canvas.height, y1 = 0;
    for (const Geometry* g : {before, after})
        if (g) y0 = std::min(y0, g->row_begin), y1 = std::max(y1, g->row_end);
    for (int y = std::max(0, y0); y < std::min(canvas.height, y1); ++y) {
        Columns sb{}, sa{};
        const Geometry* b = before && columns_of(*before, y, canvas.width, sb) ? before : nullptr;
        const Geometry* a = after && columns_of(*after, y, canvas.width, sa) ? after : nullptr;
        if (!a && !b) continue;
        const int x0 = a && b ? std::min(sa.x0, sb.x0) : a ? sa.x0 : sb.x0;
        const int x1 = a && b ? std::max(sa.x1, sb.x1) : a ? sa.x1 : sb.x1;
        visit(y, x0, x1, b, sb, a, sa);
    }
}

double trial(const CanvasView& canvas, const Geometry* before, const Geometry* after) {
    const vint lanes = lane_indices();
    double total = 0;
    for_changed_rows(canvas, before, after,
                     [&](int y, int x0, int x1, const Geometry* b, const Columns& sb, const Geometry* a, const Columns& sa) {
                         const Row row = row_of(canvas, y);
                         vfloat luma{}, chroma{};
                         for (int x = x0; x < x1; x += LANES) {
                             const Change c = change_at(row, x, b, sb, a, sa, lanes);
                             luma += c.d[0] * (c.d[0] + 2.f * load(row.error[0] + x));
                             chroma += c.d[1] * (c.d[1] + 2.f * load(row.error[1] + x)) +
                                       c.d[2] * (c.d[2] + 2.f * load(row.error[2] + x));
                         }
                         total += sum(luma + canvas.chroma_weight * chroma);
                     });
    return total;
}

void commit(const CanvasView& canvas, const Geometry* before, const Geometry* after) {
    const vint lanes = lane_indices();
    const bool additive = (before ? before : after)->additive;
    for_changed_rows(canvas, before, after,
                     [&](int y, int x0, int x1, const Geometry* b, const Columns& sb, const Geometry* a, const Columns& sa) {
                         const Row row = row_of(canvas, y);
                         for (int x = x0; x < x1; x += LANES) {
                             const Change c = change_at(row, x, b, sb, a, sa, lanes);
                             for (int k = 0; k < 3; ++k) {
                                 store(row.error[k] + x, load(row.error[k] + x) + c.d[k]);
                                 if (!additive) store(row.picture[k] + x, load(row.picture[k] + x) + c.d[k]);
                             }
                             if (!additive) store(row.weight + x, load(row.weight + x) + c.weight);
                         }
                     });
}

// Sums of one splat over its pixels, kept as vectors until the end. Indices are powers of u and v.
struct Moments {
    vfloat z[5]{};       // r (e . D) times u, v, uu, uv, vv
    vfloat m[12]{};      // r^2 |D|^2 times uu, uv, vv, u3, u2v, uv2, v3, u4, u3v, u2v2, uv3, v4
    vfloat k[3][5]{};    // r^2 D_k times u, v, uu, uv, vv
    vfloat g[3]{}, q{};  // r e_k; r^2

    void fold_row(const vfloat rz[3], const vfloat rm[5], const vfloat rk[3][3], float v) {
        const float v2 = v * v;
        fold_quadratic(z, rz, v, v2);
        for (int c = 0; c < 3; ++c) fold_quadratic(k[c], rk[c], v, v2);
        m[0] += rm[2], m[1] += v * rm[1], m[2] += v2 * rm[0];
        m[3] += rm[3], m[4] += v * rm[2], m[5] += v2 * rm[1], m[6] += v2 * v * rm[0];
        m[7] += rm[4], m[8] += v * rm[3], m[9] += v2 * rm[2], m[10] += v2 * v * rm[1], m[11] += v2 * v2 * rm[0];
    }
    static void fold_quadratic(vfloat out[5], const vfloat row[3], float v, float v2) {
        out[0] += row[1], out[1] += v * row[0], out[2] += row[2], out[3] += v * row[1], out[4] += v2 * row[0];
    }
};

void accumulate_moments(const CanvasView& canvas, const Geometry& g, int row_step, Moments& moments) {
    const vint lanes = lane_indices();
    const float wc = canvas.chroma_weight;
    for (int y = std::max(0, g.row_begin) + row_step / 2; y < std::min(canvas.height, g.row_end); y += row_step) {
        Columns s{};
        if (!columns_of(g, y, canvas.width, s)) continue;
        const Row row = row_of(canvas, y);
        vfloat rz[3]{}, rm[5]{}, rk[3][3]{};
        for (int x = s.x0; x < s.x1; x += LANES) {
            const vint columns = lanes + x;
            const vfloat u = s.u0 + g.a * __builtin_convertvector(columns, vfloat);
            vfloat r = fast_exp(s.half_v2 - .5f * u * u);
            r = columns < s.x1 ? r : vfloat{};
            if (!g.additive) r /= load(row.weight + x);
            const vfloat r2 = r * r;
            vfloat e[3], d[3];
            for (int k = 0; k < 3; ++k) {
                e[k] = load(row.error[k] + x);
                d[k] = g.additive ? splat(g.color[k]) : g.color[k] - load(row.picture[k] + x);
                moments.g[k] += r * e[k];
            }
            moments.q += r2;
            const vfloat z = r * (e[0] * d[0] + wc * (e[1] * d[1] + e[2] * d[2]));
            const vfloat m = r2 * (d[0] * d[0] + wc * (d[1] * d[1] + d[2] * d[2]));
            const vfloat u2 = u * u;
            rz[0] += z, rz[1] += z * u, rz[2] += z * u2;
            const vfloat mu2 = m * u2;
            rm[0] += m, rm[1] += m * u, rm[2] += mu2, rm[3] += mu2 * u, rm[4] += mu2 * u2;
            for (int k = 0; k < 3; ++k) {
                const vfloat f = r2 * d[k];
                rk[k][0] += f, rk[k][1] += f * u, rk[k][2] += f * u2;
            }
        }
        moments.fold_row(rz, rm, rk, s.v);
    }
}

void quadratic(const CanvasView& canvas, const Geometry& g, const ShapeForms& forms, int row_step, QuadraticModel& out) {
    Moments moments;
    accumulate_moments(canvas, g, row_step, moments);
    // Derivatives of ln w as combinations of u, v, uu, uv, vv.
    const float basis[5][5] = {{g.a, 0, 0, 0, 0},
                               {g.b, g.c, 0, 0, 0},
                               {0, 0, 1, 0, 1},
                               {0, 0, -.5f * forms.uu[0], -forms.uv[0], -.5f * forms.vv[0]},
                               {0, 0, -.5f * forms.uu[1], -forms.uv[1], -.5f * forms.vv[1]}};
    float m[12], z[5], mixed[3][5];
    for (int i = 0; i < 12; ++i) m[i] = sum(moments.m[i]);
    for (int i = 0; i < 5; ++i) {
        z[i] = sum(moments.z[i]);
        for (int k = 0; k < 3; ++k) mixed[k][i] = sum(moments.k[k][i]);
    }
    const float product[5][5] = {{m[0], m[1], m[3], m[4], m[5]},
                                 {m[1], m[2], m[4], m[5], m[6]},
                                 {m[3], m[4], m[7], m[8], m[9]},
                                 {m[4], m[5], m[8], m[9], m[10]},
                                 {m[5], m[6], m[9], m[10], m[11]}};
    std::memset(&out, 0, sizeof out);
    for (int i = 0; i < 5; ++i) {
        float left[5] = {};
        for (int p = 0; p < 5; ++p) {
            out.gradient[i] += 2 * basis[i][p] * z[p];
            for (int q = 0; q < 5; ++q) left[q] += basis[i][p] * product[p][q];
        }
        for (int j = 0; j <= i; ++j) {
            float h = 0;
            for (int q = 0; q < 5; ++q) h += left[q] * basis[j][q];
            out.hessian[i * 8 + j] = out.hessian[j * 8 + i] = 2 * h;
        }
    }
    const float q = sum(moments.q);
    for (int k = 0; k < 3; ++k) {
        const float w = 2 * (k ? canvas.chroma_weight : 1.f);
        const int row = 5 + k;
        out.gradient[row] = w * sum(moments.g[k]);
        out.hessian[row * 8 + row] = w * q;
        for (int i = 0; i < 5; ++i) {
            float h = 0;
            for (int p = 0; p < 5; ++p) h += basis[i][p] * mixed[k][p];
            out.hessian[row * 8 + i] = out.hessian[i * 8 + row] = w * h;
        }
    }
    if (row_step == 1) return;
    for (float& v : out.gradient) v *= row_step;
    for (float& v : out.hessian) v *= row_step;
}

// Adds sign * w * (color, 1) of one row of a splat to planes: 0..2 sum w c, 3 sum w, 4..6 additive; column 0 of a plane is x_base.
inline void add_row(const Geometry& g, const Columns& s, float sign, float* const planes[7], int x_base, vint lanes) {
    float* const* colors = g.additive ? planes + 4 : planes;
    for (int x = s.x0; x < s.x1; x += LANES) {
        const vfloat w = sign * span_weight(g, s, x, lanes);
        for (int k = 0; k < 3; ++k) store(colors[k] + x - x_base, load(colors[k] + x - x_base) + w * g.color[k]);
        if (!g.additive) store(planes[3] + x - x_base, load(planes[3] + x - x_base) + w);
    }
}

void group_remove(const CanvasView& canvas, GroupScratch& scratch, const Geometry* geometries, int count) {
    const vint lanes = lane_indices();
    const Window& win = scratch.window;
    const size_t size = static_cast<size_t>(win.y1 - win.y0) * scratch.stride;
    for (int p = 0; p < scratch.planes_used; ++p) std::fill_n(scratch.planes[p], size, 0.f);
    for (int y = win.y0; y < win.y1; ++y) {
        int* touched = scratch.touched + 2 * (y - win.y0);
        touched[0] = win.x1;
        touched[1] = win.x0;
        float* row[7];
        for (int p = 0; p < 7; ++p) row[p] = scratch.planes[p] + (y - win.y0) * scratch.stride;
        for (int i = 0; i < count; ++i) {
            Columns s{};
            if (!columns_of(geometries[i], y, canvas.width, s)) continue;
            add_row(geometries[i], s, -1.f, row, win.x0, lanes);
            touched[0] = std::min(touched[0], s.x0);
            touched[1] = std::max(touched[1], s.x1);
        }
    }
}

// Squared error gained in one row, columns x0..x1, by what is in scratch.row.
template <bool kAdditive>
inline double row_change(const CanvasView& canvas, const GroupScratch& scratch, int y, int x0, int x1, vint lanes) {
    const Row at = row_of(canvas, y);
    const float* row[7];
    for (int p = 0; p < 7; ++p) row[p] = scratch.row + p * scratch.stride - scratch.window.x0;
    vfloat luma{}, chroma{};
    for (int x = x0; x < x1; x += LANES) {
        const vfloat added = load(row[3] + x);
        vfloat weight = load(at.weight + x) + added;
        weight = weight < kSmallestWeight ? splat(kSmallestWeight) : weight;
        const vfloat inverse = 1.f / weight;
        const vint inside = lanes + x < x1;
        for (int k = 0; k < 3; ++k) {
            vfloat d = (load(row[k] + x) - load(at.picture[k] + x) * added) * inverse;
            if (kAdditive) d += load(row[4 + k] + x);
            d = inside ? d : vfloat{};
            (k ? chroma : luma) += d * (d + 2.f * load(at.error[k] + x));
        }
    }
    return sum(luma + canvas.chroma_weight * chroma);
}

double group_trial(const CanvasView& canvas, const GroupScratch& scratch, const Geometry* geometries, int count,
                   int row_step) {
    const vint lanes = lane_indices();
    const Window& win = scratch.window;
    double total = 0;
    for (int y = win.y0; y < win.y1; y += row_step) {
        const int* touched = scratch.touched + 2 * (y - win.y0);
        int x0 = touched[0], x1 = touched[1], crossing = 0;
        for (int i = 0; i < count; ++i) {
            Columns& s = scratch.columns[crossing];
            if (!columns_of(geometries[i], y, canvas.width, s)) continue;
            scratch.crossing[crossing++] = i;
            x0 = std::min(x0, s.x0);
            x1 = std::max(x1, s.x1);
        }
        if (x0 >= x1) continue;
        float* row[7];
        for (int p = 0; p < 7; ++p) row[p] = scratch.row + p * scratch.stride;
        for (int p = 0; p < scratch.planes_used; ++p) {
            const float* removed = scratch.planes[p] + (y - win.y0) * scratch.stride;
            for (int x = x0 - win.x0; x < x1 - win.x0 + LANES; x += LANES) store(row[p] + x, load(removed + x));
        }
        for (int i = 0; i < crossing; ++i)
            add_row(geometries[scratch.crossing[i]], scratch.columns[i], 1.f, row, win.x0, lanes);
        total += scratch.planes_used == 7 ? row_change<true>(canvas, scratch, y, x0, x1, lanes)
                                          : row_change<false>(canvas, scratch, y, x0, x1, lanes);
    }
    return total * row_step;
}

void accumulate(const CanvasView& canvas, const Geometry* geometries, int count, int row_begin, int row_end) {
    const vint lanes = lane_indices();
    for (int i = 0; i < count; ++i) {
        const Geometry& g = geometries[i];
        for (int y = std::max(row_begin, g.row_begin); y < std::min(row_end, g.row_end); ++y) {
            Columns s{};
            if (!columns_of(g, y, canvas.width, s)) continue;
            const Row row = row_of(canvas, y);
            float* const planes[7] = {row.picture[0], row.picture[1], row.picture[2], row.weight,
                                      row.error[0],   row.error[1],   row.error[2]};
            add_row(g, s, 1.f, planes, 0, lanes);
        }
    }
}

void resolve(const CanvasView& canvas, const float* const target[3], size_t target_stride, int row_begin, int row_end) {
    for (int y = row_begin; y < row_end; ++y) {
        const Row row = row_of(canvas, y);
        for (int x = 0; x < canvas.width; x += LANES) {
            const vfloat inverse = 1.f / load(row.weight + x);
            for (int k = 0; k < 3; ++k) {
                const vfloat picture = load(row.picture[k] + x) * inverse;
                store(row.picture[k] + x, picture);
                store(row.error[k] + x, picture + load(row.error[k] + x) - load(target[k] + y * target_stride + x));
            }
        }
    }
}

void retarget(const CanvasView& canvas, const float* const before[3], const float* const after[3], size_t target_stride,
              int row_begin, int row_end) {
    for (int y = row_begin; y < row_end; ++y) {
        const Row row = row_of(canvas, y);
        const size_t at = y * target_stride;
        for (int k = 0; k < 3; ++k)
            for (int x = 0; x < canvas.width; x += LANES)
                store(row.error[k] + x, load(row.error[k] + x) + load(before[k] + at + x) - load(after[k] + at + x));
    }
}

double squared_error(const CanvasView& canvas, const Window& win) {
    const vint lanes = lane_indices();
    double total = 0;
    for (int y = win.y0; y < win.y1; ++y) {
        const Row row = row_of(canvas, y);
        vfloat acc{};
        for (int x = win.x0; x < win.x1; x += LANES) {
            const vfloat e0 = load(row.error[0] + x), e1 = load(row.error[1] + x), e2 = load(row.error[2] + x);
            const vfloat e = e0 * e0 + canvas.chroma_weight * (e1 * e1 + e2 * e2);
            acc += lanes + x < win.x1 ? e : vfloat{};
        }
        total += sum(acc);
    }
    return total;
}

void color(const CanvasView& canvas, const Geometry& g, ColorModel& out) {
    const vint lanes = lane_indices();
    vfloat gradient[3]{}, matrix{};
    for (int y = std::max(0, g.row_begin); y < std::min(canvas.height, g.row_end); ++y) {
        Columns s{};
        if (!columns_of(g, y, canvas.width, s)) continue;
        const Row row = row_of(canvas, y);
        for (int x = s.x0; x < s.x1; x += LANES) {
            vfloat r = span_weight(g, s, x, lanes);
            if (!g.additive) r /= load(row.weight + x);
            matrix += r * r;
            for (int k = 0; k < 3; ++k) gradient[k] += r * load(row.error[k] + x);
        }
    }
    out.matrix = sum(matrix);
    for (int k = 0; k < 3; ++k) out.gradient[k] = sum(gradient[k]);
}

float block_error(const float* before, size_t before_stride, const float* target, size_t target_stride, int width, int height,
                  float fx, float fy) {
    const vint lanes = lane_indices();
    const float w00 = (1 - fx) * (1 - fy), w10 = fx * (1 - fy), w01 = (1 - fx) * fy, w11 = fx * fy;
    vfloat total{};
    for (int y = 0; y < height; ++y, before += before_stride, target += target_stride) {
        const float* below = before + before_stride;
        for (int x = 0; x < width; x += LANES) {
            vfloat e = w00 * load(before + x) + w10 * load(before + x + 1) + w01 * load(below + x) + w11 * load(below + x + 1) -
                       load(target + x);
            if (x + LANES > width) e = lanes + x < width ? e : vfloat{};
            total += e * e;
        }
    }
    return sum(total);
}

void birth(const CanvasView& canvas, const Geometry& g, BirthScore& out) {
    const vint lanes = lane_indices();
    const float wc = canvas.chroma_weight;
    vfloat matrix{}, vector[3]{}, constant{};
    for (int y = std::max(0, g.row_begin); y < std::min(canvas.height, g.row_end); ++y) {
        Columns s{};
        if (!columns_of(g, y, canvas.width, s)) continue;
        const Row row = row_of(canvas, y);
        for (int x = s.x0; x < s.x1; x += LANES) {
            const vfloat w = span_weight(g, s, x, lanes);
            const vfloat r = g.additive ? w : w / (load(row.weight + x) + w);
            matrix += r * r;
            for (int k = 0; k < 3; ++k) {
                const vfloat e = load(row.error[k] + x);
                if (g.additive) {
                    vector[k] += r * e;
                    continue;
                }
                const vfloat ri = r * load(row.picture[k] + x);
                vector[k] += r * (e - ri);
                constant += (k ? wc : 1.f) * ri * (ri - 2.f * e);
            }
        }
    }
    out.gain_matrix = sum(matrix);
    for (int k = 0; k < 3; ++k) out.gain_vector[k] = sum(vector[k]);
    out.constant = sum(constant);
}

}  // namespace

const EngineKernels& engine_kernels() {
    static constexpr EngineKernels kernels = {trial,      commit,  quadratic, group_remove,  group_trial,
                                              accumulate, resolve, retarget,  squared_error, block_error, color, birth};
    return kernels;
}

}  // namespace splatcall::ISA_NAMESPACE
