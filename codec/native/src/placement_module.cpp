// Python bindings of the placement.
#include <nanobind/stl/optional.h>

#include <algorithm>
#include <optional>

#include "arrays.hpp"
#include "placement.hpp"

namespace {

ArrayOut<float, 2> place(ArrayIn<float, 3> target, std::optional<ArrayIn<float, 2>> importance, int count, uint64_t seed,
                         int threads) {
    const std::size_t height = target.shape(1), width = target.shape(2);
    require(target.shape(0) == 3 && width > 0 && height > 0, "target: expected [3, height, width]");
    require(count >= 0, "count: expected 0 or more, got " + std::to_string(count));
    if (importance)
        require(importance->shape(0) == (height + 15) / 16 && importance->shape(1) == (width + 15) / 16,
                "importance: expected one weight for each block of 16x16 px");
    const PlacementJob job{int(width), int(height), target.data(), importance ? importance->data() : nullptr, count, seed};
    ThreadPool& pool = shared_pool(threads);
    std::vector<float> rows;
    {
        nb::gil_scoped_release release;
        rows = select_placement_kernels().place(job, pool);
    }
    auto out = new_array<float, 2>({rows.size() / 8, 8});
    std::copy(rows.begin(), rows.end(), out.data());
    return out;
}

}  // namespace

void register_placement(nb::module_& m) {
    using namespace nb::literals;
    m.def("place", &place, "target"_a, "importance"_a.none(), "count"_a, "seed"_a, "threads"_a,
          "At most `count` splats to start a fit of the picture from: rows x, y px, log-scale, e1, e2, Y, Cb, Cr.");
}
