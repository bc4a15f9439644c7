#include <nanobind/nanobind.h>

void register_placement(nanobind::module_&) {}
