// The base as a picture: coarse samples interpolated by separable Catmull-Rom cubics (SPEC 1.1).
#pragma once

#include <cstdint>
#include <vector>

namespace splatcall {

inline constexpr float kSampleUnit = .25f;  // 1/255 in one unit of a base sample

// The four samples that a pixel takes its value from along one axis.
struct BaseTaps {
    int index[4];
    float weight[4];
};

// Taps of each of `size` pixels along an axis of `samples` base samples, edge samples repeated.
std::vector<BaseTaps> base_taps(int size, int samples);

// samples: [3, rows, columns]; returns [3, height, width], 0..255 scale.
std::vector<float> base_picture(const std::vector<int32_t>& samples, int rows, int columns, int height, int width);

// Saturates a sample of plane 0 (Y), 1 or 2 (Cb, Cr) to the range of SPEC section 1.
int32_t saturate_sample(int plane, int32_t sample);

}  // namespace splatcall
