// The engine's kernels, each call counted in steps: what its thread does, as Work shares it out.
//
// A step is about a nanosecond of one thread; weights are least-squares fits to the times of each kernel's calls on webcam
// frames at 640x360 (AVX-512). Only their ratios matter: what a step takes on a machine is measured while it works.
#pragma once

#include <algorithm>

#include "engine_kernels.hpp"
#include "engine_work.hpp"

namespace splatcall {

class CountedKernels {
public:
    explicit CountedKernels(const EngineKernels& kernels) : kernels_(kernels) {}

    double trial(const CanvasView& view, const Geometry* before, const Geometry* after) const {
        count(kTrial, view, before, after);
        return kernels_.trial(view, before, after);
    }
    void commit(const CanvasView& view, const Geometry* before, const Geometry* after) const {
        count(kCommit, view, before, after);
        kernels_.commit(view, before, after);
    }
    void quadratic(const CanvasView& view, const Geometry& g, const ShapeForms& forms, QuadraticModel& out, int row_step = 1) const {
        count(kQuadratic, view, &g, nullptr, row_step);
        kernels_.quadratic(view, g, forms, row_step, out);
    }
    void color(const CanvasView& view, const Geometry& g, ColorModel& out) const {
        count(kBirth, view, &g, nullptr);
        kernels_.color(view, g, out);
    }
    void birth(const CanvasView& view, const Geometry& g, BirthScore& out) const {
        count(kBirth, view, &g, nullptr);
        kernels_.birth(view, g, out);
    }
    void group_remove(const CanvasView& view, GroupScratch& scratch, const Geometry* geometries, int count) const {
        count_group(kGroupRemove, kRemoveArea, scratch.window, geometries, count, view.width, 1);
        kernels_.group_remove(view, scratch, geometries, count);
    }
    double group_trial(const CanvasView& view, const GroupScratch& scratch, const Geometry* geometries, int count,
                       int row_step) const {
        count_group(kGroupTrial, kTrialArea, scratch.window, geometries, count, view.width, row_step);
        return kernels_.group_trial(view, scratch, geometries, count, row_step);
    }
    double squared_error(const CanvasView& view, const Window& w) const {
        const int pixels = std::max(0, w.x1 - w.x0) * std::max(0, w.y1 - w.y0);
        thread_work().steps += kErrorCall + static_cast<int64_t>(kErrorPixel * static_cast<float>(pixels));
        return kernels_.squared_error(view, w);
    }
    const EngineKernels& uncounted() const { return kernels_; }
    // Passes over whole pictures are the same in every frame and are not counted.
    void accumulate(const CanvasView& view, const Geometry* geometries, int count, int row_begin, int row_end) const {
        kernels_.accumulate(view, geometries, count, row_begin, row_end);
    }
    void resolve(const CanvasView& view, const float* const target[3], size_t stride, int row_begin, int row_end) const {
        kernels_.resolve(view, target, stride, row_begin, row_end);
    }
    void retarget(const CanvasView& view, const float* const before[3], const float* const after[3], size_t stride,
                  int row_begin, int row_end) const {
        kernels_.retarget(view, before, after, stride, row_begin, row_end);
    }

private:
    struct Weight {
        int call;      // steps of a call, with what its caller does beside it
        float row, px; // steps of a row and of a pixel
    };
    static constexpr Weight kTrial{1000, 39, 1.3f}, kCommit{200, 34, 1.2f}, kQuadratic{800, 56, 1.2f}, kBirth{200, 11, .8f};
    static constexpr Weight kGroupRemove{600, 11, .9f}, kGroupTrial{200, 12, 1};
    static constexpr float kRemoveArea = .2f, kTrialArea = 1;  // steps of a pixel of the group's window
    static constexpr int kErrorCall = 100;
    static constexpr float kErrorPixel = .6f;

    static float chord(const Geometry& g, int width) { return std::min(kMeanChord / g.a, static_cast<float>(width)); }

    static void count(const Weight& weight, const CanvasView& view, const Geometry* a, const Geometry* b, int row_step = 1) {
        int y0 = view.height, y1 = 0;
        float px = 0;
        for (const Geometry* g : {a, b})
            if (g) y0 = std::min(y0, g->row_begin), y1 = std::max(y1, g->row_end), px = std::max(px, chord(*g, view.width));
        const float rows = static_cast<float>(std::max(0, y1 - y0));
        thread_work().steps += weight.call + static_cast<int64_t>(rows * (weight.row + weight.px * px) / static_cast<float>(row_step));
    }

    static void count_group(const Weight& weight, float area, const Window& window, const Geometry* geometries, int count,
                            int width, int row_step) {
        float steps = area * static_cast<float>((window.y1 - window.y0) * (window.x1 - window.x0));
        for (int i = 0; i < count; ++i) {
            const Geometry& g = geometries[i];
            const int rows = std::min(g.row_end, window.y1) - std::max(g.row_begin, window.y0);
            steps += static_cast<float>(std::max(0, rows)) * (weight.row + weight.px * chord(g, width));
        }
        thread_work().steps += weight.call + static_cast<int64_t>(steps / static_cast<float>(row_step));
    }

    const EngineKernels& kernels_;
};

}  // namespace splatcall
