// What values are predicted from: base levels, key-frame splats, cell vectors (SPEC sections 5 and 6.1). Twin of codec/prediction.py.

import { CELL_LEVELS_PX, VECTOR_CELL_PX } from './epoch.js';
import { clamp, fieldLimits, KEY_BASE_LEVEL_HIGH, KEY_BASE_LEVEL_LOW, KEY_BASE_STEPS } from './quantize.js';

/** @typedef {import('./epoch.js').EpochRecord} EpochRecord */
/** @typedef {import('./key_syntax.js').ParsedKeyPart} ParsedKeyPart */
/** @typedef {import('./state.js').SplatState} SplatState */
/** @typedef {import('./syntax.js').ParsedCells} ParsedCells */

/** Log-scale of each size class in key steps, which residuals are against. */
const KEY_SCALE_REFERENCE = [1, 4, 7, 10, 14];
/** Log-scales above which a splat is of the next size class. */
const CLASS_THRESHOLDS = [48, 92, 137, 181];
const ACCUMULATOR_PX = 8;
const REACH = [1, 1, 2, 3, 5];
const SUMS = 6; // W, then the weighted Y, Cb, Cr, e1, e2

/** Division rounded to nearest, exact for magnitudes below 2^45. @param {number} a @param {number} b > 0 @returns {number} */
export function roundedDivision(a, b) {
  return Math.floor((2 * a + b) / (2 * b));
}

/** @param {number} scale log-scale in 1/64 @returns {number} size class 0..4 */
function sizeClass(scale) {
  return CLASS_THRESHOLDS.reduce((k, threshold) => k + (scale > threshold ? 1 : 0), 0);
}

/** @param {number} a @param {number} b @param {number} c @returns {number} */
function median(a, b, c) {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}

/**
 * Levels of the base from residuals against the median of left, up and left + up - up-left; they saturate one by one.
 * @param {EpochRecord} epoch @param {Int32Array} residuals [3, bh, bw]
 * @returns {Int32Array} [3, bh, bw]
 */
export function baseLevels(epoch, residuals) {
  const { baseWidth, baseHeight } = epoch;
  const size = baseWidth * baseHeight;
  const levels = new Int32Array(3 * size);
  for (let c = 0; c < 3; c++) {
    const plane = levels.subarray(c * size, (c + 1) * size);
    const first = c === 0 ? 512 / KEY_BASE_STEPS[0] : 0;
    for (let i = 0; i < size; i++) {
      const left = plane[i - 1];
      const up = plane[i - baseWidth];
      let prediction = first;
      if (i >= baseWidth) prediction = i % baseWidth === 0 ? up : median(left, up, left + up - plane[i - baseWidth - 1]);
      else if (i > 0) prediction = left;
      plane[i] = clamp(prediction + residuals[c * size + i], KEY_BASE_LEVEL_LOW[c], KEY_BASE_LEVEL_HIGH[c]);
    }
  }
  return levels;
}

/**
 * The base's colour at a pixel, without interpolation.
 * @param {{ base: Int32Array, epoch: EpochRecord }} state @param {number} xPx @param {number} yPx
 * @returns {[number, number, number]} Y, Cb, Cr
 */
export function baseColorsAt({ base, epoch }, xPx, yPx) {
  const { baseWidth, baseHeight } = epoch;
  const column = clamp(Math.floor((xPx * baseWidth) / epoch.widthPx), 0, baseWidth - 1);
  const row = clamp(Math.floor((yPx * baseHeight) / epoch.heightPx), 0, baseHeight - 1);
  const at = row * baseWidth + column;
  const size = baseWidth * baseHeight;
  return [base[at], base[size + at], base[2 * size + at]];
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
 * @param {Int32Array} known [m, 8] splats that are there before these, and predict them too
 * @returns {Int32Array} [n, 8]
 */
export function keyValues(state, part, keyWeights, known) {
  const { epoch } = state;
  const { low, high } = fieldLimits(epoch);
  const n = part.classes.length;
  const values = new Int32Array(8 * n);
  const accumulators = new Accumulators(epoch.widthPx, epoch.heightPx, keyWeights);
  for (let at = 0; at < known.length; at += 8) accumulators.add(sizeClass(known[at + 2]), known, at);
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
  const sample = baseColorsAt(state, x >> 4, y >> 4);
  const shape = (/** @type {number} */ sum, /** @type {number} */ residual) =>
    steps.keyShape * (roundedDivision(Math.floor((7 * sum) / (10 * weight)), steps.keyShape) + residual);
  const colour = (/** @type {number} */ c, /** @type {number} */ residual) => {
    const step = c === 0 ? steps.keyLuma : steps.keyChroma;
    return step * (roundedDivision(Math.floor((sums[1 + c] + own * sample[c]) / weight), step) + residual);
  };
  return [
    x, y, steps.keyScale * (KEY_SCALE_REFERENCE[k] + scale),
    shape(sums[4], e1), shape(sums[5], e2), colour(0, luma), colour(1, cb), colour(2, cr),
  ];
}

/** @param {number} cell @param {number} cellPx @param {number} sizePx @returns {number} the 16 px cell of a cell's centre */
function centreCell(cell, cellPx, sizePx) {
  return Math.min(cell * cellPx + cellPx / 2, sizePx - 1) >> 4;
}

/**
 * Vectors of a level's cells that are on: prediction plus residual.
 * @param {EpochRecord} epoch @param {Int32Array} previous the state's vectors @param {ParsedCells} level @param {number} cellPx
 * @param {Int32Array} sums of the levels before
 * @returns {Int32Array} [rows, columns, 2]
 */
function resolveLevel(epoch, previous, level, cellPx, sums) {
  const columns = Math.ceil(epoch.widthPx / cellPx);
  const vectors = new Int32Array(2 * level.on.length);
  for (let cell = 0; cell < level.on.length; cell++) {
    if (!level.on[cell]) continue;
    const row = Math.floor(cell / columns);
    const column = cell % columns;
    const hasLeft = column > 0 && level.on[cell - 1] === 1;
    const hasUp = row > 0 && level.on[cell - columns] === 1;
    const place = 2 * (centreCell(row, cellPx, epoch.heightPx) * epoch.vectorColumns + centreCell(column, cellPx, epoch.widthPx));
    const t = [previous[place] - sums[place], previous[place + 1] - sums[place + 1]];
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

/** @param {EpochRecord} epoch @param {ParsedCells} level @param {Int32Array} vectors @param {number} cellPx @param {Int32Array} sums */
function growSums(epoch, level, vectors, cellPx, sums) {
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

/**
 * Vectors of all levels and their sums at the 16 px cells, not saturated; residuals are against the state's last vectors.
 * @param {EpochRecord} epoch @param {Int32Array} previous the state's vectors @param {ParsedCells[]} cells by level
 * @returns {{ vectors: Int32Array[], sums: Int32Array }}
 */
export function cellVectors(epoch, previous, cells) {
  const sums = new Int32Array(previous.length);
  const vectors = cells.map((level, index) => {
    const resolved = resolveLevel(epoch, previous, level, CELL_LEVELS_PX[index], sums);
    growSums(epoch, level, resolved, CELL_LEVELS_PX[index], sums);
    return resolved;
  });
  return { vectors, sums };
}
