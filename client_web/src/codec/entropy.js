// Range decoding of planes of symbols (SPEC section 4): constriction's queue coder, 64-bit state, 32-bit words, in doubles.
// Twin of codec/bitstream/entropy.py. All 64-bit numbers are two halves of 32 bits, every product is exact in a double.

import { BitstreamError } from './errors.js';
import { PRECISION, TOTAL } from './tables.js';

const WORD = 4294967296;
export const WIDE_ESCAPE = 0;
export const WIDE_COUNTS = 1;
export const WIDE_INDICES = 2;
export const WIDE_PATCH_GAP = 3;
export const WIDE_PATCH_FIELDS = 4;
export const WIDE_PATCH_BASE = 12;
export const WIDE_PATCH_VECTORS = 13;
export const WIDE_BIRTHS = 14;
const UNIFORM_BITS = 12;
/** Largest magnitude of an int: what an escape says beyond it saturates, so that no product leaves 32 bits. */
export const MAX_INT = 16383;

/** A range decoder over bytes: words are big-endian, missing bytes are zero. */
export class RangeDecoder {
  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
    this.rangeHigh = WORD - 1;
    this.rangeLow = WORD - 1;
    this.scale = 0;
    // The code word less the interval's lower end: the only two numbers of the 64-bit state a decoder needs besides the range.
    this.pointHigh = this.pullWord();
    this.pointLow = this.pullWord();
  }

  /** @returns {number} */
  pullWord() {
    const { bytes, at } = this;
    this.at = at + 4;
    const high = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
    return high * 65536 + (((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0));
  }

  /** Where in 0..2^24 the code word points. @returns {number} */
  quantile() {
    const scale = this.rangeHigh * 256 + (this.rangeLow >>> PRECISION);
    this.scale = scale;
    let quantile = Math.floor((this.pointHigh * WORD + this.pointLow) / scale);
    if (quantile > TOTAL) throw invalid(this.bytes);
    // The double quotient may be one off: the remainder, exact because it is small, says so.
    const coarse = Math.floor(scale / 65536) * quantile;
    const fine = (scale % 65536) * quantile;
    const remainder = (this.pointHigh - Math.floor(coarse / 65536)) * WORD + (this.pointLow - (coarse % 65536) * 65536) - fine;
    if (remainder < 0) quantile -= 1;
    else if (remainder >= scale) quantile += 1;
    if (quantile >= TOTAL) throw invalid(this.bytes);
    return quantile;
  }

  /** Take the interval [left, left + count) that holds the quantile just asked for. @param {number} left @param {number} count */
  consume(left, count) {
    const scaleHigh = Math.floor(this.scale / 65536);
    const scaleLow = this.scale % 65536;
    let coarse = scaleHigh * left;
    let low = (coarse % 65536) * 65536 + scaleLow * left;
    let carry = Math.floor(low / WORD);
    let pointLow = this.pointLow - (low - carry * WORD);
    let pointHigh = this.pointHigh - (Math.floor(coarse / 65536) + carry);
    if (pointLow < 0) {
      pointLow += WORD;
      pointHigh -= 1;
    }
    coarse = scaleHigh * count;
    low = (coarse % 65536) * 65536 + scaleLow * count;
    carry = Math.floor(low / WORD);
    this.rangeLow = low - carry * WORD;
    this.rangeHigh = Math.floor(coarse / 65536) + carry;
    this.pointLow = pointLow;
    this.pointHigh = pointHigh;
    if (this.rangeHigh === 0) {
      this.rangeHigh = this.rangeLow;
      this.rangeLow = 0;
      this.pointHigh = pointLow;
      this.pointLow = this.pullWord();
    }
  }
}

/** @param {Uint8Array} bytes @returns {BitstreamError} */
function invalid(bytes) {
  return new BitstreamError(`stream of ${bytes.length} bytes holds a code word that no encoder makes`);
}

/** Decodes planes: arrays of symbols with a context each. */
export class PlaneDecoder {
  /**
   * @param {import('./tables.js').TableSet} tables
   * @param {Uint8Array} bytes
   * @param {(bytes: Uint8Array) => RangeDecoder} [makeCoder] another coder of the same interface (tests)
   */
  constructor(tables, bytes, makeCoder = (stream) => new RangeDecoder(stream)) {
    this.tables = tables;
    this.coder = makeCoder(bytes);
  }

