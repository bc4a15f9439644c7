"""A causal test for scene cuts: is this frame another scene than the one before?"""

import numpy as np
import numpy.typing as npt

__all__ = ["SceneCutTest", "luma_of", "shrink"]

_CELL_PX = 16  # side of the squares that are averaged: motion within them does not count
_CUT_SHARE = 0.5  # change of the frame's variance that only another scene makes (1: unrelated pictures)
_LEAST_CHANGE = 15.0  # mean change of luma (0..255), its own mean apart, below which no cut is called


def luma_of(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return BT.601 luma of a picture [H, W, 3], uint8 [H, W]."""
    import cv2

    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)


def shrink(luma: npt.NDArray[np.uint8], cell_px: int = _CELL_PX) -> npt.NDArray[np.float32]:
    """Return the means of luma [H, W] over squares, float32 [H // cell, W // cell], at least 1 x 1."""
    rows = max(1, luma.shape[0] // cell_px)
    columns = max(1, luma.shape[1] // cell_px)
    height, width = min(luma.shape[0], rows * cell_px), min(luma.shape[1], columns * cell_px)
    whole = luma[:height].astype(np.float32)
    row_sums = np.add.reduceat(whole, np.arange(0, height, cell_px)[:rows], axis=0)
    sums = np.add.reduceat(row_sums[:, :width], np.arange(0, width, cell_px)[:columns], axis=1)
    means: npt.NDArray[np.float32] = (sums / (height // rows * (width // columns))).astype(np.float32)
    return means


class SceneCutTest:
    """Compares each frame with the one before it, both shrunk and freed of their mean.

    A change of exposure moves the mean or scales the picture and is no cut; a moving head changes little of the
    variance at this size; an unrelated picture changes all of it.
    """

    def __init__(self) -> None:
        """Start without a frame: the first is never a cut."""
        self._before: npt.NDArray[np.float32] | None = None

    def is_cut(self, luma: npt.NDArray[np.uint8]) -> bool:
        """Take the next frame's luma [H, W] and say whether it begins another scene."""
        small = shrink(luma)
        before, self._before = self._before, small
        if before is None or before.shape != small.shape:
            return False
        a, b = before - before.mean(), small - small.mean()
        if float(np.mean(np.abs(b - a))) < _LEAST_CHANGE:
            return False
        variance = float(np.sum(a * a) + np.sum(b * b))
        return float(np.sum((a - b) ** 2)) > _CUT_SHARE * variance
