// What the page and the decode worker say to each other (types only).

/**
 * Page to worker.
 * @typedef {{ type: 'start', tablesUrl: string }
 *   | { type: 'spare', canvas: OffscreenCanvas }
 *   | { type: 'attach', stream: number, canvas: OffscreenCanvas | 'spare' | 'page' }
 *   | { type: 'detach', stream: number, forget: boolean }
 *   | { type: 'reset' }
 *   | { type: 'tile', stream: number, width: number }
 *   | { type: 'outlines', on: boolean }
 *   | { type: 'hidden', hidden: boolean }
 *   | { type: 'datagram', bytes: ArrayBuffer }
 *   | { type: 'clock', offsetMs: number }
 *   | { type: 'snapshot', stream: number, request: number }} ToWorker
 */

/**
 * Figures of one stream.
 * @typedef {object} StreamStats
 * @property {number} width coded size, 0: not known yet
 * @property {number} height
 * @property {number} fps pictures drawn a second
 * @property {number} kbps received
 * @property {number} splats
 * @property {number} changed
 * @property {number} encode_ms
 * @property {{ [name: string]: number }} stages encode ms by stage
 * @property {number} decode_ms
 * @property {number | null} delay_ms capture to drawn
 * @property {number} frames received
 * @property {number} dropped
 * @property {number} gaps
 * @property {number} patches
 * @property {number} hash_bad
 */

/**
 * Worker to page.
 * @typedef {{ type: 'ready' }
 *   | { type: 'failed', reason: string }
 *   | { type: 'no-webgl', stream: number, reason: string }
 *   | { type: 'rtp-alive' }
 *   | { type: 'reports', datagrams: Uint8Array[] }
 *   | { type: 'size', stream: number, width: number, height: number }
 *   | { type: 'first-drawn', stream: number, atMs: number }
 *   | { type: 'stats', streams: { [stream: number]: StreamStats } }
 *   | { type: 'picture', stream: number, state: import('../codec/state.js').SplatState }
 *   | { type: 'snapshot', request: number, png: Blob | null, error: string }} FromWorker
 */

export {};
