"""Which part of a picture is drawn, and how large."""

import math
from typing import Protocol

__all__ = ["MAX_SIDE_PX", "Region", "SizedPicture", "output_size", "resolve_region"]

Region = tuple[int, int, int, int]  # left, top, width, height in coded px
MAX_SIDE_PX = 16384


class SizedPicture(Protocol):
    """What says how large a picture is coded: an epoch record, for one."""

    @property
    def width_px(self) -> int:
        """Width of the coded picture."""

    @property
    def height_px(self) -> int:
        """Height of the coded picture."""


def resolve_region(epoch: SizedPicture, region: Region | None) -> Region:
    """Return the region, by default the whole picture.

    Raises ValueError if it is empty or leaves the picture.
    """
    if region is None:
        return 0, 0, epoch.width_px, epoch.height_px
    left, top, width, height = region
    inside = left >= 0 and top >= 0 and left + width <= epoch.width_px and top + height <= epoch.height_px
    if width < 1 or height < 1 or not inside:
        raise ValueError(f"region: expected one inside {epoch.width_px}x{epoch.height_px} px, got {region}")
    return region


def output_size(epoch: SizedPicture, scale: float, region: Region | None = None) -> tuple[int, int]:
    """Return width and height in output px: the region's times the scale, rounded, at least 1.

    Raises ValueError for a scale that is not positive or asks for more than MAX_SIDE_PX.
    """
    _, _, width, height = resolve_region(epoch, region)
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"scale: expected a positive number, got {scale}")
    out = max(1, math.floor(width * scale + 0.5)), max(1, math.floor(height * scale + 0.5))
    if max(out) > MAX_SIDE_PX:
        raise ValueError(f"scale: expected a picture of at most {MAX_SIDE_PX} px a side, got {out[0]}x{out[1]}")
    return out
