"""Which splats there are: random ones to begin with and to add, and those that a frame can do without."""

import math

import numpy as np

from codec.types import FloatArray, IntArray

__all__ = ["contributions", "least_contributing", "random_splats"]

_OVERLAP_SCALE = 0.4  # sigma of a random splat for splats one px apart


def random_splats(target: FloatArray, count: int, spacing_px: float, rng: np.random.Generator) -> FloatArray:
    """Return round splats [count, 8] at random places, each in the target's colour there shared among those over it.

    `target` is [3, H, W]; `spacing_px` the distance between splats that their size suits.
    """
    _, height, width = target.shape
    means = rng.random((count, 2)) * (width, height)
    sigma = max(0.5, _OVERLAP_SCALE * spacing_px)
    columns, rows = means.astype(np.int64).T
    colors = target[:, rows, columns].T * (spacing_px**2 / (2 * math.pi * sigma**2))
    shapes = np.tile([math.log(sigma), 0.0, math.log(sigma)], (count, 1))
    return np.concatenate([means, shapes, colors], 1).astype(np.float32)


def contributions(rows: FloatArray, width_px: int, height_px: int) -> FloatArray:
    """Return how much each splat [N, 8] adds to the picture: the integral of its square, 0 for one that is outside."""
    p, r = np.exp(rows[:, 2]), np.exp(rows[:, 4])
    energy = math.pi * p * r * (rows[:, 5:] ** 2).sum(1)
    half_y = 3 * r
    half_x = 3 * p * np.hypot(1.0, rows[:, 3])
    x, y = rows[:, 0], rows[:, 1]
    inside = (x > -half_x) & (x < width_px - 1 + half_x) & (y > -half_y) & (y < height_px - 1 + half_y)
    kept: FloatArray = np.where(inside, energy, 0.0).astype(np.float32)
    return kept


def least_contributing(rows: FloatArray, count: int, width_px: int, height_px: int) -> IntArray:
    """Return the indices [count], ascending, of the splats that contribute least."""
    order = np.argsort(contributions(rows, width_px, height_px), kind="stable")
    return np.sort(order[: max(0, count)]).astype(np.int32)
