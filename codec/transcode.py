"""Whole clips: a clip to a .splatv file and back, in the same order, mirror images."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from codec.bitstream.container import (
    PROFILE_GSVC,
    PROFILE_SPLATS,
    RECORD_EPOCH,
    RECORD_FRAME,
    SplatvInfo,
    SplatvReader,
    SplatvWriter,
    split_parts,
)
from codec.bitstream.patch import make_patch
from codec.config import Effort, EncoderConfig
from codec.decoder import Decoder
from codec.encoder import Encoder
from codec.errors import ConfigError, MediaError
from codec.gsvc import GsvcConfig, GsvcDecoder
from codec.gsvc.clips import decode_frames, encode_frames
from codec.media import Clip, open_clip, open_writer
from codec.midpoint import encode_pictures
from codec.render import output_size, render, to_rgb
from codec.types import EncodedFrame, FrameStats, SplatState
from codec.work_file import open_work

__all__ = ["EncodeOptions", "EncodeReport", "Progress", "decode_clip", "encode_clip"]

Progress = Callable[[int, int | None], None]  # frames done, frames expected where known
Region = tuple[int, int, int, int]  # x, y, width, height in px of the coded picture


@dataclass(frozen=True)
class EncodeOptions:
    """What `encode_clip` is asked for; ranges as in EncoderConfig."""

    size: tuple[int, int] | None = None  # width, height in px; None: the clip's own
    frames: int | None = None  # the first so many; None: all
    quality: float = 50.0
    bitrate_kbps: float | None = None
    max_splats: int | None = None  # None: the encoder's default
    effort: Effort = "best"
    latency_ms: float = 30.0  # of one frame, with effort "live"
    importance: bool = True
    delay_frames: int = 0  # 1: hold a picture back, so that a frame may stand for two
    patch_every_s: float | None = None  # None: no patches
    threads: int = max(1, min(64, os.cpu_count() or 1))
    seed: int = 0
    work: Path | None = None  # file of the work of every picture: replayed where it exists, else written
    profile: str = (
        PROFILE_SPLATS  # or PROFILE_GSVC, which knows size, frames, quality, max_splats, effort, threads, seed
    )

    def encoder_config(self, clip: Clip) -> EncoderConfig:
        """Return the configuration for a clip; raises ConfigError where a value is out of range."""
        limits = {} if self.max_splats is None else {"max_splats": self.max_splats}
        return EncoderConfig(
            clip.width_px,
            clip.height_px,
            fps=(clip.fps.numerator, clip.fps.denominator),
            quality=self.quality,
            bitrate_kbps=self.bitrate_kbps,
            effort=self.effort,
            latency_ms=self.latency_ms,
            importance=self.importance,
            delay_frames=self.delay_frames,
            threads=self.threads,
            seed=self.seed,
            **limits,
        )

    def gsvc_config(self, clip: Clip) -> GsvcConfig:
        """Return the configuration of the gsvc profile for a clip; raises ConfigError for what it does not know."""
        if self.bitrate_kbps is not None or self.patch_every_s is not None or self.work is not None:
            raise ConfigError("the gsvc profile knows neither a bitrate nor patches nor a file of the work")
        config = GsvcConfig(
            clip.width_px,
            clip.height_px,
            quality=self.quality,
            effort="default" if self.effort == "best" else "fast",
            threads=self.threads,
            seed=self.seed,
        )
        limit = self.max_splats
        return config if limit is None else replace(config, splats=min(limit, config.target_splats))


@dataclass(frozen=True)
class EncodeReport:
    """What an encoded file holds and how long it took."""

    width: int
    height: int
    fps: float
    device: str
    total_bytes: int
    frames: list[FrameStats]

    def write_json(self, path: Path) -> None:
        """Write everything, one entry a frame."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    def summary(self) -> str:
        """Return one line for people."""
        pictures = self.frames[-1].index + 1
        seconds = pictures / self.fps
        kbps = self.total_bytes * 8 / seconds / 1000
        sent_kbps = sum(stats.sent_bits for stats in self.frames) / seconds / 1000
        keys = sum(stats.kind == "key" for stats in self.frames)
        left_out = sum(stats.kind == "skip" for stats in self.frames)
        coded = len(self.frames) - left_out
        shown = "" if pictures == coded else f"{pictures} pictures in "
        sent = f" ({sent_kbps:.1f} with network headers)" if sent_kbps else ""
        return (
            f"{self.width}x{self.height}, {shown}{coded} frames ({keys} key), "
            f"{self.total_bytes} bytes, {kbps:.1f} kbit/s{sent}, {self.frames[-1].splats} splats"
        )


