// What the symbols of a P part are, in order (SPEC section 6). Twin of codec/bitstream/syntax.py; a parse reads no state.

import { BitstreamError } from './errors.js';
import { BLOCK_FILL, BLOCK_SLOTS, CELL_LEVELS_PX, layerRange, SHIFT_LEVELS_PX } from './epoch.js';
import { WIDE_BIRTHS, WIDE_INDICES } from './entropy.js';
import { checkCount, parseKeyPart } from './key_syntax.js';

/** @typedef {import('./entropy.js').PlaneDecoder} PlaneDecoder */
/** @typedef {import('./epoch.js').EpochRecord} EpochRecord */

const BIT_MEAN = 8;
const BIT_SHAPE = 4;
const BIT_LUMA = 2;
const BIT_CHROMA = 1;
export const BIRTH_FIELDS = 9;

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
 * @property {Int32Array | null} light [4] gain, then Y, Cb, Cr offsets
 * @property {Int32Array | null} baseDelta [3, bh, bw]
 * @property {Int32Array | null} affine [6] a, b, c, d, tx, ty
 * @property {boolean} affineShape
 * @property {ParsedCells[] | null} cells by level
 * @property {(Int32Array | null)[]} shifts by level: [rows, columns, 4] gain, Y, Cb, Cr
 * @property {import('./key_syntax.js').ParsedKeyPart | null} bulk new splats
 * @property {number} firstBlock
 * @property {number} blocks
 * @property {Int32Array} updateSlots [n] ascending
 * @property {Int32Array} updateDeltas [n, 8] in steps
 * @property {Int32Array} deathSlots [m]
 * @property {Int32Array} births [b, 9] block guess delta, kind, x px, y px, size, Y, Cb, Cr in steps, 0
 */

/**
 * Parse one part of a P-frame.
 * @param {PlaneDecoder} planes @param {EpochRecord} epoch
 * @param {{part: number, layer: number, split: boolean}} header
 * @returns {ParsedPPart}
 */
export function parsePPart(planes, epoch, { part, layer, split }) {
  const shared = part === 0 ? parseShared(planes, epoch, layer) : NO_SHARED;
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
 * @typedef {Pick<ParsedPPart, 'light' | 'baseDelta' | 'affine' | 'affineShape' | 'cells' | 'shifts' | 'bulk'>} Shared
 */

/** @type {Shared} */
const NO_SHARED = { light: null, baseDelta: null, affine: null, affineShape: false, cells: null, shifts: [null, null], bulk: null };
const INDICES = Uint8Array.from({ length: 8 }, (_, i) => i);

/** @param {PlaneDecoder} planes @param {EpochRecord} epoch @param {number} layer @returns {Shared} */
function parseShared(planes, epoch, layer) {
  const present = planes.symbols('present', 8, INDICES);
  if (present[7]) throw new BitstreamError('P part: reserved commands are present');
  const light = present[0] ? planes.ints('light', 4, INDICES) : null;
  const baseDelta = present[1] ? parseBaseDelta(planes, epoch) : null;
  const affine = present[2] ? planes.ints('affine', 6, INDICES) : null;
  const affineShape = affine !== null && planes.symbol('affine_shape', 0) === 1;
  const cells = present[3] ? parseCells(planes, epoch) : null;
  const shift64 = present[4] ? parseShifts(planes, epoch, 0) : null;
  const shift32 = present[5] ? parseShifts(planes, epoch, 1) : null;
  const bulk = present[6] ? parseKeyPart(planes, epoch, layer, false) : null;
  return { light, baseDelta, affine, affineShape, cells, shifts: [shift64, shift32], bulk };
}

/** @param {PlaneDecoder} planes @param {EpochRecord} epoch @returns {Int32Array} [3, bh, bw] */
function parseBaseDelta(planes, epoch) {
  const size = epoch.baseWidth * epoch.baseHeight;
  return planes.ints('base_delta', 3 * size, Uint8Array.from({ length: 3 * size }, (_, i) => (i >= size ? 1 : 0)));
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
  checkCount(n, blocks * BLOCK_SLOTS, 'births');
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
