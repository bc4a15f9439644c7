import assert from 'node:assert/strict';
import { mock, test } from 'node:test';

import { gathered, GATHERING_LIMIT_MS, OWN_ADDRESSES_MS } from '../../src/call/gathering.js';

/** What `gathered` needs of a connection. */
class Gathering extends EventTarget {
  /** @param {string[]} servers */
  constructor(servers = []) {
    super();
    this.servers = servers;
    this.iceGatheringState = 'new';
  }

  getConfiguration() {
    return { iceServers: this.servers.map((urls) => ({ urls })) };
  }

  /** @param {object | null} candidate */
  give(candidate) {
    this.dispatchEvent(Object.assign(new Event('icecandidate'), { candidate }));
  }

  complete() {
    this.iceGatheringState = 'complete';
    this.dispatchEvent(new Event('icegatheringstatechange'));
  }

  /** @returns {() => boolean} whether the wait is over */
  watch() {
    let over = false;
    void gathered(/** @type {RTCPeerConnection} */ (/** @type {unknown} */ (this))).then(() => { over = true; });
    return () => over;
  }
}

/** Let promises that are settled call back. */
async function settle() {
  for (let turn = 0; turn < 5; turn++) await Promise.resolve();
}

/** @param {number} ms */
async function pass(ms) {
  mock.timers.tick(ms);
  await settle();
}

test('own addresses are enough where no server is asked, once no more come', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const pc = new Gathering();
  const over = pc.watch();
  await pass(OWN_ADDRESSES_MS * 3);
  assert.equal(over(), false, 'not without any');
  pc.give({ candidate: 'candidate:1' });
  await pass(OWN_ADDRESSES_MS - 1);
  pc.give({ candidate: 'candidate:2' });
  await pass(OWN_ADDRESSES_MS - 1);
  assert.equal(over(), false, 'another may follow');
  await pass(1);
  assert.equal(over(), true);
  mock.timers.reset();
});

test('where servers are asked it waits for their answers', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const pc = new Gathering(['stun:example.org']);
  const over = pc.watch();
  pc.give({ candidate: 'candidate:1' });
  await pass(GATHERING_LIMIT_MS - 1);
  assert.equal(over(), false);
  pc.complete();
  await settle();
  assert.equal(over(), true);
  mock.timers.reset();
});

test('nothing is waited for longer than the limit, nor once all is there', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const stuck = new Gathering(['stun:example.org']).watch();
  await pass(GATHERING_LIMIT_MS);
  assert.equal(stuck(), true);
  const pc = new Gathering();
  pc.complete();
  const over = pc.watch();
  await settle();
  assert.equal(over(), true);
  mock.timers.reset();
});
