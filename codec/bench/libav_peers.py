"""Other codecs through PyAV, as a call runs them: no lookahead, no B-frames, one key frame, constant quality."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction

import av
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from codec.bench.peers import CodedClip, Ladder, packets_of
from codec.media import RgbPicture, frame_to_rgb, rgb_to_frame

__all__ = ["LIBAV_PEERS", "LibavPeer", "nal_units", "sent_bytes"]

_NO_GOP = 100_000
_FREE_RATE_BPS = 50_000_000  # where quality is set by the quantiser, a rate control that never binds
_NAL_SEI = 6  # of H.264; user data that carries no picture
_AV1_TEMPORAL_DELIMITER = b"\x12\x00"


@dataclass(frozen=True)
class LibavPeer:
    """One encoder of FFmpeg; `{quality}` in an option stands for the quality that is asked for."""

    name: str
    encoder: str
    decoder: str
    options: tuple[tuple[str, str], ...]
    ladder: Ladder
    gop: int = _NO_GOP
    rate_bps: int = 0

    @property
    def settings(self) -> str:
        """Return encoder, options and versions."""
        options = " ".join(f"{key}={value}" for key, value in self.options)
        return f"{self.encoder} {options}, one thread, PyAV {av.__version__}, FFmpeg {av.ffmpeg_version_info}"

    def missing(self) -> str | None:
        """Return why it cannot run here, None where it can."""
        for name, mode in ((self.encoder, "w"), (self.decoder, "r")):
            try:
                av.codec.Codec(name, "w" if mode == "w" else "r")
            except ValueError:
                return f"this build of PyAV has no {'encoder' if mode == 'w' else 'decoder'} {name}"
        return None

    def encode(self, pictures: Sequence[RgbPicture], fps: Fraction, quality: float) -> CodedClip:
        """Encode pictures, uint8 [height, width, 3]; the conversion to 4:2:0 is not in its times."""
        height, width = pictures[0].shape[:2]
        frames = []
        for index, picture in enumerate(pictures):
            frame = rgb_to_frame(picture)
            frame.pts, frame.time_base = index, 1 / fps
            frames.append(frame)
        os.environ.setdefault("SVT_LOG", "1")  # errors alone; it has no option for that
        wall, cpu = time.perf_counter(), time.process_time()
        encoder = self._create(width, height, fps, quality)
        packets = [packet for frame in [*frames, None] for packet in encoder.encode(frame)]
        wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
        sizes = tuple(sent_bytes(self.decoder, bytes(packet)) for packet in packets)
        shown = self._decode(packets, width, height)
        if not len(shown) == len(sizes) == len(pictures):
            raise RuntimeError(f"{self.name}: {len(pictures)} pictures gave {len(sizes)} packets, {len(shown)} frames")
        return CodedClip(sizes, tuple(map(packets_of, sizes)), shown, wall_s, cpu_s)

    def _create(self, width: int, height: int, fps: Fraction, quality: float) -> VideoCodecContext:
        encoder = av.CodecContext.create(self.encoder, "w")
        assert isinstance(encoder, VideoCodecContext)
        encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
        encoder.time_base, encoder.framerate = 1 / fps, fps
        encoder.gop_size, encoder.thread_count, encoder.bit_rate = self.gop, 1, self.rate_bps
        encoder.options = {key: value.format(quality=f"{quality:g}") for key, value in self.options}
        with _scheduling_kept():
            encoder.open()
        return encoder

    def _decode(self, packets: Sequence["Packet[VideoStream]"], width: int, height: int) -> list[RgbPicture]:
        decoder = av.CodecContext.create(self.decoder, "r")
        assert isinstance(decoder, VideoCodecContext)
        frames = (frame for packet in [*packets, None] for frame in decoder.decode(packet))
        return [frame_to_rgb(frame, width, height) for frame in frames]


@contextmanager
def _scheduling_kept() -> Iterator[None]:
    """Undo what SVT-AV1 does where it may: it opens under real-time scheduling, and leaves its caller there.

    Whatever the caller starts later would inherit that, and hold the cores against everything else on the machine.
    """
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


def sent_bytes(decoder: str, packet: bytes) -> int:
    """Return how many of a packet's bytes a call would send.

    RTP carries H.264 and HEVC without start codes (RFC 6184, 7798) and AV1 without temporal delimiters (AV1 RTP
    payload format, section 5); x264's SEI of several hundred bytes names its settings and shows nothing.
    """
    if decoder in ("h264", "hevc"):
        return sum(len(unit) for unit in nal_units(packet) if decoder == "hevc" or unit[0] & 31 != _NAL_SEI)
    if packet.startswith(_AV1_TEMPORAL_DELIMITER):
        return len(packet) - len(_AV1_TEMPORAL_DELIMITER)
    return len(packet)


def nal_units(stream: bytes) -> Iterator[bytes]:
    """Give the NAL units of an Annex B byte stream (H.264 annex B): without start codes and trailing zero bytes."""
    start = stream.find(b"\0\0\1")
    while start >= 0:
        end = stream.find(b"\0\0\1", start + 3)
        unit = stream[start + 3 : end if end >= 0 else len(stream)].rstrip(b"\0")
        if unit:
            yield unit
        start = end


def _vp8() -> LibavPeer:
    # its `crf` bounds the quantiser from below alone: the key frame then takes five times the bytes
    options = {"deadline": "realtime", "cpu-used": "-8", "lag-in-frames": "0", "qmin": "{quality}", "qmax": "{quality}"}
    ladder = Ladder((60, 54, 47, 40, 33, 26, 19, 12), 63, 0, 4)
    return LibavPeer("vp8", "libvpx", "vp8", tuple(options.items()), ladder, rate_bps=_FREE_RATE_BPS)


def _vp9() -> LibavPeer:
    options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "crf": "{quality}"}
    ladder = Ladder((62, 57, 52, 47, 42, 37, 32), 63, 0, 4)
    return LibavPeer("vp9", "libvpx-vp9", "vp9", tuple(options.items()), ladder)


def _svt_av1(preset: int) -> LibavPeer:
    # FFmpeg's own option ends at 63, the encoder's at 70
    parameters = "crf={quality}:pred-struct=1:rc=0:keyint=-1:scd=0:lp=1" + (":rtc=1" if preset >= 10 else "")
    options = {"preset": str(preset), "svtav1-params": parameters}
    ladder = Ladder((61, 56, 51, 46, 41, 36, 31), 70, 5, 3)
    return LibavPeer(f"av1-{preset}", "libsvtav1", "libdav1d", tuple(options.items()), ladder, gop=-1)


def _x264(preset: str, quality: str) -> LibavPeer:
    parameters = "psy=0:aq-mode=0:scenecut=0:keyint=infinite"
    options = {"preset": preset, "tune": "zerolatency", "x264-params": parameters, quality: "{quality}"}
    name = f"x264-{preset}" + ("-qp" if quality == "qp" else "")
    return LibavPeer(name, "libx264", "h264", tuple(options.items()), _X26X_LADDER, gop=-1)


def _x265(preset: str, quality: str) -> LibavPeer:
    parameters = (
        "psy-rd=0:psy-rdoq=0:aq-mode=0:scenecut=0:keyint=-1:info=0:pools=none:frame-threads=1:wpp=0:log-level=error"
    )
    options = {"preset": preset, "tune": "zerolatency", "x265-params": parameters, quality: "{quality}"}
    name = f"x265-{preset}" + ("-qp" if quality == "qp" else "")
    return LibavPeer(name, "libx265", "hevc", tuple(options.items()), _X26X_LADDER, gop=-1)


_X26X_LADDER = Ladder((42, 39, 36, 33, 30, 27, 24), 51, 10, 3)

# by what `--against` names; constant quality is `crf` where an encoder has one that is, else a fixed quantiser
LIBAV_PEERS: Mapping[str, tuple[LibavPeer, ...]] = {
    "vp8": (_vp8(),),
    "vp9": (_vp9(),),
    "av1": (_svt_av1(12), _svt_av1(10), _svt_av1(8)),
    "x264": (_x264("ultrafast", "crf"), _x264("medium", "crf")),
    "x265": (_x265("medium", "crf"),),
    "x264-qp": (_x264("ultrafast", "qp"), _x264("medium", "qp")),
    "x265-qp": (_x265("medium", "qp"),),
}
