// The picture a set of splats makes, its error against a target, and the geometry of one splat from its state.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine_counted.hpp"
#include "thread_pool.hpp"

namespace splatcall {

// Fields of one splat: x, y, s, e1, e2, Y, Cb, Cr, kind (SPEC section 1).
using Fields = const int32_t*;

inline constexpr int kKindDead = 0, kKindNormalised = 1, kKindAdditive = 2;

Geometry make_geometry(Fields fields, int height);
// The same splat with another mean, of fields x, y.
Geometry moved_geometry(const Geometry& geometry, Fields fields, int height);
ShapeForms make_shape_forms(Fields fields, const Geometry& geometry);
// Smallest window that holds the splat, cut to the picture.
Window window_of(const Geometry& geometry, int width, int height);
Window unite(const Window& a, const Window& b);
bool overlap(const Window& a, const Window& b);
bool contains(const Window& outer, const Window& inner);
// Natural units of one state unit: 1/16 px, 1/64, 1/4 of 1/255.
inline constexpr float kUnit[8] = {1.f / 16, 1.f / 16, 1.f / 64, 1.f / 64, 1.f / 64, .25f, .25f, .25f};

// One row of RGB as Y, Cb, Cr planes (BT.601, full range).
void convert_row(const uint8_t* rgb, int width, float* const out[3]);

// Memory for planes, zeroed, aligned to 64 bytes. Straight from the system, on huge pages where it has them: a page costs
// nothing until it is touched, which threads then do side by side.
class ZeroedFloats {
public:
    explicit ZeroedFloats(size_t count);
    ~ZeroedFloats();
    ZeroedFloats(const ZeroedFloats&) = delete;
    ZeroedFloats& operator=(const ZeroedFloats&) = delete;
    float* data() const { return data_; }

private:
    void* mapped_;
    size_t mapped_bytes_;
    float* data_;
};

class Canvas {
public:
    Canvas(int width, int height, float chroma_weight, int threads);

    // base: [3, height, width] YCbCr, 0..255 scale.
    void set_base(const float* base);
    // rgb: [height, width, 3]. The target before it is kept for move_target().
    void set_target(const uint8_t* rgb);
    // Works out picture, weight and error of these splats from nothing.
    void render(const std::vector<Geometry>& geometries);
    // Makes the error that of the new target, the picture as it is.
    void move_target();
    // Makes picture, base and error those of a light on all splats: c becomes (1 + gain) c + offset_c. A state's light
    // rounds each splat; render() has that, too.
    void shine(float gain, const float offsets[3]);
    double squared_error(const Window& window) const { return kernels_.squared_error(view_, window); }
    double squared_error() const;
    // The whole picture, additive splats included, YCbCr planes into out [3, height, width].
    void picture(float* out) const;
    // Its luma, rounded to 0..255, into out [height, width].
    void luma(uint8_t* out) const;

    // One plane of the target, [height, stride].
    const float* target(int plane) const { return target_[current_][plane]; }
    const CanvasView& view() const { return view_; }
    const CountedKernels& kernels() const { return kernels_; }
    int width() const { return view_.width; }
    int height() const { return view_.height; }
    float chroma_weight() const { return view_.chroma_weight; }
    ThreadPool& pool() const { return pool_; }

private:
    template <class Fn>
    void for_bands(Fn fn) const;

    CanvasView view_{};
    CountedKernels kernels_;
    ThreadPool& pool_;
    ZeroedFloats memory_;
    float* base_[3];
    float* target_[2][3];
    int current_ = 0;
};

}  // namespace splatcall
