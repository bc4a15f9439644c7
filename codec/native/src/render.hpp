// Pictures from integer states (SPEC 1.1).
#pragma once

#include <cstdint>

#include "dispatch.hpp"
#include "thread_pool.hpp"

struct RenderJob {
    const int32_t* splats;  // [slots, 9]
    int slots;
    const int32_t* base;  // [3, base_height, base_width] in 1/4
    int base_width, base_height;
    int width, height;  // coded size, px
    float scale;        // output px for each coded one
    float left, top;    // of the region, coded px
    int out_width, out_height;
};

struct RenderKernels {
    // out: [3, out_height, out_width] Y, Cb, Cr in 1/255, not clipped.
    void (*render)(const RenderJob& job, float* out, ThreadPool& pool);
    // planes: [3, pixels] Y, Cb, Cr; rgb: [pixels, 3], clipped and rounded. stride: floats from plane to plane.
    void (*to_rgb)(const float* planes, int64_t stride, int64_t pixels, uint8_t* rgb);
};
ISA_TABLE(RenderKernels, render_kernels)
