// The Hilbert order in which key frames deal slots (SPEC section 1.3). Twin of the functions of the same names in Python.

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
