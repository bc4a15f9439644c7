// Splats dealt to tiles, and tiles to rounds that threads may work on side by side.
#pragma once

#include "engine_canvas.hpp"

namespace splatcall {

// Splats of one tile: small ones in 32 px tiles, large ones in 128 px tiles; no change may leave the window.
struct SweepItem {
    std::vector<int> slots;
    Window window;
    float priority = 0;
};

struct SweepPlan {
    std::vector<SweepItem> items;
    std::vector<std::vector<int>> rounds;  // indices of items with disjoint windows
};

struct PlacedSplat {
    int slot;
    int x_px, y_px;  // mean, inside the picture
    Window window;
    float priority = 0;  // tiles whose splats have more come first; equal ones large tiles first, then by place
};

SweepPlan make_sweep_plan(const std::vector<PlacedSplat>& splats, int width, int height);

// Rounds of jobs whose windows are disjoint, also for a vector's tail; greedy in the order given.
std::vector<std::vector<int>> disjoint_rounds(const std::vector<Window>& windows);

}  // namespace splatcall
