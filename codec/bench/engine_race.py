"""P-frame engines: ours and the prototype's from the same key frame over the same pictures, by turns, frame by frame.

Only the engines' own calls are timed: a state and a target in, commands and a new state out. Flows, conversion of the
pictures and packing are not in it, for neither.
"""

import ctypes
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np

from codec.bench.bd import bd_rate, curve_of
from codec.bench.metrics import psnr_db
from codec.bench.prototype_engine import EngineOptions, PrototypeEngine
from codec.bitstream.frame import serialize_p
from codec.bitstream.header import parse_header
from codec.config import EncoderConfig
from codec.encoder import Encoder
from codec.engine import PFrameEngine, PFrameFigures, PFramePlan
from codec.engine.pframe import CHROMA_WEIGHT
from codec.media import RgbPicture, luma
from codec.motion import FlowEstimator
from codec.native import _native
from codec.quantize import COLOR_UNITS, MEAN_UNITS, SHAPE_UNITS
from codec.rate_control import lambda_of_quality
from codec.render import render
from codec.scene import luma_of
from codec.types import FloatArray, SplatState

__all__ = ["RACE_QUALITIES", "EngineFigures", "EngineRace", "RacePoint", "race_engines"]

RACE_QUALITIES = (35.0, 50.0, 65.0)  # of key frames, and of lambda
_SWEEPS, _BIRTHS = 3, 12  # the prototype's
_SETTLE_S = 0.02  # its OpenMP threads spin for a while after their work

Value = TypeVar("Value")


@dataclass(frozen=True)
class EngineFigures:
    """One engine over all P-frames at one lambda."""

    ms: float  # median wall time of its call
    cpu_ms: float  # median CPU time of all threads, the prototype's waiting ones included
    bits: float  # mean a frame: ours as the engine counts them, the prototype's ideal adaptive code lengths
    luma_db: float  # mean PSNR
    changed: float  # mean of splats updated, born or dead


@dataclass(frozen=True)
class RacePoint:
    """Both engines at one lambda."""

    lambda_: float
    splats: int  # of the key frame that both start from
    ours: EngineFigures
    prototype: EngineFigures
    packed_bits: float  # mean a frame of ours, as serialized
    trials: float  # of ours, mean a frame; the prototype does not count its own
    matrices: float  # likewise
    ratio: float  # median over frames of the prototype's wall time over ours
    cpu_ratio: float  # likewise, CPU time


@dataclass(frozen=True)
class EngineRace:
    """All points, and what they come to."""

    width_px: int
    height_px: int
    frames: int  # P-frames of each point
    threads: int  # of each engine
    points: list[RacePoint]
    ratio: float  # median over all frames
    cpu_ratio: float
    bd_rate_percent: float | None  # ours over the prototype's, bits of P-frames alone, engine's count
    packed_bd_rate_percent: float | None  # the same with ours as serialized
    bd_range_db: tuple[float, float]


@dataclass(frozen=True)
class _Turn:
    """One engine's work on one frame."""

    wall_ms: float
    cpu_ms: float
    bits: float
    luma_db: float
    changed: int


@dataclass(frozen=True)
class _Round:
    """Both engines' work on one frame."""

    ours: _Turn
    prototype: _Turn
    packed_bits: int
    figures: PFrameFigures


def race_engines(
    pictures: Sequence[RgbPicture], library: ctypes.CDLL, threads: int, qualities: Sequence[float] = RACE_QUALITIES
) -> EngineRace:
    """Race over pictures, uint8 [height, width, 3], once for each quality; the first is the key frame.

    library: the prototype's engine, as load_engine() returns it. Raises ValueError for fewer than two pictures.
    """
    if len(pictures) < 2:
        raise ValueError(f"a race of P-frames needs at least 2 pictures, got {len(pictures)}")
    height, width = pictures[0].shape[:2]
    points, rounds = [], []
    for quality in qualities:
        start, lambda_ = _key_state(pictures[0], quality, threads), lambda_of_quality(quality).p
        runners = _Runners(start, library, lambda_, threads)
        done = [runners.encode(before, rgb) for before, rgb in pairwise(pictures)]
        points.append(_point(lambda_, int(np.count_nonzero(start.splats[:, 8])), done))
        rounds += done
    low, high, counted, packed = _bd_rates(points)
    return EngineRace(
        width, height, len(pictures) - 1, threads, points, *_ratios(rounds), counted, packed, bd_range_db=(low, high)
    )


def _key_state(rgb: RgbPicture, quality: float, threads: int) -> SplatState:
    """Return the state after the key frame of a picture, at best effort."""
    height, width = rgb.shape[:2]
    config = EncoderConfig(width, height, quality=quality, importance=False, effort="best", threads=threads)
    with closing(Encoder(config)) as encoder:
        encoder.encode(rgb)
        assert encoder.state is not None
        return encoder.state.copy()


