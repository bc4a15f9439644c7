// Every vector, bit-exact: what Python's encoder wrote and its decoder holds after each step.

import assert from 'node:assert/strict';
import test from 'node:test';

import { parseFrame } from '../../src/codec/frame.js';
import { applyPatchPart, parsePatchPart } from '../../src/codec/patch.js';
import { applyFrame, copyState, emptyState, stateHash } from '../../src/codec/state.js';
import { midpointState } from '../../src/receiver/stream_receiver.js';
import { allVectors, partsOf, tables } from '../support/vectors.js';

/** @typedef {import('../../src/codec/state.js').SplatState} SplatState */

/** @param {SplatState} state @param {import('../support/vectors.js').VectorStep} step @param {string} what */
function assertState(state, step, what) {
  assert.deepEqual(Array.from(state.splats), step.splats, `${what}: splats`);
  assert.deepEqual(Array.from(state.base), step.base, `${what}: base`);
  assert.deepEqual(Array.from(state.vectors), step.vectors, `${what}: vectors`);
  assert.equal(stateHash(state), step.state_hash, `${what}: hash`);
}

for (const vector of allVectors()) {
  test(`vector ${vector.name}`, () => {
    let state = emptyState(vector.epoch);
    /** @type {Map<number, SplatState>} */
    const after = new Map();
    vector.steps.forEach((step, i) => {
      const what = `${vector.name} step ${i}`;
      const parts = partsOf(vector, i);
      if (step.type === 'patch') {
        const from = step.since === -1 ? emptyState(vector.epoch) : after.get(step.since);
        assert.ok(from, `${what}: no state after frame ${step.since}`);
        const patched = copyState(from);
        for (const part of parts.toReversed()) applyPatchPart(patched, parsePatchPart(part, vector.epoch, tables));
        assertState(patched, step, what);
        return;
      }
      const before = copyState(state);
      const frame = parseFrame(parts, vector.epoch, tables);
      applyFrame(state, frame, tables);
      assert.equal(frame.kind, step.kind, what);
      assert.equal(frame.midpoint, step.midpoint, what);
      assert.equal(frame.hash16, step.hash16, what);
      assert.equal(state.frameNumber, step.number, what);
      assertState(state, step, what);
      if (step.midpoint_splats) assert.deepEqual(Array.from(midpointState(before, state).splats), step.midpoint_splats, what);
      after.set(step.number, copyState(state));
    });
    assert.ok(state);
  });
}
