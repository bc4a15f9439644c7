// Python bindings of the fit.
#include <nanobind/stl/array.h>
#include <nanobind/stl/optional.h>

#include <array>
#include <optional>

#include "arrays.hpp"
#include "fit.hpp"
#include "fit_calls.hpp"

namespace {

class Fit : public FitCalls<FitSession> {
public:
    Fit(ArrayIn<float, 3> target, ArrayIn<float, 3> base, std::optional<ArrayIn<float, 2>> weight,
        std::array<float, 3> channel_weights, int threads)
        : FitCalls(threads), height_(target.shape(1)), width_(target.shape(2)) {
        require(target.shape(0) == 3 && width_ > 0 && height_ > 0, "target: expected [3, height, width]");
        require(base.shape(0) == 3 && base.shape(1) == height_ && base.shape(2) == width_,
                "base: expected the target's shape");
        require(!weight || (weight->shape(0) == height_ && weight->shape(1) == width_),
                "weight: expected [height, width] of the target");
        const FitTarget fit{int(width_), int(height_), target.data(), base.data(), weight ? weight->data() : nullptr,
                            {channel_weights[0], channel_weights[1], channel_weights[2]}};
        nb::gil_scoped_release release;
        session_ = select_fit_kernels().make(fit);
    }

    void set_lattice(std::optional<std::array<float, 9>> steps) {
        FitLattice lattice;
        lattice.on = steps.has_value();
        if (steps) {
            for (float step : *steps) require(step > 0.f, "lattice: expected positive steps");
            for (int k = 0; k < 5; ++k) lattice.mean[k] = (*steps)[k];
            lattice.scale = (*steps)[5];
            lattice.shape = (*steps)[6];
            lattice.luma = (*steps)[7];
            lattice.chroma = (*steps)[8];
        }
        session_->set_lattice(lattice);
    }

    void set_lead(ArrayIn<uint8_t, 1> flags, float weight) {
        require(int(flags.shape(0)) == session_->size(), "flags: expected one for each splat");
        require(weight >= 0.f, "weight: expected 0 or more");
        session_->set_lead(flags.data(), weight);
    }

    double run_by_rows(int iterations, float rate) {
        require(iterations >= 0, "iterations: expected 0 or more");
        nb::gil_scoped_release release;
        double loss = 0;
        for (int k = 0; k < iterations; ++k) loss = session_->step_by_rows(rate * cosine(k, iterations), k % 2, pool_);
        return loss;
    }

    ArrayOut<float, 3> picture() {
        auto out = new_array<float, 3>({3, height_, width_});
        nb::gil_scoped_release release;
        session_->picture(out.data(), pool_);
        return out;
    }

private:
    std::size_t height_, width_;
};

}  // namespace

void register_fit(nb::module_& m) {
    using namespace nb::literals;
    nb::class_<Fit> fit(m, "Fit",
                        "Adam on normalised splats against one picture. Splats are float32 [N, 8]: x, y px, log-scale, e1, "
                        "e2, Y, Cb, Cr in natural units. Calls on one object must not overlap.");
    fit.def(nb::init<ArrayIn<float, 3>, ArrayIn<float, 3>, std::optional<ArrayIn<float, 2>>, std::array<float, 3>, int>(),
             "target"_a, "base"_a, "weight"_a.none(), "channel_weights"_a, "threads"_a)
        .def("set_splats", &Fit::set_splats, "splats"_a, "Start from these splats, with Adam's moments forgotten.")
        .def("set_lattice", &Fit::set_lattice, "steps"_a.none(),
             "Draw splats rounded to these steps (5 of the mean, scale, shape, luma, chroma; natural units), or as they are. "
             "Adam's moments are forgotten.")
        .def("set_lead", &Fit::set_lead, "flags"_a, "weight"_a,
             "From now on the picture of the flagged splats alone counts too, weight times as much; set_splats() ends it.")
        .def("run_by_rows", &Fit::run_by_rows, "iterations"_a, "rate"_a,
             "As run(), each iteration by every second row of the picture: the even ones, the odd ones, and so on.")
        .def("gradients", &Fit::gradients, "The loss and its gradients [N, 8] by x, y, a, b, c, Y, Cb, Cr.")
        .def("picture", &Fit::picture, "The splats drawn: float32 [3, H, W].");
    define_fit_calls(fit);
}
