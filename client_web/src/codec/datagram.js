// Datagrams: lists of (stream, kind, body) records of at most 1150 bytes (SPEC section 9).

import { BitstreamError } from './errors.js';

export const MAX_DATAGRAM_BYTES = 1150;
export const MAX_RECORD_BYTES = MAX_DATAGRAM_BYTES - 3;
export const RECORD_EPOCH = 0;
export const RECORD_FRAME = 1;
export const RECORD_PATCH = 2;
export const RECORD_FIGURES = 3;
export const RECORD_REPORT = 4;

/** @typedef {{ stream: number, kind: number, body: Uint8Array }} DatagramRecord */

/**
 * Split a datagram into its records.
 * @param {Uint8Array} bytes
 * @returns {DatagramRecord[]} bodies are views of the datagram
 */
export function parseDatagram(bytes) {
  const records = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + 3 > bytes.length) throw new BitstreamError(`datagram truncated: need ${at + 3} bytes, have ${bytes.length}`);
    const word = (bytes[at + 1] << 8) | bytes[at + 2];
    const end = at + 3 + (word & 0xfff);
    if (end > bytes.length) throw new BitstreamError(`datagram truncated: need ${end} bytes, have ${bytes.length}`);
    records.push({ stream: bytes[at], kind: word >> 12, body: bytes.subarray(at + 3, end) });
    at = end;
  }
  return records;
}

/**
 * Join records into one datagram.
 * @param {DatagramRecord[]} records
 * @returns {Uint8Array}
 */
export function serializeDatagram(records) {
  const size_bytes = records.reduce((sum, record) => sum + 3 + record.body.length, 0);
  if (size_bytes > MAX_DATAGRAM_BYTES) {
    throw new BitstreamError(`datagram of ${size_bytes} bytes, at most ${MAX_DATAGRAM_BYTES}`);
  }
  const bytes = new Uint8Array(size_bytes);
  let at = 0;
  for (const { stream, kind, body } of records) {
    bytes.set([stream, (kind << 4) | (body.length >> 8), body.length & 255], at);
    bytes.set(body, at + 3);
    at += 3 + body.length;
  }
  return bytes;
}
