// What a receiver tells the sender of each stream: its full state of reception, each time (record kind 4).

import { RECORD_REPORT, MAX_DATAGRAM_BYTES, serializeDatagram } from '../codec/datagram.js';
import { encode } from '../codec/msgpack.js';

/** @typedef {import('./stream_receiver.js').StreamReceiver} StreamReceiver */

const MASK_BITS = 64;
/** Missing parts of a patch that one report names; later reports name the rest. */
const MAX_MISSING_PARTS = 200;
export const REPORT_INTERVAL_MS = 100;

/** Frames that came after the confirmed one, bit i is frame confirmed + 1 + i. @param {StreamReceiver} receiver @returns {bigint} */
export function receptionMask(receiver) {
  let mask = 0n;
  if (!receiver.confirmed) return mask;
  const first = receiver.confirmed.frameNumber + 1;
  for (const number of receiver.waiting.keys()) {
    if (number >= first && number < first + MASK_BITS) mask |= 1n << BigInt(number - first);
  }
  return mask;
}

/**
 * The body of one stream's report.
 * @param {StreamReceiver} receiver @param {number} clientMs
 * @returns {import('../codec/msgpack.js').MsgMap}
 */
export function makeReport(receiver, clientMs) {
  const { epoch, confirmed, newest, patch } = receiver;
  return {
    epoch: epoch ? epoch.epoch : -1,
    confirmed: confirmed ? confirmed.frameNumber : -1,
    newest,
    mask: receptionMask(receiver),
    hash_bad: receiver.hashBad,
    patch: patch ? [patch.from, patch.to, patch.missingParts().slice(0, MAX_MISSING_PARTS)] : null,
    t: clientMs,
  };
}

/**
 * Reports of several streams in as few datagrams as they need.
 * @param {Map<number, StreamReceiver>} receivers by stream number @param {number} clientMs
 * @returns {Uint8Array[]}
 */
export function serializeReports(receivers, clientMs) {
  /** @type {Uint8Array[]} */
  const datagrams = [];
  /** @type {import('../codec/datagram.js').DatagramRecord[]} */
  let records = [];
  let size_bytes = 0;
  for (const [stream, receiver] of receivers) {
    const body = encode(makeReport(receiver, clientMs));
    if (records.length > 0 && size_bytes + 3 + body.length > MAX_DATAGRAM_BYTES) {
      datagrams.push(serializeDatagram(records));
      records = [];
      size_bytes = 0;
    }
    records.push({ stream, kind: RECORD_REPORT, body });
    size_bytes += 3 + body.length;
  }
  if (records.length > 0) datagrams.push(serializeDatagram(records));
  return datagrams;
}
