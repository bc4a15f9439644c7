#include <nanobind/nanobind.h>

void register_render(nanobind::module_&) {}
