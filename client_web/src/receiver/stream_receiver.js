// One publisher's stream as it arrives: `confirmed` is exact up to its frame, `shown` is confirmed and every later frame that came.
// Pure: records in, states and figures out; no clock, no sockets. Bounds: 64 waiting frames or 256 KiB (the oldest goes first),
// as much again of records of epochs whose record has not come (the newest is refused).

import { BitstreamError } from '../codec/errors.js';
import { parseEpoch } from '../codec/epoch.js';
import { RECORD_EPOCH, RECORD_FRAME, RECORD_PATCH } from '../codec/datagram.js';
import { parseFrame, parsePart } from '../codec/frame.js';
import { parseHeader } from '../codec/header.js';
import { parsePatchHeader, parsePatchPart } from '../codec/patch.js';
import { FIELDS } from '../codec/quantize.js';
import { applyFrame, copyState, emptyState, stateHash, unwrapNumber } from '../codec/state.js';
import { PatchAssembly } from './patch_assembly.js';
import { Reassembly } from './reassembly.js';

/** @typedef {import('../codec/epoch.js').EpochRecord} EpochRecord */
/** @typedef {import('../codec/state.js').SplatState} SplatState */
/** @typedef {import('../codec/frame.js').ParsedFrame} ParsedFrame */

export const MAX_WAITING_FRAMES = 64;
export const MAX_WAITING_BYTES = 256 * 1024;
const MAX_LATER_RECORDS = 512;

/**
 * What a record changed.
 * @typedef {object} Outcome
 * @property {boolean} picture there is a new picture to draw
 * @property {boolean} urgent the sender should hear at once (a new gap, a bad hash)
 */
/** @type {Outcome} */
const NOTHING = Object.freeze({ picture: false, urgent: false });

/** @param {number} ahead @param {number} modulo a power of two @returns {number} signed distance */
function signedDistance(ahead, modulo) {
  const forward = ahead & (modulo - 1);
  return forward < modulo / 2 ? forward : forward - modulo;
}

/**
 * The picture halfway between two states (SPEC section 3): means of the slots that live in both.
 * @param {SplatState} before @param {SplatState} after
 * @returns {SplatState}
 */
export function midpointState(before, after) {
  const middle = copyState(after);
  for (let at = 0; at < middle.splats.length; at += FIELDS) {
    if (after.splats[at + 8] === 0 || after.splats[at + 8] !== before.splats[at + 8]) continue;
    for (let field = 0; field < 8; field++) {
      middle.splats[at + field] = (before.splats[at + field] + after.splats[at + field]) >> 1;
    }
  }
  return middle;
}

export class StreamReceiver {
  /** @param {import('../codec/tables.js').Tables} tables */
  constructor(tables) {
    this.tables = tables;
    /** @type {EpochRecord | null} */
    this.epoch = null;
    /** @type {SplatState | null} exact up to its frame number */
    this.confirmed = null;
    /** @type {SplatState | null} what to draw; the old epoch's until the new one has something */
    this.shown = null;
    /** @type {SplatState | null} what to draw one picture before `shown` */
    this.midpoint = null;
    /** Newest frame of the epoch that came, -1: none. */
    this.newest = -1;
    this.hashBad = false;
    /** @type {ParsedFrame | null} what came of the epoch's key frame, part 0 among it, until all of it is there */
    this.preview = null;
    this.previewNumber = -1;
    /** @type {PatchAssembly | null} */
    this.patch = null;
    /** @type {Map<number, { frame: ParsedFrame, bytes: number }>} frames after `confirmed` */
    this.waiting = new Map();
    this.waitingBytes = 0;
    this.reassembly = new Reassembly();
    /** @type {{ kind: number, body: Uint8Array }[]} records of epochs to come */
    this.later = [];
    this.laterBytes = 0;
    this.lastNumber = -1;
    this.shownNewest = -1;
    this.counters = { frames: 0, gaps: 0, patches: 0, hashBad: 0, duplicates: 0, refused: 0, dropped: 0, stale: 0, bytes: 0 };
  }

