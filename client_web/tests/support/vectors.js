// The test vectors that Python's tests read too, and the tables.

import { readdirSync, readFileSync } from 'node:fs';

import { parseEpoch } from '../../src/codec/epoch.js';
import { loadTables } from '../../src/codec/tables.js';

const VECTORS = new URL('../../../tests/vectors/', import.meta.url);
const TABLES = new URL('../../../codec/bitstream/tables.json', import.meta.url);

export const tables = loadTables(JSON.parse(readFileSync(TABLES, 'utf8')));

/**
 * @typedef {object} VectorStep
 * @property {'frame' | 'patch'} type
 * @property {string[]} parts file names
 * @property {'key' | 'p'} kind
 * @property {boolean} midpoint
 * @property {number | null} hash16
 * @property {number[]} [midpoint_splats]
 * @property {number} since
 * @property {number} number
 * @property {number} state_hash
 * @property {number[]} splats
 * @property {number[]} base
 * @property {number[]} vectors
 */

/**
 * @typedef {object} Vector
 * @property {string} name
 * @property {Uint8Array} epochBytes
 * @property {import('../../src/codec/epoch.js').EpochRecord} epoch
 * @property {VectorStep[]} steps
 * @property {{ file?: string, max_error: number, rms_error: number } | undefined} picture
 * @property {(file: string) => Uint8Array} read
 */

/** @param {string} name @returns {Vector} */
export function loadVector(name) {
  const folder = new URL(`${name}/`, VECTORS);
  const read = (/** @type {string} */ file) => new Uint8Array(readFileSync(new URL(file, folder)));
  const expected = JSON.parse(readFileSync(new URL('expected.json', folder), 'utf8'));
  const epochBytes = read('epoch.msgpack');
  return { name, epochBytes, epoch: parseEpoch(epochBytes), steps: expected.steps, picture: expected.picture, read };
}

/** @returns {Vector[]} */
export function allVectors() {
  const folders = readdirSync(VECTORS, { withFileTypes: true }).filter((entry) => entry.isDirectory() && !entry.name.startsWith('_'));
  return folders.map(({ name }) => loadVector(name));
}

/** Parts of a step. @param {Vector} vector @param {number} step @returns {Uint8Array[]} */
export function partsOf(vector, step) {
  return vector.steps[step].parts.map((file) => vector.read(file));
}

/** Random numbers that are the same each time (mulberry32). @param {number} seed @returns {() => number} 0..1 */
export function seededRandom(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
