// Table of the render kernels; see render_isa.cpp.
#pragma once

#include "dispatch.hpp"

struct RenderKernels { int lanes; };
ISA_TABLE(RenderKernels, render_kernels)
