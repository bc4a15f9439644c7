// The screen of a running call: tiles, toolbar, figures, notices; switches of camera and microphone.

import { Call } from '../call/call.js';
import { openCamera, openMicrophone, problemOf } from '../call/devices.js';
import { element } from './dom.js';
import { Notices } from './notices.js';
import { SelfView } from './self_view.js';
import { StatsPanel } from './stats_panel.js';
import { Tiles } from './tiles.js';
import { Toolbar } from './toolbar.js';
import { cameraWords, microphoneWords, WORDS } from './words.js';

/** @typedef {import('../call/call.js').Status} Status */
/** @typedef {import('./prejoin.js').Entry} Entry */

export class CallScreen {
  /**
   * @param {Entry} entry @param {{ transport: 'auto' | 'rtp' | 'data', token?: string, receiveOnly: boolean }} options
   * @param {(detail: string) => void} onend left, or not let in
   */
  constructor(entry, options, onend) {
    this.entry = entry;
    this.onend = onend;
    this.camera = entry.camera;
    this.microphone = entry.microphone;
    this.outlines = false;
    this.notices = new Notices();
    this.selfView = new SelfView();
    this.panel = new StatsPanel();
    this.call = new Call({
      room: entry.room, name: entry.name, token: options.token, transport: options.transport,
      tracks: { camera: entry.camera, microphone: entry.microphone },
    }, {
      onparticipants: () => this.showParticipants(),
      onstatus: (status, detail) => this.showStatus(status, detail),
      onsoundblocked: () => this.askForClick(),
      onnowebgl: (reason) => {
        console.warn(`no WebGL2: ${reason}`);
        this.notices.show('webgl', WORDS.noWebgl);
      },
      onstats: () => this.showStats(),
    });
    this.tiles = new Tiles((id) => this.call.attach(id), (id, width) => this.call.setTile(id, width));
    this.toolbar = new Toolbar({
      microphone: () => void this.switchMicrophone(),
      camera: () => void this.switchCamera(),
      splats: () => this.switchOutlines(),
      picture: () => void this.savePictures(),
      stats: () => this.switchStats(),
      link: () => void this.copyLink(),
      leave: () => this.leave(),
    });
    this.toolbar.enable('camera', !options.receiveOnly);
    this.toolbar.enable('microphone', !options.receiveOnly);
    this.root = element('main', { class: 'call' }, this.notices.root,
      element('div', { class: 'stage' }, this.tiles.root, this.panel.root), this.selfView.root, this.toolbar.root);
    this.onvisibility = () => this.call.decoder.post({ type: 'hidden', hidden: document.hidden });
    document.addEventListener('visibilitychange', this.onvisibility);
    this.showDevices();
  }

  start() {
    this.showParticipants();
    void this.call.start();
  }

  showParticipants() {
    this.tiles.update(this.call.participants.values(), this.call.status === 'live' ? WORDS.alone : 'Joining…');
  }

  /** @param {Status} status @param {string} detail */
  showStatus(status, detail) {
    if (status === 'live') this.notices.hide('connection');
    if (status === 'reconnecting') this.notices.show('connection', WORDS.reconnecting);
    if (status === 'gone') this.notices.show('connection', WORDS.gone);
    if (status === 'refused') this.end(`${WORDS.refused}: ${detail}.`);
    if (status === 'left') this.end(WORDS.left);
  }

  /** @param {string} detail */
  end(detail) {
    document.removeEventListener('visibilitychange', this.onvisibility);
    this.camera?.stop();
    this.microphone?.stop();
    this.onend(detail);
  }

  leave() {
    this.call.leave();
  }

  askForClick() {
    this.notices.show('sound', WORDS.soundBlocked, {
      label: WORDS.hear,
      act: () => {
        this.notices.hide('sound');
        void this.call.audio.play();
      },
    });
  }

  showStats() {
    if (this.panel.root.hidden) return;
    const { stats } = this.call.decoder;
    const participants = [...this.call.participants.values()].filter(({ info }) => stats[info.stream])
      .map(({ info }) => ({ ...stats[info.stream], name: info.name, transport: this.call.transport }));
    this.panel.update(this.call.joinMs, participants);
  }

  showDevices() {
    const heard = this.microphone !== null && this.microphone.enabled;
    this.toolbar.set('microphone', !heard, heard ? 'Mute' : 'Unmute');
    this.toolbar.set('camera', this.camera === null, this.camera ? 'Camera off' : 'Camera on');
    this.selfView.show(this.camera);
  }

  async sendTracks() {
    this.showDevices();
    await this.call.setTracks({ camera: this.camera, microphone: this.microphone });
  }

  async switchMicrophone() {
    try {
      if (this.microphone) this.microphone.enabled = !this.microphone.enabled;
      else this.microphone = await openMicrophone();
    } catch (error) {
      this.notices.show('microphone', microphoneWords(problemOf(error)));
    }
    await this.sendTracks();
  }

  async switchCamera() {
    try {
      if (this.camera) {
        this.camera.stop();
        this.camera = null;
      } else {
        this.camera = await openCamera();
        this.notices.hide('camera');
      }
    } catch (error) {
      this.notices.show('camera', cameraWords(problemOf(error)));
    }
    await this.sendTracks();
  }

  switchOutlines() {
    this.outlines = !this.outlines;
    this.toolbar.set('splats', this.outlines, this.outlines ? 'Hide splats' : 'Show splats');
    this.call.decoder.setOutlines(this.outlines);
  }

  switchStats() {
    this.toolbar.set('stats', this.panel.toggle());
    this.showStats();
  }

  async savePictures() {
    let saved = 0;
    for (const { info, width } of this.call.participants.values()) {
      if (!info.video || width === 0) continue;
      try {
        download(await this.call.snapshot(info.id), `${info.name.replace(/[^\p{L}\p{N}_-]+/gu, '_')}.png`);
        saved += 1;
      } catch (error) {
        console.warn(`picture of ${info.name}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    this.notices.toast(saved > 0 ? WORDS.saved : WORDS.noPicture);
  }

  async copyLink() {
    const link = new URL(location.pathname, location.href);
    link.searchParams.set('room', this.entry.room);
    try {
      await navigator.clipboard.writeText(link.href);
      this.notices.toast(WORDS.copied);
    } catch {
      this.notices.toast(WORDS.notCopied);
    }
  }
}

/** How long a browser may take to fetch what it downloads. */
const DOWNLOAD_MS = 10_000;

/** Hand a file to the browser's downloads. @param {Blob} blob @param {string} name */
function download(blob, name) {
  const url = URL.createObjectURL(blob);
  element('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), DOWNLOAD_MS);
}
