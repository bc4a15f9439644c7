// One patch on its way: the parts that came, which are missing, what it turns a state into.

import { applyPatchPart } from '../codec/patch.js';

/** @typedef {import('../codec/patch.js').ParsedPatchPart} ParsedPatchPart */
/** @typedef {import('../codec/state.js').SplatState} SplatState */

export class PatchAssembly {
  /** @param {number} from -1: from nothing @param {number} to @param {number} parts @param {number} hash16 */
  constructor(from, to, parts, hash16) {
    this.from = from;
    this.to = to;
    this.hash16 = hash16;
    /** @type {(ParsedPatchPart | null)[]} */
    this.parts = new Array(parts).fill(null);
    this.missing = parts;
  }

  /** @param {number} from @param {number} to @param {number} parts @param {number} hash16 @returns {boolean} */
  matches(from, to, parts, hash16) {
    return this.from === from && this.to === to && this.parts.length === parts && this.hash16 === hash16;
  }

  /** @param {ParsedPatchPart} part @returns {boolean} false: it was there */
  push(part) {
    if (this.parts[part.header.part]) return false;
    this.parts[part.header.part] = part;
    this.missing -= 1;
    return true;
  }

  /** @returns {number[]} */
  missingParts() {
    return this.parts.flatMap((part, i) => (part ? [] : [i]));
  }

  /** Put what has come into a state, in place. @param {SplatState} state */
  apply(state) {
    for (const part of this.parts) if (part) applyPatchPart(state, part);
  }
}
