"""`splatcall bench rd`: rate over quality of our codec and of others on the same pictures, and Bjontegaard rates."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import av.error

from codec.bench.gsvc_peer import GsvcPeer
from codec.bench.libav_peers import LIBAV_PEERS
from codec.bench.metrics import METRICS, Metric, prepare_source
from codec.bench.peers import Peer
from codec.bench.rd_clips import BenchClip, Kind, find_clips, kind_of, load_clip, moved_share
from codec.bench.rd_compare import Comparison, DbRange, compare, metric_spans
from codec.bench.rd_points import Point, PointCache, Report, Span, measure_curve
from codec.bench.splat_peer import DEFAULT_QUALITIES, SplatPeer
from codec.config import Effort
from codec.errors import ConfigError

__all__ = ["PEER_NAMES", "ClipResult", "LeftOut", "RdOptions", "RdResult", "measure_rd"]

# of luma dB, each integrated whole
RANGES: dict[Kind, tuple[DbRange, ...]] = {
    "webcam": ((33.0, 38.0), (38.0, 41.0)),
    "moving": ((30.0, 36.0),),
    "other": ((33.0, 38.0),),
}
_MARGIN_DB = 0.3  # that curves go beyond a range
PEER_NAMES = (*LIBAV_PEERS, "gsvc", "unweighted", "best", "delayed")


@dataclass(frozen=True)
class RdOptions:
    """What `measure_rd` is asked for."""

    clips: Path  # a folder, or one clip
    against: tuple[str, ...] = ("vp8", "vp9", "av1", "x264", "x265", "gsvc")
    frames: int = 150
    size: tuple[int, int] | None = (640, 360)  # to fit inside; None: each clip's own
    qualities: tuple[float, ...] | None = None  # of ours; None: the default ones, and more where a range asks for it
    effort: Effort = "best"
    latency_ms: float = 30.0
    importance: bool = True
    delay_frames: int = 0
    threads: int = 2
    metrics: tuple[Metric, ...] = METRICS
    tail: tuple[int, int] = (90, 150)  # frames that are compared alone, the key frame not among them
    ranges: tuple[DbRange, ...] | None = None  # None: by the kind of clip
    moving: tuple[str, ...] = ()  # parts of clips' names
    other: tuple[str, ...] = ()
    cache: Path | None = None


@dataclass(frozen=True)
class LeftOut:
    """A codec that could not run, and why."""

    codec: str
    reason: str


@dataclass(frozen=True)
class ClipResult:
    """One clip through all codecs."""

    clip: BenchClip
    kind: Kind
    moved_share: float  # of blocks, from picture to picture
    ranges: tuple[DbRange, ...]
    tail: slice
    settings: dict[str, str]
    curves: dict[str, list[Point]]  # ours first
    comparisons: list[Comparison]


@dataclass(frozen=True)
class RdResult:
    """Everything that one run measured."""

    ours: str
    clips: list[ClipResult]
    left_out: list[LeftOut]


def measure_rd(options: RdOptions, report: Report) -> RdResult:
    """Measure every clip with every codec; wants an otherwise idle machine where its times are to mean something.

    Raises MediaError for what is no clip, ConfigError for unknown names and qualities out of range.
    """
    ours = _our_peer(options)
    peers, left_out = _find_peers(options)
    cache = PointCache(options.cache)
    results = []
    for path in find_clips(options.clips):
        clip = load_clip(path, options.size, options.frames)
        report(f"{clip.name}: {len(clip.pictures)} frames of {clip.size[0]}x{clip.size[1]}")
        results.append(_measure_clip(clip, ours, peers, options, cache, left_out, report))
    return RdResult(ours.name, results, left_out)


def _measure_clip(
    clip: BenchClip,
    ours: Peer,
    peers: Sequence[Peer],
    options: RdOptions,
    cache: PointCache,
    left_out: list[LeftOut],
    report: Report,
) -> ClipResult:
    source = prepare_source(clip.pictures, clip.fps)
    moved = moved_share(source.luma)
    kind = kind_of(clip.name, moved, options.moving, options.other)
    ranges = options.ranges or RANGES[kind]
    tail = _tail(options.tail, len(clip.pictures))
    lowest, highest = min(low for low, _ in ranges), max(high for _, high in ranges)
    spans = [Span("luma_db", lowest - _MARGIN_DB, highest + _MARGIN_DB)]
    if tail != slice(0, 0):
        spans.append(replace(spans[0], frames=tail))
    curves: dict[str, list[Point]] = {}
    for peer in (ours, *peers):
        try:
            curves[peer.name] = measure_curve(peer, source, clip.key, options.metrics, spans, cache, report)
        except (av.error.FFmpegError, RuntimeError) as error:
            left_out.append(LeftOut(peer.name, f"{clip.name}: {error}"))
        if peer is ours and ours.name in curves:
            spans += metric_spans(curves[ours.name], (lowest, highest))
    settings = {peer.name: peer.settings for peer in (ours, *peers) if peer.name in curves}
    comparisons = compare(curves, ours.name, clip.fps, ranges, tail) if ours.name in curves else []
    return ClipResult(clip, kind, moved, ranges, tail, settings, curves, comparisons)


def _tail(asked: tuple[int, int], frames: int) -> slice:
    """Return the frames asked for that there are, none where they are too few to tell anything."""
    start, stop = asked[0], min(asked[1], frames)
    return slice(start, stop) if 2 * (stop - start) >= asked[1] - asked[0] else slice(0, 0)


def _our_peer(options: RdOptions, name: str = "splatcall") -> SplatPeer:
    qualities = options.qualities or DEFAULT_QUALITIES
    if len(qualities) < 2:
        raise ConfigError(f"qualities: expected at least two, got {len(qualities)}")
    return SplatPeer(
        name=name,
        effort=options.effort,
        importance=options.importance,
        latency_ms=options.latency_ms,
        delay_frames=options.delay_frames,
        threads=options.threads,
        qualities=qualities,
        extend=options.qualities is None,
    )


def _find_peers(options: RdOptions) -> tuple[list[Peer], list[LeftOut]]:
    """Return the codecs that are asked for and can run, and the others. Raises ConfigError for unknown names."""
    peers: list[Peer] = []
    left_out = []
    for name in dict.fromkeys(options.against):
        if name not in PEER_NAMES:
            raise ConfigError(f"against: expected names of {', '.join(PEER_NAMES)}, got '{name}'")
        if name == "unweighted":
            peers.append(_our_peer(replace(options, importance=False), name))
        elif name == "best":
            peers.append(_our_peer(replace(options, effort="best"), name))
        elif name == "delayed":
            peers.append(_our_peer(replace(options, delay_frames=1), name))
        elif name == "gsvc":
            peers.append(GsvcPeer(threads=options.threads))
        else:
            peers += LIBAV_PEERS[name]
    found = []
    for peer in peers:
        reason = peer.missing()
        if reason is None:
            found.append(peer)
        else:
            left_out.append(LeftOut(peer.name, reason))
    return found, left_out
