// Run-time choice between the three builds of every *_isa.cpp file.
//
// A kernel file `foo_isa.cpp` puts everything into `namespace ISA_NAMESPACE` (isa_base, isa_avx2 or isa_avx512 by the
// build) and ends with `const FooKernels& foo_kernels()`, a table of function pointers declared in `foo.hpp` by
//     ISA_TABLE(FooKernels, foo_kernels)
// after which `select_foo_kernels()` gives the table of this machine.
#pragma once

enum class Isa { base = 0, avx2 = 1, avx512 = 2 };

// The instruction set in use: the best this processor has, or what SPLATCALL_ISA=base|avx2|avx512 asks for.
// Throws std::runtime_error if that is unknown or not available here.
Isa current_isa();
const char* isa_name(Isa isa);

#define ISA_TABLE(Table, getter)                          \
    namespace isa_base { const Table& getter(); }         \
    namespace isa_avx2 { const Table& getter(); }         \
    namespace isa_avx512 { const Table& getter(); }       \
    inline const Table& select_##getter() {               \
        switch (current_isa()) {                          \
            case Isa::avx512: return isa_avx512::getter(); \
            case Isa::avx2: return isa_avx2::getter();    \
            default: return isa_base::getter();           \
        }                                                 \
    }
