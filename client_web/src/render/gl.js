// Small pieces over WebGL2: programs, textures, frame buffers, and what this device can do.

/** WebGL2 is missing or too small for pictures of splats. */
export class RenderError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = 'RenderError';
  }
}

/**
 * @typedef {object} Device
 * @property {boolean} software a CPU draws: pictures are drawn at the coded size
 * @property {number} sumsFormat RGBA32F where it blends, else RGBA16F
 * @property {string} name
 */

const SOFTWARE_NAMES = /swiftshader|llvmpipe|softpipe|software|basic render/i;

/** @param {WebGL2RenderingContext} gl @returns {Device} */
export function probeDevice(gl) {
  const names = gl.getExtension('WEBGL_debug_renderer_info');
  const name = String(gl.getParameter(names ? names.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
  const colourFloat = gl.getExtension('EXT_color_buffer_float');
  const colourHalf = gl.getExtension('EXT_color_buffer_half_float');
  const blend = colourFloat && gl.getExtension('EXT_float_blend');
  if (!colourFloat && !colourHalf) throw new RenderError('WebGL2 without float colour buffers');
  return { software: SOFTWARE_NAMES.test(name), sumsFormat: blend ? gl.RGBA32F : gl.RGBA16F, name };
}

/** @param {WebGL2RenderingContext} gl @param {number} type @param {string} source @returns {WebGLShader} */
function compile(gl, type, source) {
  const shader = gl.createShader(type);
  if (!shader) throw new RenderError('WebGL2 context is lost');
  gl.shaderSource(shader, source);
  gl.compileShader(shader);
  return shader;
}

/**
 * A linked program and the places of its uniforms.
 * @typedef {object} Program
 * @property {WebGLProgram} program
 * @property {(name: string) => WebGLUniformLocation | null} uniform
 */

/**
 * Programs by name; all are compiled before the first is asked about, so that the driver may work on them side by side.
 * @template {string} K
 * @param {WebGL2RenderingContext} gl @param {Record<K, [string, string]>} sources vertex and fragment shader
 * @returns {Record<K, Program>}
 */
export function makePrograms(gl, sources) {
  const linked = Object.entries(/** @type {Record<string, [string, string]>} */ (sources)).map(([name, [vertex, fragment]]) => {
    const program = gl.createProgram();
    gl.attachShader(program, compile(gl, gl.VERTEX_SHADER, vertex));
    gl.attachShader(program, compile(gl, gl.FRAGMENT_SHADER, fragment));
    gl.linkProgram(program);
    return /** @type {[string, WebGLProgram]} */ ([name, program]);
  });
  const programs = linked.map(([name, program]) => [name, checkProgram(gl, program)]);
  return /** @type {Record<K, Program>} */ (Object.fromEntries(programs));
}

/** @param {WebGL2RenderingContext} gl @param {WebGLProgram} program @returns {Program} */
function checkProgram(gl, program) {
  if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
    throw new RenderError(`shader program: ${gl.getProgramInfoLog(program) ?? 'no log'}`);
  }
  /** @type {Map<string, WebGLUniformLocation | null>} */
  const places = new Map();
  return {
    program,
    uniform: (name) => {
      if (!places.has(name)) places.set(name, gl.getUniformLocation(program, name));
      return places.get(name) ?? null;
    },
  };
}

/** A texture read by texelFetch only. @param {WebGL2RenderingContext} gl @param {number} format @param {number} width @param {number} height @returns {WebGLTexture} */
export function makeTexture(gl, format, width, height) {
  const texture = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, texture);
  gl.texStorage2D(gl.TEXTURE_2D, 1, format, width, height);
  for (const side of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, side, gl.NEAREST);
  for (const axis of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, axis, gl.CLAMP_TO_EDGE);
  return texture;
}

/**
 * A texture and the frame buffer that draws into it.
 * @typedef {object} Target
 * @property {WebGLTexture} texture
 * @property {WebGLFramebuffer} buffer
 * @property {number} width
 * @property {number} height
 */

/** @param {WebGL2RenderingContext} gl @param {number} format @param {number} width @param {number} height @returns {Target} */
export function makeTarget(gl, format, width, height) {
  const texture = makeTexture(gl, format, width, height);
  const buffer = gl.createFramebuffer();
  gl.bindFramebuffer(gl.FRAMEBUFFER, buffer);
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
  return { texture, buffer, width, height };
}

/** @param {WebGL2RenderingContext} gl @param {Target | null} target */
export function dropTarget(gl, target) {
  if (!target) return;
  gl.deleteFramebuffer(target.buffer);
  gl.deleteTexture(target.texture);
}

/** Bind a texture to a unit and a uniform to the unit. @param {WebGL2RenderingContext} gl @param {Program} program @param {string} name @param {number} unit @param {WebGLTexture} texture */
export function bindTexture(gl, program, name, unit, texture) {
  gl.activeTexture(gl.TEXTURE0 + unit);
  gl.bindTexture(gl.TEXTURE_2D, texture);
  gl.uniform1i(program.uniform(name), unit);
}

const FENCE_POLL_MS = 2;

/**
 * Pixels of the bound frame buffer, without making the GPU wait.
 * @param {WebGL2RenderingContext} gl @param {number} width @param {number} height
 * @returns {Promise<Uint8ClampedArray<ArrayBuffer>>} [height, width, 4]
 */
export async function readPixels(gl, width, height) {
  const buffer = gl.createBuffer();
  gl.bindBuffer(gl.PIXEL_PACK_BUFFER, buffer);
  gl.bufferData(gl.PIXEL_PACK_BUFFER, 4 * width * height, gl.STREAM_READ);
  gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, 0);
  gl.bindBuffer(gl.PIXEL_PACK_BUFFER, null);
  const fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
  gl.flush();
  while (fence && gl.clientWaitSync(fence, 0, 0) === gl.TIMEOUT_EXPIRED) {
    await new Promise((resolve) => { setTimeout(resolve, FENCE_POLL_MS); });
  }
  gl.deleteSync(fence);
  const rgba = new Uint8ClampedArray(4 * width * height);
  gl.bindBuffer(gl.PIXEL_PACK_BUFFER, buffer);
  gl.getBufferSubData(gl.PIXEL_PACK_BUFFER, 0, rgba);
  gl.bindBuffer(gl.PIXEL_PACK_BUFFER, null);
  gl.deleteBuffer(buffer);
  return rgba;
}
