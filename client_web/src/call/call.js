// One call: joins a room, keeps connection and decoder going, and tells the page who is there. No DOM besides the canvases it is handed.

import { AudioLines } from './audio_lines.js';
import { ClockSync } from './clock_sync.js';
import { DecoderLink } from './decoder_link.js';
import { PROTOCOL } from './messages.js';
import { hasScriptTransform, Peer } from './peer.js';
import { Signalling, signallingUrl } from './signalling.js';

/** @typedef {import('./messages.js').ParticipantInfo} ParticipantInfo */
/** @typedef {import('./messages.js').ServerMessage} ServerMessage */
/** @typedef {'connecting' | 'live' | 'reconnecting' | 'gone' | 'refused' | 'left'} Status */

/**
 * Somebody else in the room.
 * @typedef {object} RemoteParticipant
 * @property {ParticipantInfo} info
 * @property {number} width coded size, 0: no picture yet
 * @property {number} height
 * @property {HTMLCanvasElement | null} canvas where the picture is
 * @property {MediaStreamTrack | null} track the picture as a video track, once somebody asked for it
 */

/**
 * @typedef {object} CallHandlers
 * @property {() => void} onparticipants somebody came, changed or left, or a picture's size did
 * @property {(status: Status, detail: string) => void} onstatus
 * @property {() => void} onsoundblocked
 * @property {(reason: string) => void} onnowebgl
 * @property {() => void} onstats
 */

/**
 * @typedef {object} CallOptions
 * @property {string} room
 * @property {string} name
 * @property {string} [token]
 * @property {'auto' | 'rtp' | 'data'} transport
 * @property {import('./peer.js').LocalTracks} tracks
 */

const RETRY_MS = [300, 700, 1500, 3000];
/** How long the server may be away before the page says that it is gone. */
const GONE_AFTER_MS = 5000;
const FIRST_PINGS = 5;
const FIRST_PING_MS = 150;
const PING_MS = 5000;
const WATCH_MS = 500;
/** RTP that arrives and yields no datagram for so long is given up for the data channel. */
const RTP_SILENCE_MS = 2000;

/** @returns {number} milliseconds on the clock that the worker uses too */
export function nowMs() {
  return performance.timeOrigin + performance.now();
}

export class Call {
  /** @param {CallOptions} options @param {CallHandlers} handlers */
  constructor(options, handlers) {
    this.options = options;
    this.handlers = handlers;
    this.tracks = options.tracks;
    /** @type {Status} */
    this.status = 'connecting';
    this.id = '';
    this.resume = '';
    /** @type {Map<string, RemoteParticipant>} */
    this.participants = new Map();
    /** @type {'rtp' | 'data'} */
    this.transport = 'data';
    /** @type {Signalling | null} */
    this.signalling = null;
    /** @type {Peer | null} */
    this.peer = null;
    this.offering = false;
    this.offerDue = false;
    this.clock = new ClockSync();
    this.audio = new AudioLines(() => handlers.onsoundblocked());
    this.joinSentMs = 0;
    /** @type {number | null} join message to first remote picture drawn */
    this.joinMs = null;
    this.rtpAlive = false;
    /** @type {number | null} when RTP packets without a datagram were first seen */
    this.rtpSilentSince = null;
    this.retries = 0;
    this.lostMs = 0;
    /** @type {Set<ReturnType<typeof setTimeout>>} */
    this.timers = new Set();
    this.decoder = new DecoderLink({
      onreport: (datagram) => this.peer?.send(datagram),
      onsize: (stream, width, height) => this.setSize(stream, width, height),
      onfirstdrawn: (atMs) => { this.joinMs ??= atMs - this.joinSentMs; },
      onnowebgl: (reason) => handlers.onnowebgl(reason),
      onrtp: () => { this.rtpAlive = true; },
      onstats: () => handlers.onstats(),
    });
  }

  /** Join; comes back once the decoder is ready and the server is being called. */
  async start() {
    try {
      await this.decoder.ready;
    } catch (error) {
      this.setStatus('refused', error instanceof Error ? error.message : String(error));
      return;
    }
    this.connect();
    this.repeat(WATCH_MS, () => void this.watch());
    this.repeat(PING_MS, () => this.ping());
  }

