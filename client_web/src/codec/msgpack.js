// The part of msgpack that splatcall's records use: nil, bool, numbers, str, bin, array, map. No extensions.

import { BitstreamError } from './errors.js';

/** @typedef {null | boolean | number | bigint | string | Uint8Array | MsgArray | MsgMap} MsgValue */
/** @typedef {MsgValue[]} MsgArray */
/** @typedef {{ [key: string]: MsgValue }} MsgMap */

const MAX_DEPTH = 16;
const MAX_ITEMS = 65536;
const UTF8_DECODER = new TextDecoder('utf-8', { fatal: true });
const UTF8_ENCODER = new TextEncoder();

/** Reads values off a byte string; every length is checked before anything is taken. */
class Reader {
  /** @param {Uint8Array} bytes @param {number} at */
  constructor(bytes, at) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = at;
  }

  /** @param {number} size_bytes @returns {number} the offset of what is taken */
  take(size_bytes) {
    const start = this.at;
    if (start + size_bytes > this.bytes.length) {
      throw new BitstreamError(`msgpack truncated: need ${start + size_bytes} bytes, have ${this.bytes.length}`);
    }
    this.at = start + size_bytes;
    return start;
  }

  /** @param {number} size_bytes 1, 2 or 4 @returns {number} */
  pullUint(size_bytes) {
    const at = this.take(size_bytes);
    if (size_bytes === 1) return this.view.getUint8(at);
    return size_bytes === 2 ? this.view.getUint16(at) : this.view.getUint32(at);
  }

  /** @param {number} depth @returns {MsgValue} */
  pullValue(depth) {
    if (depth > MAX_DEPTH) throw new BitstreamError(`msgpack nested deeper than ${MAX_DEPTH}`);
    const tag = this.pullUint(1);
    if (tag < 0x80) return tag;
    if (tag >= 0xe0) return tag - 256;
    if (tag < 0x90) return this.pullMap(tag & 15, depth);
    if (tag < 0xa0) return this.pullArray(tag & 15, depth);
    if (tag < 0xc0) return this.pullString(tag & 31);
    return this.pullTagged(tag, depth);
  }

  /** @param {number} tag @param {number} depth @returns {MsgValue} */
  pullTagged(tag, depth) {
    switch (tag) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: case 0xc5: case 0xc6: return this.pullBytes(this.pullUint(1 << (tag - 0xc4)));
      case 0xca: return this.view.getFloat32(this.take(4));
      case 0xcb: return this.view.getFloat64(this.take(8));
      case 0xcc: case 0xcd: case 0xce: return this.pullUint(1 << (tag - 0xcc));
      case 0xcf: return narrow(this.view.getBigUint64(this.take(8)));
      case 0xd0: return this.view.getInt8(this.take(1));
      case 0xd1: return this.view.getInt16(this.take(2));
      case 0xd2: return this.view.getInt32(this.take(4));
      case 0xd3: return narrow(this.view.getBigInt64(this.take(8)));
      case 0xd9: case 0xda: case 0xdb: return this.pullString(this.pullUint(1 << (tag - 0xd9)));
      case 0xdc: case 0xdd: return this.pullArray(this.pullUint(tag === 0xdc ? 2 : 4), depth);
      case 0xde: case 0xdf: return this.pullMap(this.pullUint(tag === 0xde ? 2 : 4), depth);
      default: throw new BitstreamError(`msgpack tag 0x${tag.toString(16)} is not one that records use`);
    }
  }

  /** @param {number} size_bytes @returns {Uint8Array} */
  pullBytes(size_bytes) {
    const at = this.take(size_bytes);
    return this.bytes.slice(at, at + size_bytes);
  }

  /** @param {number} size_bytes @returns {string} */
  pullString(size_bytes) {
    const at = this.take(size_bytes);
    try {
      return UTF8_DECODER.decode(this.bytes.subarray(at, at + size_bytes));
    } catch {
      throw new BitstreamError('msgpack string is not UTF-8');
    }
  }

  /** @param {number} count @param {number} depth @returns {MsgValue[]} */
  pullArray(count, depth) {
    this.checkCount(count);
    const values = [];
    for (let i = 0; i < count; i++) values.push(this.pullValue(depth + 1));
    return values;
  }

  /** @param {number} count @param {number} depth @returns {MsgMap} */
  pullMap(count, depth) {
    this.checkCount(count);
    /** @type {MsgMap} */
    const map = Object.create(null);
    for (let i = 0; i < count; i++) {
      const key = this.pullValue(depth + 1);
      map[typeof key === 'string' ? key : String(key)] = this.pullValue(depth + 1);
    }
    return map;
  }

  /** @param {number} count */
  checkCount(count) {
    const left = this.bytes.length - this.at;
    if (count > MAX_ITEMS || count > left) {
      throw new BitstreamError(`msgpack container of ${count} items in ${left} bytes`);
    }
  }
}

