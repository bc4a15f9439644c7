"""Splats as integers on a lattice and as the floats that kernels take, both directions side by side.

A row of floats is x, y px, ln p, k, ln r, Y, Cb, Cr, with U = [[p, k p], [0, r]] px the upper Cholesky factor of the
covariance U U^T. A row of fields holds the same in steps, means counted from MARGIN_PX left of and above the picture.
"""

from dataclasses import dataclass

import numpy as np

from codec.types import FloatArray, IntArray

__all__ = ["MARGIN_PX", "PARAMETERS", "Lattice", "dequantize", "mean_range", "quantize"]

PARAMETERS = 8
MARGIN_PX = 16
_LOW_LOG, _HIGH_LOG, _MAX_SHEAR, _MAX_COLOR = -1.2, 5.0, 5.0, 4096.0
_LOWS = np.array([_LOW_LOG, -_MAX_SHEAR, _LOW_LOG, -_MAX_COLOR, -_MAX_COLOR, -_MAX_COLOR], np.float32)
_HIGHS = np.array([_HIGH_LOG, _MAX_SHEAR, _HIGH_LOG, _MAX_COLOR, _MAX_COLOR, _MAX_COLOR], np.float32)


@dataclass(frozen=True)
class Lattice:
    """Quantisation steps, each as a byte of its unit, 1 .. 255."""

    mean: int = 4  # 1/64 px
    shape: int = 16  # 1/256 of ln p, k, ln r
    luma: int = 12  # 1/4 of 1/255
    chroma: int = 12

    @property
    def natural(self) -> tuple[float, float, float, float]:
        """Steps of means in px, of ln p, k, ln r, of Y, of Cb and Cr in 1/255."""
        return self.mean / 64, self.shape / 256, self.luma / 4, self.chroma / 4

    def steps(self) -> FloatArray:
        """Return the steps of the eight parameters: float32 [8]."""
        mean, shape, luma, chroma = self.natural
        return np.array([mean, mean, shape, shape, shape, luma, chroma, chroma], np.float32)


def mean_range(lattice: Lattice, side_px: int) -> int:
    """Return how many places a mean has along a side of the picture."""
    return (side_px + 2 * MARGIN_PX) * 64 // lattice.mean + 1


def quantize(rows: FloatArray, lattice: Lattice, width_px: int, height_px: int) -> IntArray:
    """Return the fields [N, 8] nearest to rows [N, 8]."""
    moved = rows + np.array([MARGIN_PX, MARGIN_PX, 0, 0, 0, 0, 0, 0], np.float32)
    fields: IntArray = np.rint(moved / lattice.steps()).astype(np.int32)
    for axis, side_px in enumerate((width_px, height_px)):
        fields[:, axis] = fields[:, axis].clip(0, mean_range(lattice, side_px) - 1)
    return fields


def dequantize(fields: IntArray, lattice: Lattice) -> FloatArray:
    """Return rows [N, 8] of fields [N, 8]; shapes and colours saturate where no encoder goes."""
    rows: FloatArray = fields.astype(np.float32) * lattice.steps()
    rows[:, :2] -= MARGIN_PX
    np.clip(rows[:, 2:], _LOWS, _HIGHS, out=rows[:, 2:])
    return rows
