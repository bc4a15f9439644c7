"""The coded size of a publisher's picture, and when a camera that changes its size begins a new epoch (wire.md)."""

from dataclasses import dataclass

__all__ = ["CameraSize", "PictureSize", "coded_size"]

MIN_SIDE_PX = 16
ASPECT_TOLERANCE = 0.02  # Chromium's scaled sizes are rounded to whole or even pixels


@dataclass(frozen=True)
class PictureSize:
    """Width and height of a picture in pixels."""

    width_px: int
    height_px: int

    def has_aspect_of(self, other: "PictureSize") -> bool:
        """Tell whether two sizes have the same aspect ratio within rounding."""
        cross = self.width_px * other.height_px / (self.height_px * other.width_px)
        rounding = 1 / min(self.width_px, self.height_px, other.width_px, other.height_px)
        return abs(cross - 1) <= ASPECT_TOLERANCE + rounding


def coded_size(camera: PictureSize, long_side_px: int) -> PictureSize:
    """Return the size to code a camera's picture at: aspect kept, never enlarged, even, 16 px at least."""
    scale = min(1.0, long_side_px / max(camera.width_px, camera.height_px))
    width_px, height_px = (
        max(MIN_SIDE_PX, 2 * round(side * scale / 2)) for side in (camera.width_px, camera.height_px)
    )
    return PictureSize(width_px, height_px)


class CameraSize:
    """Decides the coded size frame by frame: a new aspect ratio counts at once, another size after three seconds."""

    SETTLE_MS = 3000.0

    def __init__(self, long_side_px: int) -> None:
        self._long_side_px = long_side_px
        self._camera: PictureSize | None = None  # the size that the coded size was made for
        self._coded: PictureSize | None = None
        self._other: PictureSize | None = None  # a size that has not lasted long enough
        self._other_since_ms = 0.0

    def coded(self, camera: PictureSize, now_ms: float) -> PictureSize:
        """Return the coded size for a picture of this size that came now."""
        if self._camera is None or self._coded is None or not camera.has_aspect_of(self._camera):
            return self._take(camera)
        if camera == self._camera:
            self._other = None
        elif camera != self._other:
            self._other, self._other_since_ms = camera, now_ms
        elif now_ms - self._other_since_ms >= self.SETTLE_MS:
            return self._take(camera)
        return self._coded

    def _take(self, camera: PictureSize) -> PictureSize:
        """Make the coded size anew."""
        self._camera, self._other = camera, None
        self._coded = coded_size(camera, self._long_side_px)
        return self._coded
