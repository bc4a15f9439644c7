// Where tiles go and what they say.

import assert from 'node:assert/strict';
import test from 'node:test';

import { parseServerMessage, signallingUrl } from '../../src/call/signalling.js';
import { bestColumns, initials } from '../../src/ui/tiles.js';

test('tiles fill the screen', () => {
  assert.equal(bestColumns(1, 1280, 720), 1);
  assert.equal(bestColumns(2, 1280, 720), 2);
  assert.equal(bestColumns(2, 400, 800), 1);
  assert.equal(bestColumns(4, 1280, 720), 2);
  assert.equal(bestColumns(9, 1920, 1080), 3);
});

test('initials of names', () => {
  assert.equal(initials('Ada Lovelace'), 'AL');
  assert.equal(initials('ada'), 'A');
  assert.equal(initials('  Grace  Brewster Hopper '), 'GH');
  assert.equal(initials('李 明'), '李明');
});

test('signalling speaks where the page came from, and shrugs at what it does not know', () => {
  assert.equal(signallingUrl(new URL('https://call.example/?room=a')), 'wss://call.example/ws');
  assert.equal(signallingUrl(new URL('http://localhost:8080/')), 'ws://localhost:8080/ws');
  assert.deepEqual(parseServerMessage('{"type":"answer","sdp":""}'), { type: 'answer', sdp: '' });
  for (const bad of ['', '{', '[]', 'null', '{"type":5}', 7]) assert.equal(parseServerMessage(bad), null);
});
