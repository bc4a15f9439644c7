// What a receiver holds and shows under loss, reordering, duplicates, new epochs, patches and bad hashes.

import assert from 'node:assert/strict';
import test from 'node:test';

import { RECORD_EPOCH, RECORD_FRAME, RECORD_PATCH } from '../../src/codec/datagram.js';
import { packEpoch } from '../../src/codec/epoch.js';
import { decode, encode } from '../../src/codec/msgpack.js';
import { parseFrame } from '../../src/codec/frame.js';
import { applyFrame, emptyState, stateHash } from '../../src/codec/state.js';
import { makeReport } from '../../src/receiver/report.js';
import { MAX_WAITING_FRAMES, StreamReceiver } from '../../src/receiver/stream_receiver.js';
import { loadVector, partsOf, seededRandom, tables } from '../support/vectors.js';

/** @typedef {import('../support/vectors.js').Vector} Vector */

const commands = loadVector('p_commands');
const split = loadVector('p_split');
const patches = loadVector('patches');

/** @param {Vector} vector @returns {number[]} indices of its frames */
function framesOf(vector) {
  return vector.steps.flatMap(({ type }, i) => (type === 'frame' ? [i] : []));
}

/** @param {Vector} vector @returns {StreamReceiver} one that knows the epoch */
function receiverOf(vector) {
  const receiver = new StreamReceiver(tables);
  receiver.push(RECORD_EPOCH, vector.epochBytes);
  return receiver;
}

/** @param {StreamReceiver} receiver @param {Vector} vector @param {number} step */
function pushFrame(receiver, vector, step) {
  return partsOf(vector, step).map((part) => receiver.push(RECORD_FRAME, part)).at(-1);
}

/** The hash after applying these frames, in order. @param {Vector} vector @param {number[]} steps @returns {number} */
function hashAfter(vector, steps) {
  const state = emptyState(vector.epoch);
  for (const step of steps) applyFrame(state, parseFrame(partsOf(vector, step), vector.epoch, tables), tables);
  return stateHash(state);
}

/** @param {StreamReceiver} receiver @returns {number} */
function shownHash(receiver) {
  assert.ok(receiver.shown);
  return stateHash(receiver.shown);
}

test('frames in order: shown and confirmed are one', () => {
  const receiver = receiverOf(commands);
  commands.steps.forEach((step, i) => {
    assert.deepEqual(pushFrame(receiver, commands, i), { picture: true, urgent: false });
    assert.equal(receiver.shown, receiver.confirmed);
    assert.equal(shownHash(receiver), step.state_hash);
    assert.equal(receiver.confirmed?.frameNumber, step.number);
  });
  assert.deepEqual({ ...receiver.counters, bytes: 0 }, {
    frames: commands.steps.length, gaps: 0, patches: 0, hashBad: 0, duplicates: 0, refused: 0, dropped: 0, stale: 0, bytes: 0,
  });
});

test('a gap: shown goes on, the report names it, the missing frame heals it', () => {
  const receiver = receiverOf(commands);
  for (const step of [0, 1, 2]) pushFrame(receiver, commands, step);
  assert.deepEqual(pushFrame(receiver, commands, 4), { picture: true, urgent: true });
  pushFrame(receiver, commands, 5);
  assert.equal(receiver.counters.gaps, 1);
  assert.equal(receiver.confirmed?.frameNumber, 2);
  assert.equal(shownHash(receiver), hashAfter(commands, [0, 1, 2, 4, 5]));
  const report = makeReport(receiver, 12.5);
  assert.deepEqual(report, { epoch: commands.epoch.epoch, confirmed: 2, newest: 5, mask: 0b110n, hash_bad: false, patch: null, t: 12.5 });
  pushFrame(receiver, commands, 3);
  assert.equal(receiver.confirmed?.frameNumber, 5);
  assert.equal(shownHash(receiver), commands.steps[5].state_hash);
  assert.equal(receiver.shown, receiver.confirmed);
});

test('any order, with duplicates, ends in the same state', () => {
  const random = seededRandom(3);
  for (const vector of [commands, split]) {
    for (let trial = 0; trial < 25; trial++) {
      const receiver = receiverOf(vector);
      const datagrams = framesOf(vector).flatMap((step) => partsOf(vector, step));
      const sent = [...datagrams, ...datagrams.filter(() => random() < 0.3)];
      sent.sort(() => random() - 0.5);
      for (const part of sent) receiver.push(RECORD_FRAME, part);
      const last = vector.steps[framesOf(vector).length - 1];
      assert.equal(receiver.confirmed?.frameNumber, last.number);
      assert.equal(shownHash(receiver), last.state_hash);
      assert.equal(receiver.counters.frames, framesOf(vector).length);
      assert.equal(receiver.counters.duplicates, sent.length - datagrams.length);
    }
  }
});

