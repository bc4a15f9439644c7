#include "engine_cost.hpp"

#include <algorithm>
#include <stdexcept>

namespace splatcall {
namespace {

const TableCost& find(const TableCosts& tables, const std::string& name) {
    const auto it = tables.find(name);
    if (it == tables.end()) throw std::invalid_argument("cost tables: expected a table \"" + name + "\", got none");
    return it->second;
}

}  // namespace

PCosts::PCosts(const TableCosts& t)
    : present(find(t, "present")),
      light(find(t, "light")),
      affine(find(t, "affine")),
      affine_shape(find(t, "affine_shape")),
      cell_on(find(t, "cell_on")),
      cell_any(find(t, "cell_any")),
      cell_vector(find(t, "cell_vector")),
      cell_affine_on(find(t, "cell_affine_on")),
      cell_affine(find(t, "cell_affine")),
      shift_on(find(t, "shift_on")),
      shift_pattern(find(t, "shift_pattern")),
      shift(find(t, "shift")),
      block_on(find(t, "block_on")),
      slot_on(find(t, "slot_on")),
      pattern(find(t, "pattern")),
      mean(find(t, "mean")),
      shape(find(t, "shape")),
      luma(find(t, "luma")),
      chroma(find(t, "chroma")),
      birth_kind(find(t, "birth_kind")),
      birth_block(find(t, "birth_block")),
      birth_size(find(t, "birth_size")),
      birth_luma(find(t, "birth_luma")),
      birth_chroma(find(t, "birth_chroma")) {}

float PCosts::update(const int d[8], int density) const {
    const bool moves = d[0] || d[1], reshapes = d[2] || d[3] || d[4], brightens = d[5], recolors = d[6] || d[7];
    float bits = pattern.symbol(density, 8 * moves + 4 * reshapes + 2 * brightens + recolors);
    if (moves) bits += mean.value(0, d[0]) + mean.value(1 + (d[0] != 0), d[1]);
    if (reshapes)
        bits += shape.value(0, d[2]) + shape.value(1 + (d[2] != 0), d[3]) + shape.value(3 + (d[2] || d[3]), d[4]);
    if (brightens) bits += luma.value(0, d[5]);
    if (recolors) bits += chroma.value(0, d[6]) + chroma.value(1 + (d[6] != 0), d[7]);
    return bits;
}

KeyCosts::KeyCosts(const TableCosts& t)
    : scale(find(t, "key_scale")), e(find(t, "key_e")), luma(find(t, "key_luma")), chroma(find(t, "key_chroma")) {}

float KeyCosts::attributes(const int r[8], int k) const {
    const int large = 3 * (k > 1);
    return scale.value(k, r[2]) + e.value(k, r[3]) + e.value(5 + 3 * k + std::min(2, std::abs(r[3])), r[4]) +
           luma.value(k, r[5]) + chroma.value(std::min(2, std::abs(r[5])) + large, r[6]) +
           chroma.value(6 + std::min(2, std::abs(r[6])) + large, r[7]);
}

}  // namespace splatcall
