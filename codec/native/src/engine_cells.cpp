#include "engine_cells.hpp"

#include <algorithm>

namespace splatcall {

void prepare_cells(PResult& result, int width, int height) {
    for (int level = 0; level < kLevels; ++level) {
        const int px = cell_px_of(level);
        CellLevelResult& out = result.cells[level];
        out.columns = (width + px - 1) / px;
        out.rows = (height + px - 1) / px;
        const size_t cells = static_cast<size_t>(out.rows) * out.columns;
        out.on.assign(cells, 0);
        out.any.assign(cells, 0);
        out.vectors.assign(cells * 2, 0);
        out.affine.assign(cells * 4, 0);
    }
}

void mark_any(PResult& result, int level, int column, int row) {
    for (; level >= 0; --level, column /= 2, row /= 2) {
        CellLevelResult& cells = result.cells[level];
        cells.any[row * cells.columns + column] = 1;
    }
}

void add_vectors(const PResult& result, int level, int width, int height, std::vector<int32_t>& sums) {
    const CellLevelResult& cells = result.cells[level];
    const int px = cell_px_of(level), columns = (width + kMatchPx - 1) / kMatchPx, rows = (height + kMatchPx - 1) / kMatchPx;
    for (int y = 0; y < rows; ++y)
        for (int x = 0; x < columns; ++x) {
            const int column = std::min(kMatchPx * x + kMatchPx / 2, width - 1) / px;
            const int row = std::min(kMatchPx * y + kMatchPx / 2, height - 1) / px;
            const int at = row * cells.columns + column;
            for (int k = 0; k < 2 && cells.on[at]; ++k) sums[(y * columns + x) * 2 + k] += cells.vectors[2 * at + k];
        }
}

}  // namespace splatcall
