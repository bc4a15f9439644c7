// The static integer tables of the entropy coder, from the same tables.json as Python. Twin of codec/bitstream/tables.py.

import { BitstreamError } from './errors.js';

export const PRECISION = 24;
export const TOTAL = 1 << PRECISION;

/**
 * One element's tables.
 * @typedef {object} Table
 * @property {number | null} range R of an int element: symbols 0..2R are the values -R..R, 2R+1 is the escape
 * @property {Uint32Array[]} cumulative by context: [symbols + 1] counts before each symbol, the last is 2^24
 */

/** @typedef {Map<string, Table>} TableSet */

/**
 * @typedef {object} Tables
 * @property {number[][]} keyWeights [class][dx^2 + dy^2] weight of a splat in the accumulators of a key part
 * @property {TableSet[]} sets
 */

/**
 * The shape of tables.json.
 * @typedef {object} TablesFile
 * @property {number} version
 * @property {number} precision
 * @property {number[][]} key_weights
 * @property {{ [name: string]: { range: number | null, counts: number[][] } }[]} sets
 */

/** @param {string} name @param {number[]} counts @returns {Uint32Array} */
function accumulate(name, counts) {
  const cumulative = new Uint32Array(counts.length + 1);
  let sum = 0;
  for (let k = 0; k < counts.length; k++) {
    if (!Number.isInteger(counts[k]) || counts[k] < 1) throw new BitstreamError(`table ${name}: count ${counts[k]} at ${k}`);
    sum += counts[k];
    cumulative[k + 1] = sum;
  }
  if (sum !== TOTAL) throw new BitstreamError(`table ${name}: counts sum to ${sum}, expected ${TOTAL}`);
  return cumulative;
}

/**
 * Check tables.json and make it fit for decoding.
 * @param {TablesFile} file
 * @returns {Tables}
 */
export function loadTables(file) {
  if (file.version !== 1 || file.precision !== PRECISION) {
    throw new BitstreamError(`tables version 1 of precision ${PRECISION} expected, got ${file.version} of ${file.precision}`);
  }
  const sets = file.sets.map((elements) => {
    /** @type {TableSet} */
    const set = new Map();
    for (const [name, { range, counts }] of Object.entries(elements)) {
      set.set(name, { range: range ?? null, cumulative: counts.map((row) => accumulate(name, row)) });
    }
    return set;
  });
  return { keyWeights: file.key_weights, sets };
}

/** The tables a frame names. @param {Tables} tables @param {number} index @returns {TableSet} */
export function tableSet(tables, index) {
  if (index >= tables.sets.length) throw new BitstreamError(`table set ${index} of ${tables.sets.length}`);
  return tables.sets[index];
}
