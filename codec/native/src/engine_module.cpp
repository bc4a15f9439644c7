// Python bindings of the P-frame engine.
#include <nanobind/nanobind.h>

void register_engine(nanobind::module_&) {}
