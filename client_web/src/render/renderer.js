// Draws a state with WebGL2: one additive pass of instanced quads into (sum w c, sum w), one of additive splats where there are
// any, and a resolve with the base. Three-sigma extents are exact, so a quad holds every pixel with a weight and few others.

import { FIELDS, KIND_ADDITIVE, KIND_NORMALISED } from '../codec/quantize.js';
import { BLOCK_SLOTS } from '../codec/epoch.js';
import { bindTexture, dropTarget, makePrograms, makeTarget, makeTexture, probeDevice, readPixels, RenderError } from './gl.js';
import {
  ACROSS_FRAGMENT, COVER_VERTEX, OUTLINE_FRAGMENT, OUTLINE_VERTEX, OUTLINE_VERTICES, RESOLVE_FRAGMENT, SPLAT_FRAGMENT,
  SPLAT_VERTEX,
} from './shaders.js';

/** @typedef {import('../codec/epoch.js').EpochRecord} EpochRecord */
/** @typedef {import('../codec/state.js').SplatState} SplatState */
/**
 * What of a state is drawn.
 * @typedef {Pick<SplatState, 'splats' | 'base'>
 *   & { epoch: Pick<EpochRecord, 'widthPx' | 'heightPx' | 'blocks' | 'slots' | 'baseWidth' | 'baseHeight'> }} Drawable
 */
/** @typedef {import('./gl.js').Program} Program */
/** @typedef {import('./gl.js').Target} Target */

const ROW_VALUES = BLOCK_SLOTS * FIELDS;

/** Of every picture. */
const PICTURE_PROGRAMS = {
  splat: /** @type {[string, string]} */ ([SPLAT_VERTEX, SPLAT_FRAGMENT]),
  across: /** @type {[string, string]} */ ([COVER_VERTEX, ACROSS_FRAGMENT]),
  resolve: /** @type {[string, string]} */ ([COVER_VERTEX, RESOLVE_FRAGMENT]),
};
/** Made when outlines are first asked for. */
const OUTLINE_PROGRAMS = { outline: /** @type {[string, string]} */ ([OUTLINE_VERTEX, OUTLINE_FRAGMENT]) };

/** What is drawn to warm up: one splat, since drivers compile the last of a program when it first draws. */
const FIRST_PICTURE_PX = 16;

export class PictureRenderer {
  /** @param {OffscreenCanvas | HTMLCanvasElement} canvas drawn at its own width and height */
  constructor(canvas) {
    this.canvas = canvas;
    const gl = /** @type {WebGL2RenderingContext | null} */ (canvas.getContext('webgl2', {
      alpha: false, antialias: false, depth: false, stencil: false, powerPreference: 'low-power',
    }));
    if (!gl) throw new RenderError('no WebGL2');
    this.gl = gl;
    this.device = probeDevice(gl);
    this.lost = false;
    canvas.addEventListener('webglcontextlost', (event) => {
      event.preventDefault();
      this.lost = true;
    });
    canvas.addEventListener('webglcontextrestored', () => {
      this.lost = false;
      this.begin();
      this.onrestored();
    });
    /** Called when a lost context is back and wants a picture. */
    this.onrestored = () => {};
    /** @type {Record<keyof typeof PICTURE_PROGRAMS, Program> | null} */
    this.programs = null;
    /** @type {Program | null} */
    this.outline = null;
    /** @type {{ texture: WebGLTexture, blocks: number, kept: Int32Array } | null} */
    this.splats = null;
    /** @type {{ texture: WebGLTexture, width: number, height: number, kept: Int32Array } | null} */
    this.base = null;
    this.additive = 0;
    /** @type {{ across: Target | null, sums: Target | null, additive: Target | null }} */
    this.targets = { across: null, sums: null, additive: null };
    this.acrossStale = true;
    this.begin();
  }

