// Where the splats of a new picture start; see placement_isa.cpp.
#pragma once

#include <cstdint>
#include <vector>

#include "dispatch.hpp"
#include "thread_pool.hpp"

struct PlacementJob {
    int width, height;        // px
    const float* target;      // [3, height, width] Y, Cb, Cr in 1/255
    const float* importance;  // [ceil(height/16), ceil(width/16)] or null: the same everywhere
    int count;                // at most this many splats
    uint64_t seed;
};

struct PlacementKernels {
    // Rows of 8 floats: x, y px, log-scale, e1, e2, Y, Cb, Cr.
    std::vector<float> (*place)(const PlacementJob& job, ThreadPool& pool);
};
ISA_TABLE(PlacementKernels, placement_kernels)
