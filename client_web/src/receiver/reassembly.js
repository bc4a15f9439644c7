// Frames that came in several datagrams, until all their parts are there. Bounded: the oldest frame goes first.

const MAX_FRAMES = 64;
const MAX_BYTES = 256 * 1024;

/**
 * @typedef {object} Partial
 * @property {(Uint8Array | null)[]} parts
 * @property {number} missing
 * @property {number} bytes
 */

/** Parts of split frames by frame number. */
export class Reassembly {
  constructor() {
    /** @type {Map<number, Partial>} */
    this.frames = new Map();
    this.bytes = 0;
    /** Frames given up because of the bounds. */
    this.dropped = 0;
  }

  /**
   * Keep a part.
   * @param {number} number of the frame, unwrapped
   * @param {number} part @param {number} parts @param {Uint8Array} bytes
   * @returns {{ parts: Uint8Array[] | null, duplicate: boolean }} all parts once the last is there
   */
  push(number, part, parts, bytes) {
    const known = this.frames.get(number);
    const frame = known ?? { parts: new Array(parts).fill(null), missing: parts, bytes: 0 };
    if (frame.parts.length !== parts || frame.parts[part]) return { parts: null, duplicate: true };
    frame.parts[part] = bytes.slice();
    frame.missing -= 1;
    frame.bytes += bytes.length;
    this.bytes += bytes.length;
    if (!known) this.frames.set(number, frame);
    if (frame.missing === 0) {
      this.forget(number);
      return { parts: /** @type {Uint8Array[]} */ (frame.parts), duplicate: false };
    }
    this.bound();
    return { parts: null, duplicate: false };
  }

  /** What came of a frame that is not whole. @param {number} number @returns {Uint8Array[]} parts, ascending */
  partsOf(number) {
    return (this.frames.get(number)?.parts ?? []).flatMap((part) => (part ? [part] : []));
  }

  /** @param {number} number */
  forget(number) {
    const frame = this.frames.get(number);
    if (!frame) return;
    this.bytes -= frame.bytes;
    this.frames.delete(number);
  }

  /** Drop what a later state has overtaken. @param {number} number the newest frame no longer of use */
  forgetUpTo(number) {
    for (const key of [...this.frames.keys()]) if (key <= number) this.forget(key);
  }

  clear() {
    this.frames.clear();
    this.bytes = 0;
  }

  bound() {
    while (this.frames.size > MAX_FRAMES || this.bytes > MAX_BYTES) {
      this.forget(Math.min(...this.frames.keys()));
      this.dropped += 1;
    }
  }
}
