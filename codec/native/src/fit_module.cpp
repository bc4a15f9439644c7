// Python bindings of the fit.
#include <nanobind/stl/array.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/unique_ptr.h>

#include <array>
#include <cmath>
#include <optional>

#include "arrays.hpp"
#include "fit.hpp"

namespace {

// A session and the pool it works on; calls on one object must not overlap.
class Fit {
public:
    Fit(ArrayIn<float, 3> target, ArrayIn<float, 3> base, std::optional<ArrayIn<float, 2>> weight,
        std::array<float, 3> channel_weights, int threads)
        : pool_(shared_pool(threads)), height_(target.shape(1)), width_(target.shape(2)) {
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

    void set_splats(ArrayIn<float, 2> splats) {
        require(splats.shape(1) == 8, "splats: expected [N, 8], got [.., " + std::to_string(splats.shape(1)) + "]");
        session_->set_splats(splats.data(), int(splats.shape(0)));
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

    double step(float rate) {
        nb::gil_scoped_release release;
        return session_->step(rate, pool_);
    }

    double run(int iterations, float rate) {
        require(iterations >= 0, "iterations: expected 0 or more");
        nb::gil_scoped_release release;
        double loss = 0;
        for (int k = 0; k < iterations; ++k)
            loss = session_->step(rate * 0.5f * (1.f + float(std::cos(M_PI * k / iterations))), pool_);
        return loss;
    }

    double gradient() {
        nb::gil_scoped_release release;
        return session_->gradient(pool_);
    }

    ArrayOut<float, 2> gradients() const {
        auto out = new_array<float, 2>({std::size_t(session_->size()), 8});
        session_->gradients(out.data());
        return out;
    }

    ArrayOut<float, 2> splats() const {
        auto out = new_array<float, 2>({std::size_t(session_->size()), 8});
        session_->splats(out.data());
        return out;
    }

    ArrayOut<float, 3> picture() {
        auto out = new_array<float, 3>({3, height_, width_});
        nb::gil_scoped_release release;
        session_->picture(out.data(), pool_);
        return out;
    }

private:
    ThreadPool& pool_;
    std::size_t height_, width_;
    std::unique_ptr<FitSession> session_;
};

}  // namespace

void register_fit(nb::module_& m) {
    using namespace nb::literals;
    nb::class_<Fit>(m, "Fit",
                    "Adam on normalised splats against one picture. Splats are float32 [N, 8]: x, y px, log-scale, e1, "
                    "e2, Y, Cb, Cr in natural units. Calls on one object must not overlap.")
        .def(nb::init<ArrayIn<float, 3>, ArrayIn<float, 3>, std::optional<ArrayIn<float, 2>>, std::array<float, 3>, int>(),
             "target"_a, "base"_a, "weight"_a.none(), "channel_weights"_a, "threads"_a)
        .def("set_splats", &Fit::set_splats, "splats"_a, "Start from these splats, with Adam's moments forgotten.")
        .def("set_lattice", &Fit::set_lattice, "steps"_a.none(),
             "Draw splats rounded to these steps (5 of the mean, scale, shape, luma, chroma; natural units), or as they are. "
             "Adam's moments are forgotten.")
        .def("set_lead", &Fit::set_lead, "flags"_a, "weight"_a,
             "From now on the picture of the flagged splats alone counts too, weight times as much; set_splats() ends it.")
        .def("step", &Fit::step, "rate"_a, "One iteration; returns the loss before it.")
        .def("run", &Fit::run, "iterations"_a, "rate"_a,
             "Iterations with a cosine schedule from rate to 0; returns the loss before the last.")
        .def("gradient", &Fit::gradient, "The loss; gradients() then gives its gradients.")
        .def("gradients", &Fit::gradients, "Gradients [N, 8] of the last pass by x, y, a, b, c, Y, Cb, Cr.")
        .def("splats", &Fit::splats, "The splats now, in the order they were given.")
        .def("picture", &Fit::picture, "The splats drawn: float32 [3, H, W].");
}
