// Frames: header, parts, and the planes inside (SPEC section 3). Twin of codec/bitstream/frame.py; a parse needs no state.

import { BitstreamError } from './errors.js';
import { PlaneDecoder } from './entropy.js';
import { parseKeyPart, parsePPart } from './syntax.js';
import { tableSet } from './tables.js';

/** @typedef {import('./epoch.js').EpochRecord} EpochRecord */
/** @typedef {import('./tables.js').Tables} Tables */

const FLAG_P = 0x80;
const FLAG_LAYERED = 0x40;
const FLAG_HASH = 0x20;
const FLAG_MIDPOINT = 0x10;
const FLAG_SPLIT = 0x08;
const TABLE_SET_MASK = 0x07;
const SHORTEST_BYTES = 4;

/**
 * @typedef {object} FrameHeader
 * @property {'key' | 'p'} kind
 * @property {number} epoch modulo 256
 * @property {number} number modulo 65536
 * @property {boolean} midpoint
 * @property {boolean} split
 * @property {number} part
 * @property {number} parts
 * @property {boolean} layered
 * @property {number} layer
 * @property {number | null} hash16 of the state after the frame, in part 0 only
 * @property {number} tableSet
 * @property {number} flags the first byte, which all parts of a frame share
 * @property {number} bodyAt where the range-coder stream begins
 */

/**
 * All parts of one frame, in order of their part numbers.
 * @typedef {object} ParsedFrame
 * @property {'key' | 'p'} kind
 * @property {number} epoch modulo 256
 * @property {number} number modulo 65536
 * @property {boolean} midpoint
 * @property {number | null} hash16
 * @property {import('./syntax.js').ParsedKeyPart[]} keyParts
 * @property {import('./syntax.js').ParsedPPart[]} pParts
 */

/** Parse the header of one part. @param {Uint8Array} bytes @returns {FrameHeader} */
export function parseHeader(bytes) {
  if (bytes.length < SHORTEST_BYTES) throw new BitstreamError(`frame truncated: need ${SHORTEST_BYTES} bytes, have ${bytes.length}`);
  const flags = bytes[0];
  let at = SHORTEST_BYTES;
  const pull = () => {
    if (at >= bytes.length) throw new BitstreamError(`frame header truncated: need ${at + 1} bytes, have ${bytes.length}`);
    return bytes[at++];
  };
  const split = (flags & FLAG_SPLIT) !== 0;
  const part = split ? pull() : 0;
  const parts = split ? pull() + 1 : 1;
  if (part >= parts) throw new BitstreamError(`frame part ${part} of ${parts}`);
  const layered = (flags & FLAG_LAYERED) !== 0;
  const layer = layered ? pull() : 0;
  if (layer > 3) throw new BitstreamError(`frame layer byte ${layer}: upper bits must be 0`);
  const hash16 = flags & FLAG_HASH && part === 0 ? (pull() << 8) | pull() : null;
  return {
    kind: flags & FLAG_P ? 'p' : 'key',
    epoch: bytes[1],
    number: (bytes[2] << 8) | bytes[3],
    midpoint: (flags & FLAG_MIDPOINT) !== 0,
    split, part, parts, layered, layer, hash16,
    tableSet: flags & TABLE_SET_MASK,
    flags,
    bodyAt: at,
  };
}

/**
 * Parse one part: header and symbols.
 * @param {Uint8Array} bytes @param {EpochRecord} epoch @param {Tables} tables
 */
function parsePart(bytes, epoch, tables) {
  const header = parseHeader(bytes);
  if (header.epoch !== (epoch.epoch & 255)) {
    throw new BitstreamError(`frame of epoch ${header.epoch} (mod 256), expected ${epoch.epoch & 255}`);
  }
  const planes = new PlaneDecoder(tableSet(tables, header.tableSet), bytes.subarray(header.bodyAt));
  if (header.kind === 'key') {
    return { header, key: parseKeyPart(planes, epoch, header.part, header.layer), p: null };
  }
  return { header, key: null, p: parsePPart(planes, epoch, header) };
}

/**
 * Parse all parts of one frame.
 * @param {Uint8Array[]} parts in order of their part numbers
 * @param {EpochRecord} epoch
 * @param {Tables} tables
 * @returns {ParsedFrame}
 */
export function parseFrame(parts, epoch, tables) {
  const parsed = parts.map((bytes) => parsePart(bytes, epoch, tables));
  const first = parsed[0]?.header;
  if (!first || first.parts !== parts.length) {
    throw new BitstreamError(`frame of ${first ? first.parts : 'no'} parts, have ${parts.length}`);
  }
  parsed.forEach(({ header }, i) => {
    if (header.part !== i || header.parts !== parts.length || header.flags !== first.flags || header.number !== first.number) {
      throw new BitstreamError(`part ${header.part} of frame ${header.number} does not follow part ${i - 1} of ${first.number}`);
    }
  });
  return {
    kind: first.kind,
    epoch: first.epoch,
    number: first.number,
    midpoint: first.midpoint,
    hash16: first.hash16,
    keyParts: parsed.flatMap(({ key }) => (key ? [key] : [])),
    pParts: parsed.flatMap(({ p }) => (p ? [p] : [])),
  };
}
