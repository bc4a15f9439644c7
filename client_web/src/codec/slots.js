// Where splats live: Hilbert order of 64 px cells, slots of a key frame, blocks of births (SPEC sections 1.3, 5, 6).
// Twin of codec/slots.py.

import { BLOCK_FILL, BLOCK_SLOTS } from './epoch.js';

/** @typedef {import('./epoch.js').EpochRecord} EpochRecord */

/** Side of the cells that key frames are split and ordered by. */
export const KEY_CELL_PX = 64;

/**
 * Index of a cell on the Hilbert curve of a 2^k x 2^k grid (Wikipedia's xy2d).
 * @param {number} k @param {number} cx @param {number} cy
 * @returns {number}
 */
export function hilbert(k, cx, cy) {
  const size = 2 ** k;
  let index = 0;
  for (let s = size >> 1; s > 0; s >>= 1) {
    const rx = cx & s ? 1 : 0;
    const ry = cy & s ? 1 : 0;
    index += s * s * ((3 * rx) ^ ry);
    if (ry === 0) {
      if (rx === 1) {
        cx = size - 1 - cx;
        cy = size - 1 - cy;
      }
      [cx, cy] = [cy, cx];
    }
  }
  return index;
}

/** @type {Map<string, Int32Array>} */
const RANKS = new Map();
const MAX_CACHED = 64;

/**
 * A cell's place among the existing cells of a grid, sorted by Hilbert index.
 * @param {number} columns @param {number} rows
 * @returns {Int32Array} [rows, columns]
 */
export function cellRanks(columns, rows) {
  const key = `${columns}x${rows}`;
  const known = RANKS.get(key);
  if (known) return known;
  let k = 0;
  while (2 ** k < Math.max(columns, rows)) k += 1;
  const cells = Array.from({ length: columns * rows }, (_, cell) => ({
    cell,
    index: hilbert(k, cell % columns, Math.floor(cell / columns)),
  }));
  cells.sort((a, b) => a.index - b.index);
  const ranks = new Int32Array(columns * rows);
  cells.forEach(({ cell }, rank) => { ranks[cell] = rank; });
  if (RANKS.size >= MAX_CACHED) RANKS.clear();
  RANKS.set(key, ranks);
  return ranks;
}

/** Columns and rows of 64 px cells. @param {EpochRecord} epoch @returns {[number, number]} */
function keyGrid(epoch) {
  return [Math.ceil(epoch.widthPx / KEY_CELL_PX), Math.ceil(epoch.heightPx / KEY_CELL_PX)];
}

/**
 * The order in which a key part's splats take slots, and these slots.
 * @param {EpochRecord} epoch @param {number} firstBlock @param {Int32Array} values [n, 8] state values, means inside the grid of 64 px cells
 * @returns {{ order: number[], slots: number[] }}
 */
export function dealSlots(epoch, firstBlock, values) {
  const [columns, rows] = keyGrid(epoch);
  const ranks = cellRanks(columns, rows);
  const n = values.length / 8;
  const places = Float64Array.from({ length: n }, (_, i) => {
    const [xPx, yPx] = [values[8 * i] >> 4, values[8 * i + 1] >> 4];
    return ranks[(yPx >> 6) * columns + (xPx >> 6)] * KEY_CELL_PX * KEY_CELL_PX + hilbert(6, xPx & 63, yPx & 63);
  });
  const order = Array.from({ length: n }, (_, i) => i);
  order.sort((a, b) => places[a] - places[b] || compareRows(values, 8 * a, 8 * b));
  const slots = order.map((_, place) => (firstBlock + Math.floor(place / BLOCK_FILL)) * BLOCK_SLOTS + (place % BLOCK_FILL));
  return { order, slots };
}

/** @param {Int32Array} values @param {number} a @param {number} b @returns {number} */
function compareRows(values, a, b) {
  for (let field = 0; field < 8; field++) {
    const difference = values[a + field] - values[b + field];
    if (difference !== 0) return difference;
  }
  return 0;
}

/**
 * The block where a birth is looked for first, counted from the part's first.
 * @param {EpochRecord} epoch @param {number} blocks of the part @param {number} xPx @param {number} yPx
 * @returns {number}
 */
export function birthBlockGuess(epoch, blocks, xPx, yPx) {
  const [columns, rows] = keyGrid(epoch);
  const cell = Math.floor(yPx / KEY_CELL_PX) * columns + Math.floor(xPx / KEY_CELL_PX);
  return Math.floor((cellRanks(columns, rows)[cell] * blocks) / (columns * rows));
}
