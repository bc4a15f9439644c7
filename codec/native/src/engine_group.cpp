#include "engine_group.hpp"

#include <algorithm>
#include <cmath>

namespace splatcall {
namespace {

constexpr int kArrays = 12, kPadding = 16;
constexpr float kExponentScale = .84932180f;  // sqrt(log2(e) / 2)

int padded(int n) { return (n + kPadding - 1) / kPadding * kPadding; }

}  // namespace

void Group::begin(const std::vector<Geometry>& geometries, const Window& bounds) {
    window = bounds;
    count = static_cast<int>(geometries.size());
    const int stride = padded(count);
    splats_.resize(static_cast<size_t>(kArrays) * stride);
    float* array[kArrays];
    for (int k = 0; k < kArrays; ++k) array[k] = splats_.data() + static_cast<size_t>(k) * stride;
    reach.resize(count);
    normalised = 0;
    rows = px = 0;
    for (int i = 0; i < stride; ++i) {
        const Geometry& g = geometries[std::min(i, count - 1)];
        const float length = std::sqrt(g.b * g.b + g.c * g.c), half = kCutSigma / g.c;
        const float values[kArrays] = {g.x, g.y, g.a * kExponentScale, g.b * kExponentScale, g.c * kExponentScale,
                                       g.color[0], g.color[1], g.color[2], 1 / g.a, -g.b / g.a,
                                       i < count ? half : -1.f, -half * g.b / length};
        for (int k = 0; k < kArrays; ++k) array[k][i] = values[k];
        if (i >= count) continue;
        reach[i] = {half * length / g.a, half};
        normalised += !g.additive;
        const float covered = static_cast<float>(
            std::max(0, std::min(g.row_end, window.y1) - std::max(g.row_begin, window.y0)));
        rows += covered;
        px += covered * std::min(kMeanChord / g.a, static_cast<float>(window.x1 - window.x0));
    }
    x = array[0], y = array[1], a = array[2], b = array[3], c = array[4];
    for (int k = 0; k < 3; ++k) color[k] = array[5 + k];
    inverse_a = array[8], shear = array[9], half_y = array[10], tip = array[11];
    begun = 0;

    // A tile holds at most 16 px, of at least one column; two more columns of tiles than the window may need.
    const size_t pixels = static_cast<size_t>(window.x1 - window.x0 + 2 * kPadding) * kStripRows;
    tiles_.resize(pixels * strips() * (kMostTileValues / 16));
    sums_.resize(pixels * 7);
    strips_.assign(4 * static_cast<size_t>(strips()), 0);
    spans_.resize(3 * static_cast<size_t>(stride));
    tiles = tiles_.data();
    sums = sums_.data();
    std::fill_n(sums, pixels * 7, 0.f);
    made = strips_.data();
    touched = strips_.data() + 2 * strips();
    std::fill_n(touched, 2 * strips(), -1);
    first_tile = spans_.data();
    last_tile = first_tile + stride;
    crossing = last_tile + stride;
}

}  // namespace splatcall
