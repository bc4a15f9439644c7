// What the symbols of a part are, in order: parsing that reads no state (SPEC sections 5 and 6). Twin of codec/bitstream/syntax.py.

import { BitstreamError } from './errors.js';
import { BLOCK_FILL, BLOCK_SLOTS, layerRange } from './epoch.js';
import { cellRanks, KEY_CELL_PX } from './hilbert.js';
import { WIDE_BIRTHS, WIDE_COUNTS, WIDE_INDICES } from './entropy.js';

/** @typedef {import('./entropy.js').PlaneDecoder} PlaneDecoder */
/** @typedef {import('./epoch.js').EpochRecord} EpochRecord */

export const CELL_LEVELS_PX = [128, 64, 32, 16];
export const SHIFT_LEVELS_PX = [64, 32];
export const CLASSES = 5;
/** Log-scale of each size class in key steps, which residuals are against. */
export const SCALE_REFERENCE = [1, 4, 7, 10, 14];
const COUNT_ESCAPE = 10;
const EMPTY_CLASS = 5;
const BIT_MEAN = 8;
const BIT_SHAPE = 4;
const BIT_LUMA = 2;
const BIT_CHROMA = 1;
export const BIRTH_FIELDS = 9;

/**
 * One part of a key frame, in coded order.
 * @typedef {object} ParsedKeyPart
 * @property {number} part
 * @property {number} layer
 * @property {Int32Array | null} baseResiduals [3, bh, bw], part 0 only
 * @property {number} firstBlock
 * @property {number} endSlot slots from here on are not the part's layer
 * @property {Int32Array} classes [n] size class, descending
 * @property {Int32Array} tileRows [n] row of the splat's tile in the grid of its class
 * @property {Int32Array} means [n, 2] x, y in 1/16 px
 * @property {Int32Array} residuals [n, 6] l - reference, e1, e2, Y, Cb, Cr
 */

/**
 * One level's motion: residuals against predictions that only a state can give.
 * @typedef {object} ParsedCells
 * @property {Uint8Array} on [rows, columns]
 * @property {Int32Array} residuals [rows, columns, 2], 0 where off
 * @property {Int32Array} affine [rows, columns, 4], 0 where off
 */

/**
 * One part of a P-frame.
 * @typedef {object} ParsedPPart
 * @property {number} part
 * @property {number} layer
 * @property {Int32Array | null} light [4] luma gain, then Y, Cb, Cr offsets
 * @property {Int32Array | null} baseDelta [3, bh, bw]
 * @property {Int32Array | null} affine [6] a, b, c, d, tx, ty
 * @property {boolean} affineShape
 * @property {ParsedCells[] | null} cells by level
 * @property {(Int32Array | null)[]} shifts by level: [rows, columns, 4] gain, Y, Cb, Cr
 * @property {number} firstBlock
 * @property {number} blocks
 * @property {Int32Array} updateSlots [n] ascending
 * @property {Int32Array} updateDeltas [n, 8] in steps
 * @property {Int32Array} deathSlots [m]
 * @property {Int32Array} births [b, 9] block guess delta, kind, x px, y px, size, Y, Cb, Cr in steps, 0
 */

/** @param {number} count @param {number} limit @param {string} what */
function checkCount(count, limit, what) {
  if (count > limit) throw new BitstreamError(`${what}: ${count}, at most ${limit}`);
}

/**
 * Parse one part of a key frame.
 * @param {PlaneDecoder} planes @param {EpochRecord} epoch @param {number} part @param {number} layer
 * @returns {ParsedKeyPart}
 */
export function parseKeyPart(planes, epoch, part, layer) {
  const baseResiduals = part === 0 ? parseBase(planes, 'key_base', epoch) : null;
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
  const endSlot = endBlock * BLOCK_SLOTS;
  return { part, layer, baseResiduals, firstBlock, endSlot, ...places, residuals };
}

