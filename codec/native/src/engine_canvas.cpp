#include "engine_canvas.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>

namespace splatcall {
namespace {

constexpr int kPlanes = 16;  // picture 3, weight, error 3, base 3, two targets of 3
constexpr int kBandRows = 32;
constexpr size_t kHugePage = size_t{1} << 21;

size_t padded(int width) { return (static_cast<size_t>(width) + kRowPadding + 15) / 16 * 16; }

// sinh(2r)/r and (2r cosh 2r - sinh 2r)/r^3, with their limits at 0.
struct Hyperbolic {
    double c, f, df;
    explicit Hyperbolic(double r) : c(std::cosh(2 * r)) {
        const double s = std::sinh(2 * r);
        f = r > 1e-4 ? s / r : 2.;
        df = r > 1e-2 ? (2 * r * c - s) / (r * r * r) : 8. / 3;
    }
};

}  // namespace

Geometry make_geometry(Fields q, int height) {
    const double s = q[2] * kUnit[2], e1 = q[3] * kUnit[3], e2 = q[4] * kUnit[4];
    const Hyperbolic h(std::hypot(e1, e2));
    const double scale = std::exp(-2 * s);
    const double m00 = scale * std::max(h.c - h.f * e1, 1e-9), m01 = -scale * h.f * e2;
    const double a = std::sqrt(m00);
    Geometry g;
    g.a = static_cast<float>(a);
    g.b = static_cast<float>(m01 / a);
    g.c = static_cast<float>(scale / a);
    for (int k = 0; k < 3; ++k) g.color[k] = q[5 + k] * kUnit[5 + k];
    g.additive = q[8] == kKindAdditive;
    return moved_geometry(g, q, height);
}

Geometry moved_geometry(const Geometry& geometry, Fields q, int height) {
    Geometry g = geometry;
    g.x = q[0] * kUnit[0];
    g.y = q[1] * kUnit[1];
    const float reach = kCutSigma / g.c;
    g.row_begin = std::max(0, static_cast<int>(std::floor(std::max(g.y - reach, -1.f))));
    g.row_end = std::min(height, static_cast<int>(std::ceil(std::min(g.y + reach, static_cast<float>(height)))) + 1);
    return g;
}

ShapeForms make_shape_forms(Fields q, const Geometry& g) {
    const double s = q[2] * kUnit[2], e[2] = {q[3] * kUnit[3], q[4] * kUnit[4]};
    const Hyperbolic h(std::hypot(e[0], e[1]));
    const double scale = std::exp(-2 * s);
    ShapeForms forms;
    for (int i = 0; i < 2; ++i) {
        // dM/de_i = exp(-2s) (2 f e_i I - df e_i E - f D_i), D_1 = diag(1, -1), D_2 = [[0, 1], [1, 0]]
        const double d = 2 * h.f * e[i], k = h.df * e[i];
        const double n00 = scale * (d - k * e[0] - (i == 0 ? h.f : 0));
        const double n11 = scale * (d + k * e[0] + (i == 0 ? h.f : 0));
        const double n01 = scale * (-k * e[1] - (i == 1 ? h.f : 0));
        // into whitened coordinates: A^-T N A^-1
        const double a = g.a, b = g.b, c = g.c;
        const double p = n00 / (a * a), r = (n01 - n00 * b / a) / (a * c);
        forms.uu[i] = static_cast<float>(p);
        forms.uv[i] = static_cast<float>(r);
        forms.vv[i] = static_cast<float>((n11 - 2 * n01 * b / a + n00 * b * b / (a * a)) / (c * c));
    }
    return forms;
}

Window window_of(const Geometry& g, int width, int height) {
    const float reach = kCutSigma * std::sqrt(g.b * g.b + g.c * g.c) / (g.a * g.c);
    const auto column = [&](float x) { return static_cast<int>(std::min(std::max(x, 0.f), static_cast<float>(width))); };
    return {column(std::floor(g.x - reach)), std::min(g.row_begin, height), column(std::ceil(g.x + reach) + 1.f),
            std::max(g.row_end, 0)};
}

Window unite(const Window& a, const Window& b) {
    return {std::min(a.x0, b.x0), std::min(a.y0, b.y0), std::max(a.x1, b.x1), std::max(a.y1, b.y1)};
}

bool overlap(const Window& a, const Window& b) {
    return a.x0 < b.x1 && b.x0 < a.x1 && a.y0 < b.y1 && b.y0 < a.y1;
}

bool contains(const Window& outer, const Window& inner) {
    return inner.x0 >= outer.x0 && inner.y0 >= outer.y0 && inner.x1 <= outer.x1 && inner.y1 <= outer.y1;
}

ZeroedFloats::ZeroedFloats(size_t count) : mapped_bytes_(count * sizeof(float) + kHugePage) {
    mapped_ = mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped_ == MAP_FAILED) throw std::bad_alloc();
    const auto start = (reinterpret_cast<uintptr_t>(mapped_) + kHugePage - 1) / kHugePage * kHugePage;
    data_ = reinterpret_cast<float*>(start);
#if defined(MADV_HUGEPAGE)
    madvise(data_, count * sizeof(float), MADV_HUGEPAGE);  // a wish: far fewer page faults
#endif
}

