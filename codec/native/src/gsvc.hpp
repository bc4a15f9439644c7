// Additive splats fitted to a picture by Adam, for the gsvc baseline; see gsvc_isa.cpp.
#pragma once

#include <memory>

#include "dispatch.hpp"
#include "fit_session.hpp"

// Splats are rows of 8 floats: x, y px, ln p, k, ln r, Y, Cb, Cr. U = [[p, k p], [0, r]] px is the upper Cholesky factor
// of the covariance U U^T; the picture is the sum of exp(-q/2) * colour over the splats with q < 9, on black.

struct GsvcTarget {
    int width, height;    // px
    const float* target;  // [3, height, width] Y, Cb, Cr in 1/255
    float channel_weights[3];
};

// Adam at rate 1: steps of the mean in px over sqrt(sigma), of ln p, k, ln r, and of colours in 1/255; its two memories.
struct GsvcAdam { float mean, shape, color, beta1, beta2; };

// Steps that drawn values are rounded to, counted from each splat's anchor: toward it where the fraction of a step is
// below 1 - bias. `calm` is Adam's epsilon: a gradient that stays well below calm / step hardly moves its parameter.
struct GsvcLattice { bool on = false; float mean, shape, luma, chroma, bias, calm; };

// The loss is the sum over pixels of sum_c channel_weight_c * (picture_c - target_c)^2 / 2.
// set_splats() forgets lattice and anchors, too.
class GsvcSession : public SplatFit {
public:
    virtual void drawn(float* out) const = 0;  // the splats as they are drawn
    virtual void set_lattice(const GsvcLattice& lattice, const float* anchors) = 0;  // [n, 8]; forgets moments
};

struct GsvcKernels {
    std::unique_ptr<GsvcSession> (*make)(const GsvcTarget& target, const GsvcAdam& adam);  // copies what it needs
    // out: [3, height, width], not clipped
    void (*render)(const float* splats, int n, int width, int height, float* out, ThreadPool& pool);
};
ISA_TABLE(GsvcKernels, gsvc_kernels)