/** @param {PlaneDecoder} planes @param {string} name @param {EpochRecord} epoch @returns {Int32Array} [3, bh, bw] */
function parseBase(planes, name, epoch) {
  const size = epoch.baseWidth * epoch.baseHeight;
  const residuals = new Int32Array(3 * size);
  if (name === 'base_delta') {
    residuals.set(planes.ints(name, 3 * size, Uint8Array.from(residuals, (_, i) => (i >= size ? 1 : 0))));
  } else {
    for (let c = 0; c < 3; c++) residuals.set(planes.ints(name, size, c > 0 ? 1 : 0), c * size);
  }
  return residuals;
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

/**
 * Parse one part of a P-frame.
 * @param {PlaneDecoder} planes @param {EpochRecord} epoch
 * @param {{part: number, layer: number, split: boolean}} header
 * @returns {ParsedPPart}
 */
export function parsePPart(planes, epoch, { part, layer, split }) {
  const shared = part === 0 ? parseShared(planes, epoch) : NO_SHARED;
  let [firstBlock, blocks] = layerRange(epoch, layer);
  if (split) {
    const [layerFirst, layerBlocks] = [firstBlock, blocks];
    [firstBlock, blocks] = planes.wides(WIDE_INDICES, 2);
    if (firstBlock < layerFirst || firstBlock + blocks > layerFirst + layerBlocks) {
      throw new BitstreamError(`P part of blocks ${firstBlock}+${blocks}, its layer is ${layerFirst}+${layerBlocks}`);
    }
  }
  const updates = parseUpdates(planes, firstBlock, blocks);
  const births = parseBirths(planes, epoch, blocks);
  return { part, layer, ...shared, firstBlock, blocks, ...updates, births };
}

/**
 * @typedef {Pick<ParsedPPart, 'light' | 'baseDelta' | 'affine' | 'affineShape' | 'cells' | 'shifts'>} Shared
 */

/** @type {Shared} */
const NO_SHARED = { light: null, baseDelta: null, affine: null, affineShape: false, cells: null, shifts: [null, null] };
const INDICES = Uint8Array.from({ length: 8 }, (_, i) => i);

/** @param {PlaneDecoder} planes @param {EpochRecord} epoch @returns {Shared} */
function parseShared(planes, epoch) {
  const present = planes.symbols('present', 8, INDICES);
  if (present[6] || present[7]) throw new BitstreamError('P part: reserved commands are present');
  const light = present[0] ? planes.ints('light', 4, INDICES) : null;
  const baseDelta = present[1] ? parseBase(planes, 'base_delta', epoch) : null;
  const affine = present[2] ? planes.ints('affine', 6, INDICES) : null;
  const affineShape = affine !== null && planes.symbol('affine_shape', 0) === 1;
  const cells = present[3] ? parseCells(planes, epoch) : null;
  const shift64 = present[4] ? parseShifts(planes, epoch, 0) : null;
  const shift32 = present[5] ? parseShifts(planes, epoch, 1) : null;
  return { light, baseDelta, affine, affineShape, cells, shifts: [shift64, shift32] };
}

/** @param {PlaneDecoder} planes @param {EpochRecord} epoch @returns {ParsedCells[]} */
function parseCells(planes, epoch) {
  /** @type {ParsedCells[]} */
  const levels = [];
  let parents = { columns: 0, on: new Uint8Array(0), any: new Uint8Array(0) };
  CELL_LEVELS_PX.forEach((cellPx, level) => {
    const columns = Math.ceil(epoch.widthPx / cellPx);
    const rows = Math.ceil(epoch.heightPx / cellPx);
    const flags = parseCellFlags(planes, level, columns, rows, parents);
    levels.push({ on: flags.on, ...parseCellMotion(planes, level, flags.on) });
    parents = { columns, ...flags };
  });
  return levels;
}

/**
 * The quadtree's flags of one level.
 * @param {PlaneDecoder} planes @param {number} level @param {number} columns @param {number} rows
 * @param {{columns: number, on: Uint8Array, any: Uint8Array}} parents the level above
 */
function parseCellFlags(planes, level, columns, rows, parents) {
  const on = new Uint8Array(rows * columns);
  const any = new Uint8Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    const members = [];
    const contexts = [];
    for (let column = 0; column < columns; column++) {
      const parent = (row >> 1) * parents.columns + (column >> 1);
      if (level > 0 && !parents.any[parent]) continue;
      const cell = row * columns + column;
      members.push(cell);
      contexts.push(4 * level + 2 * (level > 0 ? parents.on[parent] : 0) + (row > 0 ? on[cell - columns] : 0));
    }
    const ons = planes.symbols('cell_on', members.length, contexts);
    members.forEach((cell, i) => { on[cell] = ons[i]; });
    if (level === 3) continue;
    const anyContexts = members.map((cell) => 4 * level + 2 * on[cell] + (row > 0 ? any[cell - columns] : 0));
    const anys = planes.symbols('cell_any', members.length, anyContexts);
    members.forEach((cell, i) => { any[cell] = anys[i]; });
  }
  return { on, any };
}

