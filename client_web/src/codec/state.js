// The integer state of a stream, the commands applied to it, and its hash (SPEC sections 1.2 and 6.1). Twin of codec/state.py.
// Every command has a defined effect on any state: values saturate, dead slots change by births only.

import { BLOCK_FILL, BLOCK_SLOTS, CELL_LEVELS_PX, layerRange, SHIFT_LEVELS_PX } from './epoch.js';
import { baseColorsAt, cellVectors, keyValues } from './prediction.js';
import {
  BASE_DELTA_STEP, BIRTH_SCALES, clamp, clampBase, DELTA_LIMIT, fieldLimits, FIELDS, KEY_BASE_STEPS, KIND_DEAD,
  KIND_NORMALISED, updateSteps, VECTOR_LIMIT,
} from './quantize.js';
import { birthBlockGuess, dealSlots } from './slots.js';
import { BIRTH_FIELDS } from './syntax.js';

/** @typedef {import('./epoch.js').EpochRecord} EpochRecord */
/** @typedef {import('./key_syntax.js').ParsedKeyPart} ParsedKeyPart */
/** @typedef {import('./syntax.js').ParsedCells} ParsedCells */
/** @typedef {import('./syntax.js').ParsedPPart} ParsedPPart */

/**
 * Everything a decoder holds.
 * @typedef {object} SplatState
 * @property {EpochRecord} epoch
 * @property {Int32Array} splats [slots, 9] x, y, s, e1, e2, Y, Cb, Cr, kind
 * @property {Int32Array} base [3, bh, bw]
 * @property {Int32Array} vectors [rows, columns, 2] of 16 px cells
 * @property {number} frameNumber -1: none yet
 */

/** The state before a key frame. @param {EpochRecord} epoch @returns {SplatState} */
export function emptyState(epoch) {
  return {
    epoch,
    splats: new Int32Array(epoch.slots * FIELDS),
    base: new Int32Array(3 * epoch.baseWidth * epoch.baseHeight),
    vectors: new Int32Array(2 * epoch.vectorRows * epoch.vectorColumns),
    frameNumber: -1,
  };
}

/** A state that shares no array with this one. @param {SplatState} state @returns {SplatState} */
export function copyState(state) {
  const { epoch, splats, base, vectors, frameNumber } = state;
  return { epoch, splats: splats.slice(), base: base.slice(), vectors: vectors.slice(), frameNumber };
}

/** The 16-bit hash of a state (SPEC 1.2). @param {SplatState} state @returns {number} */
export function stateHash(state) {
  let sum = 0;
  let factor = 0x9e3779b9 | 0;
  for (const values of [state.splats, state.base, state.vectors]) {
    for (let i = 0; i < values.length; i++) {
      sum = (sum + Math.imul(values[i], factor | 1)) | 0;
      factor = (factor + 0x9e3779b1) | 0; // 2654435761
    }
  }
  return (sum ^ (sum >>> 16)) & 0xffff;
}

/** The full number of a frame, nearest to the last. @param {number} number its lower 12 bits count @param {number} last -1: none @returns {number} */
export function unwrapNumber(number, last) {
  if (last < 0) return number & 0xfff;
  const forward = (number - last) & 0xfff;
  return last + (forward < 0x800 ? forward : forward - 0x1000);
}

/**
 * Apply one frame, in place; never fails on a frame that was parsed with this state's epoch.
 * @param {SplatState} state
 * @param {import('./frame.js').ParsedFrame} frame
 * @param {import('./tables.js').Tables} tables
 */
export function applyFrame(state, frame, tables) {
  if (frame.kind === 'key') {
    state.splats.fill(0);
    state.base.fill(0);
    state.vectors.fill(0);
    /** @type {Int32Array} */
    let known = new Int32Array(0);
    for (const part of frame.keyParts) {
      const values = applyKeyPart(state, part, tables.keyWeights, known);
      if (part.baseLevels) known = values;
    }
  } else {
    for (const part of frame.pParts) applyPPart(state, part, tables.keyWeights);
  }
  state.frameNumber = unwrapNumber(frame.number, state.frameNumber);
}

/**
 * Apply one part of a key frame to a state that its key frame cleared.
 * @param {SplatState} state @param {ParsedKeyPart} part @param {number[][]} keyWeights
 * @param {Int32Array} known [m, 8] splats of part 0, none for itself
 * @returns {Int32Array} [n, 8] its splats
 */
export function applyKeyPart(state, part, keyWeights, known) {
  const { splats, base, epoch } = state;
  const size = base.length / 3;
  part.baseLevels?.forEach((level, i) => {
    const channel = Math.floor(i / size);
    base[i] = clampBase(level * KEY_BASE_STEPS[channel], channel);
  });
  const values = keyValues(state, part, keyWeights, known);
  const { order, slots } = dealSlots(epoch, part.firstBlock, values);
  order.forEach((i, place) => {
    splats.set(values.subarray(8 * i, 8 * i + 8), slots[place] * FIELDS);
    splats[slots[place] * FIELDS + 8] = KIND_NORMALISED;
  });
  return values;
}

