"""The clips of a benchmark: fitted into a size, with the kind of scene each is."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from codec.errors import MediaError
from codec.media import RgbPicture, open_clip

__all__ = ["BenchClip", "Kind", "find_clips", "fit_inside", "kind_of", "load_clip", "moved_share"]

Kind = Literal["webcam", "moving", "other"]

_SUFFIXES = (".mp4", ".264", ".y4m", ".mkv", ".webm", ".mov", ".avi")
_BLOCK_PX = 16
_MOVED_BLOCK = 3.0  # mean change of luma, 0..255, from picture to picture
_MOVING_SHARE = 0.15  # of blocks that move: webcams have up to 0.06, moving heads and held cameras from 0.28


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


def moved_share(luma: Sequence[npt.NDArray[np.float32]]) -> float:
    """Return the share of 16 px blocks that change from picture to picture [height, width], the mean over a clip."""
    shares = []
    for before, after in pairwise(luma):
        height, width = (side // _BLOCK_PX * _BLOCK_PX for side in after.shape)
        change = np.abs(after - before)[:height, :width].reshape(height // _BLOCK_PX, _BLOCK_PX, -1, _BLOCK_PX)
        shares.append(float((change.mean((1, 3)) > _MOVED_BLOCK).mean()))
    return float(np.mean(shares)) if shares else 0.0


def kind_of(name: str, moved: float, moving: Sequence[str], other: Sequence[str]) -> Kind:
    """Return a clip's kind: by parts of names, where there are any, else by the share of blocks that move."""
    if any(part in name for part in other):
        return "other"
    if moving or other:
        return "moving" if any(part in name for part in moving) else "webcam"
    return "moving" if moved > _MOVING_SHARE else "webcam"
