// Whole frames from their parts (SPEC sections 3, 5, 6). Twin of codec/bitstream/frame.py; a parse needs no state.

import { BLOCK_FILL } from './epoch.js';
import { BitstreamError } from './errors.js';
import { PlaneDecoder } from './entropy.js';
import { parseHeader } from './header.js';
import { parseKeyPart } from './key_syntax.js';
import { parsePPart } from './syntax.js';
import { tableSet } from './tables.js';

/** @typedef {import('./epoch.js').EpochRecord} EpochRecord */
/** @typedef {import('./tables.js').Tables} Tables */

/** @typedef {import('./header.js').FrameHeader} FrameHeader */

/**
 * All parts of one frame, in order of their part numbers.
 * @typedef {object} ParsedFrame
 * @property {'key' | 'p'} kind
 * @property {number} epoch modulo 16
 * @property {number} number modulo 4096
 * @property {boolean} midpoint
 * @property {number | null} hash16
 * @property {import('./key_syntax.js').ParsedKeyPart[]} keyParts
 * @property {import('./syntax.js').ParsedPPart[]} pParts
 */

/**
 * Parse one part: header and symbols.
 * @param {Uint8Array} bytes @param {EpochRecord} epoch @param {Tables} tables
 */
export function parsePart(bytes, epoch, tables) {
  const header = parseHeader(bytes);
  if (header.epoch !== (epoch.epoch & 15)) {
    throw new BitstreamError(`frame of epoch ${header.epoch} (mod 16), expected ${epoch.epoch & 15}`);
  }
  const planes = new PlaneDecoder(tableSet(tables, header.tableSet), bytes.subarray(header.bodyAt));
  if (header.kind === 'key') {
    return { header, key: parseKeyPart(planes, epoch, header.layer, header.part === 0), p: null };
  }
  return { header, key: null, p: parsePPart(planes, epoch, header) };
}

/** @param {FrameHeader[]} headers by part number @param {boolean} partial part 0 and some others will do */
function checkSameFrame(headers, partial) {
  const first = headers[0];
  if (!first || (first.parts !== headers.length && !(partial && first.part === 0))) {
    throw new BitstreamError(`frame of ${first ? first.parts : 'no'} parts, have ${headers.length}`);
  }
  headers.forEach((header, i) => {
    const { part, parts, flags, number, epoch } = header;
    const inOrder = partial ? i === 0 || part > headers[i - 1].part : part === i;
    if (!inOrder || parts !== first.parts || flags !== first.flags || number !== first.number || epoch !== first.epoch) {
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
 * @param {boolean} [partial] parts other than part 0 may be missing, as to show a key frame before all of it came
 * @returns {ParsedFrame}
 */
export function parseFrame(parts, epoch, tables, partial = false) {
  const parsed = parts.map((bytes) => parsePart(bytes, epoch, tables)).sort((a, b) => a.header.part - b.header.part);
  checkSameFrame(parsed.map(({ header }) => header), partial);
  const first = parsed[0].header;
  const keyParts = parsed.flatMap(({ key }) => (key ? [key] : []));
  const pParts = parsed.flatMap(({ p }) => (p ? [p] : []));
  checkAscending(keyParts.map(({ firstBlock, classes }) => [firstBlock, Math.ceil(classes.length / BLOCK_FILL)]));
  checkAscending(pParts.map(({ firstBlock, blocks }) => [firstBlock, blocks]));
  const { kind, epoch: epoch8, number, midpoint, hash16 } = first;
  return { kind, epoch: epoch8, number, midpoint, hash16, keyParts, pParts };
}
