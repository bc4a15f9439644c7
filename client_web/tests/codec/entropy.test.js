// The fast range decoder against a slow one in exact 64-bit integers, on streams of random bytes.

import assert from 'node:assert/strict';
import test from 'node:test';

import { PlaneDecoder, RangeDecoder } from '../../src/codec/entropy.js';
import { BitstreamError } from '../../src/codec/errors.js';
import { seededRandom, tables } from '../support/vectors.js';

const MASK64 = (1n << 64n) - 1n;

/** SPEC section 4 as it stands there. */
class SlowRangeDecoder {
  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
    this.lower = 0n;
    this.range = MASK64;
    this.point = (this.word() << 32n) | this.word();
  }

  /** @returns {bigint} */
  word() {
    let word = 0n;
    for (let i = 0; i < 4; i++) word = (word << 8n) | BigInt(this.bytes[this.at++] ?? 0);
    return word;
  }

  /** @returns {number} */
  quantile() {
    const quantile = ((this.point - this.lower) & MASK64) / (this.range >> 24n);
    if (quantile >= 1n << 24n) throw new BitstreamError('invalid');
    return Number(quantile);
  }

  /** @param {number} left @param {number} count */
  consume(left, count) {
    const scale = this.range >> 24n;
    this.lower = (this.lower + scale * BigInt(left)) & MASK64;
    this.range = scale * BigInt(count);
    if (this.range >= 1n << 32n) return;
    this.lower = (this.lower << 32n) & MASK64;
    this.range <<= 32n;
    this.point = ((this.point << 32n) & MASK64) | this.word();
  }
}

/** @param {PlaneDecoder} planes @param {() => number} random @returns {number[]} symbols of many planes, then an error's name if one came */
function pullAll(planes, random) {
  const names = [...planes.tables.keys()];
  /** @type {number[]} */
  const pulled = [];
  for (let plane = 0; plane < 40; plane++) {
    const name = names[Math.floor(random() * names.length)];
    const table = planes.table(name);
    const count = Math.floor(random() * 30);
    const contexts = Array.from({ length: count }, () => Math.floor(random() * table.cumulative.length));
    pulled.push(...(table.range === null ? planes.symbols(name, count, contexts) : planes.ints(name, count, contexts)));
    pulled.push(...planes.uniforms(1 + Math.floor(random() * 4096), 5), ...planes.signedWides(plane % 15, 5));
  }
  return pulled;
}

/** @param {() => number[]} pull @returns {number[] | string} */
function outcome(pull) {
  try {
    return pull();
  } catch (error) {
    assert.ok(error instanceof BitstreamError);
    return 'refused';
  }
}

test('the fast range decoder is the slow one', () => {
  const random = seededRandom(1);
  for (let trial = 0; trial < 150; trial++) {
    const bytes = Uint8Array.from({ length: Math.floor(random() * 600) }, () => Math.floor(random() * 256));
    if (trial % 3 === 0) bytes.fill(255, 0, Math.floor(random() * 9));
    const set = tables.sets[trial % tables.sets.length];
    const fast = outcome(() => pullAll(new PlaneDecoder(set, bytes), seededRandom(trial)));
    const slow = outcome(() => pullAll(new PlaneDecoder(set, bytes, (stream) => (
      /** @type {RangeDecoder} */ (/** @type {unknown} */ (new SlowRangeDecoder(stream))))), seededRandom(trial)));
    assert.deepEqual(fast, slow, `trial ${trial}`);
  }
});

test('a code word that no encoder makes is refused', () => {
  const decoder = new RangeDecoder(new Uint8Array(16).fill(255));
  assert.throws(() => decoder.quantile(), BitstreamError);
});
