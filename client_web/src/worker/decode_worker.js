// The decode worker: datagrams in (from the RTP script transform or the page), pictures on canvases and reports out.

import { parseDatagram } from '../codec/datagram.js';
import { BitstreamError } from '../codec/errors.js';
import { loadTables } from '../codec/tables.js';
import { PictureView } from '../render/picture_view.js';
import { RenderError } from '../render/gl.js';
import { REPORT_INTERVAL_MS, serializeReports } from '../receiver/report.js';
import { nowMs, StreamView } from './stream_view.js';

/** @typedef {import('./messages.js').ToWorker} ToWorker */
/** @typedef {import('./messages.js').FromWorker} FromWorker */

/** Bytes of the VP8 key-frame header that every datagram wears on RTP. */
const DISGUISE_BYTES = 10;
const STATS_INTERVAL_MS = 250;
const PICTURE_MS = 16;
/** Streams that may be heard of before the page knows their participants. */
const MAX_STREAMS = 64;

const scope = /** @type {{ postMessage(message: FromWorker): void, requestAnimationFrame?: (callback: () => void) => number,
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null,
  onrtctransform: ((event: { transformer: { readable: ReadableStream<{ data: ArrayBuffer }> } }) => void) | null }} */ (
  /** @type {unknown} */ (globalThis));

/** Workers of browsers without OffscreenCanvas have no animation frames either. @param {() => void} draw */
function nextPicture(draw) {
  if (scope.requestAnimationFrame) scope.requestAnimationFrame(draw);
  else setTimeout(draw, PICTURE_MS);
}

class DecodeWorker {
  constructor() {
    /** @type {import('../codec/tables.js').Tables | null} */
    this.tables = null;
    /** @type {Map<number, StreamView>} */
    this.streams = new Map();
    /** @type {number | null} */
    this.serverOffsetMs = null;
    this.outlines = false;
    this.hidden = false;
    this.rtpAlive = false;
    this.lastReportMs = 0;
    this.drawAsked = false;
    /** @type {PictureView | RenderError | null} made before anybody was there to be shown, or why it could not be */
    this.spare = null;
  }

  /** @param {string} tablesUrl */
  async start(tablesUrl) {
    try {
      const response = await fetch(tablesUrl);
      if (!response.ok) throw new Error(`${tablesUrl}: status ${response.status}`);
      this.tables = loadTables(await response.json());
      setInterval(() => this.report(), REPORT_INTERVAL_MS);
      setInterval(() => this.postStats(), STATS_INTERVAL_MS);
      scope.postMessage({ type: 'ready' });
    } catch (error) {
      scope.postMessage({ type: 'failed', reason: error instanceof Error ? error.message : String(error) });
    }
  }

  /** @param {number} stream @returns {StreamView | null} */
  stream(stream) {
    const known = this.streams.get(stream);
    if (known) return known;
    if (!this.tables || this.streams.size >= MAX_STREAMS) return null;
    const view = new StreamView(stream, this.tables, (message) => scope.postMessage(message), () => this.askDraw());
    this.streams.set(stream, view);
    return view;
  }

  /** @param {Uint8Array} bytes */
  pushDatagram(bytes) {
    let urgent = false;
    try {
      for (const { stream, kind, body } of parseDatagram(bytes)) {
        urgent = this.stream(stream)?.push(kind, body, this.serverOffsetMs) || urgent;
      }
    } catch (error) {
      if (!(error instanceof BitstreamError)) throw error;
    }
    if (urgent) this.report();
    this.askDraw();
  }

  askDraw() {
    if (this.hidden || this.drawAsked) return;
    if (![...this.streams.values()].some((stream) => stream.dirty)) return;
    this.drawAsked = true;
    nextPicture(() => {
      this.drawAsked = false;
      if (this.hidden) return;
      for (const stream of this.streams.values()) stream.draw();
    });
  }

  report() {
    this.askDraw();
    const at = nowMs();
    if (this.streams.size === 0 || at - this.lastReportMs < 5) return;
    this.lastReportMs = at;
    const receivers = new Map([...this.streams].map(([number, stream]) => [number, stream.receiver]));
    scope.postMessage({ type: 'reports', datagrams: serializeReports(receivers, at) });
  }

