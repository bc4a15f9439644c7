#include "dispatch.hpp"

#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

namespace {

bool available(Isa isa) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    switch (isa) {
        case Isa::avx512:
            return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                   __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                   __builtin_cpu_supports("fma");
        case Isa::avx2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
        default: return true;
    }
#else
    return isa == Isa::base;
#endif
}

Isa choose() {
    const Isa all[] = {Isa::avx512, Isa::avx2, Isa::base};
    if (const char* wanted = std::getenv("SPLATCALL_ISA"); wanted && *wanted) {
        for (Isa isa : all) {
            if (std::strcmp(wanted, isa_name(isa)) != 0) continue;
            if (available(isa)) return isa;
            throw std::runtime_error(std::string("SPLATCALL_ISA=") + wanted + ": this processor does not have it");
        }
        throw std::runtime_error(std::string("SPLATCALL_ISA: expected base, avx2 or avx512, got ") + wanted);
    }
    for (Isa isa : all)
        if (available(isa)) return isa;
    return Isa::base;
}

}  // namespace

Isa current_isa() {
    static const Isa chosen = choose();
    return chosen;
}

const char* isa_name(Isa isa) {
    switch (isa) {
        case Isa::avx512: return "avx512";
        case Isa::avx2: return "avx2";
        default: return "base";
    }
}
