"""Compares our curve with others': by each measure, with headers and without, over the whole clip and its tail."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from codec.bench.bd import BdRate, Curve, bd_rate, curve_of
from codec.bench.metrics import Metric
from codec.bench.rd_points import Point, Span

__all__ = ["COLUMNS", "Column", "Comparison", "DbRange", "compare", "metric_spans", "scaled_mean"]

DbRange = tuple[float, float]


@dataclass(frozen=True)
class Column:
    """One way to compare two codecs."""

    name: str
    metric: Metric
    headers: bool = False  # rate with network headers
    tail: bool = False  # over the last frames alone


COLUMNS = (
    Column("luma", "luma_db"),
    Column("luma, headers", "luma_db", headers=True),
    Column("luma, tail", "luma_db", tail=True),
    Column("weighted luma", "weighted_luma_db"),
    Column("RGB", "rgb_db"),
    Column("MS-SSIM", "ms_ssim"),
    Column("XPSNR", "xpsnr_db"),
)


@dataclass(frozen=True)
class Comparison:
    """Our rate over another codec's, in one column and one range of luma dB."""

    codec: str
    column: str
    luma_range_db: DbRange
    rate: BdRate  # `low` and `high` in the column's own unit


def compare(
    curves: Mapping[str, Sequence[Point]], ours: str, fps: Fraction, ranges: Sequence[DbRange], tail: slice
) -> list[Comparison]:
    """Compare our curve with each other one, column by column and range by range; an empty tail is left out."""
    own = curves[ours]
    comparisons = []
    for luma_range in ranges:
        for column in COLUMNS:
            frames = tail if column.tail else slice(None)
            if (column.tail and frames == slice(0, 0)) or column.metric not in own[0].measures:
                continue
            test = _curve(own, column, frames, fps)
            low, high = _range_of(own, column.metric, luma_range)
            for name, points in curves.items():
                if name != ours:
                    anchor = _curve(points, column, frames, fps)
                    comparisons.append(Comparison(name, column.name, luma_range, bd_rate(anchor, test, low, high)))
    return comparisons


def _curve(points: Sequence[Point], column: Column, frames: slice, fps: Fraction) -> Curve:
    return curve_of(
        (point.kbps(fps, column.headers, frames), scaled_mean(column.metric, point.mean(column.metric, frames)))
        for point in points
    )


def _range_of(own: Sequence[Point], metric: Metric, luma_range: DbRange) -> DbRange:
    """Return the range of a metric: where our pictures go as their luma goes through its range."""
    if metric == "luma_db":
        return luma_range
    pairs = sorted((point.mean("luma_db"), scaled_mean(metric, point.mean(metric))) for point in own)
    lumas, values = zip(*pairs, strict=True)
    if not lumas[0] <= luma_range[0] < luma_range[1] <= lumas[-1]:
        return math.nan, math.nan  # which no curve spans
    low, high = (float(np.interp(luma, lumas, values)) for luma in luma_range)
    return low, high


def metric_spans(own: Sequence[Point], luma_range: DbRange) -> list[Span]:
    """Return what another codec's curves must cover in measures other than luma, where ours covers a range of luma."""
    spans = []
    for metric in own[0].measures:
        low, high = _range_of(own, metric, luma_range)
        if metric != "luma_db" and not math.isnan(low):
            spans.append(Span(metric, _unscaled(metric, low), _unscaled(metric, high)))
    return spans


def scaled_mean(metric: Metric, mean: float) -> float:
    """Return a mean on the scale that is integrated: dB, also of MS-SSIM's distance from 1."""
    return -10 * math.log10(max(1e-9, 1 - mean)) if metric == "ms_ssim" else mean


def _unscaled(metric: Metric, value: float) -> float:
    return 1 - 10 ** (-value / 10) if metric == "ms_ssim" else value
