// The sender's own figures of a stream (record kind 3, once a second), and what follows from them: the delay of each frame.

import { decode } from '../codec/msgpack.js';
import { BitstreamError } from '../codec/errors.js';

const KEPT_FRAMES = 256;

/**
 * @typedef {object} Figures
 * @property {[number, number, number, number][]} frames epoch, number, capture in server ms, encode ms
 * @property {{ [name: string]: number }} stages mean encode ms by stage
 * @property {number} dropped pictures lost before encoding; those left out on purpose are not counted
 * @property {number} fps
 * @property {number} splats
 * @property {number} changed splats of the last frame
 * @property {number} kbps
 */

/** @param {unknown} value @returns {number} */
function number(value) {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0;
}

/** Parse a figures record. @param {Uint8Array} body @returns {Figures} */
export function parseFigures(body) {
  const value = decode(body);
  if (value === null || typeof value !== 'object' || Array.isArray(value) || value instanceof Uint8Array) {
    throw new BitstreamError('figures: expected a msgpack map');
  }
  /** @type {[number, number, number, number][]} */
  const frames = [];
  for (const row of Array.isArray(value.frames) ? value.frames : []) {
    if (Array.isArray(row) && row.length >= 4) frames.push([number(row[0]), number(row[1]), number(row[2]), number(row[3])]);
  }
  const stages = Object.entries(value.stages ?? {}).map(([name, ms]) => [name, number(ms)]);
  return {
    frames,
    stages: Object.fromEntries(stages),
    dropped: number(value.dropped),
    fps: number(value.fps),
    splats: number(value.splats),
    changed: number(value.changed),
    kbps: number(value.kbps),
  };
}

/** When each of the last frames was drawn, and how long after its capture. */
export class DelayMeter {
  constructor() {
    /** @type {Map<number, number>} local ms by frame number modulo 4096 */
    this.drawn = new Map();
    /** @type {number | null} median over the last record's frames */
    this.delayMs = null;
    this.encodeMs = 0;
  }

  /** @param {number} frame @param {number} nowMs */
  noteDrawn(frame, nowMs) {
    const key = frame & 0xfff;
    if (this.drawn.has(key)) return;
    this.drawn.set(key, nowMs);
    if (this.drawn.size > KEPT_FRAMES) {
      for (const oldest of this.drawn.keys()) {
        this.drawn.delete(oldest);
        break;
      }
    }
  }

  /** @param {Figures} figures @param {number | null} serverOffsetMs server clock less ours, null: not known yet */
  push(figures, serverOffsetMs) {
    const delays = [];
    let encode = 0;
    for (const [, frame, captureMs, encodeMs] of figures.frames) {
      encode += encodeMs;
      const drawnMs = this.drawn.get(frame & 0xfff);
      if (drawnMs !== undefined && serverOffsetMs !== null) delays.push(drawnMs + serverOffsetMs - captureMs);
    }
    if (figures.frames.length > 0) this.encodeMs = encode / figures.frames.length;
    if (delays.length > 0) this.delayMs = delays.sort((a, b) => a - b)[delays.length >> 1];
  }
}

/** Amounts a second over the last seconds. */
export class RateMeter {
  /** @param {number} [windowMs] */
  constructor(windowMs = 2000) {
    this.windowMs = windowMs;
    /** @type {[number, number][]} */
    this.samples = [];
  }

  /** @param {number} nowMs @param {number} amount */
  add(nowMs, amount) {
    this.samples.push([nowMs, amount]);
    this.trim(nowMs);
  }

  /** @param {number} nowMs */
  trim(nowMs) {
    let stale = 0;
    while (stale < this.samples.length && this.samples[stale][0] < nowMs - this.windowMs) stale += 1;
    if (stale > 0) this.samples.splice(0, stale);
  }

  /** @param {number} nowMs @returns {number} */
  perSecond(nowMs) {
    this.trim(nowMs);
    return this.samples.reduce((sum, [, amount]) => sum + amount, 0) / (this.windowMs / 1000);
  }
}