  /**
   * Take one record of the stream; bytes that SPEC does not allow are counted and change nothing.
   * @param {number} kind @param {Uint8Array} body
   * @returns {Outcome}
   */
  push(kind, body) {
    this.counters.bytes += body.length;
    try {
      if (kind === RECORD_EPOCH) return this.pushEpoch(body);
      if (kind === RECORD_FRAME) return this.pushFrame(body);
      if (kind === RECORD_PATCH) return this.pushPatch(body);
    } catch (error) {
      if (!(error instanceof BitstreamError)) throw error;
      this.counters.refused += 1;
    }
    return NOTHING;
  }

  /** @param {Uint8Array} body @returns {Outcome} */
  pushEpoch(body) {
    const record = parseEpoch(body);
    if (this.epoch && signedDistance(record.epoch - this.epoch.epoch, 65536) <= 0) return NOTHING;
    this.epoch = record;
    this.confirmed = null;
    this.midpoint = null;
    this.preview = null;
    this.patch = null;
    this.hashBad = false;
    this.newest = -1;
    this.shownNewest = -1;
    this.waiting.clear();
    this.waitingBytes = 0;
    this.reassembly.clear();
    const later = this.later;
    this.later = [];
    this.laterBytes = 0;
    const outcome = { picture: false, urgent: true };
    for (const { kind, body: kept } of later) {
      this.counters.bytes -= kept.length;
      outcome.picture = this.push(kind, kept).picture || outcome.picture;
    }
    return outcome;
  }

  /** Keep a record of an epoch to come. @param {number} kind @param {Uint8Array} body @returns {Outcome} */
  keepLater(kind, body) {
    const full = this.later.length >= MAX_LATER_RECORDS || this.laterBytes + body.length > MAX_WAITING_BYTES;
    const frames = kind === RECORD_FRAME ? this.later.reduce((sum, record) => sum + (record.kind === kind ? 1 : 0), 0) : 0;
    if (full || frames >= MAX_WAITING_FRAMES) {
      this.counters.dropped += 1;
      return NOTHING;
    }
    this.later.push({ kind, body: body.slice() });
    this.laterBytes += body.length;
    return this.later.length === 1 ? { picture: false, urgent: true } : NOTHING;
  }

  /** @param {Uint8Array} body @returns {Outcome} */
  pushFrame(body) {
    const header = parseHeader(body);
    const distance = this.epoch ? signedDistance(header.epoch - this.epoch.epoch, 16) : 1;
    if (distance > 0) return this.keepLater(RECORD_FRAME, body);
    if (distance < 0 || !this.epoch) {
      this.counters.stale += 1;
      return NOTHING;
    }
    const number = unwrapNumber(header.number, this.lastNumber);
    if ((this.confirmed && number <= this.confirmed.frameNumber) || this.waiting.has(number)) return this.duplicate();
    let parts = /** @type {Uint8Array[] | null} */ ([body]);
    if (header.parts > 1) {
      const kept = this.reassembly.push(number, header.part, header.parts, body);
      if (kept.duplicate) return this.duplicate();
      parts = kept.parts;
    }
    if (!parts) return header.kind === 'key' ? this.previewKey(number, body) : NOTHING;
    const frame = parseFrame(parts, this.epoch, this.tables);
    return this.takeFrame(number, frame, parts.reduce((sum, part) => sum + part.length, 0));
  }

  /** Show what came of a key frame, once its part 0 is there. @param {number} number @param {Uint8Array} body of one part @returns {Outcome} */
  previewKey(number, body) {
    const epoch = /** @type {EpochRecord} */ (this.epoch);
    if (this.confirmed || this.patch) return NOTHING;
    if (this.preview) {
      const { key } = parsePart(body, epoch, this.tables);
      if (key) this.preview.keyParts.push(key);
    } else {
      const parts = this.reassembly.partsOf(number);
      if (parseHeader(parts[0]).part !== 0) return NOTHING;
      this.preview = parseFrame(parts, epoch, this.tables, true);
      this.previewNumber = number;
    }
    this.rebuild();
    return { picture: true, urgent: false };
  }

