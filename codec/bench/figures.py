"""Figures that every benchmark reports: quality, rate, times."""

import math
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from codec.media import RgbPicture, luma

__all__ = ["CodingFigures", "Spread", "luma_psnr_db", "mean_luma_psnr_db", "processor_name", "rate_kbps", "spread"]


@dataclass(frozen=True)
class Spread:
    """How a time is spread over its samples, all in ms."""

    p50: float
    p95: float
    mean: float
    most: float


@dataclass(frozen=True)
class CodingFigures:
    """One encoder on one clip."""

    encoder: str
    width_px: int
    height_px: int
    frames: int
    kbps: float  # the whole stream, key frame included
    luma_db: float  # mean over the frames
    key_ms: float  # wall time of the first frame
    p_wall_ms: Spread  # of the other frames
    p_cpu_ms: Spread
    stages_ms: dict[str, float] = field(default_factory=dict)  # mean over the P-frames


def spread(samples_ms: Sequence[float]) -> Spread:
    """Return percentiles of times in ms; all zero where there are none."""
    if not samples_ms:
        return Spread(0.0, 0.0, 0.0, 0.0)
    values = np.asarray(samples_ms, float)
    p50, p95 = np.percentile(values, [50, 95])
    return Spread(float(p50), float(p95), float(values.mean()), float(values.max()))


def luma_psnr_db(shown: RgbPicture, source: RgbPicture) -> float:
    """Return PSNR of full-range BT.601 luma, at most 100 dB; pictures are uint8 [height, width, 3]."""
    error = float(np.mean((luma(shown) - luma(source)) ** 2))
    return min(100.0, 10 * math.log10(255**2 / max(error, 1e-9)))


def mean_luma_psnr_db(shown: Iterable[RgbPicture], source: Iterable[RgbPicture]) -> float:
    """Return the mean of the frames' luma PSNR."""
    return float(np.mean([luma_psnr_db(a, b) for a, b in zip(shown, source, strict=True)]))


def rate_kbps(total_bytes: int, frames: int, fps: Fraction) -> float:
    """Return kbit/s of so many bytes for so many frames."""
    return float(total_bytes * 8 * fps / frames / 1000)


def processor_name() -> str:
    """Return what the system calls its processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
