"""One iteration of the fit: our kernels, the prototype's and a NumPy pass on the same splats, run alternately."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from codec.bench.prototype import Prototype
from codec.fit.backend import pack_splats
from codec.fit.native import NativeFit
from codec.fit.reference import EPS_BASE, whitening_of
from codec.fit.reference_parts import CUT
from codec.media import RgbPicture
from codec.types import KIND_NORMALISED, FloatArray, SplatSet

__all__ = ["IterationFigures", "measure_iteration"]

_WARM_UP_ITERATIONS = 100  # makes of the grid the kind of splats that a fit works on
_ROUNDS = 9
_CALLS_A_ROUND = 10
_STILL = 1e-6  # a rate at which the splats stay as they are, and with them the work
_SETTLE_S = 0.02  # the prototype's OpenMP threads spin for a while after their work


@dataclass(frozen=True)
class IterationFigures:
    """Wall times of one iteration over the whole picture, medians in ms; None where no prototype was given."""

    threads: int
    native_ms: float  # forward, residual, loss, backward, Adam
    prototype_ms: float | None  # the same, as the prototype does it: C++ kernels, the rest in NumPy
    prototype_kernels_ms: float | None  # its forward and backward alone
    numpy_ms: float  # forward and backward in NumPy, splat by splat in its window


def measure_iteration(picture: RgbPicture, splats: int, prototype: Path | None) -> list[IterationFigures]:
    """Time one iteration on a picture, uint8 [height, width, 3], with one thread and with two."""
    target = _to_ycc(picture)
    base = np.broadcast_to(target.mean((1, 2), keepdims=True), target.shape).astype(np.float32)
    fitted = _fitted_splats(target, base, splats)
    numpy_ms = _median_ms(lambda: numpy_pass(fitted, base, target), calls=1, rounds=3)
    with tempfile.TemporaryDirectory() as build:
        rival = Prototype(prototype, Path(build), fitted, base, target) if prototype else None
        return [_race(fitted, base, target, rival, threads, numpy_ms) for threads in (1, 2)]


def numpy_pass(splats: SplatSet, base: FloatArray, target: FloatArray) -> tuple[float, npt.NDArray[np.float64]]:
    """Return the loss and its gradients [N, 8] by x, y, a, b, c, Y, Cb, Cr: what NumPy alone would be used for."""
    rows = pack_splats(splats).astype(np.float64)
    whitening = whitening_of(rows[:, 2:5])
    windows = [_window(row, shape, *target.shape[1:]) for row, shape in zip(rows, whitening, strict=True)]
    divisor = np.full(target.shape[1:], EPS_BASE)
    color = EPS_BASE * base.astype(np.float64)
    for row, (area, weight, *_) in zip(rows, windows, strict=True):
        divisor[area] += weight
        color[:, *area] += weight * row[5:, None, None]
    picture = color / divisor
    error = picture - target
    pull = error / divisor
    pulled = (pull * picture).sum(0)
    gradients = np.zeros_like(rows)
    for index, (row, (a, b, c), window) in enumerate(zip(rows, whitening, windows, strict=True)):
        area, weight, dx, dy, u, v = window
        local = pull[:, *area]
        by_weight = weight * (np.tensordot(row[5:], local, 1) - pulled[area])
        by_u, by_v = -u * by_weight, -v * by_weight
        geometry = (-a * by_u, -b * by_u - c * by_v, dx * by_u, dy * by_u, dy * by_v)
        gradients[index, :5] = [part.sum() for part in geometry]
        gradients[index, 5:] = (weight * local).sum((1, 2))
    return float((error**2).sum() / 2), gradients


Window = tuple[
    tuple[slice, slice],
    npt.NDArray[np.float64],
    npt.NDArray[np.float64],
    npt.NDArray[np.float64],
    npt.NDArray[np.float64],
    npt.NDArray[np.float64],
]


def _window(row: npt.NDArray[np.float64], whitening: npt.NDArray[np.float64], height: int, width: int) -> Window:
    """Return the area of a splat and there its weight, dx, dy, u and v."""
    a, b, c = whitening
    reach = np.sqrt(CUT)
    across, down = reach * np.hypot(b, c) / (a * c), reach / c
    x0, x1 = np.clip([np.ceil(row[0] - across), np.floor(row[0] + across) + 1], 0, width).astype(int)
    y0, y1 = np.clip([np.ceil(row[1] - down), np.floor(row[1] + down) + 1], 0, height).astype(int)
    dx, dy = np.arange(x0, x1)[None, :] - row[0], np.arange(y0, y1)[:, None] - row[1]
    u, v = a * dx + b * dy, c * dy
    q = u * u + v * v
    return (slice(y0, y1), slice(x0, x1)), np.where(q < CUT, np.exp(-q / 2), 0.0), dx, dy, u, v


def _race(
    splats: SplatSet, base: FloatArray, target: FloatArray, rival: Prototype | None, threads: int, numpy_ms: float
) -> IterationFigures:
    """Run ours and the prototype's by turns, so that both meet the same machine."""
    session = NativeFit(target, base, threads=threads)
    session.start(splats)
    runs: dict[str, Callable[[], object]] = {"native": lambda: session.step(_STILL)}
    if rival:
        rival.set_threads(threads)
        rival.run_iteration()
        runs |= {"iteration": rival.run_iteration, "kernels": rival.run_kernels}
    samples: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(_ROUNDS):
        for name, run in runs.items():
            time.sleep(_SETTLE_S)
            samples[name].append(_median_ms(run, _CALLS_A_ROUND, rounds=1))
    medians = {name: float(np.median(values)) for name, values in samples.items()}
    return IterationFigures(threads, medians["native"], medians.get("iteration"), medians.get("kernels"), numpy_ms)


def _median_ms(run: Callable[[], object], calls: int, rounds: int) -> float:
    samples = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(calls):
            run()
        samples.append((time.perf_counter() - start) * 1000 / calls)
    return float(np.median(samples))


def _fitted_splats(target: FloatArray, base: FloatArray, count: int) -> SplatSet:
    """Return splats of a grid after some iterations, so that sizes and overlaps are those of a real fit."""
    height, width = target.shape[1:]
    spacing = np.sqrt(width * height / count)
    index = np.arange(count)
    columns = max(1, round(width / spacing))
    x = (index % columns + 0.5) * width / columns
    y = (index // columns + 0.5) * height / -(-count // columns)
    means = np.stack([x, y], 1).astype(np.float32)
    places = y.astype(int).clip(0, height - 1), x.astype(int).clip(0, width - 1)
    zeros = np.zeros(count, np.float32)
    log_scale = np.full(count, np.log(0.5 * spacing), np.float32)
    kinds = np.full(count, KIND_NORMALISED, np.uint8)
    session = NativeFit(target, base)
    session.start(SplatSet(means, log_scale, zeros, zeros.copy(), target[:, *places].T.copy(), kinds))
    session.run(_WARM_UP_ITERATIONS, 1.5)
    return session.splats()


def _to_ycc(picture: RgbPicture) -> FloatArray:
    """Return Y 0..255 and Cb, Cr around 0, float32 [3, H, W] (BT.601, full range)."""
    red, green, blue = picture.astype(np.float32).transpose(2, 0, 1)
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    return np.ascontiguousarray(np.stack([y, (blue - y) / 1.772, (red - y) / 1.402]), np.float32)
