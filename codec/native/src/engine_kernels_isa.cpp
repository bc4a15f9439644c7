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

// Columns of one splat in one row, and its exponent there: u = u0 + a x, half_v2 = -v^2 / 2.
struct Columns {
    int x0, x1;
    float u0, half_v2, v;
};

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

void accumulate(const CanvasView& canvas, const Geometry* geometries, int count, int row_begin, int row_end) {
    const vint lanes = lane_indices();
    for (int i = 0; i < count; ++i) {
        const Geometry& g = geometries[i];
        for (int y = std::max(row_begin, g.row_begin); y < std::min(row_end, g.row_end); ++y) {
            Columns s{};
            if (!columns_of(g, y, canvas.width, s)) continue;
            const Row row = row_of(canvas, y);
            float* const* colors = g.additive ? row.error : row.picture;
            for (int x = s.x0; x < s.x1; x += LANES) {
                const vfloat w = span_weight(g, s, x, lanes);
                for (int k = 0; k < 3; ++k) store(colors[k] + x, load(colors[k] + x) + w * g.color[k]);
                if (!g.additive) store(row.weight + x, load(row.weight + x) + w);
            }
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

// Sums fn(row, x) over a window, columns past its end as 0.
template <class Fn>
inline double sum_window(const CanvasView& canvas, const Window& win, Fn fn) {
    constexpr int kRows = 8;  // after which sums go on in double
    const vint lanes = lane_indices();
    double total = 0;
    for (int top = win.y0; top < win.y1; top += kRows) {
        vfloat acc{};
        for (int y = top; y < std::min(top + kRows, win.y1); ++y) {
            const Row row = row_of(canvas, y);
            for (int x = win.x0; x < win.x1; x += LANES) acc += lanes + x < win.x1 ? fn(row, x) : vfloat{};
        }
        total += sum(acc);
    }
    return total;
}

double squared_error(const CanvasView& canvas, const Window& win) {
    return sum_window(canvas, win, [&](const Row& row, int x) {
        const vfloat e0 = load(row.error[0] + x), e1 = load(row.error[1] + x), e2 = load(row.error[2] + x);
        return e0 * e0 + canvas.chroma_weight * (e1 * e1 + e2 * e2);
    });
}

double luma_error(const CanvasView& canvas, const Window& win) {
    return sum_window(canvas, win, [](const Row& row, int x) { return load(row.error[0] + x); });
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
    static constexpr EngineKernels kernels = {trial,    commit,      squared_error, luma_error, accumulate, resolve,
                                              retarget, block_error, color,         birth};
    return kernels;
}

}  // namespace splatcall::ISA_NAMESPACE
