// Patches: absolute values of slots, base samples and vectors (SPEC section 7). Twin of codec/bitstream/patch.py.

import { BitstreamError } from './errors.js';
import {
  PlaneDecoder, WIDE_INDICES, WIDE_PATCH_BASE, WIDE_PATCH_FIELDS, WIDE_PATCH_GAP, WIDE_PATCH_VECTORS,
} from './entropy.js';
import { decodePrefix } from './msgpack.js';
import { clamp, clampBase, fieldLimits, FIELDS, VECTOR_LIMIT } from './quantize.js';
import { tableSet } from './tables.js';

/** @typedef {import('./epoch.js').EpochRecord} EpochRecord */

/**
 * @typedef {object} PatchHeader
 * @property {number} epoch
 * @property {number} from frame number modulo 65536, or -1: from nothing
 * @property {number} to frame number modulo 65536
 * @property {number} part
 * @property {number} parts
 * @property {number} hash16 of the state once the patch is complete
 * @property {number} bodyAt where the range-coder stream begins
 */

/**
 * One part of a patch.
 * @typedef {object} ParsedPatchPart
 * @property {PatchHeader} header
 * @property {number} baseFirst
 * @property {Int32Array} base samples from baseFirst on
 * @property {number} vectorFirst
 * @property {Int32Array} vectors values from vectorFirst on
 * @property {Int32Array} slots [n] ascending
 * @property {Int32Array} splats [n, 9]
 */

const PATCH_VERSION = 1;
/** Beyond every range of the base. */
const BASE_BOUND = 1 << 30;
const MAX_PARTS = 256;
const MAX_PART_BYTES = 65535;

/** Parse a part's header alone. @param {Uint8Array} bytes @returns {PatchHeader} */
export function parsePatchHeader(bytes) {
  if (bytes.length > MAX_PART_BYTES) throw new BitstreamError(`patch part of ${bytes.length} bytes, at most ${MAX_PART_BYTES}`);
  const { value, end } = decodePrefix(bytes);
  if (!Array.isArray(value) || value.length !== 7 || !value.every((entry) => Number.isInteger(entry))) {
    throw new BitstreamError('patch header: expected a msgpack array of 7 integers');
  }
  const [version, epoch, from, to, part, parts, hash16] = /** @type {number[]} */ (value);
  if (version !== PATCH_VERSION) throw new BitstreamError(`patch version ${PATCH_VERSION} expected, got ${version}`);
  if (epoch < 0 || epoch > 65535 || hash16 < 0 || hash16 > 65535) throw new BitstreamError(`patch of epoch ${epoch}, hash ${hash16}`);
  if (from < -1 || from > 65535 || to < 0 || to > 65535) throw new BitstreamError(`patch from ${from} to ${to}`);
  if (parts < 1 || parts > MAX_PARTS || part < 0 || part >= parts) throw new BitstreamError(`patch part ${part} of ${parts}`);
  return { epoch, from, to, part, parts, hash16, bodyAt: end };
}

/** Sums of differences, exact in doubles. @param {Int32Array} differences @returns {Float64Array} */
function integrate(differences) {
  const sums = Float64Array.from(differences);
  for (let i = 1; i < sums.length; i++) sums[i] += sums[i - 1];
  return sums;
}

/** @param {Int32Array} gaps @param {number} limit slots of the epoch @returns {Int32Array} ascending slots */
function slotsOf(gaps, limit) {
  let slot = -1;
  return gaps.map((gap) => {
    slot += gap + 1;
    if (slot >= limit) throw new BitstreamError(`patch slot ${slot} of ${limit}`);
    return slot;
  });
}

/**
 * Parse one part of a patch; needs no state.
 * @param {Uint8Array} bytes @param {EpochRecord} epoch @param {import('./tables.js').Tables} tables
 * @returns {ParsedPatchPart}
 */
export function parsePatchPart(bytes, epoch, tables) {
  const header = parsePatchHeader(bytes);
  if (header.epoch !== epoch.epoch) throw new BitstreamError(`patch of epoch ${header.epoch}, expected ${epoch.epoch}`);
  const planes = new PlaneDecoder(tableSet(tables, 0), bytes.subarray(header.bodyAt));
  const [baseFirst, baseCount, vectorFirst, vectorCount, slotCount] = planes.wides(WIDE_INDICES, 5);
  const baseSize = 3 * epoch.baseWidth * epoch.baseHeight;
  const vectorSize = 2 * epoch.vectorRows * epoch.vectorColumns;
  if (baseFirst + baseCount > baseSize) throw new BitstreamError(`patch base ${baseFirst}+${baseCount} of ${baseSize}`);
  if (vectorFirst + vectorCount > vectorSize) throw new BitstreamError(`patch vectors ${vectorFirst}+${vectorCount} of ${vectorSize}`);
  if (slotCount > epoch.slots) throw new BitstreamError(`patch of ${slotCount} slots, the epoch has ${epoch.slots}`);
  const base = Int32Array.from(integrate(planes.signedWides(WIDE_PATCH_BASE, baseCount)), (sum) => clamp(sum, -BASE_BOUND, BASE_BOUND));
  const vectors = planes.signedWides(WIDE_PATCH_VECTORS, vectorCount);
  const slots = slotsOf(planes.wides(WIDE_PATCH_GAP, slotCount), epoch.slots);
  return { header, baseFirst, base, vectorFirst, vectors, slots, splats: parseSplats(planes, slotCount, epoch) };
}

/** @param {PlaneDecoder} planes @param {number} count @param {EpochRecord} epoch @returns {Int32Array} [count, 9] */
function parseSplats(planes, count, epoch) {
  const { low, high } = fieldLimits(epoch);
  const splats = new Int32Array(FIELDS * count);
  const kinds = planes.uniforms(3, count);
  const live = [];
  for (let i = 0; i < count; i++) if (kinds[i] !== 0) live.push(i);
  for (const i of live) splats[FIELDS * i + 8] = kinds[i];
  for (let field = 0; field < 8; field++) {
    const values = integrate(planes.signedWides(WIDE_PATCH_FIELDS + field, live.length));
    live.forEach((i, n) => { splats[FIELDS * i + field] = clamp(values[n], low[field], high[field]); });
  }
  return splats;
}

/**
 * Put a part's absolute values into a state; the frame number is the patch's owner's business.
 * @param {import('./state.js').SplatState} state @param {ParsedPatchPart} part
 */
export function applyPatchPart(state, part) {
  const size = state.base.length / 3;
  for (let i = 0; i < part.base.length; i++) {
    const at = part.baseFirst + i;
    state.base[at] = clampBase(part.base[i], at < size ? 0 : 1);
  }
  for (let i = 0; i < part.vectors.length; i++) {
    state.vectors[part.vectorFirst + i] = clamp(part.vectors[i], -VECTOR_LIMIT, VECTOR_LIMIT - 1);
  }
  part.slots.forEach((slot, i) => {
    state.splats.set(part.splats.subarray(FIELDS * i, FIELDS * (i + 1)), FIELDS * slot);
  });
}
