// The Python module codec.native._native.
#include <nanobind/nanobind.h>

#include "dispatch.hpp"

void register_render(nanobind::module_& m);
void register_fit(nanobind::module_& m);
void register_placement(nanobind::module_& m);
void register_engine(nanobind::module_& m);
void register_gsvc(nanobind::module_& m);
void register_key_prediction(nanobind::module_& m);

NB_MODULE(_native, m) {
    m.doc() = "Native kernels of the codec. Arrays are C-contiguous; the GIL is released while a kernel runs.";
    m.def("isa", [] { return isa_name(current_isa()); },
          "The instruction set in use: base, avx2 or avx512 (SPLATCALL_ISA forces one).");
    register_render(m);
    register_fit(m);
    register_placement(m);
    register_engine(m);
    register_gsvc(m);
    register_key_prediction(m);
}
