// A group of splats under trial: taken out of the picture once, then drawn at other places, strip by strip.
//
// A strip is two rows. Over its window a group keeps the picture without itself, in tiles of a strip's rows and as many
// columns as fill a vector, so that a trial reads no picture plane. Strips are made when a trial first asks for them.
#pragma once

#include <cstdint>
#include <vector>

#include "aligned.hpp"
#include "engine_kernels.hpp"

namespace splatcall {

inline constexpr int kMostTileValues = 9 * 16;  // floats that a tile takes, at most

inline constexpr int kMostStripStep = 8;

// The part of a group's trial that one call does: strips first, first + step, ...
struct Strips {
    int first = 0, step = 1;
};

// What strips came to: their number, the change of weighted squared error, and its squares strip by strip.
struct StripSums {
    int strips = 0;
    double change = 0, squares = 0;
    void add(const StripSums& o) { strips += o.strips, change += o.change, squares += o.squares; }
};

// Half the extent of a splat, px.
struct Reach {
    float x, y;
};

class Group {
public:
    // geometries: normalised splats first. No trial may leave the window.
    void begin(const std::vector<Geometry>& geometries, const Window& window);
    int strips() const { return (window.y1 - window.y0 + kStripRows - 1) / kStripRows; }

    Window window{};
    int count = 0, normalised = 0;
    // [padded count] the splats, with a, b, c as exp2(-u^2 - v^2) wants them; `tip`: dy from the mean to the rightmost point
    const float *x = nullptr, *y = nullptr, *a = nullptr, *b = nullptr, *c = nullptr, *color[3] = {};
    const float *inverse_a = nullptr, *shear = nullptr, *half_y = nullptr, *tip = nullptr;
    std::vector<Reach> reach;  // [count]
    float rows = 0, px = 0;    // that the splats cover inside the window, all together
    uint32_t begun = 0;        // bit i: whether a trial asked for strips i, i + kMostStripStep, ...

    // The kernels' own: the picture without the group, by strip and tile; the columns of tiles made so far, [strips, 2];
    // the tiles that the group itself touched, [strips, 2]; sums of the strip being drawn; a splat's first and last tile.
    float* tiles = nullptr;
    int *made = nullptr, *touched = nullptr;
    float* sums = nullptr;
    int *first_tile = nullptr, *last_tile = nullptr, *crossing = nullptr;

private:
    AlignedFloats splats_, tiles_, sums_;
    std::vector<int> strips_, spans_;
};

struct GroupKernels {
    // Change of weighted squared error if the group's splats moved to x, y [padded count].
    StripSums (*trial)(const CanvasView&, Group&, const float* x, const float* y, Strips);
    // How the squared error of luma depends on the luma of all normalised splats of the group.
    ColorModel (*luma)(const CanvasView&, Group&);
};

ISA_TABLE(GroupKernels, group_kernels)

}  // namespace splatcall
