"""Tables and JSON of a rate-quality benchmark."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from statistics import fmean

import av
from rich.console import Console
from rich.table import Table

from codec import __version__
from codec.bench.figures import processor_name
from codec.bench.rd import ClipResult, RdOptions, RdResult
from codec.bench.rd_compare import COLUMNS, Comparison, DbRange
from codec.bench.rd_points import HEADER_BYTES, Point
from codec.bench.stills import StillResult, stills_json

__all__ = ["print_rd", "rd_json"]


def print_rd(result: RdResult, console: Console) -> None:
    """Print a table for each clip, the means by kind of clip, and what is missing."""
    for clip in result.clips:
        console.print(_clip_table(clip, result.ours))
    for kind in dict.fromkeys(clip.kind for clip in result.clips):
        for luma_range in dict.fromkeys(r for clip in result.clips if clip.kind == kind for r in clip.ranges):
            console.print(_mean_table(result, kind, luma_range))
    for note in _notes(result):
        console.print(f"note: {note}")


def _clip_table(result: ClipResult, ours: str) -> Table:
    width, height = result.clip.size
    title = f"{result.clip.name} ({result.kind}), {width}x{height}, {len(result.clip.pictures)} frames"
    table = Table(title=f"{title}: our rate over theirs at equal quality, %")
    for heading in ("luma dB", "against", *(column.name for column in COLUMNS), "ms", "CPU ms"):
        table.add_column(heading, justify="left" if heading == "against" else "right", no_wrap=True)
    for luma_range in result.ranges:
        for name, points in result.curves.items():
            if name == ours:
                cells = [""] * len(COLUMNS)
            else:
                found = _by_column(result, name, luma_range)
                cells = [
                    _percent(found[column.name].rate.percent) if column.name in found else "-" for column in COLUMNS
                ]
            times = (f"{value:.1f}" for value in _times_ms(points, luma_range))
            table.add_row(_range_name(luma_range), name, *cells, *times)
        table.add_section()
    return table


def _mean_table(result: RdResult, kind: str, luma_range: DbRange) -> Table:
    clips = [clip for clip in result.clips if clip.kind == kind and luma_range in clip.ranges]
    table = Table(title=f"mean over {len(clips)} {kind} clips, {_range_name(luma_range)} dB luma, %")
    for heading in ("against", *(column.name for column in COLUMNS)):
        table.add_column(heading, justify="left" if heading == "against" else "right", no_wrap=True)
    for name in dict.fromkeys(name for clip in clips for name in clip.curves if name != result.ours):
        cells = []
        for column in COLUMNS:
            mean, spanned, compared = _mean(clips, name, column.name, luma_range)
            count = "" if spanned == len(clips) or not compared else f" ({spanned} of {compared})"
            cells.append(_percent(mean) + count)
        table.add_row(name, *cells)
    return table


def _mean(clips: list[ClipResult], name: str, column: str, luma_range: DbRange) -> tuple[float | None, int, int]:
    """Return the mean over the clips that span the range, how many those are, and how many were compared at all."""
    rates = [found[column].rate.percent for clip in clips if column in (found := _by_column(clip, name, luma_range))]
    known = [rate for rate in rates if rate is not None]
    return (fmean(known) if known else None), len(known), len(rates)


def _by_column(result: ClipResult, name: str, luma_range: DbRange) -> dict[str, Comparison]:
    return {
        entry.column: entry for entry in result.comparisons if entry.codec == name and entry.luma_range_db == luma_range
    }


def _times_ms(points: list[Point], luma_range: DbRange) -> tuple[float, float]:
    """Return wall and CPU ms a frame of the point that is nearest to the middle of a range."""
    middle = sum(luma_range) / 2
    point = min(points, key=lambda point: abs(point.mean("luma_db") - middle))
    frames = len(point.sizes_bytes)
    return point.wall_s * 1000 / frames, point.cpu_s * 1000 / frames


def _notes(result: RdResult) -> Iterator[str]:
    for left_out in result.left_out:
        yield f"{left_out.codec} is left out: {left_out.reason}"
    for clip in result.clips:
        said = set()
        for entry in clip.comparisons:
            about = f"{entry.column}, {_range_name(entry.luma_range_db)} dB luma: {entry.rate.note}"
            text = f"{clip.clip.name} against {entry.codec}, {about}"
            if entry.rate.note and entry.column in ("luma", "luma, tail") and text not in said:
                said.add(text)
                yield text


def _range_name(luma_range: DbRange) -> str:
    return f"{luma_range[0]:g}-{luma_range[1]:g}"


def _cell(entry: Comparison | None) -> str:
    return "-" if entry is None else _percent(entry.rate.percent)


def _percent(value: float | None) -> str:
    return "no span" if value is None else f"{value:+.1f}"


def rd_json(result: RdResult, options: RdOptions, stills: list[StillResult] | None = None) -> str:
    """Return everything as JSON: what was asked for, every point, every comparison, the means; stills, too."""
    means = [
        {"kind": kind, "luma_range_db": luma_range, "codec": name, "column": column.name}
        | dict(zip(("percent", "clips_spanned", "clips"), _mean(clips, name, column.name, luma_range), strict=True))
        for kind in dict.fromkeys(clip.kind for clip in result.clips)
        for luma_range in dict.fromkeys(r for clip in result.clips if clip.kind == kind for r in clip.ranges)
        for clips in [[clip for clip in result.clips if clip.kind == kind and luma_range in clip.ranges]]
        for name in dict.fromkeys(name for clip in clips for name in clip.curves if name != result.ours)
        for column in COLUMNS
    ]
    content = {
        "version": __version__,
        "commit": _commit(),
        "options": asdict(options) | {"clips": str(options.clips), "cache": None},
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "pyav": av.__version__,
        "ffmpeg": av.ffmpeg_version_info,
        "ours": result.ours,
        "header_bytes_a_packet": HEADER_BYTES,
        "left_out": [vars(entry) for entry in result.left_out],
        "clips": [_clip_json(clip) for clip in result.clips],
        "means": means,
        "stills": stills_json(stills) if stills else None,
    }
    return json.dumps(content, indent=1) + "\n"


def _clip_json(result: ClipResult) -> dict[str, object]:
    clip = result.clip
    return {
        "name": clip.name,
        "key": clip.key,
        "width_px": clip.size[0],
        "height_px": clip.size[1],
        "fps": str(clip.fps),
        "frames": len(clip.pictures),
        "kind": result.kind,
        "moved_share": result.moved_share,
        "luma_ranges_db": result.ranges,
        "tail": [result.tail.start, result.tail.stop],
        "settings": result.settings,
        "points": {
            name: [_point_json(point, clip.fps, result.tail) for point in points]
            for name, points in result.curves.items()
        },
        "bd_rates": [
            {"codec": entry.codec, "column": entry.column, "luma_range_db": entry.luma_range_db} | vars(entry.rate)
            for entry in result.comparisons
        ],
    }


def _point_json(point: Point, fps: Fraction, tail: slice) -> dict[str, object]:
    def part(frames: slice) -> dict[str, object]:
        return {
            "kbps": point.kbps(fps, frames=frames),
            "kbps_with_headers": point.kbps(fps, headers=True, frames=frames),
            **{metric: point.mean(metric, frames) for metric in point.measures},
        }

    return {
        "quality": point.quality,
        "bytes": sum(point.sizes_bytes),
        "key_bytes": point.sizes_bytes[0],
        "packets": sum(point.packets),
        **part(slice(None)),
        "tail": part(tail) if tail != slice(0, 0) else None,
        "wall_s": point.wall_s,
        "cpu_s": point.cpu_s,
        "sizes_bytes": point.sizes_bytes,
        "frame_luma_db": [round(value, 3) for value in point.measures["luma_db"]],
    }


def _commit() -> str | None:
    """Return the commit that this runs from, with '-dirty' where files differ; None outside of a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
