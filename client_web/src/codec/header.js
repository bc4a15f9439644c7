// The header of a frame part (SPEC section 3). Twin of codec/bitstream/header.py.

import { BitstreamError } from './errors.js';

const FLAG_P = 0x80;
const FLAG_LAYERED = 0x40;
const FLAG_HASH = 0x20;
const FLAG_MIDPOINT = 0x10;
const FLAG_SPLIT = 0x08;
const TABLE_SET_MASK = 0x07;
const SHORTEST_BYTES = 3;
const MAX_PART_BYTES = 65535;

/**
 * @typedef {object} FrameHeader
 * @property {'key' | 'p'} kind
 * @property {number} epoch modulo 16
 * @property {number} number modulo 4096
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
    epoch: bytes[1] >> 4,
    number: ((bytes[1] & 15) << 8) | bytes[2],
    midpoint: (flags & FLAG_MIDPOINT) !== 0,
    split, part, parts, layered, layer, hash16,
    tableSet: flags & TABLE_SET_MASK,
    flags,
    bodyAt: at,
  };
}