  /** @param {number} ms @param {() => void} work */
  later(ms, work) {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      work();
    }, ms);
    this.timers.add(timer);
  }

  /** @param {number} ms @param {() => void} work */
  repeat(ms, work) {
    this.later(ms, () => {
      work();
      this.repeat(ms, work);
    });
  }

  /** @param {Status} status @param {string} [detail] */
  setStatus(status, detail = '') {
    this.status = status;
    this.handlers.onstatus(status, detail);
  }

  connect() {
    const signalling = new Signalling(signallingUrl(location), {
      onopen: () => this.join(signalling),
      onmessage: (message) => this.take(message),
      onclose: () => this.lost(),
    });
    this.signalling = signalling;
  }

  /** @param {Signalling} signalling */
  join(signalling) {
    const { room, name, token, transport } = this.options;
    if (this.joinSentMs === 0) this.joinSentMs = nowMs();
    signalling.send({
      type: 'join', protocol: PROTOCOL, room, name, ...(token ? { token } : {}), ...(this.resume ? { resume: this.resume } : {}),
      transport: transport !== 'data' && !hasScriptTransform() ? 'data' : transport,
      audio: isOn(this.tracks.microphone), video: isOn(this.tracks.camera),
    });
  }

  /** The WebSocket broke: the media may still flow; come back with the resume key. */
  lost() {
    if (this.status === 'left' || this.status === 'refused') return;
    if (this.lostMs === 0) this.lostMs = nowMs();
    const gone = nowMs() - this.lostMs > GONE_AFTER_MS;
    this.setStatus(gone ? 'gone' : 'reconnecting');
    this.later(RETRY_MS[Math.min(this.retries++, RETRY_MS.length - 1)], () => this.connect());
  }

  /** @param {ServerMessage} message */
  take(message) {
    switch (message.type) {
      case 'joined': this.joined(message); break;
      case 'answer': void this.answered(message.sdp); break;
      case 'clock': this.pong(message.t0, message.t1); break;
      case 'participant-joined':
      case 'participant-changed': this.meet(message.participant); break;
      case 'participant-left': this.forget(message.id); break;
      case 'audio-lines': this.audio.assign(message.lines); break;
      case 'error': this.refused(message); break;
    }
  }

  /** @param {import('./messages.js').Joined} message */
  joined(message) {
    const resumed = message.id === this.id;
    this.id = message.id;
    this.resume = message.resume;
    this.retries = 0;
    this.lostMs = 0;
    if (!resumed) {
      this.decoder.reset();
      this.participants.clear();
      this.handlers.onparticipants();
    }
    const present = new Set(message.participants.map(({ id }) => id));
    for (const id of [...this.participants.keys()]) if (!present.has(id)) this.forget(id);
    message.participants.forEach((participant) => this.meet(participant));
    this.setStatus('live');
    this.handlers.onparticipants();
    for (let ping = 0; ping < FIRST_PINGS; ping++) this.later(ping * FIRST_PING_MS, () => this.ping());
    if (!resumed || this.peer?.pc.connectionState !== 'connected') void this.openPeer(message);
  }

  /** @param {import('./messages.js').Joined} joined what the server offers */
  async openPeer(joined) {
    const { transport, audio_lines: audioLines, ice_servers: addresses = [] } = joined;
    this.peer?.close();
    this.audio.close();
    this.transport = transport;
    this.rtpSilentSince = null;
    this.offering = false;
    const { worker } = this.decoder;
    const peer = new Peer({ transport, audioLines, worker, iceServers: addresses.map((urls) => ({ urls })) }, {
      ondatagram: (bytes) => this.decoder.post({ type: 'datagram', bytes }, [bytes]),
      onaudio: (line, track, receiver) => this.audio.add(line, track, receiver),
      onfailed: () => { if (this.peer === peer && this.status === 'live') void this.openPeer(joined); },
    });
    this.peer = peer;
    await peer.setTracks(this.tracks);
    await this.offer();
  }

  /** Offer what is sent now; one offer at a time, a later wish waits for the answer. */
  async offer() {
    const { peer } = this;
    if (!peer) return;
    this.offerDue = this.offering;
    if (this.offering) return;
    this.offering = true;
    const sdp = await peer.makeOffer();
    if (this.peer === peer) this.signalling?.send({ type: 'offer', sdp });
  }

  /** @param {string} sdp */
  async answered(sdp) {
    await this.peer?.takeAnswer(sdp);
    this.offering = false;
    if (this.offerDue) await this.offer();
  }

  /** @param {{ code: string, message: string, expected?: string, got?: string }} error */
  refused({ code, message, expected, got }) {
    const detail = [message, expected && `expected ${expected}`, got && `got ${got}`].filter(Boolean).join(', ');
    console.warn(`server: ${code}: ${detail}`);
    if (this.id === '') this.setStatus('refused', detail);
    this.offering = false;
  }

  ping() {
    this.signalling?.send({ type: 'clock', t0: nowMs() });
  }

  /** @param {number} t0 @param {number} t1 */
  pong(t0, t1) {
    this.clock.push(t0, t1, nowMs());
    const best = this.clock.best();
    if (best) this.decoder.post({ type: 'clock', offsetMs: best.offsetMs });
  }

  /** @param {ParticipantInfo} info */
  meet(info) {
    if (info.id === this.id) return;
    const known = this.participants.get(info.id);
    if (known && known.info.video && !info.video) this.dropPicture(known, false);
    if (known) known.info = info;
    else this.participants.set(info.id, { info, width: 0, height: 0, canvas: null, track: null });
    this.handlers.onparticipants();
  }

  /** @param {string} id */
  forget(id) {
    const participant = this.participants.get(id);
    if (!participant) return;
    this.dropPicture(participant, true);
    this.participants.delete(id);
    this.handlers.onparticipants();
  }

  /** @param {RemoteParticipant} participant @param {boolean} forget they left */
  dropPicture(participant, forget) {
    participant.track?.stop();
    participant.track = null;
    participant.canvas = null;
    participant.width = 0;
    participant.height = 0;
    this.decoder.detach(participant.info.stream, forget);
  }

  /** Show a participant's picture on a canvas, for as long as they send one. @param {string} id @returns {HTMLCanvasElement | null} null: nobody has this id */
  attach(id) {
    const participant = this.participants.get(id);
    if (!participant) return null;
    const canvas = this.decoder.attach(participant.info.stream);
    participant.canvas = canvas;
    return canvas;
  }

  /** A participant's picture as a video track: made when it is asked for, since each picture is then read back. @param {string} id @returns {MediaStreamTrack | null} */
  track(id) {
    const participant = this.participants.get(id);
    if (!participant?.canvas) return null;
    participant.track ??= captureTrack(participant.canvas);
    return participant.track;
  }

  /** @param {string} id @param {number} width device px */
  setTile(id, width) {
    const participant = this.participants.get(id);
    if (participant) this.decoder.setTile(participant.info.stream, width);
  }

  /** @param {number} stream @param {number} width @param {number} height */
  setSize(stream, width, height) {
    for (const participant of this.participants.values()) {
      if (participant.info.stream !== stream) continue;
      participant.width = width;
      participant.height = height;
    }
    this.handlers.onparticipants();
  }

  /** Send these tracks from now on; null: none. @param {import('./peer.js').LocalTracks} tracks */
  async setTracks(tracks) {
    this.tracks = tracks;
    this.signalling?.send({ type: 'media', audio: isOn(tracks.microphone), video: isOn(tracks.camera) });
    if (await this.peer?.setTracks(tracks)) await this.offer();
  }

  /** Keep an eye on RTP that arrives and comes to nothing, and on voices ahead of their pictures. */
  async watch() {
    this.audio.keepInStep((id) => this.delayMs(id), this.clock.best()?.rttMs ?? 0);
    if (this.transport !== 'rtp' || this.rtpAlive || this.status !== 'live') return;
    if (((await this.peer?.splatPackets()) ?? 0) === 0) return;
    this.rtpSilentSince ??= nowMs();
    if (nowMs() - this.rtpSilentSince < RTP_SILENCE_MS) return;
    this.transport = 'data';
    this.signalling?.send({ type: 'transport', use: 'data' });
  }

  /** @param {string} id @returns {number | null} */
  delayMs(id) {
    const participant = this.participants.get(id);
    return participant ? this.decoder.stats[participant.info.stream]?.delay_ms ?? null : null;
  }

  /** Figures of everybody who is here, as automation reads them. */
  stats() {
    const participants = [...this.participants.values()].map(({ info }) => {
      const { stages: _, ...figures } = this.decoder.stats[info.stream] ?? NO_FIGURES;
      return { id: info.id, name: info.name, ...figures, transport: this.transport };
    });
    return { join_ms: this.joinMs, participants };
  }

  /** The picture now shown of a participant, at the coded size. @param {string} id @returns {Promise<Blob>} a PNG */
  snapshot(id) {
    const participant = this.participants.get(id);
    if (!participant) return Promise.reject(new Error(`nobody here has the id ${id}`));
    return this.decoder.snapshot(participant.info.stream);
  }

  leave() {
    this.signalling?.send({ type: 'leave' });
    this.setStatus('left');
    for (const timer of this.timers) clearTimeout(timer);
    this.timers.clear();
    this.signalling?.close();
    this.peer?.close();
    this.audio.close();
    this.decoder.close();
    for (const { track } of this.participants.values()) track?.stop();
    this.participants.clear();
  }
}

/** A canvas as a video track, where the browser can. @param {HTMLCanvasElement} canvas @returns {MediaStreamTrack | null} */
function captureTrack(canvas) {
  try {
    return canvas.captureStream().getVideoTracks()[0] ?? null;
  } catch (error) {
    console.warn(`no video track of a canvas here: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  }
}

/** @param {MediaStreamTrack | null} track @returns {boolean} */
function isOn(track) {
  return track !== null && track.enabled && track.readyState === 'live';
}

/** @type {import('../worker/messages.js').StreamStats} */
const NO_FIGURES = {
  width: 0, height: 0, fps: 0, kbps: 0, splats: 0, changed: 0, encode_ms: 0, stages: {}, decode_ms: 0, delay_ms: null,
  frames: 0, dropped: 0, gaps: 0, patches: 0, hash_bad: 0,
};