  /** @returns {Outcome} */
  duplicate() {
    this.counters.duplicates += 1;
    return NOTHING;
  }

  /** @param {number} number @param {ParsedFrame} frame @param {number} bytes @returns {Outcome} */
  takeFrame(number, frame, bytes) {
    this.counters.frames += 1;
    const gap = this.newest >= 0 && number > this.newest + 1;
    if (gap) this.counters.gaps += 1;
    const late = number < this.shownNewest;
    this.newest = Math.max(this.newest, number);
    this.lastNumber = Math.max(this.lastNumber, number);
    this.midpoint = null;
    if (frame.kind === 'key' || this.followsConfirmed(number)) {
      this.confirm(number, frame);
      this.runOn();
      this.catchUp();
      return { picture: this.shown !== null, urgent: this.hashBad };
    }
    this.keepWaiting(number, frame, bytes);
    if (this.confirmed === null && this.patch === null && this.preview === null) return { picture: false, urgent: gap };
    if (late || this.shown === null || this.shownNewest < 0) this.rebuild();
    else this.applyToShown(number, frame);
    return { picture: true, urgent: gap };
  }

  /** @param {number} number @returns {boolean} */
  followsConfirmed(number) {
    return this.confirmed !== null && !this.hashBad && number === this.confirmed.frameNumber + 1;
  }

  /** Apply a frame to `confirmed`, unless its hash says that confirmed is not what it seemed. @param {number} number @param {ParsedFrame} frame */
  confirm(number, frame) {
    const before = this.confirmed;
    const state = frame.kind === 'key' || !before ? emptyState(/** @type {EpochRecord} */ (this.epoch)) : before;
    const kept = frame.midpoint || frame.hash16 !== null ? copyState(state) : null;
    applyFrame(state, frame, this.tables);
    state.frameNumber = number;
    if (frame.hash16 !== null && frame.hash16 !== stateHash(state)) {
      this.hashBad = true;
      this.counters.hashBad += 1;
      this.confirmed = frame.kind === 'key' ? null : kept;
      this.shown = state;
      this.shownNewest = number;
      this.keepWaiting(number, frame, 0);
      return;
    }
    this.midpoint = frame.midpoint && frame.kind === 'p' && kept ? midpointState(kept, state) : null;
    this.confirmed = state;
    this.preview = null;
    this.forgetUpTo(number);
  }

  /** Confirm the frames that waited for the one before them. */
  runOn() {
    while (this.confirmed && !this.hashBad) {
      const number = this.confirmed.frameNumber + 1;
      const next = this.waiting.get(number);
      if (!next) return;
      this.drop(number);
      this.confirm(number, next.frame);
    }
  }

  /** Make `shown` follow `confirmed` after that ran on. */
  catchUp() {
    if (this.hashBad || !this.confirmed) return;
    if (this.waiting.size > 0) {
      this.rebuild();
    } else {
      this.shown = this.confirmed;
      this.shownNewest = this.confirmed.frameNumber;
    }
  }

  /** `shown` anew: confirmed, or what came of the key frame, or nothing; the patch's parts that came, and the frames that wait, in order. */
  rebuild() {
    const state = this.confirmed ? copyState(this.confirmed) : emptyState(/** @type {EpochRecord} */ (this.epoch));
    if (!this.confirmed && this.preview) {
      applyFrame(state, this.preview, this.tables);
      state.frameNumber = this.previewNumber;
    }
    const numbers = [...this.waiting.keys()].sort((a, b) => a - b);
    const patchTo = this.patch ? this.patch.to : -1;
    for (const number of numbers) if (number <= patchTo) this.applyWaiting(state, number);
    if (this.patch) this.patch.apply(state);
    for (const number of numbers) if (number > patchTo) this.applyWaiting(state, number);
    this.shown = state;
    this.shownNewest = Math.max(state.frameNumber, patchTo, 0);
  }

