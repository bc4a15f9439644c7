"""VP8 in realtime mode on the same frames: what a browser call would send instead."""

import time
from collections.abc import Sequence
from fractions import Fraction

import av
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from codec.bench.figures import CodingFigures, mean_luma_psnr_db, rate_kbps, spread
from codec.media import RgbPicture, frame_to_rgb, rgb_to_frame

__all__ = ["encode_vp8"]

# cpu-used -8 fixes the effort; +8 would let libvpx drop effort when the machine is busy, and time and quality with it
_OPTIONS = {"deadline": "realtime", "cpu-used": "-8", "lag-in-frames": "0", "error-resilient": "1"}


def encode_vp8(pictures: Sequence[RgbPicture], fps: Fraction, kbps: float, threads: int) -> CodingFigures:
    """Encode pictures, uint8 [height, width, 3], at a target rate; the conversion to 4:2:0 is not in its times."""
    height, width = pictures[0].shape[:2]
    encoder = _create_encoder(width, height, fps, kbps, threads)
    packets: list[Packet[VideoStream]] = []
    wall_ms, cpu_ms = [], []
    for index, picture in enumerate(pictures):
        frame = rgb_to_frame(picture)
        frame.pts, frame.time_base = index, 1 / fps
        wall, cpu = time.perf_counter(), time.process_time()
        packets += encoder.encode(frame)
        wall_ms.append((time.perf_counter() - wall) * 1000)
        cpu_ms.append((time.process_time() - cpu) * 1000)
    packets += encoder.encode(None)
    return CodingFigures(
        encoder="vp8 cpu-used -8",
        width_px=width,
        height_px=height,
        frames=len(pictures),
        kbps=rate_kbps(sum(packet.size for packet in packets), len(pictures), fps),
        luma_db=mean_luma_psnr_db(_decode(packets, width, height), pictures),
        key_ms=wall_ms[0],
        p_wall_ms=spread(wall_ms[1:]),
        p_cpu_ms=spread(cpu_ms[1:]),
    )


def _create_encoder(width: int, height: int, fps: Fraction, kbps: float, threads: int) -> VideoCodecContext:
    encoder = av.CodecContext.create("libvpx", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate = 1 / fps, fps
    encoder.bit_rate = int(kbps * 1000)
    encoder.gop_size = 100_000  # one key frame, as in a call
    encoder.thread_count = threads
    encoder.options = dict(_OPTIONS)
    return encoder


def _decode(packets: Sequence["Packet[VideoStream]"], width: int, height: int) -> list[RgbPicture]:
    decoder = av.CodecContext.create("vp8", "r")
    assert isinstance(decoder, VideoCodecContext)
    frames = [frame for packet in [*packets, None] for frame in decoder.decode(packet)]
    return [frame_to_rgb(frame, width, height) for frame in frames]