/** @param {Uint8Array} flags @returns {number[]} the places of its ones */
function placesOf(flags) {
  const places = [];
  for (let i = 0; i < flags.length; i++) if (flags[i]) places.push(i);
  return places;
}

/** @param {PlaneDecoder} planes @param {number} level @param {Uint8Array} on */
function parseCellMotion(planes, level, on) {
  const cells = placesOf(on);
  const n = cells.length;
  const residuals = new Int32Array(2 * on.length);
  const affine = new Int32Array(4 * on.length);
  const rx = planes.ints('cell_vector', n, 3 * level);
  const ry = planes.ints('cell_vector', n, Array.from(rx, (value) => 3 * level + 1 + (value !== 0 ? 1 : 0)));
  cells.forEach((cell, i) => {
    residuals[2 * cell] = rx[i];
    residuals[2 * cell + 1] = ry[i];
  });
  if (level < 3) {
    const affineOn = planes.symbols('cell_affine_on', n, level);
    const members = cells.filter((_, i) => affineOn[i]);
    const terms = planes.ints('cell_affine', 4 * members.length, Array.from({ length: 4 * members.length }, (_, i) => i & 3));
    members.forEach((cell, i) => affine.set(terms.subarray(4 * i, 4 * i + 4), 4 * cell));
  }
  return { residuals, affine };
}

/** @param {PlaneDecoder} planes @param {EpochRecord} epoch @param {number} level @returns {Int32Array} [rows, columns, 4] */
function parseShifts(planes, epoch, level) {
  const columns = Math.ceil(epoch.widthPx / SHIFT_LEVELS_PX[level]);
  const rows = Math.ceil(epoch.heightPx / SHIFT_LEVELS_PX[level]);
  const on = new Uint8Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    const above = on.subarray((row - 1) * columns, row * columns);
    const contexts = Array.from({ length: columns }, (_, i) => 2 * level + (row > 0 ? above[i] : 0));
    on.set(planes.symbols('shift_on', columns, contexts), row * columns);
  }
  const cells = placesOf(on);
  const patterns = planes.symbols('shift_pattern', cells.length, level);
  const shifts = new Int32Array(4 * on.length);
  [4, 2, 1, 1].forEach((bit, field) => {
    const members = cells.filter((_, i) => patterns[i] & bit);
    const values = planes.ints('shift', members.length, field);
    members.forEach((cell, i) => { shifts[4 * cell + field] = values[i]; });
  });
  return shifts;
}

/** @param {PlaneDecoder} planes @param {number} firstBlock @param {number} blocks */
function parseUpdates(planes, firstBlock, blocks) {
  const density = planes.symbol('density', 0);
  const slots = density === 0 ? [] : parseOnSlots(planes, density, firstBlock, blocks);
  const patterns = planes.symbols('pattern', slots.length, density);
  /** @type {number[]} */ const updated = [];
  /** @type {number[]} */ const deaths = [];
  for (let i = 0; i < slots.length; i++) (patterns[i] ? updated : deaths).push(i);
  const deltas = new Int32Array(8 * updated.length);
  const rows = Int32Array.from(updated, (i) => patterns[i]);
  parseDeltas(planes, rows, deltas);
  return {
    updateSlots: Int32Array.from(updated, (i) => slots[i]),
    updateDeltas: deltas,
    deathSlots: Int32Array.from(deaths, (i) => slots[i]),
  };
}

