"""`splatcall bench rd --stills`: key frames as files against still formats, picture by picture."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import fmean

from rich.table import Table

from codec.bench.bd import BdRate, Curve, bd_rate, curve_of
from codec.bench.gsvc_peer import GsvcPeer
from codec.bench.metrics import Metric, prepare_source
from codec.bench.peers import Peer
from codec.bench.rd_clips import BenchClip, load_clip
from codec.bench.rd_compare import scaled_mean
from codec.bench.rd_points import Point, PointCache, Report, measure_curve
from codec.bench.still_peers import STILL_PEERS, SplatStillPeer
from codec.errors import MediaError

__all__ = [
    "STILL_METRICS",
    "StillComparison",
    "StillResult",
    "measure_stills",
    "still_means",
    "stills_json",
    "stills_table",
]

STILL_METRICS: tuple[Metric, ...] = ("luma_db", "rgb_db", "ms_ssim")
_METRIC_NAMES: dict[Metric, str] = {"luma_db": "luma", "rgb_db": "RGB", "ms_ssim": "MS-SSIM"}
_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".ppm")


@dataclass(frozen=True)
class StillComparison:
    """Our bytes over another format's, over the span of quality that both curves have."""

    codec: str
    metric: Metric
    rate: BdRate


@dataclass(frozen=True)
class StillResult:
    """One picture through all formats; rates of its points are kbit a picture."""

    picture: BenchClip
    settings: dict[str, str]
    curves: dict[str, list[Point]]  # ours first
    comparisons: list[StillComparison]


def measure_stills(folder: Path, cache: PointCache, threads: int, report: Report) -> list[StillResult]:
    """Measure every picture of a folder with every format. Raises MediaError where there is none."""
    paths = sorted(path for path in folder.glob("*") if path.suffix.lower() in _SUFFIXES)
    if not paths:
        raise MediaError(f"{folder}: expected a folder with pictures ({', '.join(_SUFFIXES)}), it holds none")
    results = []
    for path in paths:
        clip = load_clip(path, None, 1)
        source = prepare_source(clip.pictures, Fraction(1))
        peers = [
            peer
            for peer in (SplatStillPeer(threads=threads), *STILL_PEERS, GsvcPeer(threads=threads, stills=True))
            if peer.missing() is None
        ]
        curves = {
            peer.name: measure_curve(peer, source, clip.key, STILL_METRICS, [], cache, lambda _: None) for peer in peers
        }
        settings = {peer.name: peer.settings for peer in peers}
        results.append(StillResult(clip, settings, curves, _compare(curves)))
        rates = (entry for entry in results[-1].comparisons if entry.metric == "luma_db")
        report(f"{clip.name}: " + ", ".join(f"{_percent(entry.rate)} of {entry.codec}" for entry in rates))
    return results


def stills_table(results: list[StillResult]) -> Table:
    """Return a row a picture, and the mean."""
    columns = list(dict.fromkeys((entry.codec, entry.metric) for result in results for entry in result.comparisons))
    table = Table(title="Key frames as files: our bytes over theirs at equal quality, where both have a curve, %")
    table.add_column("picture")
    for codec, metric in columns:
        table.add_column(f"{codec}, {_METRIC_NAMES[metric]}", justify="right")
    table.add_column("luma dB", justify="right")
    table.add_column("ms", justify="right")
    for result in results:
        found = {(entry.codec, entry.metric): entry.rate for entry in result.comparisons}
        own = next(iter(result.curves.values()))
        span = f"{own[0].mean('luma_db'):.1f}-{own[-1].mean('luma_db'):.1f}"
        time_ms = fmean(point.wall_s for point in own) * 1000
        cells = (_percent(found[column]) if column in found else "-" for column in columns)
        table.add_row(result.picture.name, *cells, span, f"{time_ms:.0f}")
    table.add_section()
    means = still_means(results)
    table.add_row("mean", *(f"{means[column]:+.1f}" if column in means else "-" for column in columns), "", "")
    return table


def still_means(results: list[StillResult]) -> dict[tuple[str, Metric], float]:
    """Return the mean over the pictures that have a figure, by format and measure."""
    rates: dict[tuple[str, Metric], list[float]] = {}
    for result in results:
        for entry in result.comparisons:
            if entry.rate.percent is not None:
                rates.setdefault((entry.codec, entry.metric), []).append(entry.rate.percent)
    return {key: fmean(values) for key, values in rates.items()}


def stills_json(results: list[StillResult]) -> dict[str, object]:
    """Return every point, every comparison and the means."""
    return {
        "pictures": [
            {
                "name": result.picture.name,
                "width_px": result.picture.size[0],
                "height_px": result.picture.size[1],
                "settings": result.settings,
                "points": {
                    name: [
                        {"quality": point.quality, "bytes": point.sizes_bytes[0], "wall_s": point.wall_s}
                        | {metric: point.mean(metric) for metric in STILL_METRICS}
                        for point in points
                    ]
                    for name, points in result.curves.items()
                },
                "bd_rates": [
                    {"codec": entry.codec, "metric": entry.metric} | vars(entry.rate) for entry in result.comparisons
                ],
            }
            for result in results
        ],
        "means": [
            {"codec": codec, "metric": metric, "percent": percent}
            for (codec, metric), percent in still_means(results).items()
        ],
    }


def _peers(threads: int) -> list[Peer]:
    return [SplatStillPeer(threads=threads), *STILL_PEERS, GsvcPeer(threads=threads, stills=True)]


def _compare(curves: dict[str, list[Point]]) -> list[StillComparison]:
    """Compare our curve, the first, with each other one over what both span."""
    (_, own), *others = curves.items()
    comparisons = []
    for name, points in others:
        for metric in STILL_METRICS:
            test, anchor = _curve(own, metric), _curve(points, metric)
            low, high = max(test.span[0], anchor.span[0]), min(test.span[1], anchor.span[1])
            comparisons.append(StillComparison(name, metric, bd_rate(anchor, test, low, high)))
    return comparisons


def _curve(points: list[Point], metric: Metric) -> Curve:
    return curve_of((point.kbps(Fraction(1)), scaled_mean(metric, point.mean(metric))) for point in points)


def _percent(rate: BdRate) -> str:
    return "no overlap" if rate.percent is None else f"{rate.percent:+.1f}"
