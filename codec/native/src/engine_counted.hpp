// The engine's kernels, each call counted in steps: what its thread does, as Work shares it out.
//
// A step is about a nanosecond of one thread; weights are least-squares fits to the times of each kernel's calls on webcam
// frames at 640x360 (AVX-512). Only their ratios matter: what a step takes on a machine is measured while it works.
#pragma once

#include <algorithm>

#include "engine_group.hpp"
#include "engine_kernels.hpp"
#include "engine_work.hpp"

namespace splatcall {

class CountedKernels {
public:
    CountedKernels(const EngineKernels& kernels, const ModelKernels& models, const GroupKernels& groups)
        : kernels_(kernels), models_(models), groups_(groups) {}

    double trial(const CanvasView& view, const Geometry* before, const Geometry* after) const {
        count(kTrial, view, before, after);
        return kernels_.trial(view, before, after);
    }
    void commit(const CanvasView& view, const Geometry* before, const Geometry* after) const {
        count(kCommit, view, before, after);
        kernels_.commit(view, before, after);
    }
    void quadratic(const CanvasView& view, const Geometry& g, const ShapeForms& forms, QuadraticModel& out, int strip_step = 1) const {
        count(kQuadratic, view, &g, nullptr, strip_step);
        models_.quadratic(view, g, forms, strip_step, out);
    }
    void color(const CanvasView& view, const Geometry& g, ColorModel& out) const {
        count(kBirth, view, &g, nullptr);
        kernels_.color(view, g, out);
    }
    void birth(const CanvasView& view, const Geometry& g, BirthScore& out) const {
        count(kBirth, view, &g, nullptr);
        kernels_.birth(view, g, out);
    }
    // Strips' step: 1, 4 or 8.
    StripSums group_trial(const CanvasView& view, Group& group, const float* x, const float* y, Strips strips) const {
        count_group(group, strips);
        return groups_.trial(view, group, x, y, strips);
    }
    ColorModel group_luma(const CanvasView& view, Group& group) const {
        thread_work().steps += kGroupCall + static_cast<int64_t>(kGroupRemove.of(group));
        return groups_.luma(view, group);
    }
    double squared_error(const CanvasView& view, const Window& w) const {
        count_pixels(w);
        return kernels_.squared_error(view, w);
    }
    double luma_error(const CanvasView& view, const Window& w) const {
        count_pixels(w);
        return kernels_.luma_error(view, w);
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
    struct GroupWeight {
        float row, px, area;  // steps of a row and of a pixel of a splat, and of a pixel of the window
        float of(const Group& g) const {
            const Window& w = g.window;
            return row * g.rows + px * g.px + area * static_cast<float>((w.y1 - w.y0) * (w.x1 - w.x0));
        }
    };
    static constexpr int kGroupCall = 200;
    static constexpr GroupWeight kGroupRemove{10, .6f, .8f}, kGroupTrial{10, .6f, .3f};
    static constexpr int kErrorCall = 100;
    static constexpr float kErrorPixel = .6f;

    static void count_pixels(const Window& w) {
        const int pixels = std::max(0, w.x1 - w.x0) * std::max(0, w.y1 - w.y0);
        thread_work().steps += kErrorCall + static_cast<int64_t>(kErrorPixel * static_cast<float>(pixels));
    }

    static float chord(const Geometry& g, int width) { return std::min(kMeanChord / g.a, static_cast<float>(width)); }

    static void count(const Weight& weight, const CanvasView& view, const Geometry* a, const Geometry* b, int row_step = 1) {
        int y0 = view.height, y1 = 0;
        float px = 0;
        for (const Geometry* g : {a, b})
            if (g) y0 = std::min(y0, g->row_begin), y1 = std::max(y1, g->row_end), px = std::max(px, chord(*g, view.width));
        const float rows = static_cast<float>(std::max(0, y1 - y0));
        thread_work().steps += weight.call + static_cast<int64_t>(rows * (weight.row + weight.px * px) / static_cast<float>(row_step));
    }

    // A trial also takes the group out of those strips that none before it asked for.
    static void count_group(Group& g, Strips strips) {
        uint32_t asked = 0;
        for (int i = strips.first; i < kMostStripStep; i += strips.step) asked |= 1u << i;
        const auto share = [](uint32_t bits) { return static_cast<float>(__builtin_popcount(bits)) / kMostStripStep; };
        thread_work().steps += kGroupCall + static_cast<int64_t>(share(asked) * kGroupTrial.of(g) +
                                                                 share(asked & ~g.begun) * kGroupRemove.of(g));
        g.begun |= asked;
    }

    const EngineKernels& kernels_;
    const ModelKernels& models_;
    const GroupKernels& groups_;
};

}  // namespace splatcall
