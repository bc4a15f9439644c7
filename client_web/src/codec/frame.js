// Frames: header, parts, and the planes inside (SPEC section 3). Twin of codec/bitstream/frame.py; a parse needs no state.

import { BLOCK_FILL } from './epoch.js';
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
const MAX_PART_BYTES = 65535;

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
  if (bytes.length > MAX_PART_BYTES) throw new BitstreamError(`frame part of ${bytes.length} bytes, at most ${MAX_PART_BYTES}`);
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
  if (part >= parts || (split && parts === 1)) throw new BitstreamError(`frame part ${part} of ${parts}`);
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

/** @param {FrameHeader[]} headers by part number */
function checkSameFrame(headers) {
  const first = headers[0];
  if (!first || first.parts !== headers.length) {
    throw new BitstreamError(`frame of ${first ? first.parts : 'no'} parts, have ${headers.length}`);
  }
  headers.forEach((header, i) => {
    const { part, parts, flags, number, epoch } = header;
    if (part !== i || parts !== first.parts || flags !== first.flags || number !== first.number || epoch !== first.epoch) {
      throw new BitstreamError(`part ${part} of frame ${number} does not follow part ${i - 1} of ${first.number}`);
    }
  });
}

/** Refuse parts whose blocks overlap or go back, so that no frame outgrows its epoch. @param {[number, number][]} ranges first block, blocks */
function checkAscending(ranges) {
  let end = 0;
  for (const [first, blocks] of ranges) {
    if (first < end) throw new BitstreamError(`a part's first block is ${first}, those before it end at ${end}`);
    end = first + blocks;
  }
}

/**
 * Parse all parts of one frame.
 * @param {Uint8Array[]} parts in any order
 * @param {EpochRecord} epoch
 * @param {Tables} tables
 * @returns {ParsedFrame}
 */
export function parseFrame(parts, epoch, tables) {
  const parsed = parts.map((bytes) => parsePart(bytes, epoch, tables)).sort((a, b) => a.header.part - b.header.part);
  checkSameFrame(parsed.map(({ header }) => header));
  const first = parsed[0].header;
  const keyParts = parsed.flatMap(({ key }) => (key ? [key] : []));
  const pParts = parsed.flatMap(({ p }) => (p ? [p] : []));
  checkAscending(keyParts.map(({ firstBlock, classes }) => [firstBlock, Math.ceil(classes.length / BLOCK_FILL)]));
  checkAscending(pParts.map(({ firstBlock, blocks }) => [firstBlock, blocks]));
  const { kind, epoch: epoch8, number, midpoint, hash16 } = first;
  return { kind, epoch: epoch8, number, midpoint, hash16, keyParts, pParts };
}
