// The page's one RTCPeerConnection: camera and microphone up, the splat stream and a pool of audio lines down.
// Lines in the order the server expects: microphone, camera, splats (RTP only), audio lines; and the data channel "splat".

import { gathered } from './gathering.js';

/** @typedef {{ microphone: MediaStreamTrack | null, camera: MediaStreamTrack | null }} LocalTracks */

/**
 * @typedef {object} PeerHandlers
 * @property {(bytes: ArrayBuffer) => void} ondatagram over the data channel
 * @property {(line: number, track: MediaStreamTrack, receiver: RTCRtpReceiver) => void} onaudio
 * @property {() => void} onfailed
 */

const CHANNEL_LABEL = 'splat';
const MAX_CHANNEL_BYTES = 65536;

/** Whether splats can come over RTP here. @returns {boolean} */
export function hasScriptTransform() {
  return typeof RTCRtpScriptTransform !== 'undefined';
}

export class Peer {
  /**
   * @param {{ transport: 'rtp' | 'data', audioLines: number, worker: Worker, iceServers: RTCIceServer[] }} options
   * @param {PeerHandlers} handlers
   */
  constructor({ transport, audioLines, worker, iceServers }, handlers) {
    this.handlers = handlers;
    this.pc = new RTCPeerConnection({ iceServers, bundlePolicy: 'max-bundle' });
    this.microphone = this.pc.addTransceiver('audio', { direction: 'inactive' });
    this.camera = this.pc.addTransceiver('video', { direction: 'inactive' });
    preferVp8(this.camera, 'sender');
    /** @type {RTCRtpTransceiver | null} */
    this.splats = null;
    if (transport === 'rtp') {
      this.splats = this.pc.addTransceiver('video', { direction: 'recvonly' });
      preferVp8(this.splats, 'receiver');
      this.splats.receiver.transform = new RTCRtpScriptTransform(worker, { name: CHANNEL_LABEL });
    }
    for (let line = 0; line < audioLines; line++) {
      const { receiver } = this.pc.addTransceiver('audio', { direction: 'recvonly' });
      handlers.onaudio(line, receiver.track, receiver);
    }
    this.channel = this.pc.createDataChannel(CHANNEL_LABEL, { ordered: false, maxRetransmits: 0 });
    this.channel.binaryType = 'arraybuffer';
    this.channel.onmessage = (event) => handlers.ondatagram(event.data);
    this.pc.onconnectionstatechange = () => {
      if (this.pc.connectionState === 'failed') handlers.onfailed();
    };
  }

  /** Say what is sent from now on; a new offer is due when this returns true. @param {LocalTracks} tracks @returns {Promise<boolean>} */
  async setTracks({ microphone, camera }) {
    const changed = [
      await setTrack(this.microphone, microphone),
      await setTrack(this.camera, camera),
    ];
    return changed.includes(true);
  }

  /** @returns {Promise<string>} an offer with candidates in it */
  async makeOffer() {
    await this.pc.setLocalDescription(await this.pc.createOffer());
    await gathered(this.pc);
    return this.pc.localDescription?.sdp ?? '';
  }

  /** @param {string} sdp */
  async takeAnswer(sdp) {
    if (this.pc.signalingState === 'have-local-offer') await this.pc.setRemoteDescription({ type: 'answer', sdp });
  }

  /** Send a datagram if the channel is open and not blocked; reports are whole each time, so a lost one does not matter. @param {Uint8Array} bytes */
  send(bytes) {
    if (this.channel.readyState !== 'open' || this.channel.bufferedAmount > MAX_CHANNEL_BYTES) return;
    this.channel.send(/** @type {Uint8Array<ArrayBuffer>} */ (bytes));
  }

  /** RTP packets of the splat stream that the browser has received. @returns {Promise<number>} */
  async splatPackets() {
    if (!this.splats) return 0;
    let packets = 0;
    for (const entry of (await this.splats.receiver.getStats()).values()) {
      if (entry.type === 'inbound-rtp') packets += entry.packetsReceived ?? 0;
    }
    return packets;
  }

  close() {
    this.pc.onconnectionstatechange = null;
    this.channel.onmessage = null;
    this.pc.close();
  }
}

/** @param {RTCRtpTransceiver} transceiver @param {MediaStreamTrack | null} track @returns {Promise<boolean>} whether the direction changed */
async function setTrack(transceiver, track) {
  if (transceiver.sender.track !== track) await transceiver.sender.replaceTrack(track);
  if (!track || transceiver.direction === 'sendonly') return false;
  transceiver.direction = 'sendonly';
  return true;
}

/** @param {RTCRtpTransceiver} transceiver @param {'sender' | 'receiver'} side */
function preferVp8(transceiver, side) {
  const capabilities = side === 'sender' ? RTCRtpSender.getCapabilities('video') : RTCRtpReceiver.getCapabilities('video');
  const kept = (capabilities?.codecs ?? []).filter(({ mimeType }) => /^video\/(vp8|rtx)$/i.test(mimeType));
  if (kept.length > 0 && 'setCodecPreferences' in transceiver) transceiver.setCodecPreferences(kept);
}