/** @param {SplatState} state @param {ParsedPPart} part @param {number[][]} keyWeights */
export function applyPPart(state, part, keyWeights) {
  if (part.light) applyLight(state, part.light);
  if (part.baseDelta) applyBaseDelta(state, part.baseDelta);
  if (part.affine) applyAffine(state, part.affine, part.affineShape);
  if (part.part === 0) applyCells(state, part.cells);
  part.shifts.forEach((shifts, level) => {
    if (shifts) applyShifts(state, shifts, SHIFT_LEVELS_PX[level]);
  });
  if (part.bulk) applyBulk(state, part.bulk, keyWeights);
  applyUpdates(state, part.updateSlots, part.updateDeltas);
  applyDeaths(state, part.deathSlots);
  applyBirths(state, part);
}

/** Live splats of kind 1 before the end of a layer. @param {SplatState} state @param {number} layer @returns {Int32Array} [m, 8] */
function knownSplats({ splats, epoch }, layer) {
  const [first, blocks] = layerRange(epoch, layer);
  const known = [];
  for (let at = 0; at < (first + blocks) * BLOCK_SLOTS * FIELDS; at += FIELDS) {
    if (splats[at + 8] === KIND_NORMALISED) known.push(...splats.subarray(at, at + 8));
  }
  return Int32Array.from(known);
}

/**
 * New splats take the dead slots of a key frame's share of the blocks from the part's first on.
 * @param {SplatState} state @param {ParsedKeyPart} part @param {number[][]} keyWeights
 */
export function applyBulk(state, part, keyWeights) {
  const { splats, epoch } = state;
  const values = keyValues(state, part, keyWeights, knownSplats(state, part.layer));
  const { order } = dealSlots(epoch, part.firstBlock, values);
  const [first, blocks] = layerRange(epoch, part.layer);
  const end = (first + blocks) * BLOCK_SLOTS;
  let slot = part.firstBlock * BLOCK_SLOTS;
  for (const i of order) {
    while (slot < end && (slot % BLOCK_SLOTS >= BLOCK_FILL || splats[slot * FIELDS + 8] !== KIND_DEAD)) slot += 1;
    if (slot >= end) return;
    splats.set(values.subarray(8 * i, 8 * i + 8), slot * FIELDS);
    splats[slot * FIELDS + 8] = KIND_NORMALISED;
  }
}

/** @param {SplatState} state @param {Int32Array} light [4] gain, then Y, Cb, Cr offsets */
export function applyLight(state, light) {
  const { splats, base } = state;
  const gain = clamp(light[0], -255, 256);
  const offsets = [1, 2, 3].map((i) => 4 * clamp(light[i], -255, 255));
  for (let at = 0; at < splats.length; at += FIELDS) {
    const kind = splats[at + 8];
    if (kind === KIND_DEAD) continue;
    for (let c = 0; c < 3; c++) {
      const color = splats[at + 5 + c];
      const offset = kind === KIND_NORMALISED ? offsets[c] : 0;
      splats[at + 5 + c] = clamp(color + ((gain * color + 128) >> 8) + offset, -1024, c === 0 ? 2047 : 1023);
    }
  }
  const size = base.length / 3;
  for (let i = 0; i < base.length; i++) {
    const plane = Math.floor(i / size);
    base[i] = clampBase(base[i] + ((gain * base[i] + 128) >> 8) + offsets[plane], plane);
  }
}

/** @param {SplatState} state @param {Int32Array} delta [3, bh, bw] */
export function applyBaseDelta(state, delta) {
  const { base } = state;
  const size = base.length / 3;
  for (let i = 0; i < base.length; i++) {
    base[i] = clampBase(base[i] + clamp(delta[i], -DELTA_LIMIT, DELTA_LIMIT) * BASE_DELTA_STEP, i < size ? 0 : 1);
  }
}

/** @param {SplatState} state @param {Int32Array} terms [6] a, b, c, d, tx, ty @param {boolean} withShape */
export function applyAffine(state, terms, withShape) {
  const { splats, epoch } = state;
  const [a, b, c, d] = Array.from(terms.subarray(0, 4), (term) => clamp(term, -2047, 2047));
  const [tx, ty] = Array.from(terms.subarray(4, 6), (term) => clamp(term, -2048, 2047));
  const { low, high } = fieldLimits(epoch);
  for (let at = 0; at < splats.length; at += FIELDS) {
    if (splats[at + 8] === KIND_DEAD) continue;
    const dx = splats[at] - 8 * epoch.widthPx;
    const dy = splats[at + 1] - 8 * epoch.heightPx;
    splats[at] = clamp(splats[at] + ((a * dx + b * dy) >> 12) + 2 * tx, low[0], high[0]);
    splats[at + 1] = clamp(splats[at + 1] + ((c * dx + d * dy) >> 12) + 2 * ty, low[1], high[1]);
    if (!withShape) continue;
    const e1 = splats[at + 3];
    const e2 = splats[at + 4];
    splats[at + 2] = clamp(splats[at + 2] + ((a + d) >> 7), low[2], high[2]);
    splats[at + 3] = clamp(e1 + -(((c - b) * e2) >> 12), low[3], high[3]);
    splats[at + 4] = clamp(e2 + (((c - b) * e1) >> 12), low[4], high[4]);
  }
}

