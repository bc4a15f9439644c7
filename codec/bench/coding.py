"""Our encoder and decoder on a clip, timed frame by frame."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from codec.bench.figures import CodingFigures, Spread, luma_psnr_db, rate_kbps, spread
from codec.config import EncoderConfig
from codec.decoder import Decoder
from codec.encoder import Encoder
from codec.media import RgbPicture
from codec.types import EncodedFrame

__all__ = ["DecodeFigures", "coding_figures", "encode_splats", "measure_decode"]


@dataclass(frozen=True)
class DecodeFigures:
    """Bytes to pixels, all frames after the first."""

    wall_ms: Spread
    cpu_ms: Spread
    luma_db: float


def encode_splats(pictures: Sequence[RgbPicture], config: EncoderConfig) -> tuple[list[EncodedFrame], Spread]:
    """Encode pictures, uint8 [height, width, 3]; return the frames, and wall times seen from outside of the encoder."""
    encoder = Encoder(config)
    frames, wall_ms = [], []
    try:
        for picture in pictures:
            start = time.perf_counter()
            frames.append(encoder.encode(picture))
            wall_ms.append((time.perf_counter() - start) * 1000)
    finally:
        encoder.close()
    return frames, spread(wall_ms[1:])


def measure_decode(frames: Sequence[EncodedFrame], pictures: Sequence[RgbPicture]) -> DecodeFigures:
    """Decode frames to pixels and compare with their sources."""
    decoder = Decoder()
    wall_ms, cpu_ms, quality_db = [], [], []
    for frame, source in zip(frames, pictures, strict=True):
        wall, cpu = time.perf_counter(), time.process_time()
        if frame.epoch_record is not None:
            decoder.push_epoch(frame.epoch_record)
        decoder.push_frame(frame.parts)
        shown = decoder.picture()
        wall_ms.append((time.perf_counter() - wall) * 1000)
        cpu_ms.append((time.process_time() - cpu) * 1000)
        quality_db.append(luma_psnr_db(shown, source))
    return DecodeFigures(spread(wall_ms[1:]), spread(cpu_ms[1:]), sum(quality_db) / len(quality_db))


def coding_figures(
    label: str, frames: Sequence[EncodedFrame], p_wall_ms: Spread, luma_db: float, config: EncoderConfig
) -> CodingFigures:
    """Sum up an encode."""
    later = [frame.stats for frame in frames[1:]]
    stages = {stage for stats in later for stage in stats.stages_ms}
    return CodingFigures(
        encoder=label,
        width_px=config.width_px,
        height_px=config.height_px,
        frames=len(frames),
        kbps=rate_kbps(sum(frame.stats.bytes for frame in frames), len(frames), Fraction(*config.fps)),
        luma_db=luma_db,
        key_ms=frames[0].stats.encode_ms,
        p_wall_ms=p_wall_ms,
        p_cpu_ms=spread([stats.cpu_ms for stats in later]),
        stages_ms={
            stage: sum(stats.stages_ms.get(stage, 0.0) for stats in later) / max(1, len(later))
            for stage in sorted(stages)
        },
    )
