"""The renderer as SPEC section 1.1 says it: NumPy, in doubles, one splat at a time."""

import numpy as np
import numpy.typing as npt

from codec.render.output import Region, output_size, resolve_region
from codec.types import KIND_ADDITIVE, KIND_NORMALISED, FloatArray, IntArray, SplatState

__all__ = ["render", "to_rgb", "upsample_base"]

DoubleArray = npt.NDArray[np.float64]

EPS_BASE = 0.05
CUT = 9.0


def render(state: SplatState, scale: float = 1.0, region: Region | None = None, threads: int = 1) -> FloatArray:
    """Return Y, Cb, Cr in 1/255, not clipped: float32 [3, H, W]; `threads` is here for the twin's sake."""
    epoch = state.epoch
    left, top, _, _ = resolve_region(epoch, region)
    width, height = output_size(epoch, scale, region)
    xs: DoubleArray = left + (np.arange(width, dtype=np.float64) + 0.5) / scale - 0.5
    ys: DoubleArray = top + (np.arange(height, dtype=np.float64) + 0.5) / scale - 0.5
    base = upsample_base(state.base, epoch.width_px, epoch.height_px, xs, ys)
    weight = np.full((height, width), EPS_BASE)
    color = EPS_BASE * base
    added = np.zeros_like(color)
    for splat in state.splats:
        w = splat_weight(splat, xs, ys)
        values = (splat[5:8] / 4)[:, None, None]
        if splat[8] == KIND_NORMALISED:
            weight += w
            color += w * values
        elif splat[8] == KIND_ADDITIVE:
            added += w * values
    picture: FloatArray = (color / weight + added).astype(np.float32)
    return picture


def splat_weight(splat: IntArray, xs: DoubleArray, ys: DoubleArray) -> DoubleArray:
    """Return the weight of one state splat at every (ys, xs): [H, W]."""
    x, y, s, e1, e2 = splat[:5] / np.array([16, 16, 64, 64, 64])
    r = np.hypot(e1, e2)
    shear = 2.0 if r == 0 else np.sinh(2 * r) / r
    m = np.exp(-2 * s) * (np.cosh(2 * r) * np.eye(2) - shear * np.array([[e1, e2], [e2, -e1]]))
    dx, dy = xs[None, :] - x, ys[:, None] - y
    q = m[0, 0] * dx * dx + 2 * m[0, 1] * dx * dy + m[1, 1] * dy * dy
    return np.where(q < CUT, np.exp(-q / 2), 0.0)


def upsample_base(base: IntArray, width: int, height: int, xs: DoubleArray, ys: DoubleArray) -> DoubleArray:
    """Return the base in 1/255 at coded px (ys, xs) by Catmull-Rom: [3, len(ys), len(xs)]."""
    _, rows, columns = base.shape
    down = cubic_matrix((ys + 0.5) * rows / height - 0.5, rows)
    across = cubic_matrix((xs + 0.5) * columns / width - 0.5, columns)
    upsampled: DoubleArray = np.einsum("yr,crk,xk->cyx", down, base / 4.0, across)
    return upsampled


def cubic_matrix(at: DoubleArray, samples: int) -> DoubleArray:
    """Return the [len(at), samples] matrix of Catmull-Rom weights, edge samples repeated."""
    whole = np.floor(at).astype(int)
    matrix = np.zeros((len(at), samples))
    for k in range(-1, 3):
        t = np.abs(at - (whole + k))
        near = 1.5 * t**3 - 2.5 * t**2 + 1
        far = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
        index = np.clip(whole + k, 0, samples - 1)
        np.add.at(matrix, (np.arange(len(at)), index), np.where(t <= 1, near, far))
    return matrix


def to_rgb(ycc: FloatArray, threads: int = 1) -> npt.NDArray[np.uint8]:
    """Return RGB [H, W, 3], clipped and rounded, of Y, Cb, Cr [3, H, W]."""
    luma, cb, cr = ycc.astype(np.float64)
    red, blue = luma + 1.402 * cr, luma + 1.772 * cb
    green = (luma - 0.299 * red - 0.114 * blue) / 0.587
    rgb: npt.NDArray[np.uint8] = np.floor(np.clip(np.stack([red, green, blue], -1), 0, 255) + 0.5).astype(np.uint8)
    return rgb
