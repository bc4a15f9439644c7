// One publisher inside the worker: its receiver, its canvas, when it is drawn and its figures.

import { RECORD_FIGURES } from '../codec/datagram.js';
import { BitstreamError } from '../codec/errors.js';
import { FIELDS } from '../codec/quantize.js';
import { copyState } from '../codec/state.js';
import { DelayMeter, parseFigures, RateMeter } from '../receiver/figures.js';
import { StreamReceiver } from '../receiver/stream_receiver.js';

/** @typedef {import('../codec/state.js').SplatState} SplatState */
/** @typedef {import('../render/picture_view.js').PictureView} PictureView */
/** @typedef {import('./messages.js').FromWorker} FromWorker */

/** Milliseconds on a clock that the page and its workers share. @returns {number} */
export function nowMs() {
  return performance.timeOrigin + performance.now();
}

const SMOOTHING = 0.1;

export class StreamView {
  /**
   * @param {number} stream
   * @param {import('../codec/tables.js').Tables} tables
   * @param {(message: FromWorker) => void} post
   * @param {() => void} askDraw
   */
  constructor(stream, tables, post, askDraw) {
    this.stream = stream;
    this.post = post;
    this.askDraw = askDraw;
    this.receiver = new StreamReceiver(tables);
    /** @type {PictureView | null} */
    this.view = null;
    /** The page draws itself: it is sent the states. */
    this.remote = false;
    this.dirty = false;
    this.drawn = false;
    /** @type {SplatState | null} the midpoint that was drawn last */
    this.midpointDrawn = null;
    this.width = 0;
    this.height = 0;
    this.decodeMs = 0;
    this.delays = new DelayMeter();
    this.pictureRate = new RateMeter();
    this.byteRate = new RateMeter();
    /** @type {import('../receiver/figures.js').Figures | null} */
    this.figures = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.midpointTimer = undefined;
  }

  /** Draw again although no record came. */
  touch() {
    this.dirty = true;
    this.askDraw();
  }

  /** @param {PictureView | null} view null: the page draws, or nothing can @param {boolean} remote the page draws @param {boolean} outlines */
  attach(view, remote, outlines) {
    this.remote = remote;
    this.view = view;
    if (view) {
      view.onrestored = () => this.touch();
      view.outlines = outlines;
    }
    this.width = 0;
    this.tellSize();
    if (this.receiver.shown) this.touch();
  }

  /** Tell the page how large the picture is, where that is news. */
  tellSize() {
    const epoch = this.receiver.shown?.epoch;
    if (!epoch || (epoch.widthPx === this.width && epoch.heightPx === this.height)) return;
    this.width = epoch.widthPx;
    this.height = epoch.heightPx;
    this.post({ type: 'size', stream: this.stream, width: this.width, height: this.height });
  }

  /**
   * Take one record.
   * @param {number} kind @param {Uint8Array} body @param {number | null} serverOffsetMs
   * @returns {boolean} whether the sender should hear at once
   */
  push(kind, body, serverOffsetMs) {
    const startMs = performance.now();
    this.byteRate.add(startMs, body.length + 3);
    if (kind === RECORD_FIGURES) {
      this.pushFigures(body, serverOffsetMs);
      return false;
    }
    const framesBefore = this.receiver.counters.frames;
    const outcome = this.receiver.push(kind, body);
    if (this.receiver.counters.frames > framesBefore) {
      const spent = performance.now() - startMs;
      this.decodeMs += (spent - this.decodeMs) * (this.decodeMs === 0 ? 1 : SMOOTHING);
    }
    if (outcome.picture) this.dirty = true;
    this.tellSize();
    return outcome.urgent;
  }

  /** @param {Uint8Array} body @param {number | null} serverOffsetMs */
  pushFigures(body, serverOffsetMs) {
    try {
      this.figures = parseFigures(body);
      this.delays.push(this.figures, serverOffsetMs);
    } catch (error) {
      if (!(error instanceof BitstreamError)) throw error;
      this.receiver.counters.refused += 1;
    }
  }

  /** Whether pictures in between are shown: where a CPU draws, its time is better spent otherwise. @returns {boolean} */
  get showsMidpoints() {
    return !this.view?.renderer.device.software;
  }

  /** Draw what is to be shown, if that changed. */
  draw() {
    const { shown, midpoint } = this.receiver;
    if (!this.dirty || !shown || (!this.view && !this.remote)) return;
    this.dirty = false;
    if (midpoint && midpoint !== this.midpointDrawn && this.showsMidpoints) {
      this.midpointDrawn = midpoint;
      this.drawState(midpoint);
      const [frames, seconds] = shown.epoch.fps;
      clearTimeout(this.midpointTimer);
      this.midpointTimer = setTimeout(() => this.touch(), (1000 * seconds) / frames);
      return;
    }
    this.drawState(shown);
    this.delays.noteDrawn(shown.frameNumber, nowMs());
  }

  /** @param {SplatState} state */
  drawState(state) {
    if (this.remote) this.post({ type: 'picture', stream: this.stream, state: copyState(state) });
    else this.view?.draw(state);
    this.pictureRate.add(performance.now(), 1);
    if (!this.drawn) {
      this.drawn = true;
      this.post({ type: 'first-drawn', stream: this.stream, atMs: nowMs() });
    }
  }

  /** @returns {import('./messages.js').StreamStats} */
  stats() {
    const { counters, shown } = this.receiver;
    const at = performance.now();
    return {
      width: this.width,
      height: this.height,
      fps: this.pictureRate.perSecond(at),
      kbps: (this.byteRate.perSecond(at) * 8) / 1000,
      splats: shown ? liveSplats(shown) : 0,
      changed: this.figures?.changed ?? 0,
      encode_ms: this.delays.encodeMs,
      stages: this.figures?.stages ?? {},
      decode_ms: this.decodeMs,
      delay_ms: this.delays.delayMs,
      frames: counters.frames,
      dropped: counters.dropped + counters.refused + (this.figures?.dropped ?? 0),
      gaps: counters.gaps,
      patches: counters.patches,
      hash_bad: counters.hashBad,
    };
  }

  /** Give the canvas back; the state stays up to date. */
  detach() {
    clearTimeout(this.midpointTimer);
    this.view?.close();
    this.view = null;
    this.remote = false;
    this.width = 0;
    this.height = 0;
  }
}

/** @param {SplatState} state @returns {number} */
function liveSplats({ splats }) {
  let live = 0;
  for (let at = 8; at < splats.length; at += FIELDS) if (splats[at] !== 0) live += 1;
  return live;
}
