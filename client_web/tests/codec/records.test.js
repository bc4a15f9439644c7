// msgpack, datagrams, epoch records: both directions, and bad input.

import assert from 'node:assert/strict';
import test from 'node:test';

import { parseDatagram, serializeDatagram } from '../../src/codec/datagram.js';
import { packEpoch, parseEpoch } from '../../src/codec/epoch.js';
import { BitstreamError } from '../../src/codec/errors.js';
import { decode, encode } from '../../src/codec/msgpack.js';
import { allVectors, loadVector } from '../support/vectors.js';

const VALUES = [
  null, true, false, 0, 127, 128, -1, -32, -33, 65535, 1e9, -1e9, 2 ** 40, -(2 ** 40), 1.5, (1n << 64n) - 1n, 'ü', 'x'.repeat(300),
  [1, [2, [3]]], Array.from({ length: 20 }, (_, i) => i), { a: 1, b: { c: [null] } }, Uint8Array.of(1, 2, 3),
];

test('msgpack values come back', () => {
  for (const value of VALUES) assert.deepEqual(structuredClone(decode(encode(value))), value);
});

test('msgpack as Python writes it', () => {
  // msgpack.packb({"a": [1, -5, 2.5, True, None, b"x", 70000], "mask": 2**64-1})
  const bytes = new Uint8Array(Buffer.from('82a1619701fbcb4004000000000000c3c0c40178ce00011170a46d61736bcfffffffffffffffff', 'hex'));
  const value = /** @type {{ a: unknown[], mask: bigint }} */ (decode(bytes));
  assert.deepEqual(value.a, [1, -5, 2.5, true, null, new Uint8Array(Buffer.from('x')), 70000]);
  assert.equal(value.mask, (1n << 64n) - 1n);
});

test('msgpack cut anywhere, with bytes after it, too deep or too long is refused', () => {
  const bytes = encode({ list: [1, 2, 'three'], number: 1.25 });
  for (let end = 0; end < bytes.length; end++) assert.throws(() => decode(bytes.subarray(0, end)), BitstreamError);
  assert.throws(() => decode(Uint8Array.of(...bytes, 0)), BitstreamError);
  assert.throws(() => decode(new Uint8Array(100).fill(0x91)), BitstreamError);
  assert.throws(() => decode(Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff)), BitstreamError);
  assert.throws(() => decode(Uint8Array.of(0xc1)), BitstreamError);
});

test('datagrams come back and are refused when cut', () => {
  const records = [{ stream: 3, kind: 1, body: Uint8Array.of(1, 2, 3) }, { stream: 255, kind: 15, body: new Uint8Array(700) }];
  const bytes = serializeDatagram(records);
  assert.deepEqual(parseDatagram(bytes), records);
  assert.deepEqual(parseDatagram(new Uint8Array(0)), []);
  assert.throws(() => parseDatagram(bytes.subarray(0, 5)), BitstreamError);
  assert.throws(() => parseDatagram(bytes.subarray(0, 8)), BitstreamError);
  assert.throws(() => serializeDatagram([...records, records[1]]), BitstreamError);
});

test('epoch records come back', () => {
  for (const { epoch } of allVectors()) assert.deepEqual(parseEpoch(packEpoch(epoch)), epoch);
});

test('epoch records that cannot be are refused', () => {
  const fields = () => /** @type {any} */ (decode(loadVector('key_whole').epochBytes));
  /** @type {((record: any) => void)[]} */
  const wrongs = [
    (record) => { record.v = 2; }, (record) => { record.tables = 9; }, (record) => { record.w = 0; }, (record) => { record.h = 4097; },
    (record) => { record.layers = [2000]; }, (record) => { record.layers = []; }, (record) => { record.fps = [30, 0]; },
    (record) => { record.steps.key_mean = [8, 8, 8, 8, 3]; }, (record) => { record.steps.luma = 0; }, (record) => { delete record.steps; },
    (record) => { record.base = 8; }, (record) => { record.epoch = 65536; },
  ];
  for (const wrong of wrongs) {
    const record = fields();
    wrong(record);
    assert.throws(() => parseEpoch(encode(record)), BitstreamError, wrong.toString());
  }
  assert.equal(parseEpoch(encode({ ...fields(), unknown: 1 })).widthPx, fields().w);
});
