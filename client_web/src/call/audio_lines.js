// The pool of audio lines: one audio element each, played in step with the splats of who speaks on it.

/**
 * @typedef {object} Line
 * @property {HTMLAudioElement} element
 * @property {RTCRtpReceiver} receiver
 */

const MAX_HOLD_MS = 1000;

export class AudioLines {
  /** @param {() => void} onblocked the browser wants a click before it plays sound */
  constructor(onblocked) {
    this.onblocked = onblocked;
    /** @type {Line[]} */
    this.lines = [];
    /** @type {(string | null)[]} id of who speaks on each line */
    this.speakers = [];
  }

  /** @param {number} index @param {MediaStreamTrack} track @param {RTCRtpReceiver} receiver */
  add(index, track, receiver) {
    const element = new Audio();
    element.autoplay = true;
    element.srcObject = new MediaStream([track]);
    this.lines[index] = { element, receiver };
  }

  /** @param {(string | null)[]} speakers by line */
  assign(speakers) {
    this.speakers = speakers;
    void this.play();
  }

  /** Start what does not play; also the answer to a click after the browser refused. @returns {Promise<void>} */
  async play() {
    const waiting = this.lines.filter(({ element }, index) => this.speakers[index] && element.paused);
    const results = await Promise.allSettled(waiting.map(({ element }) => element.play()));
    const refused = results.some((result) => result.status === 'rejected' && problemName(result.reason) === 'NotAllowedError');
    if (refused) this.onblocked();
  }

  /**
   * Hold each voice back until its picture is drawn.
   * @param {(id: string) => number | null} pictureDelayMs capture to drawn @param {number} rttMs to the server
   */
  keepInStep(pictureDelayMs, rttMs) {
    this.lines.forEach(({ receiver }, index) => {
      const speaker = this.speakers[index];
      const delayMs = speaker ? pictureDelayMs(speaker) : null;
      if (delayMs === null || !('jitterBufferTarget' in receiver)) return;
      receiver.jitterBufferTarget = Math.min(MAX_HOLD_MS, Math.max(0, delayMs - rttMs));
    });
  }

  close() {
    for (const { element } of this.lines) {
      element.pause();
      element.srcObject = null;
    }
    this.lines = [];
  }
}

/** @param {unknown} error @returns {string} */
function problemName(error) {
  return error instanceof Error ? error.name : '';
}
