"""The clips of a benchmark: fitted into a size, with the kind of scene each is."""

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from codec.errors import MediaError
from codec.media import RgbPicture, open_clip

__all__ = ["BenchClip", "find_clips", "fit_inside", "load_clip"]

_SUFFIXES = (".mp4", ".264", ".y4m", ".mkv", ".webm", ".mov", ".avi")


@dataclass(frozen=True)
class BenchClip:
    """Pictures of a clip, all of one size."""

    name: str
    key: str  # of its bytes, frames and size
    fps: Fraction
    pictures: list[RgbPicture]

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height in px."""
        height, width = self.pictures[0].shape[:2]
        return width, height


def find_clips(folder: Path) -> list[Path]:
    """Return the clips of a folder, or the one clip that is named, by name. Raises MediaError where there is none."""
    found = [folder] if folder.is_file() else sorted(path for path in folder.glob("*") if path.suffix in _SUFFIXES)
    if not found:
        raise MediaError(f"{folder}: expected a folder with clips ({', '.join(_SUFFIXES)}), it holds none")
    return found


def fit_inside(size: tuple[int, int], limit: tuple[int, int] | None) -> tuple[int, int]:
    """Return width and height in px: even, the aspect kept, no larger than the clip's own nor than the limit."""
    width, height = size
    scale = min(1.0, limit[0] / width, limit[1] / height) if limit else 1.0
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def load_clip(path: Path, limit: tuple[int, int] | None, frames: int) -> BenchClip:
    """Read at most so many pictures of a clip, fitted into the limit. Raises MediaError for what is no clip."""
    with open_clip(path, frames=1) as clip:
        size = fit_inside((clip.width_px, clip.height_px), limit)
    with open_clip(path, size, frames) as clip:
        pictures = list(clip)
        fps = clip.fps
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return BenchClip(path.stem, f"{digest} {size[0]}x{size[1]} {len(pictures)} frames", fps, pictures)
