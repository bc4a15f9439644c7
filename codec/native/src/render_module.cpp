// Python bindings of the renderer.
#include "arrays.hpp"
#include "render.hpp"

namespace {

ArrayOut<float, 3> render(ArrayIn<int32_t, 2> splats, ArrayIn<int32_t, 3> base, int width, int height, float scale,
                          float left, float top, int out_width, int out_height, int threads) {
    require(splats.shape(1) == 9, "splats: expected [slots, 9], got [.., " + std::to_string(splats.shape(1)) + "]");
    require(base.shape(0) == 3 && base.shape(1) > 0 && base.shape(2) > 0, "base: expected [3, rows, columns]");
    require(width > 0 && height > 0 && out_width > 0 && out_height > 0, "sizes: expected positive numbers of px");
    require(scale > 0.f, "scale: expected a positive number");
    ThreadPool& pool = shared_pool(threads);
    const RenderJob job{splats.data(), int(splats.shape(0)), base.data(), int(base.shape(2)), int(base.shape(1)),
                        width, height, scale, left, top, out_width, out_height};
    auto out = new_array<float, 3>({3, std::size_t(out_height), std::size_t(out_width)});
    {
        nb::gil_scoped_release release;
        select_render_kernels().render(job, out.data(), pool);
    }
    return out;
}

ArrayOut<uint8_t, 3> to_rgb(ArrayIn<float, 3> planes, int threads) {
    require(planes.shape(0) == 3, "planes: expected [3, height, width], got [" + std::to_string(planes.shape(0)) + ", ..]");
    const std::size_t height = planes.shape(1), width = planes.shape(2);
    ThreadPool& pool = shared_pool(threads);
    auto out = new_array<uint8_t, 3>({height, width, 3});
    const float* from = planes.data();
    uint8_t* to = out.data();
    {
        nb::gil_scoped_release release;
        const int64_t pixels = int64_t(height) * width;
        const int bands = 4 * pool.threads();
        pool.parallel_for(bands, [&](int band) {
            const int64_t first = pixels * band / bands, last = pixels * (band + 1) / bands;
            select_render_kernels().to_rgb(from + first, pixels, last - first, to + 3 * first);
        });
    }
    return out;
}

}  // namespace

void register_render(nb::module_& m) {
    using namespace nb::literals;
    m.def("render", &render, "splats"_a, "base"_a, "width"_a, "height"_a, "scale"_a, "left"_a, "top"_a, "out_width"_a,
          "out_height"_a, "threads"_a,
          "Picture of a state: float32 [3, out_height, out_width], Y, Cb, Cr in 1/255, not clipped (SPEC 1.1).");
    m.def("to_rgb", &to_rgb, "planes"_a, "threads"_a, "uint8 RGB [H, W, 3] of float32 Y, Cb, Cr [3, H, W].");
}
