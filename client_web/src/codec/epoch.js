// The epoch record: what holds from one key frame to the next (SPEC section 2). Twin of codec/bitstream/epoch.py.

import { BitstreamError } from './errors.js';
import { decode, encode } from './msgpack.js';

export const SPEC_VERSION = 1;
export const TABLES_VERSION = 1;
export const BLOCK_SLOTS = 32;
export const BLOCK_FILL = 26;
export const MAX_BLOCKS = 1024;
export const MAX_LAYERS = 4;
export const MAX_SIZE_PX = 4096;
export const VECTOR_CELL_PX = 16;
export const CELL_LEVELS_PX = [128, 64, 32, 16];
export const SHIFT_LEVELS_PX = [64, 32];

/**
 * Quantisation steps, each in units of its field.
 * @typedef {object} Steps
 * @property {number} mean
 * @property {number} shape
 * @property {number} luma
 * @property {number} chroma
 * @property {number[]} keyMean by size class, 0 the smallest
 * @property {number} keyScale
 * @property {number} keyShape
 * @property {number} keyLuma
 * @property {number} keyChroma
 */

/**
 * @typedef {object} EpochRecord
 * @property {number} epoch 0..65535
 * @property {number} widthPx
 * @property {number} heightPx
 * @property {[number, number]} fps
 * @property {number[]} layers blocks of each layer
 * @property {number} baseSpacingPx
 * @property {Steps} steps
 * @property {number} tables
 * @property {number} blocks of all layers
 * @property {number} slots
 * @property {number} baseWidth
 * @property {number} baseHeight
 * @property {number} vectorColumns
 * @property {number} vectorRows
 */

const STEP_KEYS = /** @type {const} */ ([
  ['mean', 'mean'], ['shape', 'shape'], ['luma', 'luma'], ['chroma', 'chroma'], ['key_scale', 'keyScale'],
  ['key_shape', 'keyShape'], ['key_luma', 'keyLuma'], ['key_chroma', 'keyChroma'],
]);
const MAX_STEP = 1024;
const MAX_EPOCH_BYTES = 1024;
const MAX_FPS_TERM = 65535;

/**
 * An integer of a record, or a refusal that names it.
 * @param {unknown} value @param {string} name @param {number} low @param {number} high @returns {number}
 */
function checkedInt(value, name, low, high) {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < low || value > high) {
    throw new BitstreamError(`epoch record: ${name} must be an integer ${low}..${high}, got ${String(value)}`);
  }
  return value;
}

/** @param {unknown} value @param {string} name @param {number} low @param {number} high @returns {unknown[]} */
function checkedList(value, name, low, high) {
  if (!Array.isArray(value) || value.length < low || value.length > high) {
    throw new BitstreamError(`epoch record: ${name} must be a list of ${low}..${high} entries`);
  }
  return value;
}

/** @param {unknown} value @returns {Steps} */
function parseSteps(value) {
  if (value === null || typeof value !== 'object') throw new BitstreamError('epoch record: steps must be a map');
  const map = /** @type {{ [key: string]: unknown }} */ (value);
  const keyMean = checkedList(map.key_mean, 'key_mean', 5, 5).map((step) => checkedInt(step, 'key_mean', 1, 128));
  for (const step of keyMean) {
    if (step & (step - 1)) throw new BitstreamError(`epoch record: key_mean must be powers of two, got ${step}`);
  }
  const steps = { mean: 0, shape: 0, luma: 0, chroma: 0, keyMean, keyScale: 0, keyShape: 0, keyLuma: 0, keyChroma: 0 };
  for (const [key, field] of STEP_KEYS) steps[field] = checkedInt(map[key], key, 1, MAX_STEP);
  return steps;
}

/**
 * Complete a record with the sizes that follow from it.
 * @param {{epoch: number, widthPx: number, heightPx: number, fps: [number, number], layers: number[],
 *          baseSpacingPx: number, steps: Steps, tables: number}} fields
 * @returns {EpochRecord}
 */
export function makeEpoch(fields) {
  const { widthPx, heightPx, baseSpacingPx } = fields;
  const blocks = fields.layers.reduce((sum, count) => sum + count, 0);
  if (blocks > MAX_BLOCKS) throw new BitstreamError(`epoch record: at most ${MAX_BLOCKS} blocks, got ${blocks}`);
  const rdiv = (/** @type {number} */ size) => Math.floor((2 * size + baseSpacingPx) / (2 * baseSpacingPx));
  return {
    ...fields,
    blocks,
    slots: blocks * BLOCK_SLOTS,
    baseWidth: Math.max(4, rdiv(widthPx)),
    baseHeight: Math.max(3, rdiv(heightPx)),
    vectorColumns: Math.ceil(widthPx / VECTOR_CELL_PX),
    vectorRows: Math.ceil(heightPx / VECTOR_CELL_PX),
  };
}

/**
 * Parse an epoch record; unknown keys are ignored.
 * @param {Uint8Array} bytes
 * @returns {EpochRecord}
 */
export function parseEpoch(bytes) {
  if (bytes.length > MAX_EPOCH_BYTES) throw new BitstreamError(`epoch record of ${bytes.length} bytes, at most ${MAX_EPOCH_BYTES}`);
  const value = decode(bytes);
  if (value === null || typeof value !== 'object' || Array.isArray(value) || value instanceof Uint8Array) {
    throw new BitstreamError('epoch record: expected a msgpack map');
  }
  if (value.v !== SPEC_VERSION) throw new BitstreamError(`epoch record: version ${SPEC_VERSION} expected, got ${String(value.v)}`);
  if (value.tables !== TABLES_VERSION) {
    throw new BitstreamError(`epoch record: tables ${TABLES_VERSION} expected, got ${String(value.tables)}`);
  }
  const [numerator, denominator] = checkedList(value.fps, 'fps', 2, 2);
  const layers = checkedList(value.layers, 'layers', 1, MAX_LAYERS);
  return makeEpoch({
    epoch: checkedInt(value.epoch, 'epoch', 0, 65535),
    widthPx: checkedInt(value.w, 'w', 1, MAX_SIZE_PX),
    heightPx: checkedInt(value.h, 'h', 1, MAX_SIZE_PX),
    fps: [checkedInt(numerator, 'fps', 1, MAX_FPS_TERM), checkedInt(denominator, 'fps', 1, MAX_FPS_TERM)],
    layers: layers.map((count) => checkedInt(count, 'layers', 1, MAX_BLOCKS)),
    baseSpacingPx: checkedInt(value.base, 'base', 16, 256),
    steps: parseSteps(value.steps),
    tables: TABLES_VERSION,
  });
}

/** Serialize an epoch record. @param {EpochRecord} epoch @returns {Uint8Array} */
export function packEpoch(epoch) {
  /** @type {{ [key: string]: number | number[] }} */
  const steps = { key_mean: epoch.steps.keyMean };
  for (const [key, field] of STEP_KEYS) steps[key] = epoch.steps[field];
  return encode({
    v: SPEC_VERSION, epoch: epoch.epoch, w: epoch.widthPx, h: epoch.heightPx, fps: [...epoch.fps],
    layers: epoch.layers, base: epoch.baseSpacingPx, steps, tables: epoch.tables,
  });
}

/** First block and number of blocks of a layer. @param {EpochRecord} epoch @param {number} layer @returns {[number, number]} */
export function layerRange(epoch, layer) {
  if (layer >= epoch.layers.length) throw new BitstreamError(`layer ${layer} of ${epoch.layers.length}`);
  let first = 0;
  for (let i = 0; i < layer; i++) first += epoch.layers[i];
  return [first, epoch.layers[layer]];
}