  /** Make everything that lives in the context, at the start and after a loss. */
  begin() {
    const { gl } = this;
    this.device = probeDevice(gl);
    this.programs = makePrograms(gl, PICTURE_PROGRAMS);
    this.outline = null;
    gl.bindVertexArray(gl.createVertexArray());
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 4);
    this.splats = null;
    this.base = null;
    this.targets = { across: null, sums: null, additive: null };
    this.acrossStale = true;
  }

  /** Draw a picture that nobody sees, so that the first that counts finds everything compiled. */
  warmUp() {
    const epoch = { widthPx: FIRST_PICTURE_PX, heightPx: FIRST_PICTURE_PX, blocks: 1, slots: BLOCK_SLOTS, baseWidth: 1, baseHeight: 1 };
    const splats = new Int32Array(ROW_VALUES);
    splats[FIELDS - 1] = KIND_NORMALISED;
    this.canvas.width = FIRST_PICTURE_PX;
    this.canvas.height = FIRST_PICTURE_PX;
    this.draw({ epoch, splats, base: new Int32Array(3) }, { outlines: false });
    this.gl.flush();
  }

  /** Bring the splat texture up to a state: only rows (blocks) that changed travel. @param {Drawable} state */
  uploadSplats({ splats, epoch }) {
    const { gl } = this;
    const blocks = Math.max(1, epoch.blocks);
    let fresh = false;
    if (this.splats?.blocks !== blocks) {
      if (this.splats) gl.deleteTexture(this.splats.texture);
      this.splats = { texture: makeTexture(gl, gl.R32I, ROW_VALUES, blocks), blocks, kept: new Int32Array(ROW_VALUES * blocks) };
      fresh = true;
    }
    const { kept, texture } = this.splats;
    gl.bindTexture(gl.TEXTURE_2D, texture);
    let first = -1;
    for (let row = 0; row <= blocks; row++) {
      const changed = row < blocks && (fresh || rowDiffers(splats, kept, row));
      if (changed && first < 0) first = row;
      if (changed || first < 0) continue;
      const rows = splats.subarray(first * ROW_VALUES, row * ROW_VALUES);
      if (rows.length > 0) gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, first, ROW_VALUES, row - first, gl.RED_INTEGER, gl.INT, rows);
      kept.set(rows, first * ROW_VALUES);
      first = -1;
    }
    this.additive = 0;
    for (let at = 8; at < splats.length; at += FIELDS) if (splats[at] === KIND_ADDITIVE) this.additive += 1;
  }

  /** @param {Drawable} state */
  uploadBase({ base, epoch }) {
    const { gl } = this;
    const { baseWidth: width, baseHeight: height } = epoch;
    if (this.base && this.base.width === width && this.base.height === height && same(base, this.base.kept)) return;
    if (!this.base || this.base.width !== width || this.base.height !== height) {
      if (this.base) gl.deleteTexture(this.base.texture);
      this.base = { texture: makeTexture(gl, gl.RGBA32F, width, height), width, height, kept: base.slice() };
    }
    this.base.kept = base.slice();
    const size = width * height;
    const texels = new Float32Array(4 * size);
    for (let i = 0; i < size; i++) for (let c = 0; c < 3; c++) texels[4 * i + c] = base[c * size + i] / 1020;
    gl.bindTexture(gl.TEXTURE_2D, this.base.texture);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, width, height, gl.RGBA, gl.FLOAT, texels);
    this.acrossStale = true;
  }

  /** @param {'across' | 'sums' | 'additive'} name @param {number} width @param {number} height @returns {Target} */
  target(name, width, height) {
    const known = this.targets[name];
    if (known?.width === width && known.height === height) return known;
    dropTarget(this.gl, known);
    const target = makeTarget(this.gl, this.device.sumsFormat, width, height);
    this.targets[name] = target;
    if (name === 'across') this.acrossStale = true;
    return target;
  }

  /** Draw one kind of splats into a cleared target. @param {Drawable} state @param {number} kind @param {Target} target */
  drawSplats(state, kind, target) {
    const { gl } = this;
    if (!this.programs || !this.splats) return;
    const program = this.programs.splat;
    gl.bindFramebuffer(gl.FRAMEBUFFER, target.buffer);
    gl.viewport(0, 0, target.width, target.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.useProgram(program.program);
    bindTexture(gl, program, 'splats', 0, this.splats.texture);
    gl.uniform2f(program.uniform('picture_px'), state.epoch.widthPx, state.epoch.heightPx);
    gl.uniform1i(program.uniform('kind'), kind);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE);
    gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, state.epoch.slots);
    gl.disable(gl.BLEND);
  }

  /** Interpolate the base along x, where it or the size changed. @param {number} width @param {Target} target */
  drawAcross(width, target) {
    if (!this.acrossStale || !this.base || !this.programs) return;
    const { gl } = this;
    gl.bindFramebuffer(gl.FRAMEBUFFER, target.buffer);
    gl.viewport(0, 0, target.width, target.height);
    gl.useProgram(this.programs.across.program);
    bindTexture(gl, this.programs.across, 'base', 0, this.base.texture);
    gl.uniform1f(this.programs.across.uniform('width'), width);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    this.acrossStale = false;
  }

  /**
   * Draw a state into a frame buffer.
   * @param {Drawable} state @param {number} width @param {number} height
   * @param {WebGLFramebuffer | null} buffer null: the canvas, whose rows run upwards
   */
  drawInto(state, width, height, buffer) {
    const { gl, programs } = this;
    if (!programs) return;
    this.uploadSplats(state);
    this.uploadBase(state);
    const sums = this.target('sums', width, height);
    this.drawSplats(state, KIND_NORMALISED, sums);
    const additive = this.additive > 0 ? this.target('additive', width, height) : null;
    if (additive) this.drawSplats(state, KIND_ADDITIVE, additive);
    const across = this.target('across', width, state.epoch.baseHeight);
    this.drawAcross(width, across);
    gl.bindFramebuffer(gl.FRAMEBUFFER, buffer);
    gl.viewport(0, 0, width, height);
    gl.useProgram(programs.resolve.program);
    bindTexture(gl, programs.resolve, 'across', 0, across.texture);
    bindTexture(gl, programs.resolve, 'sums', 1, sums.texture);
    bindTexture(gl, programs.resolve, 'additive', 2, (additive ?? sums).texture);
    gl.uniform1i(programs.resolve.uniform('has_additive'), additive ? 1 : 0);
    gl.uniform1i(programs.resolve.uniform('flip'), buffer ? 0 : 1);
    gl.uniform1i(programs.resolve.uniform('height'), height);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    gl.activeTexture(gl.TEXTURE0);
  }

  /** Draw a state on the canvas. @param {Drawable} state @param {{ outlines: boolean }} options */
  draw(state, { outlines }) {
    const { gl, canvas, programs } = this;
    if (this.lost || !programs) return;
    this.drawInto(state, canvas.width, canvas.height, null);
    if (!outlines || !this.splats) return;
    const outline = this.outline ?? makePrograms(gl, OUTLINE_PROGRAMS).outline;
    this.outline = outline;
    gl.useProgram(outline.program);
    bindTexture(gl, outline, 'splats', 0, this.splats.texture);
    gl.uniform2f(outline.uniform('picture_px'), state.epoch.widthPx, state.epoch.heightPx);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.drawArraysInstanced(gl.LINE_LOOP, 0, OUTLINE_VERTICES, state.epoch.slots);
    gl.disable(gl.BLEND);
  }

  /**
   * The picture at the coded size.
   * @param {Drawable} state
   * @returns {Promise<{ width: number, height: number, rgba: Uint8ClampedArray<ArrayBuffer> }>}
   */
  async read(state) {
    const { gl } = this;
    const { widthPx: width, heightPx: height } = state.epoch;
    if (this.lost) throw new RenderError('WebGL2 context is lost');
    const picture = makeTarget(gl, gl.RGBA8, width, height);
    this.drawInto(state, width, height, picture.buffer);
    const rgba = await readPixels(gl, width, height);
    dropTarget(gl, picture);
    return { width, height, rgba };
  }

  /** Free everything. */
  close() {
    this.gl.getExtension('WEBGL_lose_context')?.loseContext();
  }
}

/** @param {Int32Array} splats @param {Int32Array} kept @param {number} row @returns {boolean} */
function rowDiffers(splats, kept, row) {
  const end = (row + 1) * ROW_VALUES;
  for (let i = row * ROW_VALUES; i < end; i++) if (splats[i] !== kept[i]) return true;
  return false;
}

/** @param {Int32Array} a @param {Int32Array} b @returns {boolean} */
function same(a, b) {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
