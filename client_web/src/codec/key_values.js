// Values of a key part: residuals against what the splats before them painted, and the slots they get (SPEC section 5).

import { BLOCK_FILL, BLOCK_SLOTS } from './epoch.js';
import { cellRanks, hilbert, KEY_CELL_PX } from './hilbert.js';
import {
  baseSample, clamp, clampBase, fieldLimits, FIELDS, KEY_BASE_LEVEL_HIGH, KEY_BASE_LEVEL_LOW, KEY_BASE_STEPS, KIND_NORMALISED,
  rdiv,
} from './quantize.js';
import { SCALE_REFERENCE } from './syntax.js';

/** @typedef {import('./state.js').SplatState} SplatState */
/** @typedef {import('./syntax.js').ParsedKeyPart} ParsedKeyPart */

const ACCUMULATOR_PX = 8;
const REACH = [1, 1, 2, 3, 5];
const SUMS = 6; // W, then the weighted Y, Cb, Cr, e1, e2

/** Apply one part of a key frame to a state that its key frame cleared. @param {SplatState} state @param {ParsedKeyPart} part @param {number[][]} keyWeights */
export function applyKeyPart(state, part, keyWeights) {
  if (part.baseResiduals) resolveBase(state, part.baseResiduals);
  const values = resolveSplats(state, part, keyWeights);
  dealSlots(state, part, values);
}

/** @param {SplatState} state @param {Int32Array} residuals [3, bh, bw] in steps */
function resolveBase({ base, epoch }, residuals) {
  const { baseWidth, baseHeight } = epoch;
  const size = baseWidth * baseHeight;
  for (let c = 0; c < 3; c++) {
    const levels = new Float64Array(size);
    const step = KEY_BASE_STEPS[c];
    for (let i = 0; i < size; i++) {
      const column = i % baseWidth;
      let prediction = c === 0 ? 512 / step : 0;
      if (i > 0 && i < baseWidth) prediction = levels[i - 1];
      else if (i > 0 && column === 0) prediction = levels[i - baseWidth];
      else if (i > 0) {
        const left = levels[i - 1];
        const up = levels[i - baseWidth];
        const plane = left + up - levels[i - baseWidth - 1];
        prediction = Math.max(Math.min(left, up), Math.min(Math.max(left, up), plane));
      }
      levels[i] = clamp(prediction + residuals[c * size + i], KEY_BASE_LEVEL_LOW[c], KEY_BASE_LEVEL_HIGH[c]);
      base[c * size + i] = clampBase(levels[i] * step, c);
    }
  }
}

/**
 * Sums that the splats so far leave on a grid of 8 px cells.
 */
class Accumulators {
  /** @param {number} widthPx @param {number} heightPx @param {number[][]} keyWeights */
  constructor(widthPx, heightPx, keyWeights) {
    this.columns = Math.ceil(widthPx / ACCUMULATOR_PX);
    this.rows = Math.ceil(heightPx / ACCUMULATOR_PX);
    this.sums = new Float64Array(SUMS * this.columns * this.rows);
    this.keyWeights = keyWeights;
  }

  /** @param {number} x 1/16 px @param {number} y @returns {[number, number]} column and row */
  cellOf(x, y) {
    return [clamp(x >> 7, 0, this.columns - 1), clamp(y >> 7, 0, this.rows - 1)];
  }

  /** @param {number} k size class @param {Int32Array} values [.., 8] @param {number} at */
  add(k, values, at) {
    const weights = this.keyWeights[k];
    const reach = REACH[k];
    const [column, row] = this.cellOf(values[at], values[at + 1]);
    const [e1, e2, luma, cb, cr] = values.subarray(at + 3, at + 8);
    for (let dy = Math.max(-reach, -row); dy <= reach && row + dy < this.rows; dy++) {
      for (let dx = Math.max(-reach, -column); dx <= reach && column + dx < this.columns; dx++) {
        const weight = weights[dx * dx + dy * dy];
        const cell = SUMS * ((row + dy) * this.columns + column + dx);
        this.sums[cell] += weight;
        this.sums[cell + 1] += weight * luma;
        this.sums[cell + 2] += weight * cb;
        this.sums[cell + 3] += weight * cr;
        this.sums[cell + 4] += weight * e1;
        this.sums[cell + 5] += weight * e2;
      }
    }
  }
}

