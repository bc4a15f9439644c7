// The picture of a state by plain loops (SPEC section 1.1): slow, obviously right, the twin that tests hold the WebGL renderer to.

import { FIELDS, KIND_ADDITIVE, KIND_NORMALISED } from '../codec/quantize.js';

/** @typedef {import('../codec/state.js').SplatState} SplatState */

export const BASE_WEIGHT = 0.05;
const CUTOFF = 9;

/**
 * One splat's precision matrix and colour, in px and 1/255.
 * @param {Int32Array} splats @param {number} at offset of its fields
 */
function splatShape(splats, at) {
  const s = splats[at + 2] / 64;
  const e1 = splats[at + 3] / 64;
  const e2 = splats[at + 4] / 64;
  const r = Math.hypot(e1, e2);
  const cosh = Math.cosh(2 * r);
  const sinh = r < 1e-6 ? 2 : Math.sinh(2 * r) / r;
  const tight = Math.exp(-2 * s);
  const wide = Math.exp(2 * s);
  return {
    x: splats[at] / 16,
    y: splats[at + 1] / 16,
    xx: tight * (cosh - sinh * e1),
    xy: -tight * sinh * e2,
    yy: tight * (cosh + sinh * e1),
    halfWidth: 3 * Math.sqrt(wide * (cosh + sinh * e1)),
    halfHeight: 3 * Math.sqrt(wide * (cosh - sinh * e1)),
    colour: [splats[at + 5] / 4, splats[at + 6] / 4, splats[at + 7] / 4],
  };
}

/** Catmull-Rom weights of the four samples around a place. @param {number} t 0..1 @returns {number[]} */
export function cubicWeights(t) {
  return [
    ((2 - t) * t - 1) * t / 2,
    ((3 * t - 5) * t * t + 2) / 2,
    ((4 - 3 * t) * t + 1) * t / 2,
    (t - 1) * t * t / 2,
  ];
}

/**
 * Samples and weights of the base along one axis, for each output pixel.
 * @param {number} size output px @param {number} scale @param {number} sizePx picture px @param {number} samples
 */
function baseTaps(size, scale, sizePx, samples) {
  return Array.from({ length: size }, (_, i) => {
    const place = (((i + 0.5) / scale) * samples) / sizePx - 0.5;
    const first = Math.floor(place);
    const weights = cubicWeights(place - first);
    return weights.map((weight, n) => ({ weight, sample: Math.min(samples - 1, Math.max(0, first - 1 + n)) }));
  });
}

/**
 * Paint one splat into the sums.
 * @param {ReturnType<typeof splatShape>} splat @param {Float64Array} sums [height, width, 4] @param {number} width @param {number} height
 * @param {number} scale
 */
function paint(splat, sums, width, height, scale) {
  const toOut = (/** @type {number} */ place) => (place + 0.5) * scale - 0.5;
  const left = Math.max(0, Math.ceil(toOut(splat.x - splat.halfWidth)));
  const right = Math.min(width - 1, Math.floor(toOut(splat.x + splat.halfWidth)));
  const top = Math.max(0, Math.ceil(toOut(splat.y - splat.halfHeight)));
  const bottom = Math.min(height - 1, Math.floor(toOut(splat.y + splat.halfHeight)));
  for (let row = top; row <= bottom; row++) {
    const dy = (row + 0.5) / scale - 0.5 - splat.y;
    for (let column = left; column <= right; column++) {
      const dx = (column + 0.5) / scale - 0.5 - splat.x;
      const q = splat.xx * dx * dx + 2 * splat.xy * dx * dy + splat.yy * dy * dy;
      if (q >= CUTOFF) continue;
      const w = Math.exp(-q / 2);
      const at = 4 * (row * width + column);
      for (let c = 0; c < 3; c++) sums[at + c] += w * splat.colour[c];
      sums[at + 3] += w;
    }
  }
}

/**
 * The picture of a state.
 * @param {SplatState} state @param {number} [scale]
 * @returns {{ width: number, height: number, ycc: Float32Array }} ycc: [height, width, 3] Y, Cb, Cr in 1/255
 */
export function renderReference(state, scale = 1) {
  const { epoch, splats, base } = state;
  const width = Math.round(epoch.widthPx * scale);
  const height = Math.round(epoch.heightPx * scale);
  const normalised = new Float64Array(4 * width * height);
  const additive = new Float64Array(4 * width * height);
  for (let at = 0; at < splats.length; at += FIELDS) {
    const kind = splats[at + 8];
    if (kind === KIND_NORMALISED) paint(splatShape(splats, at), normalised, width, height, scale);
    else if (kind === KIND_ADDITIVE) paint(splatShape(splats, at), additive, width, height, scale);
  }
  const across = baseTaps(width, scale, epoch.widthPx, epoch.baseWidth);
  const down = baseTaps(height, scale, epoch.heightPx, epoch.baseHeight);
  const plane = epoch.baseWidth * epoch.baseHeight;
  const ycc = new Float32Array(3 * width * height);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const at = row * width + column;
      for (let c = 0; c < 3; c++) {
        let sample = 0;
        for (const v of down[row]) {
          for (const h of across[column]) {
            sample += v.weight * h.weight * base[c * plane + v.sample * epoch.baseWidth + h.sample];
          }
        }
        const blended = (normalised[4 * at + c] + BASE_WEIGHT * (sample / 4)) / (normalised[4 * at + 3] + BASE_WEIGHT);
        ycc[3 * at + c] = blended + additive[4 * at + c];
      }
    }
  }
  return { width, height, ycc };
}

/** @param {number} value @returns {number} */
function toByte(value) {
  return Math.min(255, Math.max(0, Math.round(value)));
}

/** Colours as a canvas takes them. @param {Float32Array} ycc [n, 3] @returns {Uint8ClampedArray<ArrayBuffer>} [n, 4] RGBA */
export function toRgba(ycc) {
  const rgba = new Uint8ClampedArray((ycc.length / 3) * 4);
  for (let i = 0; i < ycc.length / 3; i++) {
    const [luma, cb, cr] = ycc.subarray(3 * i, 3 * i + 3);
    const red = luma + 1.402 * cr;
    const blue = luma + 1.772 * cb;
    rgba.set([toByte(red), toByte((luma - 0.299 * red - 0.114 * blue) / 0.587), toByte(blue), 255], 4 * i);
  }
  return rgba;
}
