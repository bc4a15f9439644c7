"""What the readable twins of the fits share: where a splat lies in a picture, and the schedule of a run."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["CUT", "DoubleArray", "Look", "cosine_rates", "look_at"]

DoubleArray = npt.NDArray[np.float64]

CUT = 9.0  # a splat ends where u^2 + v^2 reaches this


@dataclass(frozen=True)
class Look:
    """One splat in the window of the picture that its ellipse may touch; arrays are [rows, columns] or broadcast."""

    rows: slice
    columns: slice
    dx: DoubleArray
    dy: DoubleArray
    u: DoubleArray
    v: DoubleArray
    w: DoubleArray


def look_at(splat: DoubleArray, width: int, height: int) -> Look:
    """Return a splat (x, y, a, b, c, ...) where it lies in a picture of the given size.

    With dx, dy from the mean: u = a dx + b dy, v = c dy, weight exp(-(u^2 + v^2) / 2).
    """
    x, y, a, b, c = splat[:5]
    half_y = math.sqrt(CUT) / c
    half_x = half_y * math.hypot(b, c) / a
    rows = slice(max(0, math.floor(y - half_y)), max(0, min(height, math.ceil(y + half_y) + 1)))
    columns = slice(max(0, math.floor(x - half_x)), max(0, min(width, math.ceil(x + half_x) + 1)))
    dx = np.arange(columns.start, max(columns.start, columns.stop))[None, :] - x
    dy = np.arange(rows.start, max(rows.start, rows.stop))[:, None] - y
    u, v = a * dx + b * dy, c * dy
    q = u * u + v * v
    return Look(rows, columns, dx, dy, u, v, np.where(q < CUT, np.exp(-q / 2), 0.0))


def cosine_rates(iterations: int, rate: float) -> Iterator[float]:
    """Give the rate of each iteration of a run, from `rate` to 0."""
    for k in range(iterations):
        yield rate * (1 + math.cos(math.pi * k / iterations)) / 2
