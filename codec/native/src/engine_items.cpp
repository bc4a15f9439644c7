#include "engine_items.hpp"

#include <algorithm>

namespace splatcall {
namespace {

constexpr int kTailPx = 16;  // columns past a window that a vector may rewrite
constexpr int kSmallTile = 32, kLargeTile = 128;
constexpr int kLargePx = 40;   // windows wider than this go into larger tiles
constexpr int kGrowthPx = 6;   // how far a change may reach past the windows of its tile

}  // namespace

std::vector<std::vector<int>> disjoint_rounds(const std::vector<Window>& windows) {
    std::vector<std::vector<int>> rounds;
    for (int i = 0; i < static_cast<int>(windows.size()); ++i) {
        Window wide = windows[i];
        wide.x0 -= kTailPx;
        wide.x1 += kTailPx;
        size_t round = 0;
        for (; round < rounds.size(); ++round)
            if (std::none_of(rounds[round].begin(), rounds[round].end(), [&](int j) { return overlap(wide, windows[j]); }))
                break;
        if (round == rounds.size()) rounds.emplace_back();
        rounds[round].push_back(i);
    }
    return rounds;
}

SweepPlan make_sweep_plan(const std::vector<PlacedSplat>& splats, int width, int height) {
    const auto tiles = [&](int px) { return ((width + px - 1) / px) * ((height + px - 1) / px); };
    std::vector<SweepItem> large(tiles(kLargeTile)), small(tiles(kSmallTile));
    for (const PlacedSplat& s : splats) {
        const Window& w = s.window;
        if (w.x0 >= w.x1 || w.y0 >= w.y1) continue;
        const bool wide = w.x1 - w.x0 > kLargePx || w.y1 - w.y0 > kLargePx;
        const int px = wide ? kLargeTile : kSmallTile;
        SweepItem& item = (wide ? large : small)[s.y_px / px * ((width + px - 1) / px) + s.x_px / px];
        item.window = item.slots.empty() ? w : unite(item.window, w);
        item.slots.push_back(s.slot);
        item.priority += s.priority;
    }
    SweepPlan plan;
    for (auto* group : {&large, &small})
        for (SweepItem& item : *group) {
            if (item.slots.empty()) continue;
            const Window& w = item.window;
            item.window = {std::max(0, w.x0 - kGrowthPx), std::max(0, w.y0 - kGrowthPx),
                           std::min(width, w.x1 + kGrowthPx), std::min(height, w.y1 + kGrowthPx)};
            plan.items.push_back(std::move(item));
        }
    std::stable_sort(plan.items.begin(), plan.items.end(),
                     [](const SweepItem& a, const SweepItem& b) { return a.priority > b.priority; });
    std::vector<Window> windows;
    for (const SweepItem& item : plan.items) windows.push_back(item.window);
    plan.rounds = disjoint_rounds(windows);
    return plan;
}

}  // namespace splatcall
