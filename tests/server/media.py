"""Tracks that tests publish."""

import asyncio
import time
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import CodecContext, Packet, VideoFrame
from av.audio.frame import AudioFrame


class GreyTrack(MediaStreamTrack):
    """Plain grey pictures at 30 frames a second, getting brighter; size and brightness can be set."""

    kind = "video"

    def __init__(self, width: int = 64, height: int = 48) -> None:
        super().__init__()
        self.size = (width, height)
        self.grey: int | None = None
        self._number = 0
        self._began = time.monotonic()

    async def recv(self) -> VideoFrame:
        """Return the next picture."""
        if self.readyState != "live":
            raise MediaStreamError
        self._number += 1
        await asyncio.sleep(max(0.0, self._began + self._number / 30 - time.monotonic()))
        frame = VideoFrame.from_ndarray(self.make(), format="rgb24")
        frame.pts, frame.time_base = self._number * 3000, Fraction(1, 90_000)
        return frame

    def make(self) -> npt.NDArray[np.uint8]:  # [height, width, 3]
        """Return a picture."""
        value = 60 + self._number % 100 if self.grey is None else self.grey
        return np.full((self.size[1], self.size[0], 3), value, np.uint8)


class PictureTrack(GreyTrack):
    """One picture again and again at 30 frames a second, until another one is set."""

    def __init__(self, picture: npt.NDArray[np.uint8]) -> None:  # [height, width, 3]
        super().__init__()
        self.picture = picture

    def make(self) -> npt.NDArray[np.uint8]:
        """Return the picture that is set."""
        return self.picture


class OpusToneTrack(MediaStreamTrack):
    """A tone, encoded here, so that the packets which arrive elsewhere can be compared with those that were sent."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.payloads: list[bytes] = []
        self._encoder: Any = CodecContext.create("libopus", "w")
        self._encoder.sample_rate, self._encoder.layout, self._encoder.format = 48_000, "stereo", "s16"
        self._encoder.bit_rate = 24_000
        self._number = 0
        self._began = time.monotonic()

    async def recv(self) -> "Packet[Any]":
        """Return the next packet of 20 ms."""
        if self.readyState != "live":
            raise MediaStreamError
        while True:
            self._number += 1
            await asyncio.sleep(max(0.0, self._began + self._number / 50 - time.monotonic()))
            for packet in self._encoder.encode(self._tone()):
                packet.pts, packet.time_base = self._number * 960, Fraction(1, 48_000)
                self.payloads.append(bytes(packet))
                return packet  # type: ignore[no-any-return]

    def _tone(self) -> AudioFrame:
        at = (np.arange(960) + 960 * self._number) * 440 * 2 * np.pi / 48_000
        wave = (np.sin(at) * 8000).astype(np.int16)
        frame = AudioFrame.from_ndarray(np.repeat(wave, 2)[None, :], format="s16", layout="stereo")
        frame.sample_rate, frame.pts = 48_000, self._number * 960
        return frame