ZeroedFloats::~ZeroedFloats() { munmap(mapped_, mapped_bytes_); }

void convert_row(const uint8_t* rgb, int width, float* const out[3]) {
    for (int x = 0; x < width; ++x) {
        const float r = rgb[3 * x], g = rgb[3 * x + 1], b = rgb[3 * x + 2];
        const float luma = .299f * r + .587f * g + .114f * b;
        out[0][x] = luma;
        out[1][x] = (b - luma) * (1.f / 1.772f);
        out[2][x] = (r - luma) * (1.f / 1.402f);
    }
}

Canvas::Canvas(int width, int height, float chroma_weight, int threads)
    : kernels_(select_engine_kernels(), select_model_kernels(), select_group_kernels()),
      pool_(shared_pool(threads)),
      memory_(padded(width) * height * kPlanes + kRowPadding) {
    view_.width = width;
    view_.height = height;
    view_.stride = padded(width);
    view_.chroma_weight = chroma_weight;
    const size_t size = view_.stride * height;
    for (int k = 0; k < 3; ++k) {
        view_.picture[k] = memory_.data() + k * size;
        view_.error[k] = memory_.data() + (3 + k) * size;
        base_[k] = memory_.data() + (6 + k) * size;
        target_[0][k] = memory_.data() + (9 + k) * size;
        target_[1][k] = memory_.data() + (12 + k) * size;
    }
    view_.weight = memory_.data() + 15 * size;
}

template <class Fn>
void Canvas::for_bands(Fn fn) const {
    const int bands = (view_.height + kBandRows - 1) / kBandRows;
    pool_.parallel_for(bands, [&](int band) { fn(band * kBandRows, std::min(view_.height, (band + 1) * kBandRows)); });
}

void Canvas::set_base(const float* base) {
    for (int k = 0; k < 3; ++k)
        for (int y = 0; y < view_.height; ++y)
            std::memcpy(base_[k] + y * view_.stride, base + (static_cast<size_t>(k) * view_.height + y) * view_.width,
                        view_.width * sizeof(float));
}

void Canvas::set_target(const uint8_t* rgb) {
    current_ ^= 1;
    for_bands([&](int y0, int y1) {
        for (int y = y0; y < y1; ++y) {
            const size_t at = y * view_.stride;
            float* const out[3] = {target_[current_][0] + at, target_[current_][1] + at, target_[current_][2] + at};
            convert_row(rgb + static_cast<size_t>(y) * view_.width * 3, view_.width, out);
        }
    });
}

void Canvas::render(const std::vector<Geometry>& geometries) {
    for_bands([&](int y0, int y1) {
        const size_t from = y0 * view_.stride, count = (y1 - y0) * view_.stride;
        for (int k = 0; k < 3; ++k) {
            for (size_t i = from; i < from + count; ++i) view_.picture[k][i] = kBaseWeight * base_[k][i];
            std::fill_n(view_.error[k] + from, count, 0.f);
        }
        std::fill_n(view_.weight + from, count, kBaseWeight);
        kernels_.accumulate(view_, geometries.data(), static_cast<int>(geometries.size()), y0, y1);
        kernels_.resolve(view_, target_[current_], view_.stride, y0, y1);
    });
}

void Canvas::move_target() {
    for_bands([&](int y0, int y1) {
        kernels_.retarget(view_, target_[current_ ^ 1], target_[current_], view_.stride, y0, y1);
    });
}

void Canvas::shine(float gain, const float offsets[3]) {
    for_bands([&](int y0, int y1) {
        for (int k = 0; k < 3; ++k)
            for (int y = y0; y < y1; ++y) {
                const size_t at = y * view_.stride;
                const float offset = offsets[k], *target = target_[current_][k] + at;
                float *base = base_[k] + at, *picture = view_.picture[k] + at, *error = view_.error[k] + at;
                for (int x = 0; x < view_.width; ++x) {
                    base[x] += gain * base[x] + offset;
                    picture[x] += gain * picture[x] + offset;
                    error[x] += gain * (error[x] + target[x]) + offset;
                }
            }
    });
}

double Canvas::squared_error() const { return squared_error({0, 0, view_.width, view_.height}); }

void Canvas::picture(float* out) const {
    for (int k = 0; k < 3; ++k)
        for (int y = 0; y < view_.height; ++y)
            for (int x = 0; x < view_.width; ++x) {
                const size_t at = y * view_.stride + x;
                out[(static_cast<size_t>(k) * view_.height + y) * view_.width + x] =
                    view_.error[k][at] + target_[current_][k][at];
            }
}

void Canvas::luma(uint8_t* out) const {
    for_bands([&](int y0, int y1) {
        for (int y = y0; y < y1; ++y) {
            const float* error = view_.error[0] + y * view_.stride;
            const float* target = target_[current_][0] + y * view_.stride;
            uint8_t* row = out + static_cast<size_t>(y) * view_.width;
            for (int x = 0; x < view_.width; ++x)
                row[x] = static_cast<uint8_t>(std::min(std::max(error[x] + target[x], 0.f), 255.f) + .5f);
        }
    });
}

}  // namespace splatcall
