// The grids of cells that move together, as a frame's result holds them.
#pragma once

#include "engine_pframe.hpp"

namespace splatcall {

// Of all cells' bits in one frame: they must fit into one part of it (SPEC section 3).
inline constexpr float kMostCellBits = 7400;

// A cell is looked at if its error could pay this many bits.
inline constexpr float kLeastErrorBits = 6;

// Makes the levels' grids, no cell on.
void prepare_cells(PResult& result, int width, int height);
// Notes that something below these cells is coded, up to the coarsest level.
void mark_any(PResult& result, int level, int column, int row);
// Adds a level's vectors to sums, [rows16, columns16, 2].
void add_vectors(const PResult& result, int level, int width, int height, std::vector<int32_t>& sums);

}  // namespace splatcall
