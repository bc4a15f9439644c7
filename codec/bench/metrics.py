"""What decoded pictures are measured by: PSNR of luma, of RGB and by importance, MS-SSIM, XPSNR; frame by frame."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

import av
import av.filter
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

from codec.bench.ms_ssim import ms_ssim
from codec.importance import ImportanceModel
from codec.media import RgbPicture, luma
from codec.types import FloatArray

__all__ = ["METRICS", "FrameMeasures", "Metric", "Source", "measure", "prepare_source", "psnr_db", "xpsnr_db"]

Metric = Literal["luma_db", "weighted_luma_db", "rgb_db", "ms_ssim", "xpsnr_db"]
METRICS: tuple[Metric, ...] = get_args(Metric)
FrameMeasures = dict[Metric, list[float]]  # one value a frame

_MOST_DB = 100.0
_BLOCK_PX = 16  # of importance weights
_LEAST_XPSNR_PX = 2048


@dataclass(frozen=True)
class Source:
    """The pictures of a clip and what every measure needs of them."""

    pictures: list[RgbPicture]  # uint8 [height, width, 3]
    luma: list[npt.NDArray[np.float32]]  # [height, width] 0..255
    weights: list[FloatArray] | None  # [rows, columns] of 16 px blocks; None where the models are missing
    fps: Fraction


def prepare_source(pictures: Sequence[RgbPicture], fps: Fraction) -> Source:
    """Take luma and importance of each picture, uint8 [height, width, 3]."""
    with ImportanceModel() as model:
        weights = [model.weights(picture) for picture in pictures] if model.available else None
    return Source(list(pictures), [luma(picture) for picture in pictures], weights, fps)


def measure(shown: Sequence[RgbPicture], source: Source, metrics: Iterable[Metric]) -> FrameMeasures:
    """Measure decoded pictures, uint8 [height, width, 3], against their sources; one value a frame and metric.

    `weighted_luma_db` is left out where the source has no weights.
    """
    wanted = [metric for metric in METRICS if metric in set(metrics)]
    values: FrameMeasures = {metric: [] for metric in wanted if metric != "xpsnr_db"}
    if source.weights is None:
        values.pop("weighted_luma_db", None)
    lumas = [luma(picture) for picture in shown]
    for index, (picture, original) in enumerate(zip(shown, source.pictures, strict=True)):
        error = (lumas[index] - source.luma[index]) ** 2
        if "luma_db" in values:
            values["luma_db"].append(psnr_db(float(error.mean(dtype=np.float64))))
        if source.weights is not None and "weighted_luma_db" in values:
            values["weighted_luma_db"].append(psnr_db(_weighted_mean(error, source.weights[index])))
        if "rgb_db" in values:
            difference = picture.astype(np.float32) - original
            values["rgb_db"].append(psnr_db(float(np.vdot(difference, difference)) / difference.size))
        if "ms_ssim" in values:
            values["ms_ssim"].append(ms_ssim(lumas[index], source.luma[index]))
    if "xpsnr_db" in wanted:
        values["xpsnr_db"] = xpsnr_db(lumas, source.luma, source.fps)
    return values


def psnr_db(mean_squared_error: float) -> float:
    """Return the PSNR of values 0..255, at most 100 dB."""
    return min(_MOST_DB, 10 * math.log10(255**2 / max(mean_squared_error, 1e-9)))


def _weighted_mean(error: npt.NDArray[np.float32], weights: FloatArray) -> float:
    """Return the mean of an error [height, width] with each pixel weighted as its block is."""
    height, width = error.shape
    sums = np.add.reduceat(error, np.arange(0, height, _BLOCK_PX), axis=0, dtype=np.float64)
    sums = np.add.reduceat(sums, np.arange(0, width, _BLOCK_PX), axis=1)
    sizes = [np.minimum(_BLOCK_PX, side - np.arange(0, side, _BLOCK_PX)) for side in (height, width)]
    return float(np.vdot(sums, weights) / np.vdot(np.outer(*sizes), weights))


def xpsnr_db(
    shown: Sequence[npt.NDArray[np.float32]], source: Sequence[npt.NDArray[np.float32]], fps: Fraction
) -> list[float]:
    """Return XPSNR of each frame's luma [height, width] 0..255 by FFmpeg's filter, at most 100 dB.

    Helmrich et al., "A study of the extended perceptually weighted peak signal-to-noise ratio", 2021. The first input
    is the one that weights are taken of. Raises ValueError for pictures of fewer px than its smallest block needs.
    """
    height, width = source[0].shape
    if height * width < _LEAST_XPSNR_PX:  # the filter would divide by zero
        raise ValueError(f"XPSNR needs pictures of at least {_LEAST_XPSNR_PX} px, got {width}x{height}")
    graph = av.filter.Graph()
    arguments = f"video_size={width}x{height}:pix_fmt=gray:time_base={1 / fps}:frame_rate={fps}"
    inputs = [graph.add("buffer", arguments, name=name) for name in ("source", "shown")]
    compare, sink = graph.add("xpsnr"), graph.add("buffersink")
    for pad, node in enumerate(inputs):
        node.link_to(compare, 0, pad)
    compare.link_to(sink)
    graph.configure()
    values = []
    for index, pair in enumerate(zip(source, shown, strict=True)):
        for node, plane in zip(inputs, pair, strict=True):
            frame = VideoFrame.from_ndarray(np.rint(plane).astype(np.uint8), format="gray")
            frame.pts, frame.time_base = index, 1 / fps
            node.push(frame)
        value = float(sink.pull().metadata["lavfi.xpsnr.xpsnr.y"])
        values.append(min(_MOST_DB, value))
    return values