class _Runners:
    """Both engines, each with the state that its own frames have led to."""

    def __init__(self, start: SplatState, library: ctypes.CDLL, lambda_: float, threads: int) -> None:
        epoch = start.epoch
        self._threads = threads
        self._flow = FlowEstimator()
        self._state = start.copy()
        self._ours = PFrameEngine(epoch, threads)
        self._ours.load(self._state)
        self._plan = PFramePlan(
            lambda_, sweeps=_SWEEPS, max_births=_BIRTHS, light=False, affine=False, cell_affine=False, cell_shift=True
        )
        rows, columns = epoch.grid(16)
        self._lambda_map = np.ones((rows, columns), np.float32)
        steps = epoch.steps
        base_only = SplatState(epoch, np.zeros_like(start.splats), start.base, start.vectors)
        self._theirs = PrototypeEngine(library, start, render(base_only, threads=threads))
        self._theirs.set_options(
            EngineOptions(
                lambda_,
                CHROMA_WEIGHT,
                mean_step=steps.mean / MEAN_UNITS,
                shape_step=steps.shape / SHAPE_UNITS,
                luma_step=steps.luma / COLOR_UNITS,
                chroma_step=steps.chroma / COLOR_UNITS,
                sweeps=_SWEEPS,
                births=_BIRTHS,
            )
        )

    def encode(self, before: RgbPicture, rgb: RgbPicture) -> _Round:
        """Encode the picture after another with both, ours first."""
        shared, target, goal = self._flow_to(luma_of(before), rgb), _native.to_ycc(rgb, self._threads), luma(rgb)
        self._ours.set_target(rgb)
        flows = [shared, self._flow_to(self._ours.luma(), rgb)]
        (commands, figures), wall_ms, cpu_ms = _timed(lambda: self._ours.encode(flows, self._lambda_map, self._plan))
        parent, number = self._state.copy(), self._state.frame_number + 1
        self._ours.store(self._state)
        self._state.frame_number = number
        parts = serialize_p(parent, number, commands, None, likely_set=self._ours.table_set)
        self._ours.follow_tables(parse_header(parts[0]).table_set)
        shown = _psnr_of(render(self._state, threads=self._threads), goal)
        ours = _Turn(wall_ms, cpu_ms, figures.bits, shown, figures.changed)

        self._theirs.set_threads(self._threads)
        own = np.rint(np.clip(self._theirs.picture()[0], 0, 255)).astype(np.uint8)
        pair = shared, self._flow_to(own, rgb)
        frame, wall_ms, cpu_ms = _timed(lambda: self._theirs.encode(target, pair))
        shown = _psnr_of(self._theirs.picture(), goal)
        theirs = _Turn(wall_ms, cpu_ms, frame.bits, shown, frame.changed)
        return _Round(ours, theirs, 8 * sum(map(len, parts)), figures)

    def _flow_to(self, source: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], rgb: RgbPicture) -> FloatArray:
        """Return the flow from a luma picture; none where pictures are too small for one."""
        found = self._flow.flow(source, luma_of(rgb))
        return np.zeros((2, *source.shape), np.float32) if found is None else found


def _timed(run: Callable[[], Value]) -> tuple[Value, float, float]:
    """Return what a call returns, its wall time and its CPU time, ms."""
    time.sleep(_SETTLE_S)
    wall, cpu = time.perf_counter(), time.process_time()
    value = run()
    return value, (time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000


def _psnr_of(picture: FloatArray, goal: FloatArray) -> float:
    """Return the PSNR of luma of Y, Cb, Cr [3, H, W] against luma [H, W]."""
    return psnr_db(float(np.mean((np.clip(picture[0], 0, 255) - goal) ** 2, dtype=np.float64)))


def _ratios(rounds: Sequence[_Round]) -> tuple[float, float]:
    """Return the medians of wall and of CPU time, the prototype's over ours."""
    wall = [entry.prototype.wall_ms / entry.ours.wall_ms for entry in rounds]
    cpu = [entry.prototype.cpu_ms / max(entry.ours.cpu_ms, 1e-3) for entry in rounds]
    return float(np.median(wall)), float(np.median(cpu))


def _point(lambda_: float, splats: int, rounds: Sequence[_Round]) -> RacePoint:
    """Sum up the frames of one lambda."""
    return RacePoint(
        lambda_,
        splats,
        _figures([entry.ours for entry in rounds]),
        _figures([entry.prototype for entry in rounds]),
        float(np.mean([entry.packed_bits for entry in rounds])),
        float(np.mean([entry.figures.trials for entry in rounds])),
        float(np.mean([entry.figures.matrices for entry in rounds])),
        *_ratios(rounds),
    )


def _figures(turns: Sequence[_Turn]) -> EngineFigures:
    """Sum up one engine's frames."""
    return EngineFigures(
        ms=float(np.median([turn.wall_ms for turn in turns])),
        cpu_ms=float(np.median([turn.cpu_ms for turn in turns])),
        bits=float(np.mean([turn.bits for turn in turns])),
        luma_db=float(np.mean([turn.luma_db for turn in turns])),
        changed=float(np.mean([turn.changed for turn in turns])),
    )


def _bd_rates(points: Sequence[RacePoint]) -> tuple[float, float, float | None, float | None]:
    """Return the range of luma that both span, and in it our rate over the prototype's: counted, and packed."""
    anchor = curve_of((point.prototype.bits, point.prototype.luma_db) for point in points)
    counted = curve_of((point.ours.bits, point.ours.luma_db) for point in points)
    packed = curve_of((point.packed_bits, point.ours.luma_db) for point in points)
    low = max(curve.span[0] for curve in (anchor, counted, packed))
    high = min(curve.span[1] for curve in (anchor, counted, packed))
    if low >= high:
        return low, high, None, None
    return low, high, bd_rate(anchor, counted, low, high).percent, bd_rate(anchor, packed, low, high).percent
