#include "engine_quadratic.hpp"

#include <algorithm>
#include <cmath>

namespace splatcall {

void solve_step(const float* hessian, const float* gradient, const int* fields, int count, float step[8]) {
    double m[8][9];
    for (int i = 0; i < count; ++i) {
        for (int j = 0; j < count; ++j) m[i][j] = hessian[fields[i] * 8 + fields[j]];
        m[i][i] = m[i][i] * 1.02 + 1e-2;
        m[i][count] = -gradient[fields[i]];
    }
    for (int i = 0; i < count; ++i) {
        const double pivot = std::fabs(m[i][i]) < 1e-9 ? 1e-9 : m[i][i];
        for (int r = i + 1; r < count; ++r) {
            const double f = m[r][i] / pivot;
            if (f == 0) continue;
            for (int j = i; j <= count; ++j) m[r][j] -= f * m[i][j];
        }
        m[i][i] = pivot;
    }
    std::fill_n(step, 8, 0.f);
    for (int i = count - 1; i >= 0; --i) {
        double rest = m[i][count];
        for (int j = i + 1; j < count; ++j) rest -= m[i][j] * step[fields[j]];
        step[fields[i]] = static_cast<float>(rest / m[i][i]);
    }
}

void scale_model(const float* gradient, const float* hessian, const float unit[8], float scaled_gradient[8],
                 float scaled_hessian[64]) {
    for (int k = 0; k < 8; ++k) {
        scaled_gradient[k] = gradient[k] * unit[k];
        for (int j = 0; j < 8; ++j) scaled_hessian[k * 8 + j] = hessian[k * 8 + j] * unit[k] * unit[j];
    }
}

}  // namespace splatcall
