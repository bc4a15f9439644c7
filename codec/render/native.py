"""The C++ renderer: columns of the picture in parallel, GIL released."""

import numpy as np
import numpy.typing as npt

from codec.native import _native
from codec.render.output import Region, output_size, resolve_region
from codec.types import FloatArray, SplatState

__all__ = ["render", "to_rgb"]


def render(state: SplatState, scale: float = 1.0, region: Region | None = None, threads: int = 2) -> FloatArray:
    """Return Y, Cb, Cr in 1/255, not clipped: float32 [3, H, W] with (W, H) = output_size(...).

    Raises ValueError for an empty or outside region, or a scale out of range.
    """
    epoch = state.epoch
    left, top, _, _ = resolve_region(epoch, region)
    width, height = output_size(epoch, scale, region)
    size = epoch.width_px, epoch.height_px
    return _native.render(state.splats, state.base, *size, scale, left, top, width, height, threads)


def to_rgb(ycc: FloatArray, threads: int = 2) -> npt.NDArray[np.uint8]:
    """Return RGB [H, W, 3], clipped and rounded, of Y, Cb, Cr [3, H, W]."""
    return _native.to_rgb(np.ascontiguousarray(ycc, np.float32), threads)
