// Motion of cells: vectors predicted from the state, splats moved level by level (SPEC section 6.1, step 4).

import { VECTOR_CELL_PX } from './epoch.js';
import { clamp, fieldLimits, FIELDS, KIND_DEAD, VECTOR_LIMIT } from './quantize.js';
import { CELL_LEVELS_PX } from './syntax.js';

/** @typedef {import('./state.js').SplatState} SplatState */
/** @typedef {import('./syntax.js').ParsedCells} ParsedCells */

/** @param {number} a @param {number} b @param {number} c @returns {number} */
function median(a, b, c) {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}

/** @param {number} cell @param {number} cellPx @param {number} sizePx @returns {number} the 16 px cell of a cell's centre */
function centreCell(cell, cellPx, sizePx) {
  return Math.min(cell * cellPx + cellPx / 2, sizePx - 1) >> 4;
}

/**
 * Move the splats of the cells that are on, and keep each 16 px cell's whole vector in the state.
 * @param {SplatState} state @param {ParsedCells[] | null} cells by level; null: nothing moved
 */
export function applyCells(state, cells) {
  const sums = new Int32Array(state.vectors.length);
  if (cells) {
    cells.forEach((level, index) => {
      const cellPx = CELL_LEVELS_PX[index];
      const vectors = resolveVectors(state, level, cellPx, sums);
      moveSplats(state, level, vectors, cellPx);
      growSums(state, level, vectors, cellPx, sums);
    });
  }
  for (let i = 0; i < sums.length; i++) state.vectors[i] = clamp(sums[i], -VECTOR_LIMIT, VECTOR_LIMIT - 1);
}

/**
 * Vectors of a level's cells that are on: prediction plus residual.
 * @param {SplatState} state @param {ParsedCells} level @param {number} cellPx @param {Int32Array} sums of the levels before
 * @returns {Int32Array} [rows, columns, 2]
 */
export function resolveVectors(state, level, cellPx, sums) {
  const { epoch } = state;
  const columns = Math.ceil(epoch.widthPx / cellPx);
  const vectors = new Int32Array(2 * level.on.length);
  for (let cell = 0; cell < level.on.length; cell++) {
    if (!level.on[cell]) continue;
    const row = Math.floor(cell / columns);
    const column = cell % columns;
    const hasLeft = column > 0 && level.on[cell - 1] === 1;
    const hasUp = row > 0 && level.on[cell - columns] === 1;
    const place = 2 * (centreCell(row, cellPx, epoch.heightPx) * epoch.vectorColumns + centreCell(column, cellPx, epoch.widthPx));
    const t = [state.vectors[place] - sums[place], state.vectors[place + 1] - sums[place + 1]];
    const still = t[0] === 0 && t[1] === 0;
    for (let axis = 0; axis < 2; axis++) {
      const left = hasLeft ? vectors[2 * (cell - 1) + axis] : 0;
      const up = hasUp ? vectors[2 * (cell - columns) + axis] : 0;
      let prediction = t[axis];
      if (hasLeft && hasUp) prediction = median(left, up, t[axis]);
      else if (hasLeft || hasUp) prediction = still ? left + up : (left + up + t[axis]) >> 1;
      vectors[2 * cell + axis] = clamp(prediction + level.residuals[2 * cell + axis], -2048, 2047);
    }
  }
  return vectors;
}

/** @param {SplatState} state @param {ParsedCells} level @param {Int32Array} vectors @param {number} cellPx */
function moveSplats({ splats, epoch }, level, vectors, cellPx) {
  const columns = Math.ceil(epoch.widthPx / cellPx);
  const { low, high } = fieldLimits(epoch);
  const affine = level.affine.map((term) => clamp(term, -63, 63));
  for (let at = 0; at < splats.length; at += FIELDS) {
    if (splats[at + 8] === KIND_DEAD) continue;
    const [x, y] = [splats[at], splats[at + 1]];
    const column = Math.floor(clamp(x >> 4, 0, epoch.widthPx - 1) / cellPx);
    const row = Math.floor(clamp(y >> 4, 0, epoch.heightPx - 1) / cellPx);
    const cell = row * columns + column;
    if (!level.on[cell]) continue;
    const dx = clamp(x - 16 * (column * cellPx + cellPx / 2), -8192, 8191);
    const dy = clamp(y - 16 * (row * cellPx + cellPx / 2), -8192, 8191);
    const [a, b, c, d] = affine.subarray(4 * cell, 4 * cell + 4);
    splats[at] = clamp(x + 4 * vectors[2 * cell] + ((a * dx + b * dy) >> 6), low[0], high[0]);
    splats[at + 1] = clamp(y + 4 * vectors[2 * cell + 1] + ((c * dx + d * dy) >> 6), low[1], high[1]);
  }
}

/** @param {SplatState} state @param {ParsedCells} level @param {Int32Array} vectors @param {number} cellPx @param {Int32Array} sums */
function growSums({ epoch }, level, vectors, cellPx, sums) {
  const columns = Math.ceil(epoch.widthPx / cellPx);
  for (let row = 0; row < epoch.vectorRows; row++) {
    const cellRow = Math.floor(Math.min(VECTOR_CELL_PX * row + 8, epoch.heightPx - 1) / cellPx) * columns;
    for (let column = 0; column < epoch.vectorColumns; column++) {
      const cell = cellRow + Math.floor(Math.min(VECTOR_CELL_PX * column + 8, epoch.widthPx - 1) / cellPx);
      if (!level.on[cell]) continue;
      const place = 2 * (row * epoch.vectorColumns + column);
      sums[place] += vectors[2 * cell];
      sums[place + 1] += vectors[2 * cell + 1];
    }
  }
}
