// The page's side of the decode worker: canvases and datagrams to it, reports, sizes, figures and pictures from it.

import { PictureView } from '../render/picture_view.js';

/** @typedef {import('../worker/messages.js').FromWorker} FromWorker */
/** @typedef {import('../worker/messages.js').ToWorker} ToWorker */
/** @typedef {import('../worker/messages.js').StreamStats} StreamStats */
/** @typedef {import('../codec/state.js').SplatState} SplatState */

/**
 * @typedef {object} DecoderHandlers
 * @property {(datagram: Uint8Array) => void} onreport
 * @property {(stream: number, width: number, height: number) => void} onsize
 * @property {(atMs: number) => void} onfirstdrawn
 * @property {(reason: string) => void} onnowebgl
 * @property {() => void} onrtp the first datagram came over RTP
 * @property {() => void} onstats
 */

export class DecoderLink {
  /** @param {DecoderHandlers} handlers */
  constructor(handlers) {
    this.handlers = handlers;
    this.worker = new Worker(new URL('../worker/decode_worker.js', import.meta.url), { type: 'module', name: 'splat decoder' });
    /** @type {{ [stream: number]: StreamStats }} */
    this.stats = {};
    /** @type {Map<number, (result: { png: Blob | null, error: string }) => void>} */
    this.snapshots = new Map();
    this.requests = 0;
    /** @type {Map<number, { view: PictureView, state: SplatState | null }>} pictures that this page draws itself (no OffscreenCanvas here) */
    this.views = new Map();
    /** @type {Set<number>} streams that are drawn here at the next chance */
    this.drawsAsked = new Set();
    this.ready = new Promise((resolve, reject) => {
      this.worker.onerror = (event) => reject(new Error(event.message || 'the decode worker did not start'));
      this.settle = { resolve, reject };
    });
    this.worker.onmessage = (event) => this.take(event.data);
    this.post({ type: 'start', tablesUrl: new URL('/tables.json', location.href).href });
    this.spare = this.makeSpare();
  }

  /** A canvas that is made ready before there is anything to show; null where the page draws itself. @returns {HTMLCanvasElement | null} */
  makeSpare() {
    const canvas = document.createElement('canvas');
    if (!workerDraws(canvas)) return null;
    const offscreen = canvas.transferControlToOffscreen();
    this.post({ type: 'spare', canvas: offscreen }, [offscreen]);
    return canvas;
  }

  /** @param {ToWorker} message @param {Transferable[]} [transfer] */
  post(message, transfer = []) {
    this.worker.postMessage(message, transfer);
  }

  /** Show a stream on a canvas. @param {number} stream @returns {HTMLCanvasElement} */
  attach(stream) {
    if (this.spare) {
      const { spare } = this;
      this.spare = null;
      this.post({ type: 'attach', stream, canvas: 'spare' });
      return spare;
    }
    const canvas = document.createElement('canvas');
    if (workerDraws(canvas)) {
      const offscreen = canvas.transferControlToOffscreen();
      this.post({ type: 'attach', stream, canvas: offscreen }, [offscreen]);
    } else {
      this.attachHere(stream, canvas);
    }
    return canvas;
  }

  /** Draw a stream on the page. @param {number} stream @param {HTMLCanvasElement} canvas */
  attachHere(stream, canvas) {
    try {
      const view = new PictureView(canvas);
      view.onrestored = () => this.drawHere(stream, null);
      this.views.set(stream, { view, state: null });
      this.post({ type: 'attach', stream, canvas: 'page' });
    } catch (error) {
      this.handlers.onnowebgl(error instanceof Error ? error.message : String(error));
    }
  }

  /** Stop showing a stream. @param {number} stream @param {boolean} forget its publisher left */
  detach(stream, forget) {
    this.views.get(stream)?.view.close();
    this.views.delete(stream);
    if (forget) delete this.stats[stream];
    this.post({ type: 'detach', stream, forget });
  }

  /** Forget all streams, after a join that resumed nothing. */
  reset() {
    for (const { view } of this.views.values()) view.close();
    this.views.clear();
    this.stats = {};
    this.post({ type: 'reset' });
  }

  /** @param {number} stream @param {number} width device px */
  setTile(stream, width) {
    this.views.get(stream)?.view.setTile(width);
    this.drawHere(stream, null);
    this.post({ type: 'tile', stream, width });
  }

  /** @param {boolean} on */
  setOutlines(on) {
    for (const [stream, { view }] of this.views) {
      view.outlines = on;
      this.drawHere(stream, null);
    }
    this.post({ type: 'outlines', on });
  }

  /** Draw a picture that the worker cannot draw, at the next chance; one that is overtaken by then is left out. @param {number} stream @param {SplatState | null} state null: the last one again */
  drawHere(stream, state) {
    const here = this.views.get(stream);
    if (!here) return;
    here.state = state ?? here.state;
    if (this.drawsAsked.has(stream)) return;
    this.drawsAsked.add(stream);
    requestAnimationFrame(() => {
      this.drawsAsked.delete(stream);
      const now = this.views.get(stream);
      if (now?.state) now.view.draw(now.state);
    });
  }

  /** The picture now shown, at the coded size. @param {number} stream @returns {Promise<Blob>} a PNG */
  async snapshot(stream) {
    const here = this.views.get(stream);
    if (here?.state) return here.view.png(here.state);
    const request = ++this.requests;
    const result = await new Promise((/** @type {(result: { png: Blob | null, error: string }) => void} */ resolve) => {
      this.snapshots.set(request, resolve);
      this.post({ type: 'snapshot', stream, request });
    });
    if (!result.png) throw new Error(result.error);
    return result.png;
  }

  /** @param {FromWorker} message */
  take(message) {
    switch (message.type) {
      case 'ready': this.settle?.resolve(undefined); break;
      case 'failed': this.settle?.reject(new Error(message.reason)); break;
      case 'reports': message.datagrams.forEach((datagram) => this.handlers.onreport(datagram)); break;
      case 'size': this.handlers.onsize(message.stream, message.width, message.height); break;
      case 'first-drawn': this.handlers.onfirstdrawn(message.atMs); break;
      case 'no-webgl': this.handlers.onnowebgl(message.reason); break;
      case 'rtp-alive': this.handlers.onrtp(); break;
      case 'picture': this.drawHere(message.stream, message.state); break;
      case 'stats':
        this.stats = message.streams;
        this.handlers.onstats();
        break;
      case 'snapshot':
        this.snapshots.get(message.request)?.(message);
        this.snapshots.delete(message.request);
        break;
    }
  }

  close() {
    this.worker.terminate();
    for (const { view } of this.views.values()) view.close();
    for (const settle of this.snapshots.values()) settle({ png: null, error: 'the call is over' });
    this.snapshots.clear();
  }
}

/** @param {HTMLCanvasElement} canvas @returns {boolean} whether a worker can draw on it */
function workerDraws(canvas) {
  return 'transferControlToOffscreen' in canvas && typeof OffscreenCanvas !== 'undefined';
}
