// GLSL of the picture (SPEC section 1.1): splats from an integer texture, the base across, the resolve, the outlines.

/** Fields of a slot and what follows from them; a row of the texture is a block of 32 slots of 9 fields. */
const SPLAT = `
precision highp float;
precision highp int;
precision highp isampler2D;
uniform isampler2D splats;
uniform vec2 picture_px;
int field(int slot, int index) {
  return texelFetch(splats, ivec2((slot & 31) * 9 + index, slot >> 5), 0).r;
}
vec2 meanOf(int slot) { return vec2(field(slot, 0), field(slot, 1)) / 16.0; }
vec3 shapeOf(int slot) { return vec3(field(slot, 2), field(slot, 3), field(slot, 4)) / 64.0; }
vec2 toClip(vec2 place) { return (place + 0.5) / picture_px * 2.0 - 1.0; }
`;

export const SPLAT_VERTEX = `#version 300 es
${SPLAT}
uniform int kind;
out vec2 offset_px;
flat out vec3 precision_matrix;
flat out vec3 colour;
void main() {
  int slot = gl_InstanceID;
  if (field(slot, 8) != kind) {
    gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
    return;
  }
  vec3 shape = shapeOf(slot);
  float r = length(shape.yz);
  float c = cosh(2.0 * r);
  vec2 s = (r < 1e-4 ? 2.0 : sinh(2.0 * r) / r) * shape.yz;
  precision_matrix = exp(-2.0 * shape.x) * vec3(c - s.x, -s.y, c + s.x);
  vec2 half_px = 3.0 * exp(shape.x) * sqrt(vec2(c + s.x, c - s.x));
  vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 2.0 - 1.0;
  offset_px = corner * half_px;
  colour = vec3(field(slot, 5), field(slot, 6), field(slot, 7)) / 1020.0;
  gl_Position = vec4(toClip(meanOf(slot) + offset_px), 0.0, 1.0);
}`;

export const SPLAT_FRAGMENT = `#version 300 es
precision highp float;
in vec2 offset_px;
flat in vec3 precision_matrix;
flat in vec3 colour;
out vec4 sums;
void main() {
  vec2 d = offset_px;
  float q = precision_matrix.x * d.x * d.x + 2.0 * precision_matrix.y * d.x * d.y + precision_matrix.z * d.y * d.y;
  if (q >= 9.0) discard;
  float w = exp(-0.5 * q);
  sums = vec4(colour * w, w);
}`;

/** One triangle that covers the target. */
export const COVER_VERTEX = `#version 300 es
void main() {
  gl_Position = vec4(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0, 0.0, 1.0);
}`;

const CUBIC = `
precision highp float;
precision highp int;
precision highp sampler2D;
vec4 cubicWeights(float t) {
  return 0.5 * vec4(((2.0 - t) * t - 1.0) * t, (3.0 * t - 5.0) * t * t + 2.0, ((4.0 - 3.0 * t) * t + 1.0) * t, (t - 1.0) * t * t);
}
`;

/** The base interpolated along x; rows stay samples. */
export const ACROSS_FRAGMENT = `#version 300 es
${CUBIC}
uniform sampler2D base;
uniform float width;
out vec4 colour;
void main() {
  int samples = textureSize(base, 0).x;
  float place = gl_FragCoord.x * float(samples) / width - 0.5;
  int first = int(floor(place));
  vec4 weights = cubicWeights(place - floor(place));
  int row = int(gl_FragCoord.y);
  colour = vec4(0.0);
  for (int n = 0; n < 4; n++) {
    colour += weights[n] * texelFetch(base, ivec2(clamp(first - 1 + n, 0, samples - 1), row), 0);
  }
}`;

/** Sums to colours: normalised splats over the base, additive ones on top, YCbCr to RGB. */
export const RESOLVE_FRAGMENT = `#version 300 es
${CUBIC}
uniform sampler2D across;
uniform sampler2D sums;
uniform sampler2D additive;
uniform bool has_additive;
uniform bool flip;
uniform int height;
out vec4 rgb;
void main() {
  int column = int(gl_FragCoord.x);
  int row = flip ? height - 1 - int(gl_FragCoord.y) : int(gl_FragCoord.y);
  int samples = textureSize(across, 0).y;
  float place = (float(row) + 0.5) * float(samples) / float(height) - 0.5;
  int first = int(floor(place));
  vec4 weights = cubicWeights(place - floor(place));
  vec3 base = vec3(0.0);
  for (int n = 0; n < 4; n++) {
    base += weights[n] * texelFetch(across, ivec2(column, clamp(first - 1 + n, 0, samples - 1)), 0).rgb;
  }
  vec4 sum = texelFetch(sums, ivec2(column, row), 0);
  vec3 ycc = (sum.rgb + 0.05 * base) / (sum.a + 0.05);
  if (has_additive) ycc += texelFetch(additive, ivec2(column, row), 0).rgb;
  float red = ycc.x + 1.402 * ycc.z;
  float blue = ycc.x + 1.772 * ycc.y;
  rgb = vec4(red, (ycc.x - 0.299 * red - 0.114 * blue) / 0.587, blue, 1.0);
}`;

/** Vertices of one ellipse's outline. */
export const OUTLINE_VERTICES = 28;

/** The outline of each live splat at 1.5 sigma. */
export const OUTLINE_VERTEX = `#version 300 es
${SPLAT}
flat out vec4 tint;
void main() {
  int slot = gl_InstanceID;
  int kind = field(slot, 8);
  if (kind == 0) {
    gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
    return;
  }
  vec3 shape = shapeOf(slot);
  float r = length(shape.yz);
  float c = cosh(r);
  vec2 s = (r < 1e-4 ? 1.0 : sinh(r) / r) * shape.yz;
  float angle = 6.2831853 * float(gl_VertexID) / ${OUTLINE_VERTICES}.0;
  vec2 unit = vec2(cos(angle), sin(angle));
  vec2 reach = exp(shape.x) * vec2((c + s.x) * unit.x + s.y * unit.y, s.y * unit.x + (c - s.x) * unit.y);
  tint = kind == 2 ? vec4(1.0, 0.62, 0.25, 0.95) : vec4(0.45, 0.95, 0.85, 0.75);
  gl_Position = vec4(toClip(meanOf(slot) + 1.5 * reach) * vec2(1.0, -1.0), 0.0, 1.0);
}`;

export const OUTLINE_FRAGMENT = `#version 300 es
precision highp float;
flat in vec4 tint;
out vec4 rgba;
void main() {
  rgba = vec4(tint.rgb * tint.a, tint.a);
}`;
