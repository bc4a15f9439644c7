"""Points of rate and quality: measured once, kept in a folder, extended until a curve spans what is asked for."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from codec.bench.figures import rate_kbps
from codec.bench.metrics import FrameMeasures, Metric, Source, measure
from codec.bench.peers import CodedClip, Peer

__all__ = ["HEADER_BYTES", "Point", "PointCache", "Span", "measure_curve"]

HEADER_BYTES = 76  # IP, UDP, DTLS or SRTP, and below, of each datagram
_CACHE_FORMAT = 1

Report = Callable[[str], None]


@dataclass(frozen=True)
class Point:
    """One clip through one codec at one quality, frame by frame."""

    quality: float
    sizes_bytes: tuple[int, ...]
    packets: tuple[int, ...]
    measures: FrameMeasures
    wall_s: float
    cpu_s: float

    def kbps(self, fps: Fraction, headers: bool = False, frames: slice = slice(None)) -> float:
        """Return the rate of some frames, all by default, with network headers or without."""
        sizes = self.sizes_bytes[frames]
        extra = HEADER_BYTES * sum(self.packets[frames]) if headers else 0
        return rate_kbps(sum(sizes) + extra, len(sizes), fps)

    def mean(self, metric: Metric, frames: slice = slice(None)) -> float:
        """Return the mean of a metric over some frames, all by default."""
        return float(np.mean(self.measures[metric][frames]))


@dataclass(frozen=True)
class Span:
    """What a curve is to cover: a range of a metric's mean over some frames."""

    metric: Metric
    low: float
    high: float
    frames: slice = field(default_factory=lambda: slice(None))


class PointCache:
    """Points in a folder, one file for a clip's pictures and a codec's settings; without a folder it keeps none."""

    def __init__(self, folder: Path | None) -> None:
        """Make the folder where it is missing."""
        self._folder = folder
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def load(self, clip_key: str, peer: Peer) -> dict[float, Point]:
        """Return what is known, by quality."""
        path = self._path(clip_key, peer)
        if path is None or not path.is_file():
            return {}
        entries = json.loads(path.read_text())["points"]
        return {entry["quality"]: _point_of(entry) for entry in entries}

    def store(self, clip_key: str, peer: Peer, points: Iterable[Point]) -> None:
        """Keep points in place of those that were known."""
        path = self._path(clip_key, peer)
        if path is None:
            return
        content = {"clip": clip_key, "codec": peer.name, "settings": peer.settings}
        unfinished = path.with_suffix(".part")
        unfinished.write_text(json.dumps(content | {"points": [asdict(point) for point in points]}) + "\n")
        unfinished.replace(path)

    def _path(self, clip_key: str, peer: Peer) -> Path | None:
        if self._folder is None:
            return None
        key = f"{_CACHE_FORMAT}\n{clip_key}\n{peer.settings}"
        return self._folder / f"{peer.name}-{hashlib.sha256(key.encode()).hexdigest()[:20]}.json"


def measure_curve(
    peer: Peer,
    source: Source,
    clip_key: str,
    metrics: Sequence[Metric],
    spans: Sequence[Span],
    cache: PointCache,
    report: Report,
) -> list[Point]:
    """Return a peer's points, from coarse to fine: its ladder, and beyond until each span is covered.

    A codec that cannot cover a span gives what it has.
    """
    wanted: list[Metric] = list(dict.fromkeys(["luma_db", *metrics]))
    if source.weights is None:
        wanted = [metric for metric in wanted if metric != "weighted_luma_db"]
    known, used = cache.load(clip_key, peer), {}
    waiting = list(peer.ladder.start)
    while waiting:
        quality = waiting.pop(0)
        point = known.get(quality)
        if point is None or not set(wanted) <= set(point.measures):
            point = _measure_point(peer, source, quality, wanted)
            known[quality] = point
            cache.store(clip_key, peer, known.values())
            report(f"{peer.name} at {quality:g}: {point.kbps(source.fps):.1f} kbit/s, {point.mean('luma_db'):.2f} dB")
        used[quality] = point
        if not waiting:
            following = (_next_quality(peer, used, span) for span in spans)
            waiting += [quality for quality in following if quality is not None][:1]
    return sorted(used.values(), key=lambda point: point.kbps(source.fps))


def _next_quality(peer: Peer, used: Mapping[float, Point], span: Span) -> float | None:
    values = {quality: point.mean(span.metric, span.frames) for quality, point in used.items()}
    return peer.ladder.next_quality(values, span.low, span.high)


def _measure_point(peer: Peer, source: Source, quality: float, metrics: Sequence[Metric]) -> Point:
    coded: CodedClip = peer.encode(source.pictures, source.fps, quality)
    measures = measure(coded.pictures, source, metrics)
    return Point(quality, coded.sizes_bytes, coded.packets, measures, coded.wall_s, coded.cpu_s)


def _point_of(entry: dict[str, Any]) -> Point:
    """Return a point of what `asdict` made of it."""
    return Point(**entry | {"sizes_bytes": tuple(entry["sizes_bytes"]), "packets": tuple(entry["packets"])})
