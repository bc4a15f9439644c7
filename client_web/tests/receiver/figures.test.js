// Delays from figures records, rates, and the clock they rest on.

import assert from 'node:assert/strict';
import test from 'node:test';

import { ClockSync } from '../../src/call/clock_sync.js';
import { BitstreamError } from '../../src/codec/errors.js';
import { encode } from '../../src/codec/msgpack.js';
import { DelayMeter, parseFigures, RateMeter } from '../../src/receiver/figures.js';

const RECORD = encode({
  now: 5000.5, frames: [[1, 65536 + 7, 4000, 20], [1, 65536 + 8, 4033, 30], [1, 65536 + 9, 4066, 40]], stages: { search: 12.5 },
  dropped: 2, fps: 29.5, splats: 900, changed: 40, kbps: 55,
});

test('delay is drawn less captured on one clock', () => {
  const meter = new DelayMeter();
  meter.noteDrawn(7, 1100);
  meter.noteDrawn(9, 1200);
  meter.noteDrawn(9, 9999);
  meter.push(parseFigures(RECORD), 3000);
  assert.equal(meter.delayMs, 1200 + 3000 - 4066);
  assert.equal(meter.encodeMs, 30);
});

test('without a clock there is no delay', () => {
  const meter = new DelayMeter();
  meter.noteDrawn(7, 1100);
  meter.push(parseFigures(RECORD), null);
  assert.equal(meter.delayMs, null);
});

test('figures with odd fields are read as far as they go', () => {
  const figures = parseFigures(encode({ frames: [[1], 'x', [1, 2, 3, 4]], stages: { a: 'b' } }));
  assert.deepEqual(figures.frames, [[1, 2, 3, 4]]);
  assert.deepEqual(figures.stages, { a: 0 });
  assert.equal(figures.dropped, 0);
  assert.throws(() => parseFigures(encode([1])), BitstreamError);
});

test('rates forget what is older than their window', () => {
  const meter = new RateMeter(1000);
  meter.add(0, 10);
  meter.add(500, 20);
  assert.equal(meter.perSecond(600), 30);
  assert.equal(meter.perSecond(1200), 20);
  assert.equal(meter.perSecond(9000), 0);
});

test('the clock believes the shortest ping', () => {
  const clock = new ClockSync();
  assert.equal(clock.best(), null);
  clock.push(100, 1150, 200);
  clock.push(300, 1310, 310);
  clock.push(400, 1600, 900);
  clock.push(500, Number.NaN, 501);
  assert.deepEqual(clock.best(), { rttMs: 10, offsetMs: 1005 });
});
