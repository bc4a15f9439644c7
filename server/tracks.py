"""The picture of one publisher as an ordinary VP8 track: splats decoded on the server, encoded once for all viewers."""

import asyncio
import logging
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
from av import CodecContext, Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from codec.media import rgb_to_frame
from codec.render import render, to_rgb
from codec.types import SplatState
from server.clock import now_ms
from server.peer import VideoPacketTrack
from server.publisher import Publisher

__all__ = ["SplatVideo", "Vp8Encoder"]

logger = logging.getLogger(__name__)

TIME_BASE = Fraction(1, 90_000)
RENDER_THREADS = 1  # viewers are guests: the encoders' cores are not theirs
KEY_INTERVAL = 300  # frames


class Vp8Encoder:
    """A real-time VP8 encoder that begins anew when the picture's size changes; used in one thread at a time."""

    def __init__(self, bitrate_kbps: int) -> None:
        self._bitrate_kbps = bitrate_kbps
        self._codec: VideoCodecContext | None = None

    def encode(self, rgb: npt.NDArray[np.uint8], pts: int, *, key: bool) -> "list[Packet[Any]]":  # [height, width, 3]
        """Return the packets of one picture; pts in 1/90000 s."""
        height, width = rgb.shape[:2]
        if self._codec is None or (self._codec.width, self._codec.height) != (width, height):
            self._codec = self._open(width, height)
        frame = rgb_to_frame(rgb)
        frame.pts, frame.time_base = pts, TIME_BASE
        frame.pict_type = PictureType.I if key else PictureType.NONE
        return list(self._codec.encode(frame))

    def _open(self, width: int, height: int) -> VideoCodecContext:
        codec = CodecContext.create("libvpx", "w")
        assert isinstance(codec, VideoCodecContext)
        codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
        codec.time_base, codec.framerate = TIME_BASE, Fraction(30)
        codec.bit_rate = self._bitrate_kbps * 1000
        codec.gop_size = KEY_INTERVAL
        codec.thread_count = 1
        codec.options = {"deadline": "realtime", "cpu-used": "-6", "lag-in-frames": "0", "error-resilient": "1"}
        return codec


class SplatVideo:
    """Renders a publisher's newest state and encodes it once, while anybody watches."""

    def __init__(self, publisher: Publisher, bitrate_kbps: int) -> None:
        self._publisher = publisher
        self._encoder = Vp8Encoder(bitrate_kbps)
        self._tracks: set[VideoPacketTrack] = set()
        self._fresh = asyncio.Event()
        self._wants_key = True
        self._fresh.set()
        self._task = asyncio.create_task(self._run())

    @property
    def viewers(self) -> int:
        """Tracks that are fed."""
        return len(self._tracks)

    def add(self, track: VideoPacketTrack) -> None:
        """Feed a track, beginning with a key frame of the present picture."""
        self._tracks.add(track)
        self.ask_key()

    def remove(self, track: VideoPacketTrack) -> None:
        """Feed a track no longer."""
        self._tracks.discard(track)

    def ask_key(self) -> None:
        """Make the next frame a key frame, at once; requests meanwhile are one."""
        self._wants_key = True
        self._fresh.set()

    def frame_published(self) -> None:
        """Note that there is a new picture; one that is still being worked on makes room for the newest."""
        self._fresh.set()

    async def close(self) -> None:
        """End the task."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        """Render and encode newest pictures, one at a time, in a thread."""
        while True:
            await self._fresh.wait()
            self._fresh.clear()
            state = self._publisher.state()
            if state is None or not self._tracks:
                continue
            key, self._wants_key = self._wants_key, False
            try:
                packets = await asyncio.to_thread(self._make, state, int(now_ms() * 90), key)
            except Exception:  # a picture that cannot be made must not end the track
                logger.exception("stream %s: rendering failed", self._publisher.stream)
                continue
            for packet in packets:
                for track in self._tracks:
                    track.push(packet)

    def _make(self, state: SplatState, pts: int, key: bool) -> "list[Packet[Any]]":
        """Render a state and encode the picture."""
        return self._encoder.encode(to_rgb(render(state, threads=RENDER_THREADS)), pts, key=key)
