// Bits that the entropy coder spends on a symbol, from the same static tables.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <unordered_map>
#include <vector>

namespace splatcall {

// Cost of one table's symbols: bits[context * symbols + symbol]; int tables have 2R + 2 symbols, the last an escape.
struct TableCost {
    std::vector<float> bits;
    int contexts = 0, symbols = 0;

    float symbol(int context, int value) const { return bits[static_cast<size_t>(context) * symbols + value]; }
    // Bits of a signed value of an int table; beyond the range an escape and a wide number (SPEC section 4).
    float value(int context, int v) const {
        const int range = symbols / 2 - 1;
        if (v >= -range && v <= range) return symbol(context, v + range);
        const int excess = 2 * (std::abs(v) - range - 1) + (v < 0);
        return symbol(context, symbols - 1) + 3.f + 2.f * std::log2(excess + 1.f);
    }
};

// Bits of one cell's vector, 1/4 px, as what its prediction leaves of it.
inline float cell_vector_bits(const TableCost& cell_vector, int level, int x, int y) {
    return cell_vector.value(3 * level, x) + cell_vector.value(3 * level + 1 + (x != 0), y);
}

using TableCosts = std::unordered_map<std::string, TableCost>;

// Costs of the P-frame elements that decisions need.
struct PCosts {
    TableCost present, light, affine, affine_shape;
    TableCost cell_on, cell_any, cell_vector, cell_affine_on, cell_affine, shift_on, shift_pattern, shift;
    TableCost block_on, slot_on, pattern, mean, shape, luma, chroma;
    TableCost birth_kind, birth_block, birth_size, birth_luma, birth_chroma;

    explicit PCosts(const TableCosts& tables);
    // Bits of one splat's changes, its pattern included; all zero means the splat dies.
    float update(const int delta[8], int density) const;
};

// Costs of the key frame elements.
struct KeyCosts {
    TableCost scale, e, luma, chroma;

    explicit KeyCosts(const TableCosts& tables);
    // Bits of one splat's attributes as residuals r (entry 2 on: scale, e1, e2, Y, Cb, Cr), without its place.
    float attributes(const int r[8], int size_class) const;
};

}  // namespace splatcall
