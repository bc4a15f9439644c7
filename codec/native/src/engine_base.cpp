#include "engine_base.hpp"

#include <algorithm>
#include <cmath>

namespace splatcall {

std::vector<BaseTaps> base_taps(int size, int samples) {
    std::vector<BaseTaps> taps(size);
    for (int i = 0; i < size; ++i) {
        const float t = (i + .5f) * samples / size - .5f, whole = std::floor(t), f = t - whole;
        for (int k = 0; k < 4; ++k) taps[i].index[k] = std::min(std::max(static_cast<int>(whole) - 1 + k, 0), samples - 1);
        taps[i].weight[0] = f * (-.5f + f * (1.f - .5f * f));
        taps[i].weight[1] = 1.f + f * f * (-2.5f + 1.5f * f);
        taps[i].weight[2] = f * (.5f + f * (2.f - 1.5f * f));
        taps[i].weight[3] = f * f * (-.5f + .5f * f);
    }
    return taps;
}

std::vector<float> base_picture(const std::vector<int32_t>& samples, int rows, int columns, int height, int width) {
    const std::vector<BaseTaps> down = base_taps(height, rows), across = base_taps(width, columns);
    std::vector<float> out(static_cast<size_t>(3) * height * width), line(columns);
    for (int y = 0; y < 3 * height; ++y) {
        const BaseTaps& v = down[y % height];
        const int32_t* plane = &samples[static_cast<size_t>(y / height) * rows * columns];
        for (int c = 0; c < columns; ++c) {
            line[c] = 0;
            for (int k = 0; k < 4; ++k) line[c] += kSampleUnit * v.weight[k] * plane[v.index[k] * columns + c];
        }
        float* row = &out[static_cast<size_t>(y) * width];
        for (int x = 0; x < width; ++x)
            for (int k = 0; k < 4; ++k) row[x] += across[x].weight[k] * line[across[x].index[k]];
    }
    return out;
}

int32_t saturate_sample(int plane, int32_t sample) {
    return plane == 0 ? std::min(std::max(sample, 0), 1023) : std::min(std::max(sample, -512), 511);
}

}  // namespace splatcall