test('lost frames: shown is every frame that came, in order', () => {
  const random = seededRandom(5);
  for (let trial = 0; trial < 25; trial++) {
    const receiver = receiverOf(commands);
    const came = framesOf(commands).filter((step) => step === 0 || random() < 0.6);
    const order = [0, ...came.slice(1).sort(() => random() - 0.5)];
    for (const step of order) pushFrame(receiver, commands, step);
    assert.equal(shownHash(receiver), hashAfter(commands, came));
  }
});

test('frames before their epoch record and key frame wait', () => {
  const receiver = new StreamReceiver(tables);
  for (const step of [2, 1]) assert.equal(pushFrame(receiver, commands, step)?.picture, false);
  assert.equal(makeReport(receiver, 0).epoch, -1);
  receiver.push(RECORD_EPOCH, commands.epochBytes);
  assert.equal(receiver.shown, null);
  pushFrame(receiver, commands, 0);
  assert.equal(receiver.confirmed?.frameNumber, 2);
  assert.equal(shownHash(receiver), commands.steps[2].state_hash);
});

test('a new epoch: the old picture stays until the new one has something; older frames are dropped', () => {
  const receiver = receiverOf(commands);
  for (const step of [0, 1]) pushFrame(receiver, commands, step);
  const old = shownHash(receiver);
  const epoch = { ...commands.epoch, epoch: commands.epoch.epoch + 1 };
  const key = partsOf(commands, 0)[0].slice();
  key[1] = (epoch.epoch & 15) << 4;
  key[2] = 9;
  const next = partsOf(commands, 1)[0].slice();
  next[1] = key[1];
  next[2] = 10;
  receiver.push(RECORD_FRAME, next);
  assert.equal(shownHash(receiver), old);
  receiver.push(RECORD_EPOCH, packEpoch(epoch));
  assert.equal(shownHash(receiver), old);
  receiver.push(RECORD_FRAME, key);
  assert.equal(receiver.confirmed?.frameNumber, 10);
  assert.equal(shownHash(receiver), commands.steps[1].state_hash);
  receiver.push(RECORD_EPOCH, commands.epochBytes);
  pushFrame(receiver, commands, 2);
  assert.equal(receiver.counters.stale, 1);
  assert.equal(receiver.epoch?.epoch, epoch.epoch);
});

test('a key frame in parts is shown from its part 0 on, and the frames after it too', () => {
  const parts = partsOf(split, 0);
  assert.ok(parts.length > 2);
  const live = (/** @type {StreamReceiver} */ { shown }) => shown?.splats.filter((kind, i) => i % 9 === 8 && kind).length ?? -1;
  const receiver = receiverOf(split);
  assert.equal(receiver.push(RECORD_FRAME, parts[2]).picture, false);
  assert.deepEqual(receiver.push(RECORD_FRAME, parts[0]), { picture: true, urgent: false });
  assert.equal(receiver.confirmed, null);
  assert.equal(receiver.newest, -1);
  const first = live(receiver);
  assert.equal(pushFrame(receiver, split, 1)?.picture, true);
  assert.equal(receiver.shown?.frameNumber, split.steps[1].number);
  const others = parts.filter((_, i) => i !== 0 && i !== 2);
  for (const part of others.slice(0, -1)) assert.equal(receiver.push(RECORD_FRAME, part).picture, true);
  assert.ok(live(receiver) >= first);
  assert.equal(receiver.confirmed, null);
  receiver.push(RECORD_FRAME, /** @type {Uint8Array} */ (others.at(-1)));
  assert.equal(shownHash(receiver), split.steps[1].state_hash);
  assert.equal(receiver.confirmed, receiver.shown);
});

