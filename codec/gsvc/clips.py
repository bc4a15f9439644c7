"""Whole clips of the gsvc profile: to the records of a .splatv file and back."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from codec.bitstream.container import PROFILE_GSVC, RECORD_FRAME, SplatvInfo, SplatvReader, SplatvWriter
from codec.gsvc.config import GsvcConfig
from codec.gsvc.decoder import GsvcDecoder
from codec.gsvc.encoder import GsvcEncoder
from codec.types import FrameStats

__all__ = ["decode_frames", "encode_frames"]


def encode_frames(
    pictures: Iterable[npt.NDArray[np.uint8]],
    stream: BinaryIO,
    fps: tuple[int, int],
    config: GsvcConfig,
    advance: Callable[[int], None],
) -> list[FrameStats]:
    """Write a whole file to a stream at its start; `advance` hears how many frames are done."""
    writer = SplatvWriter(stream, SplatvInfo(fps, config.width_px, config.height_px, PROFILE_GSVC))
    encoder = GsvcEncoder(config)
    stats: list[FrameStats] = []
    for picture in pictures:
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        packet = encoder.encode(picture)
        encode_ms, cpu_ms = 1000 * (time.perf_counter() - wall_s), 1000 * (time.process_time() - cpu_s)
        figures = encoder.figures
        assert figures is not None
        writer.write_frame((packet,), starts=figures.kind == "key")
        stats.append(
            FrameStats(len(stats), figures.kind, len(packet), encode_ms, cpu_ms, figures.splats, figures.changed, {})
        )
        advance(len(stats))
    writer.close()
    return stats


def decode_frames(reader: SplatvReader, wanted: range) -> Iterator[GsvcDecoder]:
    """Give the decoder as it stands at each wanted frame, from the nearest key frame on."""
    decoder = GsvcDecoder()
    index, offset = reader.epoch_for(wanted.start)
    for record in reader.records(offset):
        if index >= wanted.stop:
            return
        if record.kind == RECORD_FRAME:
            decoder.push(record.body)
            if index in wanted:
                yield decoder
            index += 1