def encode_clip(source: Path, output: Path, options: EncodeOptions, progress: Progress) -> EncodeReport:
    """Encode a clip to a .splatv file; the file appears under its name when it is complete.

    Raises MediaError for what is no clip, ConfigError for options out of range, WorkFileError for a file of the work of
    another run.
    """
    if options.profile == PROFILE_GSVC:
        return _encode_gsvc(source, output, options, progress)
    with open_clip(source, options.size, options.frames) as clip:
        config = options.encoder_config(clip)
        info = SplatvInfo(config.fps, config.width_px, config.height_px)
        patch_frames = _patch_interval(options.patch_every_s, clip.fps)
        stats: list[FrameStats] = []
        with (
            _appearing(output) as unfinished,
            unfinished.open("wb") as file,
            closing(Encoder(config)) as encoder,
            open_work(options.work, config) as work,
        ):
            writer = SplatvWriter(file, info)
            for frame in encode_pictures(encoder, clip, work):
                _write_frame(writer, frame)
                if patch_frames and stats and len(stats) % patch_frames == 0 and encoder.state is not None:
                    writer.write_patch(make_patch(encoder.state, None, -1))
                stats.append(frame.stats)
                progress(frame.stats.index + 1, clip.expected_frames)
            writer.close()
    total_bytes = output.stat().st_size
    return EncodeReport(config.width_px, config.height_px, float(clip.fps), "cpu", total_bytes, stats)


def _encode_gsvc(source: Path, output: Path, options: EncodeOptions, progress: Progress) -> EncodeReport:
    with open_clip(source, options.size, options.frames) as clip:
        config, fps = options.gsvc_config(clip), clip.fps
        with _appearing(output) as unfinished, unfinished.open("wb") as file:
            terms = fps.numerator, fps.denominator
            stats = encode_frames(clip, file, terms, config, lambda done: progress(done, clip.expected_frames))
    total_bytes = output.stat().st_size
    return EncodeReport(config.width_px, config.height_px, float(fps), "cpu", total_bytes, stats)


def decode_clip(
    source: Path, output: Path, scale: float, region: Region | None, frames: slice, progress: Progress
) -> int:
    """Decode pictures of a .splatv file, of frames and midpoints, to a clip or a picture; returns how many there were.

    Raises BitstreamError for what is no stream, MediaError where output, frames and region do not go together.
    """
    with source.open("rb") as file:
        reader = SplatvReader(file)
        wanted = _frames_within(frames, reader.index.pictures)
        if output.suffix.lower() == ".png" and len(wanted) != 1:
            raise MediaError(f"{output}: a png takes one frame, got {len(wanted)}: choose one with --frames N")
        with _appearing(output) as unfinished:
            writer = open_writer(unfinished, Fraction(*reader.info.fps), output.suffix)
            with closing(writer):
                for done, shown in enumerate(_shown(reader, wanted), start=1):
                    _check_view(shown, scale, region)
                    writer.write(_picture(shown, scale, region))
                    progress(done, len(wanted))
    return len(wanted)


def _write_frame(writer: SplatvWriter, frame: EncodedFrame) -> None:
    if frame.epoch_record is not None:
        writer.write_epoch(frame.epoch_record)
    writer.write_frame(frame.parts)


def _shown(reader: SplatvReader, wanted: range) -> Iterator[SplatState | GsvcDecoder]:
    """Give what holds each wanted picture: a state, or the decoder of the gsvc profile."""
    return decode_frames(reader, wanted) if reader.info.profile == PROFILE_GSVC else _shown_states(reader, wanted)


def _picture(shown: SplatState | GsvcDecoder, scale: float, region: Region | None) -> npt.NDArray[np.uint8]:
    """Return a picture, uint8 [H, W, 3]."""
    return to_rgb(render(shown, scale, region)) if isinstance(shown, SplatState) else shown.picture(scale, region)


def _shown_states(reader: SplatvReader, wanted: range) -> Iterator[SplatState]:
    """Give the state of each wanted picture, from the nearest place where a decoder can start."""
    decoder = Decoder()
    epoch, patch, index = reader.start_for(wanted.start)
    decoder.push_epoch(epoch.body)
    if patch is not None:
        decoder.push_patch(reader.patch_parts(patch))
        if index - 1 in wanted:
            yield decoder.state
    for record in reader.records(reader.end_of(patch or epoch)):
        if record.kind == RECORD_EPOCH:
            decoder.push_epoch(record.body)
        elif record.kind == RECORD_FRAME:
            if index >= wanted.stop:
                return
            if record.body:
                decoder.push_frame(split_parts(record.body))
            for state in decoder.shown() if record.body else (decoder.state,):
                if index in wanted:
                    yield state
                index += 1


def _frames_within(frames: slice, count: int) -> range:
    """Return the frames asked for that the file has; raises MediaError where it has none of them."""
    if count == 0:
        raise MediaError("expected a file with at least one whole frame, it holds none")
    wanted = range(count)[frames]
    if not wanted:
        asked = f"{frames.start or 0}:{'' if frames.stop is None else frames.stop}"
        raise MediaError(f"expected frames within 0:{count}, got {asked}")
    return wanted


def _check_view(shown: SplatState | GsvcDecoder, scale: float, region: Region | None) -> None:
    """Raise MediaError unless the region lies inside the picture and the output is not too large."""
    try:
        output_size(shown.epoch if isinstance(shown, SplatState) else shown.state, scale, region)
    except ValueError as error:
        raise MediaError(str(error)) from error


def _patch_interval(every_s: float | None, fps: Fraction) -> int:
    """Return after how many frames the next patch comes, 0 for never."""
    return 0 if every_s is None else max(1, round(every_s * fps))


@contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """Give a name beside `path` to write to; it becomes `path` on success and goes away otherwise."""
    unfinished = path.with_name(path.name + ".part")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
