"""Our own codec on the bench: real frames of an encoder, decoded by a decoder that has nothing but their bytes."""

import hashlib
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import chain
from pathlib import Path

import codec
from codec.bench.peers import CodedClip, Ladder, packets_of
from codec.config import Effort, EncoderConfig
from codec.decoder import Decoder
from codec.encoder import Encoder
from codec.media import RgbPicture
from codec.midpoint import encode_pictures
from codec.native import _native
from codec.render import render, to_rgb
from codec.types import EncodedFrame

__all__ = ["DEFAULT_QUALITIES", "SplatPeer", "decode_frames", "source_digest"]

DEFAULT_QUALITIES = (10.0, 25.0, 40.0, 55.0, 70.0, 82.0, 92.0)


@dataclass(frozen=True)
class SplatPeer:
    """Our encoder at one effort."""

    name: str = "splatcall"
    effort: Effort = "best"
    importance: bool = True
    latency_ms: float = 30.0  # of a frame, with effort "live"
    delay_frames: int = 0  # 1: a frame may show two pictures, with a midpoint
    threads: int = 2
    qualities: tuple[float, ...] = DEFAULT_QUALITIES
    extend: bool = True  # beyond the qualities where they do not span what is asked for

    @property
    def settings(self) -> str:
        """Return what its bytes depend on: options, and a digest of the codec's sources."""
        latency = f" latency {self.latency_ms:g} ms" if self.effort == "live" else ""
        weights = "importance" if self.importance else "no importance"
        delay = f", {self.delay_frames} picture held back" if self.delay_frames else ""
        return f"effort {self.effort}{latency}, {weights}{delay}, {self.threads} threads, sources {source_digest()}"

    @property
    def ladder(self) -> Ladder:
        """Return the qualities to try."""
        start = tuple(sorted(self.qualities))
        return Ladder(start, 0.0, 100.0, 6.0) if self.extend else Ladder(start, start[0], start[-1], 6.0)

    def missing(self) -> str | None:
        """Return None: it is always there."""
        return None

    def encode(self, pictures: Sequence[RgbPicture], fps: Fraction, quality: float) -> CodedClip:
        """Encode pictures, uint8 [height, width, 3], and decode the bytes again."""
        height, width = pictures[0].shape[:2]
        config = EncoderConfig(
            width,
            height,
            fps=(fps.numerator, fps.denominator),
            quality=quality,
            effort=self.effort,
            latency_ms=self.latency_ms,
            importance=self.importance,
            delay_frames=self.delay_frames,
            threads=self.threads,
        )
        with closing(Encoder(config)) as encoder:
            wall, cpu = time.perf_counter(), time.process_time()
            frames = list(encode_pictures(encoder, pictures))
            wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
        return CodedClip(
            tuple(chain.from_iterable(_by_picture(frame, sum(_sizes(frame))) for frame in frames)),
            tuple(chain.from_iterable(_by_picture(frame, sum(map(packets_of, _sizes(frame)))) for frame in frames)),
            decode_frames(frames),
            wall_s,
            cpu_s,
        )


def decode_frames(frames: Sequence[EncodedFrame]) -> list[RgbPicture]:
    """Decode frames of one stream, from its first on, to pictures uint8 [height, width, 3]."""
    decoder = Decoder()
    shown = []
    for frame in frames:
        if frame.epoch_record is not None:
            decoder.push_epoch(frame.epoch_record)
        decoder.push_frame(frame.parts)
        shown += [to_rgb(render(state)) for state in decoder.shown()]
    return shown


def _by_picture(frame: EncodedFrame, figure: int) -> tuple[int, ...]:
    """Return what a frame took for each picture that it shows: a midpoint takes nothing."""
    return (0,) * (frame.pictures - 1) + (figure,)


def _sizes(frame: EncodedFrame) -> list[int]:
    """Return the bytes of each piece of a frame that is sent."""
    return [len(piece) for piece in _pieces(frame)]


def _pieces(frame: EncodedFrame) -> tuple[bytes, ...]:
    """Return what is sent of a frame, each at least one datagram."""
    record = () if frame.epoch_record is None else (frame.epoch_record,)
    return (*record, *frame.parts)


@cache
def source_digest(folder: str = ".", native_sources: str | None = None) -> str:
    """Return a digest of what decides a codec's bytes: modules and tables of a folder of the package, and native code.

    Benchmarks are left out. `native_sources`: a pattern of the C++ files that count; the whole build where it is None
    or the package came without them.
    """
    root = Path(codec.__file__).parent
    files = [
        path for path in (root / folder).rglob("*") if path.suffix in (".py", ".json") and "bench" not in path.parts
    ]
    native = sorted((root / "native" / "src").glob(native_sources)) if native_sources else []
    digest = hashlib.sha256()
    for path in [*sorted(files), *(native or [Path(_native.__file__)])]:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]