  postStats() {
    const entries = [...this.streams].map(([number, stream]) => [number, stream.stats()]);
    scope.postMessage({ type: 'stats', streams: Object.fromEntries(entries) });
  }

  /** Read the splat stream off RTP: always read, never write on, so that no frame reaches a VP8 decoder. @param {ReadableStream<{ data: ArrayBuffer }>} readable */
  async readRtp(readable) {
    const reader = readable.getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done || !value) return;
      if (!this.rtpAlive) {
        this.rtpAlive = true;
        scope.postMessage({ type: 'rtp-alive' });
      }
      if (value.data.byteLength > DISGUISE_BYTES) this.pushDatagram(new Uint8Array(value.data, DISGUISE_BYTES));
    }
  }

  /** @param {number} stream @param {number} request */
  async snapshot(stream, request) {
    const view = this.streams.get(stream);
    const state = view?.receiver.shown;
    try {
      if (!view?.view || !state) throw new Error('no picture yet');
      const png = await view.view.png(state);
      view.dirty = true;
      this.askDraw();
      scope.postMessage({ type: 'snapshot', request, png, error: '' });
    } catch (error) {
      scope.postMessage({ type: 'snapshot', request, png: null, error: error instanceof Error ? error.message : String(error) });
    }
  }

  /** Make what draws on a canvas. @param {OffscreenCanvas} canvas @returns {PictureView | RenderError} why it cannot be */
  makeView(canvas) {
    try {
      return new PictureView(canvas);
    } catch (error) {
      return error instanceof RenderError ? error : new RenderError(String(error));
    }
  }

  /** Have a canvas ready for who comes first: context and shaders take longer than all the rest. @param {OffscreenCanvas} canvas */
  prepare(canvas) {
    this.spare = this.makeView(canvas);
    if (this.spare instanceof PictureView) this.spare.warmUp();
  }

  /** Show a stream. @param {number} stream @param {OffscreenCanvas | 'spare' | 'page'} canvas page: the page draws */
  attach(stream, canvas) {
    let view = null;
    if (canvas === 'spare') [view, this.spare] = [this.spare, null];
    else if (canvas !== 'page') view = this.makeView(canvas);
    if (view instanceof RenderError) scope.postMessage({ type: 'no-webgl', stream, reason: view.message });
    this.stream(stream)?.attach(view instanceof PictureView ? view : null, canvas === 'page', this.outlines);
  }

  /** Stop showing a stream. @param {number} stream @param {boolean} forget its publisher left: nothing of it is needed again */
  detach(stream, forget) {
    this.streams.get(stream)?.detach();
    if (forget) this.streams.delete(stream);
  }

  /** @param {ToWorker} message */
  take(message) {
    switch (message.type) {
      case 'start': void this.start(message.tablesUrl); break;
      case 'spare': this.prepare(message.canvas); break;
      case 'attach': this.attach(message.stream, message.canvas); break;
      case 'detach': this.detach(message.stream, message.forget); break;
      case 'reset': for (const stream of [...this.streams.keys()]) this.detach(stream, true); break;
      case 'tile': this.setTile(message.stream, message.width); break;
      case 'outlines': this.setOutlines(message.on); break;
      case 'hidden': this.setHidden(message.hidden); break;
      case 'datagram': this.pushDatagram(new Uint8Array(message.bytes)); break;
      case 'clock': this.serverOffsetMs = message.offsetMs; break;
      case 'snapshot': void this.snapshot(message.stream, message.request); break;
    }
  }

  /** @param {number} stream @param {number} width */
  setTile(stream, width) {
    const view = this.streams.get(stream);
    if (!view?.view) return;
    view.view.setTile(width);
    view.dirty = true;
    this.askDraw();
  }

  /** @param {boolean} on */
  setOutlines(on) {
    this.outlines = on;
    for (const stream of this.streams.values()) {
      if (stream.view) stream.view.outlines = on;
      stream.dirty = true;
    }
    this.askDraw();
  }

  /** @param {boolean} hidden */
  setHidden(hidden) {
    this.hidden = hidden;
    if (hidden) return;
    this.drawAsked = false;
    for (const stream of this.streams.values()) stream.dirty = true;
    this.askDraw();
  }
}

const worker = new DecodeWorker();
scope.onmessage = (event) => worker.take(event.data);
scope.onrtctransform = (event) => void worker.readRtp(event.transformer.readable);
