// The engine's hot loops: exact windowed trials, commits, Gauss-Newton matrices, rendering. One table of functions for
// each instruction set, chosen once at run time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dispatch.hpp"

namespace splatcall {

inline constexpr float kCutSigma = 3.f;     // a splat ends where q = d^T M d reaches 9 (SPEC 1.1)
inline constexpr float kMeanChord = 4.712389f;  // of a splat, times its a: pi/4 of 2 x 3 sigma
inline constexpr float kBaseWeight = .05f;  // weight of the base in the normalised sum (SPEC 1.1)
inline constexpr int kFields = 9;
inline constexpr int kStripRows = 2;    // that kernels look at together
inline constexpr int kRowPadding = 32;  // floats past the end of a row that vectors may touch

// One splat as the kernels need it: upper-triangular whitening A = [[a, b], [0, c]] with A^T A = M.
struct Geometry {
    float x, y;        // px
    float a, b, c;     // 1/px
    float color[3];    // Y, Cb, Cr, 0..255 scale
    int row_begin, row_end;
    bool additive;
};

// Picture, weight and error planes, row stride in floats. picture = normalised sum alone; error = picture + additive - target.
struct CanvasView {
    int width, height;
    size_t stride;
    float* picture[3];
    float* weight;
    float* error[3];
    float chroma_weight;
};

// Window of px, half open.
struct Window {
    int x0, y0, x1, y1;
};

// Sums that one Gauss-Newton step of one splat needs, in natural units:
// x, y px; log-scale, e1, e2; Y, Cb, Cr.
struct QuadraticModel {
    float gradient[8];
    float hessian[64];
};

// Shape derivatives of one splat: ln w = -q/2 and q's derivative by e1, e2 as quadratic forms in whitened (u, v).
struct ShapeForms {
    float uu[2], uv[2], vv[2];
};

// How the squared error of each plane depends on a splat's colour: by d it changes by d (2 gradient + d matrix), exactly.
struct ColorModel {
    float matrix, gradient[3];
};

struct BirthScore {
    float gain_matrix;     // sum r^2
    float gain_vector[3];  // sum r e (additive) or sum r (e - r I) (normalised)
    float constant;        // rise in squared error at colour 0 (normalised only)
};

struct EngineKernels {
    // Change in weighted squared error if `before` became `after`; either may be null.
    double (*trial)(const CanvasView&, const Geometry* before, const Geometry* after);
    // Carries a trial out.
    void (*commit)(const CanvasView&, const Geometry* before, const Geometry* after);
    double (*squared_error)(const CanvasView&, const Window&);
    // The sum of luma's error.
    double (*luma_error)(const CanvasView&, const Window&);
    // Adds splats (rows row_begin..row_end of the canvas only) to raw sums: picture holds sum w c, weight sum w, error the additive sum.
    void (*accumulate)(const CanvasView&, const Geometry*, int count, int row_begin, int row_end);
    // Divides sums and takes the target away, rows row_begin..row_end; returns nothing.
    void (*resolve)(const CanvasView&, const float* const target[3], size_t target_stride, int row_begin, int row_end);
    // error += before - after, rows row_begin..row_end.
    void (*retarget)(const CanvasView&, const float* const before[3], const float* const after[3], size_t target_stride,
                     int row_begin, int row_end);
    // Squared error of a block against one of a target, `before` read between its pixels: fx, fy 0..1 to the right and down.
    float (*block_error)(const float* before, size_t before_stride, const float* target, size_t target_stride, int width,
                         int height, float fx, float fy);
    void (*color)(const CanvasView&, const Geometry&, ColorModel&);
    void (*birth)(const CanvasView&, const Geometry&, BirthScore&);
};

// Gauss-Newton model of one splat, from every strip_step-th strip alone, as if the others were like them.
struct ModelKernels {
    void (*quadratic)(const CanvasView&, const Geometry&, const ShapeForms&, int strip_step, QuadraticModel&);
};

ISA_TABLE(EngineKernels, engine_kernels)
ISA_TABLE(ModelKernels, model_kernels)

}  // namespace splatcall