test('a join patch is shown part by part and then is exact, with the frames that came meanwhile', () => {
  const join = patches.steps.findIndex(({ type, since }) => type === 'patch' && since === -1);
  const parts = partsOf(patches, join);
  const receiver = receiverOf(patches);
  parts.slice(0, -1).toReversed().forEach((part) => {
    assert.deepEqual(receiver.push(RECORD_PATCH, part), { picture: true, urgent: false });
    assert.equal(receiver.confirmed, null);
  });
  assert.deepEqual(makeReport(receiver, 0).patch, [-1, patches.steps[join].number, [parts.length - 1]]);
  receiver.push(RECORD_PATCH, parts[0]);
  assert.equal(receiver.counters.duplicates, 1);
  receiver.push(RECORD_PATCH, /** @type {Uint8Array} */ (parts.at(-1)));
  assert.equal(receiver.confirmed?.frameNumber, patches.steps[join].number);
  assert.equal(shownHash(receiver), patches.steps[join].state_hash);
  assert.equal(receiver.counters.patches, 1);
});

test('a patch fills a gap, and one that says nothing new is dropped', () => {
  const gap = patches.steps.findIndex(({ type, since }) => type === 'patch' && since >= 0);
  const receiver = receiverOf(patches);
  pushFrame(receiver, patches, 0);
  for (const part of partsOf(patches, gap)) receiver.push(RECORD_PATCH, part);
  assert.equal(shownHash(receiver), patches.steps[gap].state_hash);
  assert.equal(receiver.confirmed?.frameNumber, patches.steps[gap].number);
  for (const part of partsOf(patches, gap)) receiver.push(RECORD_PATCH, part);
  assert.equal(receiver.counters.patches, 1);
  assert.equal(receiver.counters.stale, partsOf(patches, gap).length);
});

test('a wrong hash stops confirming and asks for a patch, which heals it', () => {
  const receiver = receiverOf(patches);
  pushFrame(receiver, patches, 0);
  const frame = partsOf(patches, 1)[0];
  const wrong = Uint8Array.of(frame[0] | 0x20, frame[1], frame[2], frame[3], 0, 0, ...frame.subarray(4));
  assert.deepEqual(receiver.push(RECORD_FRAME, wrong), { picture: true, urgent: true });
  assert.equal(receiver.hashBad, true);
  assert.equal(makeReport(receiver, 0).hash_bad, true);
  assert.equal(receiver.confirmed?.frameNumber, 0);
  const join = patches.steps.findIndex(({ type, since }) => type === 'patch' && since === -1);
  for (const part of partsOf(patches, join)) receiver.push(RECORD_PATCH, part);
  assert.equal(receiver.hashBad, false);
  assert.equal(receiver.counters.hashBad, 1);
  assert.equal(shownHash(receiver), patches.steps[join].state_hash);
});

test('a midpoint is there to be drawn with the frame that asks for it, and only then', () => {
  const asking = loadVector('p_midpoint');
  const receiver = receiverOf(asking);
  asking.steps.forEach((step, i) => {
    pushFrame(receiver, asking, i);
    assert.equal(receiver.midpoint !== null, step.midpoint);
    if (step.midpoint_splats) assert.deepEqual(Array.from(receiver.midpoint?.splats ?? []), step.midpoint_splats);
  });
  assert.ok(asking.steps.some((step) => step.midpoint));
});

test('waiting frames are bounded, the oldest go first', () => {
  const receiver = receiverOf(commands);
  pushFrame(receiver, commands, 0);
  const frame = partsOf(commands, 1)[0];
  for (let number = 2; number < 200; number++) {
    const later = frame.slice();
    later[2] = number;
    receiver.push(RECORD_FRAME, later);
  }
  assert.equal(receiver.waiting.size, MAX_WAITING_FRAMES);
  assert.equal(receiver.counters.dropped, 198 - MAX_WAITING_FRAMES);
  assert.ok(!receiver.waiting.has(2));
  assert.equal(receiver.newest, 199);
});

test('bad bytes are counted and change nothing', () => {
  const receiver = receiverOf(commands);
  pushFrame(receiver, commands, 0);
  const before = shownHash(receiver);
  receiver.push(RECORD_FRAME, Uint8Array.of(1, 2));
  receiver.push(RECORD_EPOCH, encode({ v: 99 }));
  receiver.push(RECORD_PATCH, Uint8Array.of(0xc0));
  receiver.push(9, Uint8Array.of(1));
  assert.equal(receiver.counters.refused, 3);
  assert.equal(shownHash(receiver), before);
});

test('a report goes over the wire as the server reads it', () => {
  const receiver = receiverOf(commands);
  const report = /** @type {any} */ (decode(encode(makeReport(receiver, 1.5))));
  assert.equal(report.confirmed, -1);
  assert.equal(report.mask, 0);
  assert.equal(report.t, 1.5);
});