/** @param {PlaneDecoder} planes @param {number} density @param {number} firstBlock @param {number} blocks @returns {number[]} ascending */
function parseOnSlots(planes, density, firstBlock, blocks) {
  const blockOn = new Uint8Array(blocks + 1);
  const even = planes.symbols('block_on', (blocks + 1) >> 1, 4 * density);
  even.forEach((on, i) => { blockOn[2 * i] = on; });
  const oddContexts = Array.from({ length: blocks >> 1 }, (_, i) => 4 * density + 1 + blockOn[2 * i] + blockOn[2 * i + 2]);
  const odd = planes.symbols('block_on', blocks >> 1, oddContexts);
  odd.forEach((on, i) => { blockOn[2 * i + 1] = on; });
  const onBlocks = placesOf(blockOn);
  const history = new Uint8Array(onBlocks.length);
  const slotOn = new Uint8Array(onBlocks.length * BLOCK_SLOTS);
  for (let j = 0; j < BLOCK_SLOTS; j++) {
    const row = 6 * density + (j >= BLOCK_FILL ? 3 : 0);
    const on = planes.symbols('slot_on', onBlocks.length, Array.from(history, (bits) => row + POPULATION2[bits]));
    for (let i = 0; i < onBlocks.length; i++) {
      slotOn[i * BLOCK_SLOTS + j] = on[i];
      history[i] = ((history[i] << 1) | on[i]) & 15;
    }
  }
  return placesOf(slotOn).map((place) => (firstBlock + onBlocks[place >> 5]) * BLOCK_SLOTS + (place & 31));
}

/** min(2, ones) of the last four slots' flags. */
const POPULATION2 = Uint8Array.from({ length: 16 }, (_, bits) => {
  let ones = 0;
  for (let b = 0; b < 4; b++) ones += (bits >> b) & 1;
  return Math.min(2, ones);
});

/** @param {PlaneDecoder} planes @param {Int32Array} patterns [n] @param {Int32Array} deltas [n, 8], filled */
function parseDeltas(planes, patterns, deltas) {
  const withBit = (/** @type {number} */ bit) => {
    const rows = [];
    for (let i = 0; i < patterns.length; i++) if (patterns[i] & bit) rows.push(8 * i);
    return rows;
  };
  /** @type {(name: string, field: number, rows: number[], context: (row: number) => number) => void} */
  const plane = (name, field, rows, context) => {
    const values = planes.ints(name, rows.length, rows.map(context));
    rows.forEach((row, i) => { deltas[row + field] = values[i]; });
  };
  const flag = (/** @type {number} */ at) => (deltas[at] !== 0 ? 1 : 0);
  const means = withBit(BIT_MEAN);
  plane('mean', 0, means, () => 0);
  plane('mean', 1, means, (row) => 1 + flag(row));
  const shapes = withBit(BIT_SHAPE);
  plane('shape', 2, shapes, () => 0);
  plane('shape', 3, shapes, (row) => 1 + flag(row + 2));
  plane('shape', 4, shapes, (row) => 3 + (flag(row + 2) | flag(row + 3)));
  plane('luma', 5, withBit(BIT_LUMA), () => 0);
  const chromas = withBit(BIT_CHROMA);
  plane('chroma', 6, chromas, () => 0);
  plane('chroma', 7, chromas, (row) => 1 + flag(row + 6));
}

/** @param {PlaneDecoder} planes @param {EpochRecord} epoch @param {number} blocks of the part @returns {Int32Array} [b, 9] */
function parseBirths(planes, epoch, blocks) {
  const n = planes.wide(WIDE_BIRTHS);
  checkCount(n, blocks === 0 ? 0 : epoch.slots, 'births');
  const births = new Int32Array(BIRTH_FIELDS * n);
  const additive = planes.symbols('birth_kind', n, 0);
  const columns = [
    (/** @type {Int32Array} */ _) => Int32Array.from(additive, (symbol) => symbol + 1),
    () => planes.uniforms(epoch.widthPx, n),
    () => planes.uniforms(epoch.heightPx, n),
  ];
  const put = (/** @type {number} */ field, /** @type {Int32Array} */ values) => {
    for (let i = 0; i < n; i++) births[BIRTH_FIELDS * i + field] = values[i];
  };
  columns.forEach((pull, i) => put(1 + i, pull(additive)));
  put(0, planes.ints('birth_block', n, 0));
  put(4, planes.symbols('birth_size', n, additive));
  put(5, planes.ints('birth_luma', n, additive));
  const chroma = Array.from(additive, (symbol) => 2 * symbol);
  put(6, planes.ints('birth_chroma', n, chroma));
  put(7, planes.ints('birth_chroma', n, chroma.map((context) => context + 1)));
  return births;
}
