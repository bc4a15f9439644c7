#include <nanobind/nanobind.h>

void register_fit(nanobind::module_&) {}
