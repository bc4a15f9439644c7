"""The readable twin of the engine's fit of a global affine to a flow (SPEC 6.1, command 3; `engine_affine.cpp`).

Least squares over a grid of points, with Tukey's weights worked out again in each pass: what most of the picture does
is the camera's motion, what the rest does is left to the cells.
"""

import numpy as np

from codec.engine.robust import PASSES, tukey_weights, upper_median
from codec.types import FloatArray, IntArray

__all__ = ["fit_affine"]

_GRID_PX = 8
_LEAST_DEVIATION_PX = 0.1
_LINEAR_UNIT, _SHIFT_UNIT = 4096, 8
_MOST = 2047
_CLOSE_PX, _CLOSE_SHARE = 0.3, 0.6  # of the points must go with the map: else it is no camera's
_LEAST_REACH_PX = 0.15  # moved less at every corner, the picture is left as it is


def fit_affine(flow: FloatArray) -> IntArray:
    """Return a, b, c, d (1/4096) and tx, ty (1/8 px) of the map that most of a flow [2, H, W] px agrees with."""
    height, width = flow.shape[1:]
    rows, columns = np.mgrid[_GRID_PX // 2 : height : _GRID_PX, _GRID_PX // 2 : width : _GRID_PX]
    x, y = columns.ravel() - 0.5 * width, rows.ravel() - 0.5 * height
    moved = flow[:, rows, columns].reshape(2, -1).astype(np.float64)
    basis = np.stack([np.ones_like(x), x, y])
    terms = np.zeros((2, 3))
    terms[:, 0] = [upper_median(axis) for axis in moved]
    for _ in range(PASSES):
        weights = tukey_weights(np.hypot(*(terms @ basis - moved)), _LEAST_DEVIATION_PX)
        terms = np.linalg.solve((weights * basis) @ basis.T + 1e-6 * np.eye(3), (weights * basis) @ moved.T).T
    corners = np.array([[1, sx * width / 2, sy * height / 2] for sx in (-1, 1) for sy in (-1, 1)])
    affine = np.zeros(6, np.int32)
    close = np.hypot(*(terms @ basis - moved)) < _CLOSE_PX
    if close.mean() >= _CLOSE_SHARE and np.abs(terms @ corners.T).max() >= _LEAST_REACH_PX:
        affine[:4] = np.rint(np.clip(_LINEAR_UNIT * terms[:, 1:].ravel(), -_MOST, _MOST))
        affine[4:] = np.rint(np.clip(_SHIFT_UNIT * terms[:, 0], -_MOST, _MOST))
    return affine
