"""Small moving pictures to code."""

import numpy as np
import numpy.typing as npt

WIDTH, HEIGHT = 64, 48


def moving_picture(index: int, scene: int = 0) -> npt.NDArray[np.uint8]:
    """Return a textured picture [HEIGHT, WIDTH, 3] with a blob that moves a px a frame; scenes share nothing."""
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    phases = np.random.default_rng(scene).random((3, 2)) * 7
    blob = 90 * np.exp(-(((x - 20 - index) / 6) ** 2 + ((y - 22) / 8) ** 2))
    planes = [110 + 60 * np.sin(x / 6 + p) * np.cos(y / 5 + q) + blob for p, q in phases]
    return np.stack(planes, axis=-1).clip(0, 255).astype(np.uint8)


def mean_square(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> float:
    """Return the mean squared difference of two pictures."""
    return float(((a.astype(float) - b.astype(float)) ** 2).mean())
