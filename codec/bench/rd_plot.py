"""Curves of rate and quality as a picture: one panel a clip, rate on a logarithmic axis."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from codec.bench.rd import ClipResult, RdResult
from codec.errors import MediaError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_rd"]

_COLUMNS = 3
_PANEL_INCHES = (5.2, 4.0)
_COLOURS = {
    "splatcall": "#c1121f",
    "unweighted": "#f4a3a8",
    "best": "#7d0a14",
    "gsvc": "#e39b00",
    "vp8": "#4d4d4d",
    "vp9": "#a6a6a6",
    "av1-12": "#9ecae1",
    "av1-10": "#4292c6",
    "av1-8": "#08459c",
    "x264-ultrafast": "#b6dfa5",
    "x264-medium": "#3a9b3a",
    "x265-medium": "#8b5fbf",
}
_OTHER_COLOUR = "#7f5539"
_RATE_TICKS = (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


def plot_rd(result: RdResult, path: Path) -> None:
    """Draw luma PSNR over rate of every clip. Raises MediaError where matplotlib is missing."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MediaError("--plot needs matplotlib: pip install 'splatcall[bench]'") from error
    columns = min(_COLUMNS, len(result.clips))
    rows = math.ceil(len(result.clips) / columns)
    figure = Figure(figsize=(_PANEL_INCHES[0] * columns, _PANEL_INCHES[1] * rows + 0.8), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    handles = {}
    for panel, clip in zip(panels, result.clips, strict=False):
        for name, points in clip.curves.items():
            ours = name == result.ours
            (handles[name],) = panel.plot(
                [point.kbps(clip.clip.fps) for point in points],
                [point.mean("luma_db") for point in points],
                color=_COLOURS.get(name, _OTHER_COLOUR),
                linestyle="--" if name.endswith("-qp") else "-",
                marker="o",
                markersize=4 if ours else 2.5,
                linewidth=2.6 if ours else 1.2,
                zorder=3 if ours else 2,
            )
        _dress(panel, clip)
    for panel in panels[len(result.clips) :]:
        panel.set_axis_off()
    figure.suptitle("Luma PSNR over rate (shaded: the ranges compared)", fontsize=12)
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4 * columns, fontsize=9)
    figure.savefig(path, dpi=110)


def _dress(panel: "Axes", clip: ClipResult) -> None:
    """Label a panel, bound it to what is compared, and shade the ranges."""
    low, high = min(low for low, _ in clip.ranges), max(high for _, high in clip.ranges)
    points = [point for points in clip.curves.values() for point in points]
    seen = [point for point in points if low - 2 <= point.mean("luma_db") <= high + 2] or points
    rates = [point.kbps(clip.clip.fps) for point in seen]
    panel.set_xscale("log")
    panel.set_xlim(min(rates) / 1.1, max(rates) * 1.1)
    ticks = [tick for tick in _RATE_TICKS if min(rates) <= tick <= max(rates)]
    panel.set_xticks(ticks, [str(tick) for tick in ticks])
    panel.minorticks_off()
    panel.set_ylim(low - 2, high + 2)
    for index, (start, stop) in enumerate(clip.ranges):
        panel.axhspan(start, stop, color="0.5", alpha=0.08 + 0.06 * (index % 2), linewidth=0)
    width, height = clip.clip.size
    panel.set_title(f"{clip.clip.name} ({clip.kind}, {width}x{height}, {len(clip.clip.pictures)} frames)", fontsize=10)
    panel.set_xlabel("kbit/s")
    panel.set_ylabel("luma PSNR, dB")
    panel.grid(True, alpha=0.3)
