// Ranges of the state's fields and the exact arithmetic on them (SPEC section 1). Twin of codec/quantize.py.

/** @typedef {import('./epoch.js').EpochRecord} EpochRecord */

export const FIELDS = 9;
export const KIND_DEAD = 0;
export const KIND_NORMALISED = 1;
export const KIND_ADDITIVE = 2;
/** Thresholds of log-scale between size classes. */
export const CLASS_THRESHOLDS = [48, 92, 137, 181];
/** Log-scale of a birth by its size. */
export const BIRTH_SCALES = [-14, 17, 47, 78, 109, 141, 171, 201];
export const KEY_BASE_STEPS = [32, 48, 48];
/** Levels of a key frame's base samples, which saturate one by one: Y, Cb, Cr. */
export const KEY_BASE_LEVEL_LOW = [0, -11, -11];
export const KEY_BASE_LEVEL_HIGH = [32, 11, 11];
export const BASE_DELTA_STEP = 8;
/** Most steps of an update, a base delta, a birth's colour. */
export const DELTA_LIMIT = 4095;
export const VECTOR_LIMIT = 4096;

const LOW = [-2048, -2048, -32, -128, -128, -1024, -1024, -1024];
const HIGH = [0, 0, 352, 128, 128, 2047, 1023, 1023];

/** @param {number} value @param {number} low @param {number} high @returns {number} */
export function clamp(value, low, high) {
  return value < low ? low : value > high ? high : value;
}

/**
 * Lowest and highest value of each of the eight numeric fields in a picture.
 * @param {EpochRecord} epoch
 * @returns {{ low: number[], high: number[] }}
 */
export function fieldLimits(epoch) {
  return { low: LOW, high: [16 * epoch.widthPx + 2047, 16 * epoch.heightPx + 2047, ...HIGH.slice(2)] };
}

/** A base sample within its range. @param {number} value @param {number} channel 0 Y, 1 Cb, 2 Cr @returns {number} */
export function clampBase(value, channel) {
  return channel === 0 ? clamp(value, 0, 1023) : clamp(value, -512, 511);
}

/** Size class of a log-scale: thresholds below it. @param {number} scale @returns {number} 0..4 */
export function sizeClass(scale) {
  let k = 0;
  while (k < 4 && scale > CLASS_THRESHOLDS[k]) k += 1;
  return k;
}

/** Steps of the fields x..Cr in a P-frame's updates. @param {import('./epoch.js').Steps} steps @returns {number[]} [8] */
export function updateSteps(steps) {
  return [steps.mean, steps.mean, steps.shape, steps.shape, steps.shape, steps.luma, steps.chroma, steps.chroma];
}
