// Fits normalised splats to a picture by Adam; see fit_isa.cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "dispatch.hpp"
#include "fit_session.hpp"

struct FitTarget {
    int width, height;    // px
    const float* target;  // [3, height, width] Y, Cb, Cr in 1/255
    const float* base;    // [3, height, width]
    const float* weight;  // [height, width] or null: all 1
    float channel_weights[3];
};

// The lattice of a key frame in natural units (SPEC 5), for fits that draw what would be coded.
struct FitLattice {
    bool on = false;
    float mean[5], scale, shape, luma, chroma;
};

// Splats are rows of 8 floats: x, y px, log-scale, e1, e2, Y, Cb, Cr (SPEC 1, natural units). Inside, the shape is
// the whitening a, b, c of kernel_math.hpp: gradients are with respect to x, y, a, b, c, Y, Cb, Cr.
// The loss is the sum over pixels of weight * sum_c channel_weight_c * (picture_c - target_c)^2 / 2.
class FitSession : public SplatFit {
public:
    virtual void set_lattice(const FitLattice& lattice) = 0;  // and forgets Adam's moments
    // From now on the picture of the flagged splats alone counts too, `weight` times as much; until set_splats().
    // flags: [n], in the caller's order.
    virtual void set_lead(const uint8_t* flags, float weight) = 0;
    virtual void picture(float* out, ThreadPool& pool) = 0;  // [3, height, width]
    // step() by the even (parity 0) or odd rows of the picture alone.
    virtual double step_by_rows(float rate, int parity, ThreadPool& pool) = 0;
};

struct FitKernels {
    std::unique_ptr<FitSession> (*make)(const FitTarget& target);  // copies what it needs
};
ISA_TABLE(FitKernels, fit_kernels)
