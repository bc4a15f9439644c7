#include "kernel_math.hpp"
#include "render.hpp"

namespace ISA_NAMESPACE {
const RenderKernels& render_kernels() { static const RenderKernels table{LANES}; return table; }
}
