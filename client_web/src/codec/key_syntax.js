// What the symbols of a key part are, in order (SPEC section 5). Twin of codec/bitstream/key_syntax.py; a parse reads no state.

import { BitstreamError } from './errors.js';
import { BLOCK_FILL, layerRange } from './epoch.js';
import { WIDE_COUNTS, WIDE_INDICES } from './entropy.js';
import { baseLevels } from './prediction.js';
import { cellRanks, KEY_CELL_PX } from './slots.js';

/** @typedef {import('./entropy.js').PlaneDecoder} PlaneDecoder */
/** @typedef {import('./epoch.js').EpochRecord} EpochRecord */

export const CLASSES = 5;
const COUNT_ESCAPE = 10;
const EMPTY_CLASS = 5;

/**
 * One part of a key frame, or a P-frame's new splats, in coded order.
 * @typedef {object} ParsedKeyPart
 * @property {number} layer
 * @property {Int32Array | null} baseLevels [3, bh, bw], part 0 only
 * @property {number} firstBlock
 * @property {Int32Array} classes [n] size class, descending
 * @property {Int32Array} tileRows [n] row of the splat's tile in the grid of its class
 * @property {Int32Array} means [n, 2] x, y in 1/16 px
 * @property {Int32Array} residuals [n, 6] l - reference, e1, e2, Y, Cb, Cr
 */

/** Refuse a count over its limit. @param {number} count @param {number} limit @param {string} what */
export function checkCount(count, limit, what) {
  if (count > limit) throw new BitstreamError(`${what}: ${count}, at most ${limit}`);
}

/**
 * Parse one part of a key frame.
 * @param {PlaneDecoder} planes @param {EpochRecord} epoch @param {number} layer @param {boolean} withBase as part 0 of a key frame
 * @returns {ParsedKeyPart}
 */
export function parseKeyPart(planes, epoch, layer, withBase) {
  const levels = withBase ? parseBase(planes, epoch) : null;
  const [firstCell, cells, firstBlock] = planes.wides(WIDE_INDICES, 3);
  const columns = Math.ceil(epoch.widthPx / KEY_CELL_PX);
  const rows = Math.ceil(epoch.heightPx / KEY_CELL_PX);
  checkCount(firstCell + cells, columns * rows, 'key cells');
  const [layerFirst, layerBlocks] = layerRange(epoch, layer);
  const endBlock = layerFirst + layerBlocks;
  if (firstBlock < layerFirst || firstBlock > endBlock) {
    throw new BitstreamError(`key part starts at block ${firstBlock}, its layer is ${layerFirst}..${endBlock}`);
  }
  const ranks = cellRanks(columns, rows);
  const inPart = Uint8Array.from(ranks, (rank) => (rank >= firstCell && rank < firstCell + cells ? 1 : 0));
  const capacity = (endBlock - firstBlock) * BLOCK_FILL;
  const places = parseKeyPlaces(planes, epoch, inPart, columns, capacity);
  const residuals = parseKeyResiduals(planes, places.classes);
  return { layer, baseLevels: levels, firstBlock, ...places, residuals };
}

/** The base's levels, plane by plane. @param {PlaneDecoder} planes @param {EpochRecord} epoch @returns {Int32Array} [3, bh, bw] */
function parseBase(planes, epoch) {
  const size = epoch.baseWidth * epoch.baseHeight;
  const residuals = new Int32Array(3 * size);
  for (let c = 0; c < 3; c++) residuals.set(planes.ints('key_base', size, c > 0 ? 1 : 0), c * size);
  return baseLevels(epoch, residuals);
}

/**
 * The places of a key part's splats, class by class.
 * @param {PlaneDecoder} planes @param {EpochRecord} epoch
 * @param {Uint8Array} inPart which 64 px cells the part has @param {number} columns of 64 px cells
 * @param {number} capacity most splats the part may hold
 */
