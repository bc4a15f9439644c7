// The page: what its address asks for, the screen before the call, the call, and what automation may read.

import { openDevices } from './call/devices.js';
import { CallScreen } from './ui/call_screen.js';
import { element } from './ui/dom.js';
import { Prejoin } from './ui/prejoin.js';
import { cameraWords, microphoneWords } from './ui/words.js';

/** @typedef {import('./ui/prejoin.js').Entry} Entry */

const NAME_KEY = 'splatcall-name';
const ROOM_LETTERS = 'abcdefghjkmnpqrstuvwxyz23456789';
const ROOM_LENGTH = 9;

const query = new URLSearchParams(location.search);
const receiveOnly = query.get('receiveonly') === '1';
const app = /** @type {HTMLElement} */ (document.getElementById('app'));
/** @type {CallScreen | null} */
let screen = null;

/** @returns {'auto' | 'rtp' | 'data'} */
function wantedTransport() {
  const value = query.get('transport');
  return value === 'rtp' || value === 'data' ? value : 'auto';
}

/** @returns {string} a room nobody guesses */
function newRoom() {
  const bytes = crypto.getRandomValues(new Uint8Array(ROOM_LENGTH));
  return Array.from(bytes, (byte) => ROOM_LETTERS[byte % ROOM_LETTERS.length]).join('');
}

/** @param {Entry} entry */
function join(entry) {
  localStorage.setItem(NAME_KEY, entry.name);
  const address = new URL(location.href);
  address.searchParams.set('room', entry.room);
  history.replaceState(null, '', address);
  document.title = `${entry.room} · splatcall`;
  screen = new CallScreen(entry, { transport: wantedTransport(), token: query.get('token') ?? undefined, receiveOnly }, ended);
  app.replaceChildren(screen.root);
  screen.start();
}

/** @param {string} detail */
function ended(detail) {
  screen = null;
  const again = element('button', { type: 'button', class: 'primary', onclick: () => location.reload() }, 'Join again');
  app.replaceChildren(element('main', { class: 'ended' }, element('h1', {}, 'splatcall'), element('p', { role: 'status' }, detail), again));
}

async function begin() {
  const room = query.get('room') ?? newRoom();
  const name = query.get('name') ?? localStorage.getItem(NAME_KEY) ?? '';
  if (query.get('autojoin') !== '1') {
    const prejoin = new Prejoin({ room, name, receiveOnly }, join);
    app.replaceChildren(prejoin.root);
    await prejoin.open();
    return;
  }
  if (receiveOnly) {
    join({ room, name: name || 'Viewer', camera: null, microphone: null });
    return;
  }
  const { camera, microphone, cameraProblem, microphoneProblem } = await openDevices();
  join({ room, name: name || 'Guest', camera, microphone });
  if (cameraProblem) screen?.notices.show('camera', cameraWords(cameraProblem));
  if (microphoneProblem && cameraProblem !== 'insecure') screen?.notices.show('microphone', microphoneWords(microphoneProblem));
}

/** @param {Blob} blob @returns {Promise<string>} */
function dataUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

/** What automation reads: figures, and pictures as they are on the canvases. */
const automation = {
  stats: () => screen?.call.stats() ?? { join_ms: null, participants: [] },
  /** @param {string} id @returns {Promise<string>} a PNG data URL at the coded size */
  snapshot: async (id) => {
    if (!screen) throw new Error('no call is running');
    return dataUrl(await screen.call.snapshot(id));
  },
  /** @param {string} id @returns {MediaStreamTrack | null} a remote picture as a video track */
  track: (id) => screen?.call.track(id) ?? null,
};
Object.assign(window, { splatcall: automation });

addEventListener('pagehide', () => screen?.call.leave());
void begin();
