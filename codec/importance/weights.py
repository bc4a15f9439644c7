"""From faces and a person mask to weights of blocks: arithmetic only, no MediaPipe."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from codec.types import FloatArray

__all__ = ["BLOCK_PX", "FACE", "FEATURE", "PERSON", "REST", "Face", "block_means", "block_weights", "lambda_map_of"]

BLOCK_PX = 16
FEATURE, FACE, PERSON, REST = 1.0, 0.5, 0.25, 0.125  # eyes and mouth, face, person, the rest: 8 : 4 : 2 : 1
_FACE_GROWTH = 1.35  # a detector's box ends at brows and chin; a head is larger
_FACE_RISE = 0.08  # of the box's height, towards the forehead
_EYE_AXES, _MOUTH_AXES = (0.15, 0.1), (0.2, 0.12)  # half axes of an ellipse about each, as shares of the box's width
_LAMBDA_EXPONENT = 0.6  # how much of the weight lambda feels


@dataclass(frozen=True)
class Face:
    """Where a face is, as shares of the picture's sides."""

    box: tuple[float, float, float, float]  # left, top, width, height
    eyes: tuple[tuple[float, float], ...] = ()  # x, y of their centres
    mouths: tuple[tuple[float, float], ...] = ()


def block_means(mask: FloatArray, rows: int, columns: int) -> FloatArray:
    """Return the means of a mask [h, w] over a grid of blocks, float32 [rows, columns]."""
    height, width = mask.shape
    sums = np.zeros((height + 1, width + 1))
    sums[1:, 1:] = np.cumsum(np.cumsum(mask, 0, dtype=np.float64), 1)
    top, left = _edges(height, rows), _edges(width, columns)
    bottom, right = np.maximum(top[1:], top[:-1] + 1), np.maximum(left[1:], left[:-1] + 1)
    top, left = top[:-1], left[:-1]
    total = sums[bottom][:, right] - sums[top][:, right] - sums[bottom][:, left] + sums[top][:, left]
    means: FloatArray = (total / np.outer(bottom - top, right - left)).astype(np.float32)
    return means


def _edges(size: int, cells: int) -> npt.NDArray[np.int64]:
    edges = np.arange(cells + 1) * size // cells
    edges[:-1] = np.minimum(edges[:-1], size - 1)
    return edges


def block_weights(
    faces: Sequence[Face],
    person: FloatArray | None,  # [h, w] 0 .. 1, how surely a pixel is a person
    width_px: int,
    height_px: int,
) -> FloatArray:
    """Return the weight of each 16 px block, REST to FEATURE, float32 [rows, columns]."""
    rows, columns = -(-height_px // BLOCK_PX), -(-width_px // BLOCK_PX)
    weights = np.full((rows, columns), REST, np.float32)
    if person is not None:
        weights += (PERSON - REST) * np.clip(block_means(person, rows, columns), 0, 1)
    ys = np.minimum((np.arange(rows) + 0.5) * BLOCK_PX, height_px - 0.5)[:, None]
    xs = np.minimum((np.arange(columns) + 0.5) * BLOCK_PX, width_px - 0.5)[None, :]
    for face in faces:
        for weight, (x, y), (half_width, half_height) in _ellipses(face, width_px, height_px):
            distance = np.hypot((xs - x) / half_width, (ys - y) / half_height)
            within = np.clip(2.5 - 2 * distance, 0, 1)  # 1 within 3/4 of the ellipse, 0 beyond 5/4
            weights = np.maximum(weights, REST + (weight - REST) * within).astype(np.float32)
    return weights


def _ellipses(
    face: Face, width_px: int, height_px: int
) -> list[tuple[float, tuple[float, float], tuple[float, float]]]:
    """Return a face's ellipses in px: weight, centre, half axes. A face without a size has none."""
    left, top, width, height = np.array(face.box) * ((width_px, height_px) * 2)
    if width <= 0 or height <= 0:
        return []
    centre = left + width / 2, top + height * (0.5 - _FACE_RISE)
    found = [(FACE, centre, (width / 2 * _FACE_GROWTH, height / 2 * _FACE_GROWTH))]
    for places, axes in ((face.eyes, _EYE_AXES), (face.mouths, _MOUTH_AXES)):
        # half a block more: a block counts that the ellipse touches, not only one whose centre it holds
        half_axes = axes[0] * width + BLOCK_PX / 2, axes[1] * width + BLOCK_PX / 2
        found += [(FEATURE, (x * width_px, y * height_px), half_axes) for x, y in places]
    return found


def lambda_map_of(weights: FloatArray) -> FloatArray:
    """Return the factor on lambda of each block: less where it matters more, 1 in the (geometric) mean.

    An exponent of 1 would leave the least weighted error; less keeps more of the rest: 8 : 4 : 2 : 1 becomes 1 : 1.5 :
    2.3 : 3.5.
    """
    logs = np.log(np.maximum(weights, 1e-3))
    factors: FloatArray = np.exp(_LAMBDA_EXPONENT * (logs.mean() - logs)).astype(np.float32)
    return factors
