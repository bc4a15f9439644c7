// What the bindings of the fits share.
#pragma once

#include <nanobind/stl/pair.h>
#include <nanobind/stl/unique_ptr.h>

#include <cmath>
#include <memory>
#include <utility>

#include "arrays.hpp"
#include "fit_session.hpp"

inline void require_rows(const ArrayIn<float, 2>& splats, const char* name) {
    require(splats.shape(1) == FIT_PARAMS,
            std::string(name) + ": expected [N, 8], got [.., " + std::to_string(splats.shape(1)) + "]");
}

// A session and the pool it works on; calls on one object must not overlap.
template <class Session> class FitCalls {
public:
    void set_splats(ArrayIn<float, 2> splats) {
        require_rows(splats, "splats");
        session_->set_splats(splats.data(), int(splats.shape(0)));
    }

    double step(float rate) {
        nb::gil_scoped_release release;
        return session_->step(rate, pool_);
    }

    double run(int iterations, float rate) {
        require(iterations >= 0, "iterations: expected 0 or more");
        nb::gil_scoped_release release;
        double loss = 0;
        for (int k = 0; k < iterations; ++k) loss = session_->step(rate * cosine(k, iterations), pool_);
        return loss;
    }

    // In one call: a step between the two would leave gradients of splats that have moved.
    std::pair<double, ArrayOut<float, 2>> gradients() {
        double loss = 0;
        {
            nb::gil_scoped_release release;
            loss = session_->gradient(pool_);
        }
        return {loss, rows<&SplatFit::gradients>()};
    }

    template <auto fill> ArrayOut<float, 2> rows() const {
        auto out = new_array<float, 2>({std::size_t(session_->size()), FIT_PARAMS});
        (*session_.*fill)(out.data());
        return out;
    }

protected:
    static float cosine(int k, int iterations) { return 0.5f * (1.f + float(std::cos(M_PI * k / iterations))); }

    explicit FitCalls(int threads) : pool_(shared_pool(threads)) {}

    ThreadPool& pool_;
    std::unique_ptr<Session> session_;
};

// Defines what is the same in every fit.
template <class Fit> void define_fit_calls(nb::class_<Fit>& fit) {
    using namespace nb::literals;
    fit.def("splats", &Fit::template rows<&SplatFit::splats>, "The splats now, in the order they were given.")
        .def("step", &Fit::step, "rate"_a, "One iteration; returns the loss before it.")
        .def("run", &Fit::run, "iterations"_a, "rate"_a,
             "Iterations with a cosine schedule from rate to 0; returns the loss before the last.");
}