/**
 * Move the splats of the cells that are on, level by level, and keep each 16 px cell's whole vector.
 * @param {SplatState} state @param {ParsedCells[] | null} cells by level; null: nothing moved
 */
export function applyCells(state, cells) {
  if (!cells) {
    state.vectors.fill(0);
    return;
  }
  const { vectors, sums } = cellVectors(state.epoch, state.vectors, cells);
  cells.forEach((level, index) => moveSplats(state, level, vectors[index], CELL_LEVELS_PX[index]));
  for (let i = 0; i < sums.length; i++) state.vectors[i] = clamp(sums[i], -VECTOR_LIMIT, VECTOR_LIMIT - 1);
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

/** @param {SplatState} state @param {Int32Array} shifts [rows, columns, 4] gain, Y, Cb, Cr @param {number} cellPx */
export function applyShifts(state, shifts, cellPx) {
  const { splats, epoch } = state;
  const columns = Math.ceil(epoch.widthPx / cellPx);
  const limited = shifts.map((value, i) => ((i & 3) === 0 ? clamp(value, -63, 64) : clamp(value, -255, 255)));
  for (let at = 0; at < splats.length; at += FIELDS) {
    const kind = splats[at + 8];
    if (kind === KIND_DEAD) continue;
    const column = Math.floor(clamp(splats[at] >> 4, 0, epoch.widthPx - 1) / cellPx);
    const row = Math.floor(clamp(splats[at + 1] >> 4, 0, epoch.heightPx - 1) / cellPx);
    const shift = 4 * (row * columns + column);
    const luma = splats[at + 5] + ((limited[shift] * splats[at + 5]) >> 6);
    if (kind === KIND_NORMALISED) {
      splats[at + 5] = clamp(luma + 6 * limited[shift + 1], -1024, 2047);
      splats[at + 6] = clamp(splats[at + 6] + 6 * limited[shift + 2], -1024, 1023);
      splats[at + 7] = clamp(splats[at + 7] + 6 * limited[shift + 3], -1024, 1023);
    } else {
      splats[at + 5] = clamp(luma, -1024, 2047);
    }
  }
}

/** @param {SplatState} state @param {Int32Array} slots [n] @param {Int32Array} deltas [n, 8] in steps */
export function applyUpdates(state, slots, deltas) {
  const { splats, epoch } = state;
  const steps = updateSteps(epoch.steps);
  const { low, high } = fieldLimits(epoch);
  for (let i = 0; i < slots.length; i++) {
    const at = slots[i] * FIELDS;
    if (splats[at + 8] === KIND_DEAD) continue;
    for (let field = 0; field < 8; field++) {
      const delta = clamp(deltas[8 * i + field], -DELTA_LIMIT, DELTA_LIMIT) * steps[field];
      splats[at + field] = clamp(splats[at + field] + delta, low[field], high[field]);
    }
  }
}

/** @param {SplatState} state @param {Int32Array} slots [m] */
export function applyDeaths(state, slots) {
  for (const slot of slots) state.splats.fill(0, slot * FIELDS, (slot + 1) * FIELDS);
}

/** @param {SplatState} state @param {number} block @returns {number} offset of its lowest dead slot, -1: none */
function deadSlot({ splats }, block) {
  for (let slot = block * BLOCK_SLOTS; slot < (block + 1) * BLOCK_SLOTS; slot++) {
    if (splats[slot * FIELDS + 8] === KIND_DEAD) return slot * FIELDS;
  }
  return -1;
}

/** @param {SplatState} state @param {ParsedPPart} part its births and its range of blocks */
export function applyBirths(state, { births, firstBlock, blocks }) {
  if (blocks === 0 || births.length === 0) return;
  const { splats, epoch } = state;
  const steps = [epoch.steps.luma, epoch.steps.chroma, epoch.steps.chroma];
  const { low, high } = fieldLimits(epoch);
  for (let i = 0; i < births.length; i += BIRTH_FIELDS) {
    const [delta, kind, xPx, yPx, size] = births.subarray(i, i + 5);
    const guess = birthBlockGuess(epoch, blocks, xPx, yPx);
    const block = firstBlock + ((((guess + delta) % blocks) + blocks) % blocks);
    const at = deadSlot(state, block);
    if (at < 0) continue;
    const colour = kind === KIND_NORMALISED ? baseColorsAt(state, xPx, yPx) : [0, 0, 0];
    splats.set([16 * xPx, 16 * yPx, BIRTH_SCALES[size], 0, 0], at);
    for (let c = 0; c < 3; c++) {
      const delta = clamp(births[i + 5 + c], -DELTA_LIMIT, DELTA_LIMIT) * steps[c];
      splats[at + 5 + c] = clamp(colour[c] + delta, low[5 + c], high[5 + c]);
    }
    splats[at + 8] = kind;
  }
}
