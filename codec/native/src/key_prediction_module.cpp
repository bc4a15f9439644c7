// Python bindings of the predictions of key parts.
#include <nanobind/stl/array.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <array>

#include "arrays.hpp"
#include "engine_key.hpp"
#include "key_prediction.hpp"

using namespace splatcall;

namespace {

using Ints1 = ArrayIn<int32_t, 1>;
using Ints2 = ArrayIn<int32_t, 2>;
using Ints3 = ArrayIn<int32_t, 3>;

KeyContext to_context(int width, int height, const Ints3& base, const std::array<int64_t, 5>& steps,
                      const std::vector<std::vector<int>>& weights) {
    require(width > 0 && height > 0, "sizes: expected positive numbers of px");
    require(base.shape(0) == 3 && base.shape(1) > 0 && base.shape(2) > 0, "base: expected [3, rows, columns]");
    for (const int64_t step : steps) require(step > 0, "steps: expected positive ones");
    constexpr std::size_t kDistances[kClasses] = {3, 3, 9, 19, 51};
    require(weights.size() == kClasses, "weights: expected those of 5 size classes");
    for (int k = 0; k < kClasses; ++k)
        require(weights[k].size() == kDistances[k], "weights: expected one for each squared distance in a class's window");
    return {width, height, base.data(), int(base.shape(1)), int(base.shape(2)), steps, weights};
}

KeyPart to_part(const Ints1& classes, const Ints1& tile_rows, const Ints2& known) {
    require(tile_rows.shape(0) == classes.shape(0), "tile rows: expected one for each class");
    require(known.shape(1) >= 8, "known: expected [m, >= 8]");
    require(std::all_of(classes.data(), classes.data() + classes.size(), [](int k) { return k >= 0 && k < kClasses; }),
            "classes: expected 0..4");
    return {classes.data(), tile_rows.data(), int(classes.shape(0)), known.data(), int(known.shape(0)), int(known.shape(1))};
}

void check_rows(const Ints2& rows, const Ints1& classes, std::size_t fields, const char* what) {
    require(rows.shape(0) == classes.shape(0) && rows.shape(1) == fields,
            std::string(what) + ": expected [n, " + std::to_string(fields) + "], one for each class");
}

ArrayOut<int32_t, 2> to_array(const std::vector<int32_t>& values, std::size_t rows, std::size_t fields) {
    auto out = new_array<int32_t, 2>({rows, fields});
    std::copy(values.begin(), values.end(), out.data());
    return out;
}

ArrayOut<int32_t, 2> residuals(int width, int height, Ints3 base, std::array<int64_t, 5> steps,
                               const std::vector<std::vector<int>>& weights, Ints1 classes, Ints1 tile_rows, Ints2 splats,
                               Ints2 known) {
    check_rows(splats, classes, 8, "splats");
    const KeyContext context = to_context(width, height, base, steps, weights);
    return to_array(key_residuals(context, to_part(classes, tile_rows, known), splats.data()), classes.size(), 5);
}

ArrayOut<int32_t, 2> values(int width, int height, Ints3 base, std::array<int64_t, 5> steps,
                            const std::vector<std::vector<int>>& weights, Ints1 classes, Ints1 tile_rows, Ints2 fields,
                            Ints2 residuals, Ints2 known) {
    check_rows(fields, classes, 3, "fields");
    check_rows(residuals, classes, 5, "residuals");
    const KeyContext context = to_context(width, height, base, steps, weights);
    const KeyPart part = to_part(classes, tile_rows, known);
    return to_array(key_values(context, part, fields.data(), residuals.data()), classes.size(), 8);
}

}  // namespace

void register_key_prediction(nb::module_& m) {
    using namespace nb::literals;
    m.def("key_residuals", &residuals, "width"_a, "height"_a, "base"_a, "steps"_a, "weights"_a, "classes"_a, "tile_rows"_a,
          "splats"_a, "known"_a, "Residuals [n, 5] of e1, e2, Y, Cb, Cr of splats [n, 8] in coded order (SPEC 5).");
    m.def("key_values", &values, "width"_a, "height"_a, "base"_a, "steps"_a, "weights"_a, "classes"_a, "tile_rows"_a,
          "fields"_a, "residuals"_a, "known"_a,
          "Splats [n, 8], saturated, of fields [n, 3] x, y, s and residuals [n, 5], in coded order (SPEC 5).");
}