/** @param {bigint} value @returns {number | bigint} a number where it is exact */
function narrow(value) {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/**
 * Decode one value and say where it ended.
 * @param {Uint8Array} bytes @param {number} [at]
 * @returns {{ value: MsgValue, end: number }}
 */
export function decodePrefix(bytes, at = 0) {
  const reader = new Reader(bytes, at);
  const value = reader.pullValue(0);
  return { value, end: reader.at };
}

/** Decode exactly one value. @param {Uint8Array} bytes @returns {MsgValue} */
export function decode(bytes) {
  const { value, end } = decodePrefix(bytes);
  if (end !== bytes.length) throw new BitstreamError(`msgpack has ${bytes.length - end} bytes after its end`);
  return value;
}

/** Encode one value; integers outside 53 bits are given as bigint. @param {MsgValue} value @returns {Uint8Array} */
export function encode(value) {
  /** @type {number[]} */
  const out = [];
  pushValue(out, value);
  return Uint8Array.from(out);
}

/** @param {number[]} out @param {MsgValue} value */
function pushValue(out, value) {
  if (value === null) out.push(0xc0);
  else if (typeof value === 'boolean') out.push(value ? 0xc3 : 0xc2);
  else if (typeof value === 'bigint') pushBigInt(out, value);
  else if (typeof value === 'number') pushNumber(out, value);
  else if (typeof value === 'string') pushString(out, value);
  else if (value instanceof Uint8Array) pushCounted(out, [0xc4, 0xc5, 0xc6], value.length).push(...value);
  else if (Array.isArray(value)) {
    if (value.length < 16) out.push(0x90 | value.length);
    else pushCounted(out, [0, 0xdc, 0xdd], value.length);
    for (const item of value) pushValue(out, item);
  } else {
    const entries = Object.entries(value);
    if (entries.length < 16) out.push(0x80 | entries.length);
    else pushCounted(out, [0, 0xde, 0xdf], entries.length);
    for (const [key, item] of entries) {
      pushString(out, key);
      pushValue(out, item);
    }
  }
}

/**
 * @param {number[]} out @param {number[]} tags for 1, 2 and 4 byte counts (0: there is none) @param {number} count
 * @returns {number[]}
 */
function pushCounted(out, tags, count) {
  if (count < 256 && tags[0]) out.push(tags[0], count);
  else if (count < 65536) out.push(tags[1], count >> 8, count & 255);
  else out.push(tags[2], count >>> 24, (count >> 16) & 255, (count >> 8) & 255, count & 255);
  return out;
}

/** @param {number[]} out @param {string} text */
function pushString(out, text) {
  const bytes = UTF8_ENCODER.encode(text);
  if (bytes.length < 32) out.push(0xa0 | bytes.length);
  else pushCounted(out, [0xd9, 0xda, 0xdb], bytes.length);
  out.push(...bytes);
}

/** @param {number[]} out @param {number} value */
function pushNumber(out, value) {
  if (!Number.isInteger(value)) pushView(out, 0xcb, 8, (view) => view.setFloat64(0, value));
  else if (value >= 0 && value < 128) out.push(value);
  else if (value < 0 && value >= -32) out.push(value + 256);
  else if (value >= -0x80000000 && value < 0x80000000) pushView(out, 0xd2, 4, (view) => view.setInt32(0, value));
  else if (Number.isSafeInteger(value)) pushBigInt(out, BigInt(value));
  else pushView(out, 0xcb, 8, (view) => view.setFloat64(0, value));
}

/** @param {number[]} out @param {bigint} value */
function pushBigInt(out, value) {
  if (value < 0n) pushView(out, 0xd3, 8, (view) => view.setBigInt64(0, value));
  else pushView(out, 0xcf, 8, (view) => view.setBigUint64(0, value));
}

/** @param {number[]} out @param {number} tag @param {number} size_bytes @param {(view: DataView) => void} write */
function pushView(out, tag, size_bytes, write) {
  const view = new DataView(new ArrayBuffer(size_bytes));
  write(view);
  out.push(tag, ...new Uint8Array(view.buffer));
}
