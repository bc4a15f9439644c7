// The page's slow renderer against Python's pictures, within the tolerance that each vector states.

import assert from 'node:assert/strict';
import test from 'node:test';

import { emptyState } from '../../src/codec/state.js';
import { cubicWeights, renderReference, toRgba } from '../../src/render/reference.js';
import { allVectors } from '../support/vectors.js';

for (const vector of allVectors().filter(({ picture }) => picture)) {
  test(`picture of ${vector.name}`, () => {
    const step = vector.steps[vector.steps.length - 1];
    const state = emptyState(vector.epoch);
    state.splats.set(step.splats);
    state.base.set(step.base);
    const { width, height, ycc } = renderReference(state);
    const bytes = vector.read(vector.picture?.file ?? 'picture.f32');
    const expected = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
    assert.equal(expected.length, 3 * width * height);
    let squares = 0;
    let worst = 0;
    for (let i = 0; i < width * height; i++) {
      for (let c = 0; c < 3; c++) {
        const error = Math.abs(ycc[3 * i + c] - expected[c * width * height + i]);
        worst = Math.max(worst, error);
        squares += error * error;
      }
    }
    const rms = Math.sqrt(squares / expected.length);
    assert.ok(worst <= (vector.picture?.max_error ?? 1.5), `max error ${worst}`);
    assert.ok(rms <= (vector.picture?.rms_error ?? 0.5), `rms error ${rms}`);
  });
}

test('cubic weights sum to one and meet the samples', () => {
  for (const t of [0, 0.25, 0.5, 0.9]) assert.ok(Math.abs(cubicWeights(t).reduce((sum, w) => sum + w, 0) - 1) < 1e-12);
  assert.deepEqual(cubicWeights(0).map(Math.abs), [0, 1, 0, 0]);
});

test('grey, white and red as RGB', () => {
  assert.deepEqual([...toRgba(Float32Array.of(128, 0, 0, 300, 0, 0, 76.245, -43.03, 127.5))], [
    128, 128, 128, 255, 255, 255, 255, 255, 255, 0, 0, 255,
  ]);
});
