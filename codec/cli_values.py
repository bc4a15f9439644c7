"""Values of command-line options: text to checked numbers, sizes and ranges; places to write to."""

import argparse
import math
import re
from pathlib import Path

from codec.config import MAX_PICTURE_PX
from codec.errors import MediaError

__all__ = [
    "check_folder_of",
    "db_ranges",
    "frame_range",
    "names",
    "positive_number",
    "positive_whole",
    "quality_list",
    "quality_number",
    "region",
    "size",
    "whole",
]


def size(text: str) -> tuple[int, int]:
    """Parse WxH in px, each 1 to 4096."""
    match = re.fullmatch(r"(\d{1,9})x(\d{1,9})", text)
    if not match:
        raise argparse.ArgumentTypeError(f"expected WxH such as 640x360, got '{text}'")
    width, height = int(match[1]), int(match[2])
    if not (1 <= width <= MAX_PICTURE_PX and 1 <= height <= MAX_PICTURE_PX):
        raise argparse.ArgumentTypeError(f"expected width and height of 1 to {MAX_PICTURE_PX}, got '{text}'")
    return width, height


def region(text: str) -> tuple[int, int, int, int]:
    """Parse X,Y,W,H in px, with W and H at least 1."""
    match = re.fullmatch(r"(\d{1,9}),(\d{1,9}),(\d{1,9}),(\d{1,9})", text)
    if not match or 0 in (int(match[3]), int(match[4])):
        raise argparse.ArgumentTypeError(f"expected X,Y,W,H in px such as 0,0,320,180, got '{text}'")
    x, y, width, height = (int(part) for part in match.groups())
    return x, y, width, height


def frame_range(text: str) -> slice:
    """Parse A:B, A:, :B or a single frame A; counted from 0, B not included."""
    match = re.fullmatch(r"(\d{0,9})(:?)(\d{0,9})", text)
    if not match or text in ("", ":"):
        raise argparse.ArgumentTypeError(f"expected A:B such as 0:100, got '{text}'")
    first = int(match[1] or 0)
    if not match[2]:
        return slice(first, first + 1)
    last = int(match[3]) if match[3] else None
    if last is not None and last <= first:
        raise argparse.ArgumentTypeError(f"expected A:B with A below B, got '{text}'")
    return slice(first, last)


def positive_whole(text: str) -> int:
    """Parse a whole number of at least 1."""
    if not re.fullmatch(r"\d{1,9}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got '{text}'")
    return int(text)


def whole(text: str) -> int:
    """Parse a whole number of at least 0."""
    if not re.fullmatch(r"\d{1,9}", text):
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, got '{text}'")
    return int(text)


def positive_number(text: str) -> float:
    """Parse a number above 0."""
    value = _number(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got '{text}'")
    return value


def quality_number(text: str) -> float:
    """Parse a number of 0 to 100."""
    value = _number(text)
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"expected a number of 0 to 100, got '{text}'")
    return value


def quality_list(text: str) -> tuple[float, ...]:
    """Parse numbers of 0 to 100 with commas between."""
    return tuple(quality_number(part) for part in text.split(","))


def names(text: str) -> tuple[str, ...]:
    """Parse names with commas between."""
    parts = tuple(part.strip() for part in text.split(","))
    if not all(parts):
        raise argparse.ArgumentTypeError(f"expected names with commas between, got '{text}'")
    return parts


def db_ranges(text: str) -> tuple[tuple[float, float], ...]:
    """Parse A:B,C:D,... in dB, each with A below B."""
    ranges = []
    for part in text.split(","):
        low, colon, high = part.partition(":")
        if not colon or not _number(low) < _number(high):
            raise argparse.ArgumentTypeError(f"expected ranges in dB such as 33:38,38:41, got '{text}'")
        ranges.append((_number(low), _number(high)))
    return tuple(ranges)


def check_folder_of(*paths: Path | None) -> None:
    """Raise MediaError for a file that there is no folder for (None left out), so that no work is done in vain."""
    for path in filter(None, paths):
        if not path.parent.is_dir():
            raise MediaError(f"{path}: cannot be written: no folder {path.parent}")


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a number, got '{text}'")
    return value
