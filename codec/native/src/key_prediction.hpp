// What the shapes and colours of a key part's splats are predicted from, in whole numbers (SPEC section 5).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace splatcall {

// A picture's base, the key steps of e1, e2, Y, Cb, Cr, and the weights of a splat in the cells around its own, by size
// class and squared distance in cells.
struct KeyContext {
    int width, height;
    const int32_t* base;  // [3, base_rows, base_columns]
    int base_rows, base_columns;
    std::array<int64_t, 5> steps;
    std::vector<std::vector<int>> weights;
};

// One part's splats in coded order, with those that decoders have before them.
struct KeyPart {
    const int32_t* classes;    // [count] size class
    const int32_t* tile_rows;  // [count]
    int count;
    const int32_t* known;  // [known_count, known_fields], of which the first 8 are x .. Cr
    int known_count, known_fields;
};

// Residuals [count, 5] of e1, e2, Y, Cb, Cr of splats [count, 8] whose values are multiples of their steps.
std::vector<int32_t> key_residuals(const KeyContext& context, const KeyPart& part, const int32_t* splats);
// Splats [count, 8], saturated, of fields [count, 3] x, y, s and residuals [count, 5].
std::vector<int32_t> key_values(const KeyContext& context, const KeyPart& part, const int32_t* fields,
                                const int32_t* residuals);

}  // namespace splatcall