/**
 * Values of a part's splats in coded order.
 * @param {SplatState} state @param {ParsedKeyPart} part @param {number[][]} keyWeights
 * @returns {Int32Array} [n, 8]
 */
function resolveSplats(state, part, keyWeights) {
  const { epoch } = state;
  const { low, high } = fieldLimits(epoch);
  const n = part.classes.length;
  const values = new Int32Array(8 * n);
  const accumulators = new Accumulators(epoch.widthPx, epoch.heightPx, keyWeights);
  let batch = 0;
  for (let i = 0; i < n; i++) {
    if (part.classes[i] !== part.classes[batch] || part.tileRows[i] !== part.tileRows[batch]) {
      for (; batch < i; batch++) accumulators.add(part.classes[batch], values, 8 * batch);
    }
    const predicted = resolveSplat(state, part, i, accumulators);
    for (let field = 0; field < 8; field++) values[8 * i + field] = clamp(predicted[field], low[field], high[field]);
  }
  return values;
}

/**
 * @param {SplatState} state @param {ParsedKeyPart} part @param {number} i @param {Accumulators} accumulators
 * @returns {number[]} [8] not yet saturated
 */
function resolveSplat(state, part, i, accumulators) {
  const { steps } = state.epoch;
  const k = part.classes[i];
  const x = part.means[2 * i];
  const y = part.means[2 * i + 1];
  const [column, row] = accumulators.cellOf(x, y);
  const sums = accumulators.sums.subarray(SUMS * (row * accumulators.columns + column));
  const own = 26 >> k;
  const weight = sums[0] + own;
  const [scale, e1, e2, luma, cb, cr] = part.residuals.subarray(6 * i, 6 * i + 6);
  const sample = baseSample(state, x >> 4, y >> 4);
  const shape = (/** @type {number} */ sum, /** @type {number} */ residual) =>
    steps.keyShape * (rdiv(Math.floor((7 * sum) / (10 * weight)), steps.keyShape) + residual);
  const colour = (/** @type {number} */ c, /** @type {number} */ residual) => {
    const step = c === 0 ? steps.keyLuma : steps.keyChroma;
    return step * (rdiv(Math.floor((sums[1 + c] + own * sample[c]) / weight), step) + residual);
  };
  return [
    x, y, steps.keyScale * (SCALE_REFERENCE[k] + scale),
    shape(sums[4], e1), shape(sums[5], e2), colour(0, luma), colour(1, cb), colour(2, cr),
  ];
}

/**
 * Sort a part's splats along the Hilbert curve and put them into slots.
 * @param {SplatState} state @param {ParsedKeyPart} part @param {Int32Array} values [n, 8]
 */
function dealSlots({ splats, epoch }, part, values) {
  const columns = Math.ceil(epoch.widthPx / KEY_CELL_PX);
  const ranks = cellRanks(columns, Math.ceil(epoch.heightPx / KEY_CELL_PX));
  const n = part.classes.length;
  const places = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    const xPx = clamp(part.means[2 * i] >> 4, 0, columns * KEY_CELL_PX - 1);
    const yPx = part.means[2 * i + 1] >> 4;
    const rank = ranks[(yPx >> 6) * columns + (xPx >> 6)];
    places[i] = rank * 4096 + hilbert(6, xPx & 63, yPx & 63);
  }
  const order = Array.from({ length: n }, (_, i) => i);
  order.sort((a, b) => places[a] - places[b] || compareRows(values, 8 * a, 8 * b));
  order.forEach((i, place) => {
    const slot = (part.firstBlock + Math.floor(place / BLOCK_FILL)) * BLOCK_SLOTS + (place % BLOCK_FILL);
    if (slot >= part.endSlot) return;
    splats.set(values.subarray(8 * i, 8 * i + 8), slot * FIELDS);
    splats[slot * FIELDS + 8] = KIND_NORMALISED;
  });
}

/** @param {Int32Array} values @param {number} a @param {number} b @returns {number} */
function compareRows(values, a, b) {
  for (let field = 0; field < 8; field++) {
    const difference = values[a + field] - values[b + field];
    if (difference !== 0) return difference;
  }
  return 0;
}
