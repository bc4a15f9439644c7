// The parse rule and bad bytes: state never changes what is parsed, every parsed frame applies to any state, bad bytes are refused.

import assert from 'node:assert/strict';
import test from 'node:test';

import { BitstreamError } from '../../src/codec/errors.js';
import { parseFrame } from '../../src/codec/frame.js';
import { parseHeader } from '../../src/codec/header.js';
import { parsePatchPart } from '../../src/codec/patch.js';
import { fieldLimits, FIELDS } from '../../src/codec/quantize.js';
import { applyFrame, emptyState, unwrapNumber } from '../../src/codec/state.js';
import { allVectors, loadVector, partsOf, seededRandom, tables } from '../support/vectors.js';

/** @param {import('../../src/codec/epoch.js').EpochRecord} epoch @param {() => number} random */
function noiseState(epoch, random) {
  const state = emptyState(epoch);
  const { low, high } = fieldLimits(epoch);
  for (let at = 0; at < state.splats.length; at += FIELDS) {
    const kind = Math.floor(random() * 3);
    if (kind === 0) continue;
    for (let field = 0; field < 8; field++) state.splats[at + field] = low[field] + Math.floor(random() * (high[field] - low[field] + 1));
    state.splats[at + 8] = kind;
  }
  state.base.forEach((_, i) => { state.base[i] = Math.floor(random() * 512); });
  state.vectors.forEach((_, i) => { state.vectors[i] = Math.floor(random() * 8192) - 4096; });
  return state;
}

/** @param {() => void} parse @returns {boolean} whether it was accepted */
function accepted(parse) {
  try {
    parse();
    return true;
  } catch (error) {
    assert.ok(error instanceof BitstreamError, String(error));
    return false;
  }
}

test('every frame applies to noise, and values stay in their ranges', () => {
  const random = seededRandom(7);
  for (const vector of allVectors()) {
    const { low, high } = fieldLimits(vector.epoch);
    vector.steps.forEach((step, i) => {
      if (step.type !== 'frame') return;
      const state = noiseState(vector.epoch, random);
      applyFrame(state, parseFrame(partsOf(vector, i), vector.epoch, tables), tables);
      for (let at = 0; at < state.splats.length; at += FIELDS) {
        const live = state.splats[at + 8] !== 0;
        for (let field = 0; field < 8; field++) {
          const value = state.splats[at + field];
          assert.ok(live ? value >= low[field] && value <= high[field] : value === 0, `${vector.name} step ${i} field ${field}: ${value}`);
        }
      }
    });
  }
});

test('cut and flipped frames are accepted or refused, never worse', () => {
  const random = seededRandom(11);
  let refused = 0;
  for (const vector of allVectors()) {
    vector.steps.forEach((step, i) => {
      const parts = partsOf(vector, i);
      for (let trial = 0; trial < 12; trial++) {
        const broken = parts.map((part) => part.slice());
        const part = Math.floor(random() * parts.length);
        if (trial % 3 === 0) broken[part] = broken[part].subarray(0, Math.floor(random() * broken[part].length));
        else for (let flip = 0; flip <= trial; flip++) broken[part][Math.floor(random() * broken[part].length)] ^= 1 << Math.floor(random() * 8);
        const parse = step.type === 'patch'
          ? () => broken.forEach((bytes) => parsePatchPart(bytes, vector.epoch, tables))
          : () => applyFrame(noiseState(vector.epoch, random), parseFrame(broken, vector.epoch, tables), tables);
        if (!accepted(parse)) refused += 1;
      }
    });
  }
  assert.ok(refused > 20, `only ${refused} were refused`);
});

test('headers that cannot be are refused', () => {
  for (const bytes of [[], [0x80, 0x10], [0x88, 0x10, 0], [0x88, 0x10, 0, 2, 1], [0x88, 0x10, 0, 0, 0], [0xc0, 0x10, 0, 4], [0xa0, 0x10, 0, 9]]) {
    assert.throws(() => parseHeader(Uint8Array.from(bytes)), BitstreamError, bytes.join(' '));
  }
});

test('a frame of another epoch, table set or with a part missing is refused', () => {
  const vector = loadVector('p_split');
  const parts = partsOf(vector, 1);
  assert.throws(() => parseFrame(parts.slice(1), vector.epoch, tables), BitstreamError);
  assert.throws(() => parseFrame(parts, { ...vector.epoch, epoch: vector.epoch.epoch + 1 }, tables), BitstreamError);
  const foreign = parts.map((part) => part.slice());
  foreign[0][0] |= 7;
  assert.throws(() => parseFrame(foreign, vector.epoch, { ...tables, sets: tables.sets.slice(0, 1) }), BitstreamError);
});

test('frame numbers unwrap to the nearest', () => {
  assert.equal(unwrapNumber(5, -1), 5);
  assert.equal(unwrapNumber(2, 4094), 4098);
  assert.equal(unwrapNumber(65534, 65538), 65534);
  assert.equal(unwrapNumber(7, 131072 + 5), 131072 + 7);
});