  /** @param {SplatState} state @param {number} number */
  applyWaiting(state, number) {
    const waiting = this.waiting.get(number);
    if (!waiting) return;
    applyFrame(state, waiting.frame, this.tables);
    state.frameNumber = number;
  }

  /** @param {number} number @param {ParsedFrame} frame the newest */
  applyToShown(number, frame) {
    if (this.shown === this.confirmed && this.confirmed) this.shown = copyState(this.confirmed);
    const state = /** @type {SplatState} */ (this.shown);
    const before = frame.midpoint ? copyState(state) : null;
    applyFrame(state, frame, this.tables);
    state.frameNumber = number;
    this.midpoint = before ? midpointState(before, state) : null;
    this.shownNewest = number;
  }

  /** @param {number} number @param {ParsedFrame} frame @param {number} bytes */
  keepWaiting(number, frame, bytes) {
    this.waiting.set(number, { frame, bytes });
    this.waitingBytes += bytes;
    while (this.waiting.size > MAX_WAITING_FRAMES || this.waitingBytes > MAX_WAITING_BYTES) {
      this.drop(Math.min(...this.waiting.keys()));
      this.counters.dropped += 1;
    }
  }

  /** @param {number} number */
  drop(number) {
    this.waitingBytes -= this.waiting.get(number)?.bytes ?? 0;
    this.waiting.delete(number);
  }

  /** @param {number} number the newest frame that nobody needs again */
  forgetUpTo(number) {
    for (const key of [...this.waiting.keys()]) if (key <= number) this.drop(key);
    this.reassembly.forgetUpTo(number);
    if (this.patch && this.patch.to <= number) this.patch = null;
  }

  /** @param {Uint8Array} body @returns {Outcome} */
  pushPatch(body) {
    const header = parsePatchHeader(body);
    const distance = this.epoch ? signedDistance(header.epoch - this.epoch.epoch, 65536) : 1;
    if (distance > 0) return this.keepLater(RECORD_PATCH, body);
    if (distance < 0 || !this.epoch) {
      this.counters.stale += 1;
      return NOTHING;
    }
    const to = unwrapNumber(header.to, this.lastNumber);
    const from = header.from < 0 ? -1 : to - ((header.to - header.from) & 0xffff);
    if (!this.canUse(from, to)) {
      this.counters.stale += 1;
      return NOTHING;
    }
    if (!this.patch?.matches(from, to, header.parts, header.hash16)) {
      if (this.patch && this.patch.to > to) return NOTHING;
      this.patch = new PatchAssembly(from, to, header.parts, header.hash16);
    }
    if (!this.patch.push(parsePatchPart(body, this.epoch, this.tables))) return this.duplicate();
    this.lastNumber = Math.max(this.lastNumber, to);
    this.newest = Math.max(this.newest, to);
    this.midpoint = null;
    if (this.patch.missing === 0) return this.completePatch(this.patch);
    this.rebuild();
    return { picture: true, urgent: false };
  }

  /** @param {number} from @param {number} to @returns {boolean} whether a patch brings `confirmed` on */
  canUse(from, to) {
    if (!this.confirmed || this.hashBad) return from === -1;
    return from <= this.confirmed.frameNumber && this.confirmed.frameNumber < to;
  }

  /** @param {PatchAssembly} patch with all its parts @returns {Outcome} */
  completePatch(patch) {
    const fresh = patch.from === -1 || !this.confirmed;
    const state = fresh ? emptyState(/** @type {EpochRecord} */ (this.epoch)) : copyState(/** @type {SplatState} */ (this.confirmed));
    patch.apply(state);
    state.frameNumber = patch.to;
    this.patch = null;
    if (stateHash(state) !== patch.hash16) {
      this.hashBad = true;
      this.counters.hashBad += 1;
      return { picture: false, urgent: true };
    }
    this.counters.patches += 1;
    this.hashBad = false;
    this.confirmed = state;
    this.preview = null;
    this.forgetUpTo(patch.to);
    this.runOn();
    this.catchUp();
    return { picture: true, urgent: true };
  }
}
