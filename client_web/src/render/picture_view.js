// One canvas with one publisher's picture: its size on the device, when it draws, and PNGs of it. Runs in a worker or on the page.

import { RenderError } from './gl.js';
import { PictureRenderer } from './renderer.js';

/** @typedef {import('../codec/state.js').SplatState} SplatState */

const MAX_CANVAS_PX = 4096;

export class PictureView {
  /** @param {OffscreenCanvas | HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.renderer = new PictureRenderer(canvas);
    this.renderer.onrestored = () => this.onrestored();
    /** The context came back: draw again. */
    this.onrestored = () => {};
    this.tileWidth = 0;
    this.outlines = false;
  }

  /** Have everything compiled before there is a picture. */
  warmUp() {
    this.renderer.warmUp();
  }

  /** Follow the tile's size. @param {number} width device px; the height follows from the picture */
  setTile(width) {
    this.tileWidth = Math.min(MAX_CANVAS_PX, Math.max(0, Math.round(width)));
  }

  /** Bring the canvas to the size its picture is drawn at. @param {SplatState} state */
  fit({ epoch }) {
    const coded = this.renderer.device.software || this.tileWidth === 0;
    const width = coded ? epoch.widthPx : this.tileWidth;
    const height = coded ? epoch.heightPx : Math.max(1, Math.min(MAX_CANVAS_PX, Math.round((width * epoch.heightPx) / epoch.widthPx)));
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
  }

  /** @param {SplatState} state */
  draw(state) {
    this.fit(state);
    this.renderer.draw(state, { outlines: this.outlines });
  }

  /** The picture at the coded size. @param {SplatState} state @returns {Promise<Blob>} a PNG */
  async png(state) {
    const { width, height, rgba } = await this.renderer.read(state);
    const canvas = typeof OffscreenCanvas === 'undefined' ? document.createElement('canvas') : new OffscreenCanvas(1, 1);
    canvas.width = width;
    canvas.height = height;
    const context = /** @type {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D | null} */ (canvas.getContext('2d'));
    if (!context) throw new RenderError('no 2D canvas');
    context.putImageData(new ImageData(rgba, width, height), 0, 0);
    if ('convertToBlob' in canvas) return canvas.convertToBlob({ type: 'image/png' });
    return new Promise((resolve, reject) => {
      canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new RenderError('no PNG'))), 'image/png');
    });
  }

  close() {
    this.renderer.close();
  }
}
