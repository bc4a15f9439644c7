"""`splatcall bench live`: what a live call sees of a clip: the first picture, how it sharpens, and every frame's time.

Times mean something on an idle machine only. The encoder gets a picture when it has finished the last one, so its
budget is what bounds a frame, not the camera.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from codec.bench.coding import encode_splats
from codec.bench.figures import luma_psnr_db, rate_kbps
from codec.bench.rd_clips import find_clips, load_clip
from codec.bench.splat_peer import decode_frames
from codec.config import EncoderConfig
from codec.media import RgbPicture

__all__ = ["LiveOptions", "LivePoint", "measure_live", "print_live"]

_FIRST_S = 1.0  # after which a picture should be sharp
_CAPACITY = 4000  # splats


@dataclass(frozen=True)
class LiveOptions:
    """What `measure_live` is asked for."""

    clips: Path  # a folder, or one clip
    frames: int = 150
    size: tuple[int, int] | None = (640, 360)  # to fit inside
    qualities: tuple[float, ...] = (35.0, 50.0, 65.0, 80.0)
    latency_ms: float = 30.0
    threads: int = 2


@dataclass(frozen=True)
class LivePoint:
    """One clip at one quality."""

    clip: str
    width_px: int
    height_px: int
    quality: float
    kbps: float  # the whole stream
    luma_db: float  # mean over the frames
    first_ms: float  # wall time of the first picture
    first_bytes: int
    first_db: float
    second_db: float  # after one second
    best_second_db: float  # likewise, of best effort at the same quality
    wall_ms: tuple[float, float, float]  # of P-frames, p50, p95, p99
    cpu_ms: tuple[float, float]  # of P-frames, all threads, p50, p95


def measure_live(options: LiveOptions, report: Callable[[str], None]) -> list[LivePoint]:
    """Measure every clip at every quality. Raises MediaError for what is no clip."""
    points = []
    for path in find_clips(options.clips):
        clip = load_clip(path, options.size, options.frames)
        report(f"{clip.name}: {len(clip.pictures)} frames of {clip.size[0]}x{clip.size[1]}")
        points += [_point(clip.name, clip.pictures, clip.fps, quality, options) for quality in options.qualities]
    return points


def print_live(points: Sequence[LivePoint], console: Console) -> None:
    """Print a table, a row for each clip and quality."""
    table = Table(title="live")
    times = ("p50 ms", "p95", "p99", "CPU ms", "p95")
    for index, heading in enumerate(
        ("clip", "quality", "kbit/s", "dB", "first ms", "bytes", "dB", "at 1 s", "best's", *times)
    ):
        table.add_column(heading, justify="right" if index else "left")
    for p in points:
        table.add_row(
            p.clip,
            *(f"{value:.0f}" for value in (p.quality, p.kbps)),
            f"{p.luma_db:.1f}",
            *(f"{value:.0f}" for value in (p.first_ms, p.first_bytes)),
            *(f"{value:.1f}" for value in (p.first_db, p.second_db, p.best_second_db, *p.wall_ms, *p.cpu_ms)),
        )
    console.print(table)


def _point(name: str, pictures: Sequence[RgbPicture], fps: Fraction, quality: float, options: LiveOptions) -> LivePoint:
    height_px, width_px = pictures[0].shape[:2]
    config = EncoderConfig(
        width_px,
        height_px,
        fps=(fps.numerator, fps.denominator),
        quality=quality,
        effort="live",
        importance=False,
        latency_ms=options.latency_ms,
        threads=options.threads,
        max_splats=_CAPACITY,
    )
    frames, _ = encode_splats(pictures, config)
    stats = [frame.stats for frame in frames]
    quality_db = [luma_psnr_db(shown, picture) for shown, picture in zip(decode_frames(frames), pictures, strict=True)]
    second = min(len(pictures) - 1, round(_FIRST_S * fps))
    later = [s for s in stats if s.kind == "p"]
    wall = np.percentile([s.encode_ms for s in later] or [0.0], [50, 95, 99])
    cpu = np.percentile([s.cpu_ms for s in later] or [0.0], [50, 95])
    return LivePoint(
        clip=name,
        width_px=width_px,
        height_px=height_px,
        quality=quality,
        kbps=rate_kbps(sum(s.bytes for s in stats), len(stats), fps),
        luma_db=float(np.mean(quality_db)),
        first_ms=stats[0].encode_ms,
        first_bytes=stats[0].bytes,
        first_db=quality_db[0],
        second_db=quality_db[second],
        best_second_db=_best_db(pictures[: second + 1], config),
        wall_ms=(float(wall[0]), float(wall[1]), float(wall[2])),
        cpu_ms=(float(cpu[0]), float(cpu[1])),
    )


def _best_db(pictures: Sequence[RgbPicture], config: EncoderConfig) -> float:
    """Return the quality of the last picture where best effort codes all of them."""
    frames, _ = encode_splats(pictures, replace(config, effort="best"))
    return luma_psnr_db(decode_frames(frames)[-1], pictures[-1])