function parseKeyPlaces(planes, epoch, inPart, columns, capacity) {
  const exponents = planes.uniforms(6, CLASSES);
  const coarser = new Int32Array(inPart.length);
  /** @type {number[]} */ const classes = [];
  /** @type {number[]} */ const tileRows = [];
  /** @type {number[]} */ const means = [];
  for (let k = CLASSES - 1; k >= 0; k--) {
    const exponent = exponents[CLASSES - 1 - k];
    if (exponent === EMPTY_CLASS) continue;
    if (exponent > 3) throw new BitstreamError(`tile exponent ${exponent + 3} of class ${k}, at most 6`);
    const tiles = parseKeyCounts(planes, epoch, { k, shift: 3 - exponent, tilePx: 8 << exponent, inPart, columns, coarser });
    const total = tiles.reduce((sum, tile) => sum + tile.count, 0);
    checkCount(classes.length + total, capacity, 'key splats');
    const step = epoch.steps.keyMean[k];
    const span = Math.max(1, Math.floor((16 * (8 << exponent)) / step));
    const ox = planes.uniforms(span, total);
    const oy = planes.uniforms(span, total);
    let i = 0;
    for (const tile of tiles) {
      coarser[tile.cell] += tile.count;
      for (let n = 0; n < tile.count; n++, i++) {
        classes.push(k);
        tileRows.push(tile.row);
        means.push((tile.column * 16 * (8 << exponent)) + ox[i] * step, tile.row * 16 * (8 << exponent) + oy[i] * step);
      }
    }
  }
  return { classes: Int32Array.from(classes), tileRows: Int32Array.from(tileRows), means: Int32Array.from(means) };
}

/** Context class of the counts above a tile: 0, 1, 2..3, 4..6, 7..10, more. @param {number} z their weighed sum @returns {number} 0..5 */
function neighbourContext(z) {
  if (z < 4) return z === 3 ? 2 : z;
  if (z < 7) return 3;
  return z < 11 ? 4 : 5;
}

/** @param {number} count of coarser splats in the cell @returns {number} 0..3 */
function coarserContext(count) {
  if (count === 0) return 0;
  if (count < 3) return 1;
  return count < 7 ? 2 : 3;
}

/**
 * Splats in each tile of a class, tile row by tile row.
 * @param {PlaneDecoder} planes @param {EpochRecord} epoch
 * @param {{k: number, shift: number, tilePx: number, inPart: Uint8Array, columns: number, coarser: Int32Array}} grid
 *   shift: log2 of tiles along a side of a 64 px cell; coarser: splats of the classes above in each cell
 */
function parseKeyCounts(planes, epoch, { k, shift, tilePx, inPart, columns, coarser }) {
  const tileColumns = Math.ceil(epoch.widthPx / tilePx);
  const tileRows = Math.ceil(epoch.heightPx / tilePx);
  /** @type {{ row: number, column: number, cell: number, count: number }[]} */
  const tiles = [];
  let above = new Int32Array(tileColumns + 2);
  for (let row = 0; row < tileRows; row++) {
    const cellRow = (row >> shift) * columns;
    const members = [];
    const contexts = [];
    for (let column = 0; column < tileColumns; column++) {
      const cell = cellRow + (column >> shift);
      if (!inPart[cell]) continue;
      const z = 2 * above[column + 1] + above[column + 2] + above[column];
      members.push(column);
      contexts.push(k * 24 + neighbourContext(z) * 4 + coarserContext(coarser[cell]));
    }
    const counts = planes.symbols('key_count', members.length, contexts);
    const escaped = counts.reduce((sum, count) => sum + (count === COUNT_ESCAPE ? 1 : 0), 0);
    const extra = planes.wides(WIDE_COUNTS, escaped);
    const current = new Int32Array(tileColumns + 2);
    let next = 0;
    for (let i = 0; i < members.length; i++) {
      const count = counts[i] === COUNT_ESCAPE ? COUNT_ESCAPE + extra[next++] : counts[i];
      checkCount(count, epoch.slots, 'splats of a tile');
      current[members[i] + 1] = count;
      if (count > 0) tiles.push({ row, column: members[i], cell: cellRow + (members[i] >> shift), count });
    }
    above = current;
  }
  return tiles;
}

/** @param {number} value @returns {number} */
function magnitude2(value) {
  return Math.min(2, Math.abs(value));
}

/** @param {PlaneDecoder} planes @param {Int32Array} classes @returns {Int32Array} [n, 6] */
function parseKeyResiduals(planes, classes) {
  const n = classes.length;
  const scale = planes.ints('key_scale', n, classes);
  const e1 = planes.ints('key_e', n, classes);
  const e2 = planes.ints('key_e', n, classes.map((k, i) => 5 + 3 * k + magnitude2(e1[i])));
  const luma = planes.ints('key_luma', n, classes);
  const cb = planes.ints('key_chroma', n, classes.map((k, i) => magnitude2(luma[i]) + (k > 1 ? 3 : 0)));
  const cr = planes.ints('key_chroma', n, classes.map((k, i) => 6 + magnitude2(cb[i]) + (k > 1 ? 3 : 0)));
  const residuals = new Int32Array(6 * n);
  [scale, e1, e2, luma, cb, cr].forEach((plane, field) => {
    for (let i = 0; i < n; i++) residuals[6 * i + field] = plane[i];
  });
  return residuals;
}
