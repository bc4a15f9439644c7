// Python bindings of the gsvc baseline's kernels.
#include <nanobind/stl/array.h>
#include <nanobind/stl/optional.h>

#include <array>
#include <optional>

#include "arrays.hpp"
#include "fit_calls.hpp"
#include "gsvc.hpp"

namespace {

class GsvcFit : public FitCalls<GsvcSession> {
public:
    GsvcFit(ArrayIn<float, 3> target, std::array<float, 3> channel_weights, std::array<float, 5> adam, int threads)
        : FitCalls(threads) {
        require(target.shape(0) == 3 && target.shape(1) > 0 && target.shape(2) > 0, "target: expected [3, height, width]");
        const GsvcTarget job{int(target.shape(2)), int(target.shape(1)), target.data(),
                             {channel_weights[0], channel_weights[1], channel_weights[2]}};
        nb::gil_scoped_release release;
        session_ = select_gsvc_kernels().make(job, {adam[0], adam[1], adam[2], adam[3], adam[4]});
    }

    void set_lattice(std::optional<std::array<float, 6>> steps, std::optional<ArrayIn<float, 2>> anchors) {
        GsvcLattice lattice{false, 1.f, 1.f, 1.f, 1.f, 0.5f, 0.f};
        if (steps) {
            for (int k = 0; k < 4; ++k) require((*steps)[k] > 0.f, "lattice: expected positive steps");
            lattice = {true, (*steps)[0], (*steps)[1], (*steps)[2], (*steps)[3], (*steps)[4], (*steps)[5]};
        }
        if (anchors) {
            require_rows(*anchors, "anchors");
            require(int(anchors->shape(0)) == session_->size(), "anchors: expected one for each splat");
        }
        session_->set_lattice(lattice, anchors ? anchors->data() : nullptr);
    }
};

ArrayOut<float, 3> render(ArrayIn<float, 2> splats, int width, int height, int threads) {
    require_rows(splats, "splats");
    require(width > 0 && height > 0, "size: expected positive numbers of px");
    ThreadPool& pool = shared_pool(threads);
    auto out = new_array<float, 3>({3, std::size_t(height), std::size_t(width)});
    {
        nb::gil_scoped_release release;
        select_gsvc_kernels().render(splats.data(), int(splats.shape(0)), width, height, out.data(), pool);
    }
    return out;
}

}  // namespace

void register_gsvc(nb::module_& m) {
    using namespace nb::literals;
    nb::class_<GsvcFit> fit(m, "GsvcFit",
                            "Adam on additive splats against one picture. Splats are float32 [N, 8]: x, y px, ln p, k, ln r, "
                            "Y, Cb, Cr. Calls on one object must not overlap.");
    fit.def(nb::init<ArrayIn<float, 3>, std::array<float, 3>, std::array<float, 5>, int>(), "target"_a,
            "channel_weights"_a, "adam"_a, "threads"_a,
            "adam: steps of means, shapes and colours at rate 1, and two memories.")
        .def("set_splats", &GsvcFit::set_splats, "splats"_a,
             "Start from these splats, with Adam's moments and the lattice forgotten.")
        .def("set_lattice", &GsvcFit::set_lattice, "steps"_a.none(), "anchors"_a.none(),
             "Draw splats rounded to steps (mean, shape, luma, chroma; then bias and calm) from anchors [N, 8], or as "
             "they are. Adam's moments are forgotten.")
        .def("gradients", &GsvcFit::gradients, "The loss and its gradients [N, 8].")
        .def("drawn", &GsvcFit::rows<&GsvcSession::drawn>, "The splats as they are drawn, on the lattice.");
    define_fit_calls(fit);
    m.def("gsvc_render", &render, "splats"_a, "width"_a, "height"_a, "threads"_a,
          "Picture of additive splats [N, 8] on black: float32 [3, H, W], Y, Cb, Cr in 1/255, not clipped.");
}
