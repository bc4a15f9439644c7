// The screen before a call: how one looks, which devices, the name, the room.

import { listDevices, openCamera, openDevices, openMicrophone, problemOf } from '../call/devices.js';
import { element } from './dom.js';
import { cameraWords, microphoneWords } from './words.js';

/** @typedef {import('../call/devices.js').Problem} Problem */

/**
 * What somebody joins with.
 * @typedef {object} Entry
 * @property {string} room
 * @property {string} name
 * @property {MediaStreamTrack | null} camera
 * @property {MediaStreamTrack | null} microphone
 */

const ROOM_PATTERN = '[A-Za-z0-9_\\-]{1,64}';

export class Prejoin {
  /** @param {{ room: string, name: string, receiveOnly: boolean }} known @param {(entry: Entry) => void} onjoin */
  constructor(known, onjoin) {
    this.receiveOnly = known.receiveOnly;
    /** @type {MediaStreamTrack | null} */
    this.camera = null;
    /** @type {MediaStreamTrack | null} */
    this.microphone = null;
    this.joined = false;
    this.left = new AbortController();
    this.video = element('video', { autoplay: true, muted: true, playsinline: true, 'aria-label': 'Your camera' });
    this.video.muted = true;
    this.words = element('p', { class: 'problem', role: 'alert' });
    this.noPicture = element('p', { class: 'no-picture' }, 'Asking for your camera…');
    this.cameras = element('select', { id: 'camera', onchange: () => void this.pickCamera() });
    this.microphones = element('select', { id: 'microphone', onchange: () => void this.pickMicrophone() });
    this.name = element('input', { id: 'name', required: true, maxlength: 64, autocomplete: 'name', value: known.name });
    this.room = element('input', { id: 'room', required: true, maxlength: 64, pattern: ROOM_PATTERN, value: known.room,
      title: 'Letters, digits, - and _', autocapitalize: 'off', spellcheck: 'false' });
    const form = element('form', { onsubmit: (event) => { event.preventDefault(); this.join(onjoin); } },
      field('Your name', this.name), field('Room', this.room),
      ...(known.receiveOnly ? [] : [field('Camera', this.cameras), field('Microphone', this.microphones)]),
      this.words, element('button', { type: 'submit', class: 'primary' }, 'Join the call'));
    this.root = element('main', { class: 'prejoin' },
      element('header', {}, element('h1', {}, 'splatcall'),
        element('p', {}, 'A video call whose pictures are painted from a few thousand soft ellipses.')),
      element('div', { class: 'prejoin-body' },
        element('div', { class: 'preview' }, this.video, this.noPicture), form));
  }

  /** Ask for the devices and show them; who only watches is asked for nothing. */
  async open() {
    if (this.receiveOnly) {
      this.setCamera(null);
      return;
    }
    const devices = await openDevices();
    if (this.joined) {
      devices.camera?.stop();
      devices.microphone?.stop();
      return;
    }
    this.microphone = devices.microphone;
    this.setCamera(devices.camera);
    this.say(devices.cameraProblem, devices.microphoneProblem);
    await this.fill();
    navigator.mediaDevices?.addEventListener('devicechange', () => void this.fill(), { signal: this.left.signal });
  }

  async fill() {
    const { cameras, microphones } = await listDevices();
    fillSelect(this.cameras, cameras, this.camera, 'No camera');
    fillSelect(this.microphones, microphones, this.microphone, 'No microphone');
  }

  /** @param {MediaStreamTrack | null} track */
  setCamera(track) {
    this.camera = track;
    this.video.srcObject = track ? new MediaStream([track]) : null;
    this.video.hidden = track === null;
    this.noPicture.hidden = track !== null;
    this.noPicture.textContent = 'No picture of you will be sent.';
  }

  /** @param {Problem | null} camera @param {Problem | null} microphone */
  say(camera, microphone) {
    const texts = [camera && cameraWords(camera), microphone && camera !== 'insecure' && microphoneWords(microphone)];
    this.words.textContent = texts.filter(Boolean).join(' ');
  }

  async pickCamera() {
    this.camera?.stop();
    const { value } = this.cameras;
    try {
      this.setCamera(value ? await openCamera(value) : null);
      this.say(null, null);
    } catch (error) {
      this.setCamera(null);
      this.say(problemOf(error), null);
    }
  }

  async pickMicrophone() {
    this.microphone?.stop();
    const { value } = this.microphones;
    try {
      this.microphone = value ? await openMicrophone(value) : null;
      this.say(null, null);
    } catch (error) {
      this.microphone = null;
      this.say(null, problemOf(error));
    }
  }

  /** @param {(entry: Entry) => void} onjoin */
  join(onjoin) {
    if (this.joined) return;
    this.joined = true;
    this.left.abort();
    this.video.srcObject = null;
    onjoin({ room: this.room.value.trim(), name: this.name.value.trim(), camera: this.camera, microphone: this.microphone });
  }
}

/** @param {string} label @param {HTMLElement} control @returns {HTMLElement} */
function field(label, control) {
  return element('div', { class: 'field' }, element('label', { for: control.id }, label), control);
}

/**
 * @param {HTMLSelectElement} select @param {MediaDeviceInfo[]} devices
 * @param {MediaStreamTrack | null} used @param {string} none
 */
function fillSelect(select, devices, used, none) {
  const usedId = used?.getSettings().deviceId ?? '';
  const options = devices.filter(({ deviceId }) => deviceId !== '')
    .map(({ deviceId, label }) => element('option', { value: deviceId, selected: deviceId === usedId }, label || 'Unnamed device'));
  select.replaceChildren(...options, element('option', { value: '', selected: usedId === '' }, none));
}