  /** @param {Uint32Array} cumulative @returns {number} */
  pullSymbol(cumulative) {
    const quantile = this.coder.quantile();
    let low = 0;
    let high = cumulative.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (cumulative[middle] <= quantile) low = middle;
      else high = middle;
    }
    this.coder.consume(cumulative[low], cumulative[low + 1] - cumulative[low]);
    return low;
  }

  /** @param {string} name @returns {import('./tables.js').Table} */
  table(name) {
    const table = this.tables.get(name);
    if (table === undefined) throw new BitstreamError(`no table named ${name}`);
    return table;
  }

  /**
   * A plane of table symbols, coded context by context, ascending.
   * @param {string} name @param {number} count
   * @param {number | ArrayLike<number>} contexts one for all, or one each
   * @returns {Int32Array}
   */
  symbols(name, count, contexts) {
    const { cumulative } = this.table(name);
    const values = new Int32Array(count);
    if (typeof contexts === 'number') {
      const row = cumulative[contexts];
      for (let i = 0; i < count; i++) values[i] = this.pullSymbol(row);
      return values;
    }
    for (const places of placesByValue(contexts, count)) {
      const row = cumulative[contexts[places[0]]];
      for (const i of places) values[i] = this.pullSymbol(row);
    }
    return values;
  }

  /** One table symbol. @param {string} name @param {number} context @returns {number} */
  symbol(name, context) {
    return this.pullSymbol(this.table(name).cumulative[context]);
  }

  /**
   * A plane of integers: all symbols, then the escapes in order.
   * @param {string} name @param {number} count @param {number | ArrayLike<number>} contexts
   * @returns {Int32Array}
   */
  ints(name, count, contexts) {
    const range = this.table(name).range;
    if (range === null) throw new BitstreamError(`table ${name} holds no integers`);
    const values = this.symbols(name, count, contexts);
    const escaped = [];
    for (let i = 0; i < count; i++) {
      values[i] -= range;
      if (values[i] > range) escaped.push(i);
    }
    if (escaped.length === 0) return values;
    const codes = this.wides(WIDE_ESCAPE, escaped.length);
    escaped.forEach((i, n) => {
      const magnitude = Math.min(MAX_INT, (codes[n] >> 1) + range + 1);
      values[i] = codes[n] & 1 ? -magnitude : magnitude;
    });
    return values;
  }

  /** One of n equally likely symbols. @param {number} n @returns {number} */
  uniform(n) {
    if (n === 1) return 0;
    const quantile = this.coder.quantile();
    // The largest k with floor(k * 2^24 / n) <= quantile.
    const symbol = Math.floor(((quantile + 1) * n - 1) / TOTAL);
    const left = Math.floor((symbol * TOTAL) / n);
    this.coder.consume(left, Math.floor(((symbol + 1) * TOTAL) / n) - left);
    return symbol;
  }

  /** A plane of n equally likely symbols. @param {number} n @param {number} count @returns {Int32Array} */
  uniforms(n, count) {
    const values = new Int32Array(count);
    for (let i = 0; i < count; i++) values[i] = this.uniform(n);
    return values;
  }

  /**
   * Fill in values of the same bit length below their leading ones.
   * @param {Int32Array} values @param {number[]} places @param {number} length bits of each, at least 2
   */
  pullLowerBits(values, places, length) {
    const bits = length - 1;
    for (const i of places) values[i] = 1 << bits;
    if (bits > UNIFORM_BITS) {
      for (const i of places) values[i] += this.uniform(1 << (bits - UNIFORM_BITS)) << UNIFORM_BITS;
    }
    for (const i of places) values[i] += this.uniform(1 << Math.min(bits, UNIFORM_BITS));
  }

  /** One value 0..2^24-1 by its bit length. @param {number} context @returns {number} */
  wide(context) {
    return this.wides(context, 1)[0];
  }

  /**
   * A plane of wide values: all bit lengths, then the lower bits length by length.
   * @param {number} context @param {number} count
   * @returns {Int32Array}
   */
  wides(context, count) {
    const values = this.symbols('wide', count, context);
    for (const places of placesByValue(values, count)) {
      const length = values[places[0]];
      if (length >= 2) this.pullLowerBits(values, places, length);
    }
    return values;
  }

  /** A plane of signed wide values. @param {number} context @param {number} count @returns {Int32Array} */
  signedWides(context, count) {
    const values = this.wides(context, count);
    for (let i = 0; i < count; i++) values[i] = (values[i] >> 1) ^ -(values[i] & 1);
    return values;
  }
}

/**
 * Places of an array's values: one list for each value that occurs, ascending.
 * @param {ArrayLike<number>} values small, non-negative @param {number} count
 * @returns {number[][]}
 */
function placesByValue(values, count) {
  /** @type {number[][]} */
  const lists = [];
  for (let i = 0; i < count; i++) {
    const list = lists[values[i]];
    if (list) list.push(i);
    else lists[values[i]] = [i];
  }
  return lists.filter((list) => list);
}
