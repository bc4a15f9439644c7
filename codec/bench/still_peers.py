"""Still pictures on the bench: our key frame at slow effort, JPEG and WebP."""

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod

import numpy as np
import PIL
from PIL import Image

from codec.bench.peers import CodedClip, Ladder, packets_of
from codec.bench.splat_peer import source_digest
from codec.bitstream.epoch import pack_epoch
from codec.bitstream.frame import MAX_PARSED_PART_BYTES, serialize_key
from codec.config import MAX_SPLATS
from codec.decoder import Decoder
from codec.engine import SLOW_PLAN, KeyFrameFit, KeyPlan
from codec.media import RgbPicture
from codec.rate_control import lambda_of_quality
from codec.slots import blocks_for
from codec.types import EpochRecord

__all__ = ["STILL_PEERS", "PillowPeer", "SplatStillPeer"]

_MOST_BASE_SAMPLES = 3000
_BASE_SPACINGS_PX = (48, 64, 96, 128, 192, 256)
_SPARE_BLOCKS = 8


@dataclass(frozen=True)
class SplatStillPeer:
    """Our key frame as a file: parts as large as the format allows, epoch record included."""

    name: str = "splatcall"
    plan: KeyPlan = SLOW_PLAN
    threads: int = 2
    qualities: tuple[float, ...] = (10.0, 22.0, 34.0, 46.0, 58.0, 70.0)

    @property
    def settings(self) -> str:
        """Return what its bytes depend on."""
        return f"still, {self.plan}, {self.threads} threads, sources {source_digest()}"

    @property
    def ladder(self) -> Ladder:
        """Return the qualities to try."""
        return Ladder(self.qualities, self.qualities[0], self.qualities[-1], 1.0)

    def missing(self) -> str | None:
        """Return None: it is always there."""
        return None

    def encode(self, pictures: Sequence[RgbPicture], fps: Fraction, quality: float) -> CodedClip:
        """Encode pictures, uint8 [height, width, 3], each for itself."""
        wall, cpu = time.perf_counter(), time.process_time()
        streams = [self._encode(picture, fps, quality) for picture in pictures]
        wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
        sizes = tuple(len(record) + sum(map(len, parts)) for record, parts in streams)
        shown = []
        for record, parts in streams:
            decoder = Decoder()
            decoder.push_epoch(record)
            decoder.push_frame(parts)
            shown.append(decoder.picture())
        return CodedClip(sizes, tuple(map(packets_of, sizes)), shown, wall_s, cpu_s)

    def _encode(self, rgb: RgbPicture, fps: Fraction, quality: float) -> tuple[bytes, tuple[bytes, ...]]:
        height, width = rgb.shape[:2]
        epoch = _epoch(width, height, fps)
        weights = np.ones((-(-height // 16), -(-width // 16)), np.float32)
        fitter = KeyFrameFit(epoch, MAX_SPLATS, self.threads, seed=0)
        commands = fitter.fit(rgb, weights, weights, lambda_of_quality(quality).key, self.plan)
        epoch = replace(epoch, layers=(blocks_for(len(commands.splats)) + _SPARE_BLOCKS,))
        return pack_epoch(epoch), serialize_key(epoch, 0, commands, None, max_part_bytes=MAX_PARSED_PART_BYTES)


@dataclass(frozen=True)
class PillowPeer:
    """A still format of Pillow."""

    name: str
    format: str
    options: tuple[tuple[str, object], ...]
    ladder: Ladder

    @property
    def settings(self) -> str:
        """Return what its bytes depend on."""
        return f"{self.format} {dict(self.options)}, Pillow {PIL.__version__}"

    def missing(self) -> str | None:
        """Return why it cannot run here, None where it can."""
        Image.init()
        return None if self.format in Image.SAVE else f"this build of Pillow writes no {self.format}"

    def encode(self, pictures: Sequence[RgbPicture], fps: Fraction, quality: float) -> CodedClip:
        """Encode pictures, uint8 [height, width, 3], each for itself."""
        wall, cpu = time.perf_counter(), time.process_time()
        files = [self._encode(picture, quality) for picture in pictures]
        wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
        sizes = tuple(len(file) for file in files)
        shown = [np.asarray(Image.open(io.BytesIO(file)).convert("RGB"), np.uint8) for file in files]
        return CodedClip(sizes, tuple(map(packets_of, sizes)), shown, wall_s, cpu_s)

    def _encode(self, rgb: RgbPicture, quality: float) -> bytes:
        file = io.BytesIO()
        Image.fromarray(rgb).save(file, self.format, quality=round(quality), **dict(self.options))
        return file.getvalue()


def _epoch(width_px: int, height_px: int, fps: Fraction) -> EpochRecord:
    """Return the record of a picture's epoch, with the finest base that is no more than a small share of the bits."""
    record = EpochRecord(0, width_px, height_px, (fps.numerator, fps.denominator), layers=(1,), tables=1)
    spaced = (replace(record, base_spacing_px=spacing) for spacing in _BASE_SPACINGS_PX)
    return next((epoch for epoch in spaced if prod(epoch.base_shape) <= _MOST_BASE_SAMPLES), record)


STILL_PEERS = (
    PillowPeer(
        "JPEG",
        "JPEG",
        (("optimize", True), ("subsampling", "4:2:0")),
        Ladder((4, 8, 13, 20, 30, 42, 55, 67, 78, 87, 93), 4, 93, 1),
    ),
    PillowPeer("WebP", "WEBP", (("method", 6),), Ladder((1, 6, 14, 25, 37, 50, 62, 73, 82, 90, 95), 1, 95, 1)),
)
