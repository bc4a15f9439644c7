"""Multi-scale structural similarity of luma: Wang, Simoncelli and Bovik, Asilomar 2003."""

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["MS_SSIM_WEIGHTS", "ms_ssim"]

MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # from the finest scale on
_WINDOW_PX, _SIGMA_PX = 11, 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

Plane = npt.NDArray[np.float32]  # [height, width] 0..255


def ms_ssim(shown: Plane, source: Plane, weights: tuple[float, ...] = MS_SSIM_WEIGHTS) -> float:
    """Return the similarity of two pictures [height, width] of values 0..255; 1 for equal ones.

    Where a picture is too small for the window at the coarser scales, those are left out and the other weights scaled
    to the same sum. Raises ValueError for pictures of unlike size, or smaller than the window.
    """
    if shown.shape != source.shape or shown.ndim != 2 or min(shown.shape) < _WINDOW_PX:
        raise ValueError(f"expected two pictures of one size of at least 11x11, got {shown.shape} and {source.shape}")
    scales = max(n for n in range(1, len(weights) + 1) if min(shown.shape) >> (n - 1) >= _WINDOW_PX)
    used = np.asarray(weights[:scales]) * (sum(weights) / sum(weights[:scales]))
    total = 0.0
    for scale, weight in enumerate(used):
        luminance, structure = _similarities(shown, source)
        value = luminance if scale == scales - 1 else structure
        total += float(weight) * np.log(max(value, 1e-9))
        if scale < scales - 1:
            shown, source = _halved(shown), _halved(source)
    return float(np.exp(total))


def _similarities(a: Plane, b: Plane) -> tuple[float, float]:
    """Return mean SSIM and mean contrast-structure term of one scale, over the windows that lie inside."""
    # moments about mid-grey: squares of small numbers lose less in float32
    a, b = a - np.float32(128), b - np.float32(128)
    mean_a, mean_b, aa, bb, ab = (_windowed(plane) for plane in (a, b, a * a, b * b, a * b))
    variances = aa - mean_a * mean_a + bb - mean_b * mean_b
    structure = (2 * (ab - mean_a * mean_b) + _C2) / (variances + _C2)
    mean_a += 128
    mean_b += 128
    luminance = (2 * mean_a * mean_b + _C1) / (mean_a * mean_a + mean_b * mean_b + _C1)
    return float((luminance * structure).mean(dtype=np.float64)), float(structure.mean(dtype=np.float64))


def _windowed(plane: Plane) -> Plane:
    """Return the mean of a plane [h, w] under a Gaussian window at each place, [h - 10, w - 10]."""
    margin = _WINDOW_PX // 2
    blurred = cv2.GaussianBlur(plane, (_WINDOW_PX, _WINDOW_PX), _SIGMA_PX)
    return np.asarray(blurred[margin:-margin, margin:-margin], np.float32)


def _halved(plane: Plane) -> Plane:
    """Return means of 2x2 pixels; an odd last row or column is dropped."""
    height, width = (side // 2 * 2 for side in plane.shape)
    even = plane[:height, :width]
    return np.asarray((even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4, np.float32)
